"""Two domains of images: at another size, or in a folder of the user's with two in it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from bench.core.errors import UsageError
from bench.datasets.digits import SPLIT_SEED
from bench.datasets.folders import Folder, open_folder
from bench.datasets.images import shown
from bench.datasets.labelled import bicubic
from bench.datasets.own import HELD_OUT, LEAST, alike, refuse_broken
from bench.datasets.pairs import Domains, Pairs


def resized(data: Pairs, side: int) -> Pairs:
    """The same domains at `side` x `side` pixels; class maps are left behind."""
    if data.drawn is not None:
        return replace(data, load=partial(data.drawn, side))
    own = data.load().second.shape[1:3] if not data.missing else None
    if own == (side, side):
        return data
    extractor = "pixels" if data.segmenter else data.extractor
    return replace(data, load=partial(_brought, data, side), segmenter="", extractor=extractor)


@cache
def _brought(data: Pairs, side: int) -> Domains:
    found = data.load()
    images = (found.first, found.second, found.held_first, found.held_second)
    first, second, held_first, held_second = (bicubic(part, side) for part in images)
    return Domains(first, second, held_first, held_second, found.truth, None, found.names)


def folder_pairs(name: str, path: Path, side: int | None) -> Pairs:
    """A folder with two folders of images in it, the first by name to be translated into the
    second: pairs where both hold the same file names, else unpaired.
    """
    inside = sorted(c for c in path.iterdir() if c.is_dir() and not c.name.startswith((".", "__")))
    if len(inside) != 2:
        got = ", ".join(child.name for child in inside) or "none"
        raise UsageError(
            f"{shown(path)}: expected two folders of images, the first by name to be translated "
            f"into the second, such as A and B; got {got}"
        )
    first, second = (open_folder(child) for child in inside)
    names = [
        [file.relative_to(child).with_suffix("") for file in folder.files]
        for folder, child in zip((first, second), inside, strict=True)
    ]
    paired = names[0] == names[1]
    load = partial(_read, str(inside[0]), str(inside[1]), side, paired)
    return Pairs(name, load, paired, extractor="pixels")


@cache
def _read(first: str, second: str, side: int | None, paired: bool) -> Domains:
    opened = [open_folder(Path(path)) for path in (first, second)]
    for folder in opened:
        _refuse_bad(folder)
    images = [np.stack(alike(folder, side)) for folder in opened]
    shapes = [part.shape[1:3] for part in images]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"{opened[0].origin} has images of {shapes[0][1]} x {shapes[0][0]} pixels and "
            f"{opened[1].origin} of {shapes[1][1]} x {shapes[1][0]}: bring them to one size with "
            "the setting size=64"
        )
    rng = np.random.default_rng(SPLIT_SEED)
    orders = [rng.permutation(len(part)) for part in images]
    if paired:
        orders[1] = orders[0]
    held = [order[: len(order) // HELD_OUT] for order in orders]
    train = [order[len(order) // HELD_OUT :] for order in orders]
    names = tuple(opened[0].files[index].stem for index in held[0])
    return Domains(
        images[0][train[0]],
        images[1][train[1]],
        images[0][held[0]],
        images[1][held[1]],
        paired,
        None,
        names,
    )


def _refuse_bad(folder: Folder) -> None:
    refuse_broken(folder)
    if len(folder) < LEAST:
        raise UsageError(
            f"{folder.origin} holds {len(folder)} images: expected {LEAST} at least, and hundreds"
        )
