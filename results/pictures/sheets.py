"""Images side by side: grids of samples, of translations, and how often each digit was drawn."""

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


def coloured(images: np.ndarray, columns: int, colour: bool) -> np.ndarray:
    """Images uint8 [n, c, h, w] as one picture [h, w, 3]: in colour where three channels are red,
    green and blue, else as `tiled` has them.
    """
    if not colour or images.shape[1] != 3:
        return np.repeat(tiled(images, columns)[:, :, None], 3, axis=2)
    return np.stack([tiled(images[:, [at]], columns) for at in range(3)], axis=2)


def columns_for(n: int, channels: int) -> int:
    """Columns that make a sheet about square."""
    return max(1, min(n, round(np.sqrt(n / channels))))


def grid_png(images: np.ndarray, colour: bool = False, columns: int = 0) -> bytes:
    """A sheet of images uint8 [n, c, h, w] as PNG, enlarged to be looked at; about square where
    the columns are not given.
    """
    from matplotlib.image import imsave

    channels = 1 if colour else images.shape[1]
    sheet = coloured(images, columns or columns_for(len(images), channels), colour)
    factor = max(1, 900 // max(sheet.shape))
    buffer = io.BytesIO()
    imsave(buffer, sheet.repeat(factor, axis=0).repeat(factor, axis=1), format="png")
    return buffer.getvalue()


def image_pngs(images: np.ndarray, colour: bool = False) -> Iterator[bytes]:
    """Each of images uint8 [n, c, h, w] as a PNG: in colour, or grey with its channels side by
    side.
    """
    from PIL import Image

    for image in images:
        buffer = io.BytesIO()
        whole = np.moveaxis(image, 0, -1) if colour else np.concatenate(list(image), axis=1)
        Image.fromarray(np.ascontiguousarray(whole)).save(buffer, format="png")
        yield buffer.getvalue()


def draw_sheet(axis: Any, images: np.ndarray, colour: bool = False, columns: int = 0) -> None:
    """A sheet in a panel, full rows only."""
    columns = columns or 2 * columns_for(len(images), 1 if colour else images.shape[1])
    full = max(len(images) - len(images) % columns, min(len(images), columns))
    axis.imshow(coloured(images[:full], min(columns, full), colour), interpolation="nearest")
    axis.set_axis_off()


def beside(inputs: np.ndarray, outputs: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
    """Inputs, what was made of them and the truth, each uint8 [n, c, h, w], in turn: [n * k, 3, h,
    w], for rows of k images.
    """
    kinds = [part for part in (inputs, outputs, truth) if part is not None]
    least = min(len(part) for part in kinds)
    grown = [np.broadcast_to(k, (len(k), 3, *k.shape[2:]))[:least] for k in kinds]
    return np.stack(grown, axis=1).reshape(-1, *grown[0].shape[1:])


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
