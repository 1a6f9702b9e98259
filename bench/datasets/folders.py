"""Folders of images: what their heads say first, then one image at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.imagefiles import SUFFIXES, Head, read_head, read_image
from bench.datasets.images import Images, Unreadable, shown
from metrics.features import Apply


@dataclass(frozen=True, eq=False)
class Folder(Images):
    """The images below a folder, by name. files: those whose heads could be read. refused: what is
    wrong with the others. others: files of other kinds, by suffix.
    """

    origin: str
    files: list[Path]
    heads: list[Head]
    refused: list[str]
    others: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def sizes(self) -> set[tuple[int, int]]:
        return {head.size for head in self.heads}

    @property
    def grey(self) -> bool:
        return not self.coloured

    @property
    def coloured(self) -> int:
        return sum(not head.grey for head in self.heads)

    @property
    def notes(self) -> list[str]:
        return notes_of(self.heads, self.others, self.origin)

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
        return read_image(self.files[index])


def notes_of(heads: Sequence[Head], others: Mapping[str, int], origin: str) -> list[str]:
    """What a reader of any figure should know of the images of a folder. others: files that are
    none, by suffix.
    """
    found, grey = [], sum(head.grey for head in heads)
    if 0 < grey < len(heads):
        found.append(
            f"{grey:,} of the {len(heads):,} images of {origin} are grey: they are taken as colour"
        )
    if clear := sum(head.transparent for head in heads):
        found.append(f"{clear:,} images of {origin} have transparency, which is left out")
    if turned := sum(head.turned for head in heads):
        found.append(f"{turned:,} images of {origin} are turned upright, as EXIF says")
    if others:
        told = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        found.append(f"files of {origin} that were left out: {told}")
    return found


def open_folder(path: Path) -> Folder:
    """Its images by name. Raises UsageError where there are none or it can't be read."""
    found, others = image_files(path)
    if not found:
        raise UsageError(
            f"{shown(path)} holds no images: expected {', '.join(SUFFIXES)} files in it"
        )
    files, heads, refused = [], [], []
    for file in found:
        try:
            heads.append(read_head(file))
            files.append(file)
        except Unreadable as error:
            refused.append(str(error))
    return Folder(shown(path), files, heads, refused, others)


def image_files(path: Path) -> tuple[list[Path], dict[str, int]]:
    """Image files below a folder, links followed once, and how many others by suffix. Hidden
    folders and files are not looked at.
    """
    found, others, seen = [], Counter(), set()

    def refuse(error: OSError) -> None:
        raise UsageError(f"can't read {shown(error.filename)}: {error.strerror}") from error

    for folder, below, names in os.walk(path, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        fresh = [name for name in below if not is_junk(name)]
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


def class_numbers(folders: Iterable[str], empty: Iterable[str] = ()) -> dict[str, int]:
    """The label of each class folder: its own number where all names are numbers, else its place
    among the sorted names. empty: folders beside them without images.

    Raises UsageError where a folder that may be none of the classes would decide their numbers.
    """
    names = sorted(folders)
    numbered = [name for name in names if name.isdecimal()]
    if len(numbered) < len(names):
        if numbered:
            odd = next(name for name in names if not name.isdecimal())
            raise UsageError(
                f"folders {shown(numbered[0])} and {shown(odd)}: expected class folders that are "
                f"all numbers or all names: take {shown(odd)} away if it is no class"
            )
        stray = next((name for name in sorted(empty) if name < names[-1]), None)
        if stray is not None:
            raise UsageError(
                f"folder {shown(stray)} has no images, and stands before {shown(names[-1])}, and "
                "labels follow the order of the names: take it away if it is no class, else name "
                "the class folders by their numbers"
            )
        return {name: index for index, name in enumerate(names)}
    found = {name: int(name) for name in sorted(names, key=int)}
    if len(set(found.values())) < len(found):
        raise UsageError(f"folders {', '.join(names[:8])}: expected each class number once")
    return found


def is_junk(name: str) -> bool:
    """Whether a folder is one that tools leave behind, and no class."""
    return name.startswith((".", "__"))
