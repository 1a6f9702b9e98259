"""Folders of images: what their heads say first, then one image at a time."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bench.core.errors import UsageError, one_line
from bench.datasets.images import Images, Unreadable, shown
from metrics.features import Apply

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

MOST_PIXELS = 2**27
"""Of one image; what claims to be larger is taken for a decompression bomb."""
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")


@dataclass(frozen=True, eq=False)
class Folder(Images):
    """The images below a folder, by name. files: those whose heads could be read: size, whether
    grey, whether partly transparent. others: files of other kinds, by suffix.
    """

    origin: str
    files: list[Path]
    heads: list[tuple[tuple[int, int], bool, bool]]
    refused: list[str]
    others: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        return {size for size, _, _ in self.heads}

    @property
    def grey(self) -> bool:
        return not self.coloured

    @property
    def coloured(self) -> int:
        return sum(not grey for _, grey, _ in self.heads)

    @property
    def notes(self) -> list[str]:
        found = []
        if 0 < self.coloured < len(self):
            found.append(
                f"{len(self) - self.coloured:,} of the {len(self):,} images of {self.origin} are "
                "grey: they are taken as colour"
            )
        clear = sum(transparent for _, _, transparent in self.heads)
        if clear:
            found.append(f"{clear:,} images of {self.origin} have transparency, which is left out")
        if self.others:
            told = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.others.items()))
            found.append(f"files of {self.origin} that were left out: {told}")
        return found

    @property
    def kinds(self) -> set[str]:
        return {file.suffix.lower().replace("jpeg", "jpg") for file in self.files}

    @property
    def broken(self) -> list[str]:
        return self.refused

    def checked(self, apply: Apply) -> Folder:
        """Without the images that can't be decoded; those join the refused."""

        def broken(index: int) -> str:
            try:
                self.read(index)
            except Unreadable as error:
                return str(error)
            return ""

        told = list(apply(broken, range(len(self.files))))
        kept = [i for i, text in enumerate(told) if not text]
        return replace(
            self,
            files=[self.files[i] for i in kept],
            heads=[self.heads[i] for i in kept],
            refused=[*self.refused, *(text for text in told if text)],
        )

    def read(self, index: int) -> Tensor:
        path = self.files[index]
        try:
            with Image.open(path) as opened:
                if opened.mode.startswith("I"):
                    opened = Image.fromarray(eight_bits(np.asarray(opened)))
                grey = opened.mode in GREY_MODES
                pixels = np.asarray(opened.convert("L" if grey else "RGB"))
        except _IMAGE_ERRORS as error:
            raise Unreadable(_damaged(path, error)) from error
        image = torch.from_numpy(pixels.astype(np.float32) / 255)
        return image[None] if image.ndim == 2 else image.permute(2, 0, 1).contiguous()


_IMAGE_ERRORS = (
    OSError,
    UnidentifiedImageError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    MemoryError,
    OverflowError,
)


def _damaged(path: Path, error: BaseException) -> str:
    return (
        f"can't read {shown(path)}: it is no image, or damaged ({one_line(error, 80)}); "
        "`skip_unreadable` leaves such files out and counts them"
    )


def open_folder(path: Path) -> Folder:
    """Its images by name. Raises UsageError where there are none or it can't be read."""
    found, others = _below(path)
    if not found:
        raise UsageError(
            f"{shown(path)} holds no images: expected {', '.join(SUFFIXES)} files in it"
        )
    files, heads, refused = [], [], []
    for file in found:
        try:
            with Image.open(file) as opened:
                width, height = opened.size
                grey = opened.mode in GREY_MODES
                clear = opened.mode in ("RGBA", "LA", "PA", "La") or "transparency" in opened.info
        except _IMAGE_ERRORS as error:
            refused.append(_damaged(file, error))
            continue
        if width * height > MOST_PIXELS:
            refused.append(_damaged(file, ValueError(f"{width} x {height} pixels: a bomb?")))
            continue
        files.append(file)
        heads.append(((height, width), grey, clear))
    return Folder(shown(path), files, heads, refused, others)


def _below(path: Path) -> tuple[list[Path], dict[str, int]]:
    """Image files below a folder, links followed once, and how many others by suffix. Hidden
    folders and files are not looked at.
    """
    found, others, seen = [], Counter(), set()

    def refuse(error: OSError) -> None:
        raise UsageError(f"can't read {shown(error.filename)}: {error.strerror}") from error

    for folder, below, names in os.walk(path, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        fresh = [name for name in below if not name.startswith((".", "__"))]
        below[:] = [] if real in seen else sorted(fresh)
        for name in [] if real in seen else names:
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                found.append(Path(folder) / name)
            else:
                others[Path(name).suffix.lower() or "without a suffix"] += 1
        seen.add(real)
    return sorted(found), dict(others)


def eight_bits(deep: np.ndarray) -> np.ndarray:
    """16 bits a pixel as 8."""
    return (deep.astype(np.uint32).clip(0, 65535) / 257).round().astype(np.uint8)


def class_numbers(folders: Iterable[str]) -> dict[str, int]:
    """The label of each class folder: its own number where all names are numbers, else its place
    among the sorted names.
    """
    names = sorted(folders)
    if all(name.isdecimal() for name in names):
        return {name: int(name) for name in sorted(names, key=int)}
    return {name: index for index, name in enumerate(names)}
