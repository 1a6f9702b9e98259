"""Small images and models that several tests use."""

from __future__ import annotations

import numpy as np
import torch

from bench.datasets.named import dataset_named
from bench.datasets.pairs import Domains, Pairs
from generative.recipes.pca import PcaGaussianSampler


def noise(seed, *shape):
    """uint8."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def small_gaussian(seed=0, dims=(2, 3, 4), kept=5, residual=0.01, box=None):
    """A Gaussian on five components, its mean, and its covariance with noise."""
    rng = np.random.default_rng(seed)
    d = int(np.prod(dims))
    mean, factors = 0.5 + 0.05 * rng.normal(size=d), 0.3 * rng.normal(size=(kept, d))

    blank = np.zeros((2, *dims[1:], dims[0]), dtype=np.uint8)
    source = Pairs("blank", lambda: Domains(blank, blank, blank, blank), True).source(0)
    source.box = box
    tensors = [torch.from_numpy(x).float() for x in (mean, factors, np.array(residual))]
    model = PcaGaussianSampler(*tensors, source)
    return model, mean, factors.T @ factors + residual * np.eye(d), factors


def idx(path, array):
    """An IDX file of bytes."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def mnist_files(folder, images, labels):
    """Files in the form of MNIST's, the last ten to test."""
    folder.mkdir(parents=True)
    for part, chosen in (("train", slice(0, -10)), ("t10k", slice(-10, None))):
        idx(folder / f"{part}-images-idx3-ubyte", images[chosen])
        idx(folder / f"{part}-labels-idx1-ubyte", labels[chosen])


def images_named(name, side=None):
    """A data set of images, as a task on images gets it."""
    return dataset_named(name, ("images",), "task image", side)


def pairs_named(name, side=None):
    """Two domains, as a task of translation gets them."""
    return dataset_named(name, ("domains",), "task translation", side)
