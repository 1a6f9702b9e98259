"""Edges of some digits and other digits: the two domains of Liu & Tuzel 2016 (section 4)."""

from __future__ import annotations

from functools import cache

import numpy as np

from bench.datasets.digits import mnist5k
from bench.datasets.pairs import Domains, Pairs, register
from bench.datasets.shoes import edges
from bench.datasets.stacks import MNIST_LICENCE

MARGIN = 2
"""Black pixels around a digit: 32 x 32, which networks can halve three times."""


@cache
def digits() -> Domains:
    """The edges of 2,000 digits of mnist5k, with the digits' classes, and 2,000 other digits, so
    that nothing pairs them; held out 1,000 digits, each with its edges.
    """
    split = mnist5k()
    own, held = (
        np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
        for images in (split.images, split.held_images)
    )
    classes = split.labels[::2].astype(np.int64)
    return Domains(edges(own[::2]), own[1::2], edges(held), held, classes=classes)


register(
    "Edges of mnist5k's digits to digits, 32 x 32 pixels, unpaired; held-out pairs are known",
    Pairs("edges@digits", digits, False, extractor="digits-cnn", licence=MNIST_LICENCE),
    paper="arXiv:1606.07536",
)
