"""One image file, whatever it claims to be: read upright, with all its bits, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from bench.core.errors import one_line
from bench.datasets.deeppng import deep_colours
from bench.datasets.images import Unreadable, shown

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""The decoders that any file is given to, whatever its suffix. No other is tried: some start
programs."""
MOST_PIXELS = 2**27
"""Of one image; what claims to be larger is taken for a decompression bomb."""
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
CLEAR_MODES = ("RGBA", "LA", "PA", "La")
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)
"""The EXIF tag of how a photo was held, and its values that exchange height and width."""


class Head(NamedTuple):
    """What the head of an image file says. size: height and width of the upright image. turned:
    whether it is stored otherwise than it was seen, by its EXIF orientation.
    """

    size: tuple[int, int]
    grey: bool
    transparent: bool
    turned: bool


def read_head(path: Path) -> Head:
    """Without decoding. Raises Unreadable, by name."""
    try:
        with Image.open(path, formats=FORMATS) as opened:
            width, height = _size_of(opened)
            clear = opened.mode in CLEAR_MODES or "transparency" in opened.info
            turn = _orientation(opened)
            size = (width, height) if turn in LYING else (height, width)
            return Head(size, opened.mode in GREY_MODES, clear, turn > 1)
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise _unreadable(path, error) from error


def read_image(path: Path) -> Tensor:
    """float32 [1 or 3, h, w] in [0, 1]: the upright image, of 16 bits where it has them; what is
    transparent loses that. Raises Unreadable, by name.
    """
    try:
        pixels = _decoded(path)
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise _unreadable(path, error) from error
    whole = 255 if pixels.dtype == np.uint8 else 65535
    image = torch.from_numpy(pixels.astype(np.float32) / whole)
    return image[None] if image.ndim == 2 else image.permute(2, 0, 1).contiguous()


def _decoded(path: Path) -> np.ndarray:
    """[h, w] or [h, w, 3], uint8 or uint16."""
    with Image.open(path, formats=FORMATS) as opened:
        _size_of(opened)
        if opened.format == "PNG" and (deep := deep_colours(path)) is not None:
            return deep
        if _orientation(opened) > 1:
            opened = ImageOps.exif_transpose(opened)
        if opened.mode.startswith("I"):
            return np.asarray(opened).clip(0, 65535).astype(np.uint16)
        return np.asarray(opened.convert("L" if opened.mode in GREY_MODES else "RGB"))


def _size_of(opened: Image.Image) -> tuple[int, int]:
    """Its width and height. Raises ValueError where they are more than anyone stores."""
    width, height = opened.size
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels: a bomb?")
    return width, height


def _orientation(opened: Image.Image) -> int:
    """1 for upright, up to 8; a damaged tag counts as 1."""
    try:
        found = int(opened.getexif().get(ORIENTATION, 1))
    except Exception:
        return 1
    return found if 1 <= found <= 8 else 1


def _unreadable(path: Path, error: BaseException) -> Unreadable:
    return Unreadable(
        f"can't read {shown(path)}: it is no image, or damaged ({one_line(error, 80)})"
    )
