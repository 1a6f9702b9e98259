"""Domains out of Fashion-MNIST: edges and shoes as pairs, sneakers and ankle boots without."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter

from bench.datasets.digits import fashion, fashion_folder, how_to_get
from bench.datasets.pairs import Domains, Pairs, register

SHOES = (5, 7, 9)
SNEAKER, BOOT = 7, 9
EDGE = 40
"""The Sobel gradient, over the sum of its weights, of an 8-bit image from which on a pixel may be
an edge.
"""
SMOOTH = 0.6
LICENCE = "Fashion-MNIST, Zalando SE: MIT"


def edges(images: np.ndarray) -> np.ndarray:
    """Black lines on white where images uint8 [n, h, w] change most: uint8 [n, h, w].

    Canny's (1986) suppression of all but the largest gradient across an edge, in the nearer of two
    directions, without his tracking of weak edges.
    """
    values = gaussian_filter(images.astype(np.float32), (0, SMOOTH, SMOOTH))
    down = correlate1d(correlate1d(values, (-1, 0, 1), axis=1), (1, 2, 1), axis=2)
    across = correlate1d(correlate1d(values, (-1, 0, 1), axis=2), (1, 2, 1), axis=1)
    steep = np.hypot(down, across) / 4
    around = np.pad(steep, ((0, 0), (1, 1), (1, 1)))
    inner = slice(1, -1)
    vertical = np.maximum(around[:, :-2, inner], around[:, 2:, inner])
    horizontal = np.maximum(around[:, inner, :-2], around[:, inner, 2:])
    largest = np.where(np.abs(down) > np.abs(across), steep >= vertical, steep >= horizontal)
    return np.where(largest & (steep > EDGE), 0, 255).astype(np.uint8)


def _absent() -> str:
    return "" if fashion_folder() else how_to_get("FashionMNIST")


@cache
def shoes() -> Domains:
    """18,000 shoes and 3,000 held out, each with its edges."""
    split = fashion()
    train = split.images[np.isin(split.labels, SHOES)]
    held = split.held_images[np.isin(split.held_labels, SHOES)]
    return Domains(edges(train), train, edges(held), held)


@cache
def sneakers() -> Domains:
    """6,000 sneakers and 6,000 ankle boots, 1,000 of each held out; nothing pairs them."""
    split = fashion()
    sides = ((split.images, split.labels), (split.held_images, split.held_labels))
    parts = [images[labels == kind] for images, labels in sides for kind in (SNEAKER, BOOT)]
    return Domains(parts[0], parts[1], parts[2], parts[3], truth=False)


register(
    "Edges to shoes of Fashion-MNIST, 28 x 28 pixels, pairs",
    Pairs("edges@shoes", shoes, True, _absent, extractor="fashion-cnn", licence=LICENCE),
    paper="arXiv:1708.07747",
    large=True,
)
register(
    "Sneakers to ankle boots of Fashion-MNIST, 28 x 28 pixels, unpaired",
    Pairs("sneakers@boots", sneakers, False, _absent, extractor="fashion-cnn", licence=LICENCE),
    paper="arXiv:1708.07747",
    large=True,
)
