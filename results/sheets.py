"""Images side by side: grids of samples, and how often each digit was drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

GAP = 4
GREY = 96


def tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """Images uint8 [n, c, h, w] as one grey picture: a grid, the channels of each side by side."""
    n, channels, height, width = images.shape
    rows = -(-n // columns)
    step_y, step_x = height + GAP, channels * width + GAP
    sheet = np.full((rows * step_y + GAP, columns * step_x + GAP), GREY, dtype=np.uint8)
    for index, image in enumerate(images):
        y, x = GAP + index // columns * step_y, GAP + index % columns * step_x
        sheet[y : y + height, x : x + channels * width] = np.concatenate(list(image), axis=1)
    return sheet


def columns_for(n: int, channels: int) -> int:
    """Columns that make a sheet about square."""
    return max(1, min(n, round(np.sqrt(n / channels))))


def grid_png(images: np.ndarray) -> bytes:
    """A sheet of images uint8 [n, c, h, w] as PNG, enlarged to be looked at."""
    from matplotlib.image import imsave

    sheet = tiled(images, columns_for(len(images), images.shape[1]))
    factor = max(1, 900 // max(sheet.shape))
    buffer = io.BytesIO()
    enlarged = sheet.repeat(factor, axis=0).repeat(factor, axis=1)
    imsave(buffer, np.repeat(enlarged[:, :, None], 3, axis=2), format="png")
    return buffer.getvalue()


def image_pngs(images: np.ndarray) -> Iterator[bytes]:
    """Each of images uint8 [n, c, h, w] as a grey PNG, its channels side by side."""
    from PIL import Image

    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(list(image), axis=1)).save(buffer, format="png")
        yield buffer.getvalue()


def draw_sheet(axis: Any, images: np.ndarray) -> None:
    """A sheet in a panel, full rows only."""
    columns = 2 * columns_for(len(images), images.shape[1])
    full = max(len(images) - len(images) % columns, min(len(images), columns))
    sheet = tiled(images[:full], min(columns, full))
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_axis_off()


def draw_digits(axis: Any, digits: np.ndarray) -> None:
    """Shares of each digit in a panel, a bar for each place of the stack; the last bin holds those
    off the manifold. digits: counts [places, classes + 1].
    """
    places, bins = digits.shape
    width = 0.8 / places
    for place, counts in enumerate(digits):
        offset = (place - (places - 1) / 2) * width
        axis.bar(np.arange(bins) + offset, counts / counts.sum(), width, label=f"place {place + 1}")
    axis.axhline(1 / (bins - 1), color="#888888", lw=0.7)
    axis.set_xticks(range(bins), [*map(str, range(bins - 1)), "off"], fontsize=6)
    axis.tick_params(axis="y", labelsize=6)
