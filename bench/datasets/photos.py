"""The photos that ship with foolbox, as images to attack."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from bench.core.errors import UsageError
from bench.datasets.digits import Split
from bench.datasets.imagefiles import FORMATS

PHOTO_SIZE = 224
PHOTO_RESIZED = 256


@cache
def photos() -> Split:
    """The 20 ImageNet photos that ship with foolbox, resized to 256 and cropped to 224; nothing
    to train on. A file's name ends in its class of 1,000.
    """
    folder = _foolbox_data()
    paths = sorted(folder.glob("imagenet_*.jpg")) if folder else []
    if not paths:
        raise UsageError("the photos come with foolbox, which is not here: pip install foolbox")
    labels = np.array([int(path.stem.rsplit("_", 1)[1]) for path in paths], dtype=np.int64)
    images = np.stack(
        [_cropped(Image.open(path, formats=FORMATS).convert("RGB")) for path in paths]
    )
    return Split(images[:0], labels[:0], images, labels)


def _foolbox_data() -> Path | None:
    spec = importlib.util.find_spec("foolbox")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "data"


def _cropped(photo: Image.Image) -> np.ndarray:
    """The shorter side at 256 pixels (bicubic), then the middle 224 x 224."""
    scale = PHOTO_RESIZED / min(photo.size)
    size = (round(photo.width * scale), round(photo.height * scale))
    left, top = ((side - PHOTO_SIZE) // 2 for side in size)
    resized = photo.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + PHOTO_SIZE, top + PHOTO_SIZE)))
