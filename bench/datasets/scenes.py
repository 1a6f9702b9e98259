"""Scenes of real digits with the class of every pixel: photos to be made from label maps.

A scene is a mosaic of 2 x 2 digits of MNIST, each at half its size: dark ink of some colour on
paper of some tint that is lit from one side, 32 x 32 pixels. Its label map has a class for each
pixel, paper or one of ten digits, in colours of a fixed palette, as Cityscapes has them. What the
map does not say is the colour of ink and paper and the grey of the strokes.
"""

from __future__ import annotations

import colorsys
from functools import cache

import numpy as np

from bench.datasets.digits import CLASSES, mnist5k
from bench.datasets.pairs import Domains, Pairs, register
from bench.datasets.stacks import MNIST_LICENCE

TILE, ACROSS, MARGIN = 16, 2, 1
SIDE = TILE * ACROSS
TRAINING, HELD_OUT = 4_000, 500
INK = 64
"""The grey of an MNIST digit at half size from which on a pixel is ink."""
PAPER = CLASSES
"""The class of what is no ink."""
SEED = 0
PALETTE: tuple[tuple[int, ...], ...] = (
    *(
        tuple(round(255 * part) for part in colorsys.hsv_to_rgb(digit / CLASSES, 1.0, 1.0))
        for digit in range(CLASSES)
    ),
    (0, 0, 0),
)


def draw(
    images: np.ndarray, labels: np.ndarray, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`n` scenes of digits uint8 [m, 28, 28]: photos uint8 [n, 32, 32, 3], and the class of every
    pixel int64 [n, 32, 32].
    """
    chosen = rng.integers(len(images), size=(n, ACROSS, ACROSS))
    halves = images.reshape(-1, 14, 2, 14, 2).mean((2, 4))
    tiles = np.zeros((n, ACROSS, ACROSS, TILE, TILE), dtype=np.float32)
    inner = slice(MARGIN, MARGIN + 14)
    tiles[..., inner, inner] = halves[chosen]
    ink = tiles.transpose(0, 1, 3, 2, 4).reshape(n, SIDE, SIDE)
    classes = np.where(tiles >= INK, labels[chosen][..., None, None], PAPER)
    maps = classes.transpose(0, 1, 3, 2, 4).reshape(n, SIDE, SIDE)
    return _photographed(ink / 255, rng), maps


def _photographed(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ink [n, h, w] in [0, 1] in some dark colour, on light paper that is lit from one side."""
    n = len(ink)
    paper = rng.uniform(0.65, 1.0, (n, 1, 1, 3))
    colour = rng.uniform(0.0, 0.45, (n, 1, 1, 3))
    angle, depth = rng.uniform(0, 2 * np.pi, (n, 1, 1)), rng.uniform(0, 0.25, (n, 1, 1))
    ticks = np.linspace(-0.5, 0.5, SIDE)
    light = 1 - depth * (
        0.5 + np.cos(angle) * ticks[None, None] + np.sin(angle) * ticks[None, :, None]
    )
    grain = rng.normal(0, 0.02, (n, SIDE, SIDE, 1))
    share = np.clip(1.4 * ink, 0, 1)[..., None]
    photo = (paper * (1 - share) + colour * share) * light[..., None] + grain
    return np.rint(255 * np.clip(photo, 0, 1)).astype(np.uint8)


def painted(maps: np.ndarray) -> np.ndarray:
    """Class maps [n, h, w] in the colours of the palette, uint8 [n, h, w, 3]."""
    return np.array(PALETTE, dtype=np.uint8)[maps]


@cache
def scenes() -> Domains:
    """4,000 scenes of the training digits, 500 of the held-out ones."""
    digits, rng = mnist5k(), np.random.default_rng(SEED)
    photos, maps = draw(digits.images, digits.labels, TRAINING, rng)
    held, held_maps = draw(digits.held_images, digits.held_labels, HELD_OUT, rng)
    return Domains(painted(maps), photos, painted(held_maps), held, maps=held_maps)


register(
    "Label maps to photos of 2 x 2 real digits, 32 x 32 pixels, with the class of every pixel",
    Pairs(
        "scenes@digits",
        scenes,
        paired=True,
        segmenter="scenes-fcn",
        extractor="scenes-fcn",
        palette=PALETTE,
        licence=MNIST_LICENCE,
    ),
)
