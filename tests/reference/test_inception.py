"""The 2015 Inception network and its resizing against torch-fidelity's, with the same weights.

The true weights can't be had here. Random ones make every layer count: convolutions keep the
variance of what they are given, and batch norms have statistics of their own.
"""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.extractors import EXTRACTORS, Loading, inception

SIZES = [(299, 299), (32, 32), (310, 200)]
OF_FEATURES = [(32, 32), *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES[::2])]
"""Sizes are resized alike or not, which is looked at for each; the network is the same."""


@pytest.fixture(scope="module")
def peer():
    """torch-fidelity's network of random weights; nothing is fetched."""
    library = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    kind = library.FeatureExtractorInceptionV3
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(library, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(kind, "load_state_dict", lambda *args, **kwargs: None)
        torch.manual_seed(0)
        network = kind("inception", ["2048", "logits_unbiased"])
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
    return network


@pytest.fixture(scope="module")
def file(peer, tmp_path_factory):
    """Its weights in a file."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(peer.state_dict(), path)
    return path


@pytest.fixture
def read(file):
    """Our reader of the file's weights, which it takes for the true ones."""
    part = EXTRACTORS["inception"].part
    taken = replace(part.file, sha256=hashlib.sha256(file.read_bytes()).hexdigest()[:8])
    return replace(part, file=taken).load(Loading(weights=str(file)))


def _images(size):
    """Noise, a ramp, and a flat image, eight bits each: [3, 3, h, w]."""
    rng = np.random.default_rng(list(size))
    noise = rng.integers(0, 256, (3, *size))
    ramp = np.broadcast_to(np.linspace(0, 255, size[1]), (3, *size)).astype(int)
    return torch.from_numpy(np.stack([noise, ramp, np.full_like(ramp, 200)]).astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_resizing_is_that_of_tensorflow_1(size):
    """To less than a thousandth of a grey level."""
    library = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    images = _images(size)
    theirs = library.interpolate_bilinear_2d_like_tensorflow1x(
        images.float(), size=(299, 299), align_corners=False
    )
    ours = 255 * EXTRACTORS["inception"].part.resized(images / 255, (299, 299))
    assert ours.shape == (3, 3, 299, 299)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


def test_a_pixel_twice_the_size_is_where_tensorflow_1_has_it():
    """Output i is read at i / 2, without the half pixel that others add; the last is repeated."""
    image = torch.tensor([[[[0.0, 10.0, 40.0]]]])
    found = inception.tensorflow_bilinear(image, (1, 6))
    assert found.flatten().tolist() == [0, 5, 10, 25, 40, 40]


@pytest.mark.parametrize("size", OF_FEATURES)
def test_features_and_classes_are_those_of_torch_fidelity(peer, read, size):
    """To 1e-4 of their size, which the images decide; images are read alone or together."""
    images = _images(size)
    with torch.inference_mode():
        wanted, logits = peer(images)
        seen = read(EXTRACTORS["inception"].part.resized(images / 255, (299, 299)))
        alone = read(EXTRACTORS["inception"].part.resized(images[1:2] / 255, (299, 299)))
    size_of = wanted.abs().mean()
    assert wanted.std(0).mean() > 0.05 * size_of
    torch.testing.assert_close(seen.features, wanted, rtol=1e-4, atol=float(1e-4 * size_of))
    torch.testing.assert_close(seen.probabilities, logits.softmax(1), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(alone.features, seen.features[1:2], rtol=1e-4, atol=1e-4)


def test_other_weights_are_refused(file):
    """No network but the one of 2015 gives a distance that may be called FID."""
    with pytest.raises(UsageError, match=r"expected weights with sha256 6726825d..., got"):
        EXTRACTORS["inception"].part.load(Loading(weights=str(file)))


def test_missing_weights_are_asked_for(tmp_path):
    """Nothing is fetched unless it is asked for; the message says how."""
    with pytest.raises(UsageError, match=r"need the 2015 weights, and .* `download` fetches them"):
        EXTRACTORS["inception"].part.load(Loading(weights=str(tmp_path / "none.pth")))
