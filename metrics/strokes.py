"""How a stroke is drawn: its thickness and its slant, measured on the picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt, maximum_filter

Grey = Float[np.ndarray, "n h w"]
"""Pictures in [0, 1], ink bright."""

PerPicture = Float[np.ndarray, " n"]
"""A number for each."""

INK = 0.5
"""The grey from which on a pixel is ink."""


def thickness(images: Grey) -> PerPicture:
    """Twice the mean distance to what is no ink over the ridge of the distance transform, in
    pixels: the ink at least as far from it as its eight neighbours. 0 where there is no ink.
    """
    return np.array([_thickness(image) for image in images], dtype=np.float64)


def _thickness(image: Float[np.ndarray, "h w"]) -> float:
    ink = np.pad(image >= INK, 1)
    if not ink.any():
        return 0.0
    depth = np.asarray(distance_transform_edt(ink))
    ridge = ink & (depth >= maximum_filter(depth, size=3))
    return 2 * float(depth[ridge].mean())


def slant(images: Grey) -> PerPicture:
    """-mu11 / mu02, by central moments of the grey values: by how many pixels a stroke moves to the
    right for each that it rises, above 0 where it leans to the right. Rows count downwards. 0 where
    the ink has no height.
    """
    greys = np.asarray(images, dtype=np.float64)
    mass = greys.sum((1, 2))
    down, right = np.arange(greys.shape[1]), np.arange(greys.shape[2])
    rows, columns = greys.sum(2), greys.sum(1)
    safe = np.maximum(mass, 1e-12)
    y = down[None] - ((rows * down).sum(1) / safe)[:, None]
    x = right[None] - ((columns * right).sum(1) / safe)[:, None]
    mu02 = (rows * y**2).sum(1)
    mu11 = np.einsum("nij,ni,nj->n", greys, y, x)
    return np.where(mu02 > 1e-9, -mu11 / np.maximum(mu02, 1e-9), 0.0)
