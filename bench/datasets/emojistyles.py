"""Emoji of two styles, as pictures of categories and as pairs: one drawn by OpenMoji, the other by
the colour font Noto, where this machine has it.
"""

from __future__ import annotations

import importlib
import importlib.util
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from bench.core.errors import UsageError
from bench.datasets import emoji
from bench.datasets.base import DATASETS
from bench.datasets.digits import Split, data_folder
from bench.datasets.labelled import Labelled
from bench.datasets.pairs import Domains, Pairs, register

SIDE = 32
CATEGORIES = ("people", "nature", "food", "activity", "travel", "objects", "symbols")
"""The classes, in order; flags, letters and skin tones are left out."""
CATEGORIES_ABSENT = (
    "the categories of emoji are not here: pip install 'minimax-bench[emoji]' (pymdown-extensions)"
)
FONT = "NotoColorEmoji.ttf"
FOLDERS = (
    Path("/usr/share/fonts/truetype/noto"),
    Path("/usr/share/fonts/noto"),
    Path("/usr/share/fonts/google-noto-emoji"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts").expanduser(),
    Path("~/.fonts").expanduser(),
)
PIXELS = 109
"""The one size of the font's pictures."""
LICENCE = "Noto Color Emoji, Google: SIL Open Font License 1.1"

Picture = UInt8[np.ndarray, "side side 3"]


@dataclass(frozen=True)
class Style:
    """How characters are drawn. absent: why they can't be, or empty. draw: a character at a side,
    on white; None where the style has none.
    """

    name: str
    licence: str
    absent: Callable[[], str]
    draw: Callable[[str, int], Picture | None]


def _openmoji(character: str, side: int) -> Picture | None:
    path = _files().get(character)
    return None if path is None else emoji.raster(ElementTree.parse(path).getroot(), side)


@cache
def _files() -> dict[str, Path]:
    return {chr(int(path.stem, 16)): path for _, path in emoji.drawings()}


def _font() -> Path | None:
    """The font's file: in the data folder, or where systems keep theirs."""
    places = (folder / FONT for folder in (data_folder(), *FOLDERS))
    return next((place for place in places if place.is_file()), None)


def _noto_absent() -> str:
    if _font() is not None:
        return ""
    return (
        f"{FONT} is not here: looked among the system's fonts (Debian: fonts-noto-color-emoji) "
        f"and in {data_folder()}, which MINIMAX_DATA sets"
    )


def _noto(character: str, side: int) -> Picture | None:
    path = _font()
    if path is None:
        raise UsageError(_noto_absent())
    font = _opened(str(path))
    left, top, right, bottom = font.getbbox(character)
    if right <= left or bottom <= top:
        return None
    long = int(max(right - left, bottom - top))
    page = Image.new("RGB", (long, long), "white")
    at = (long - right - left) / 2, (long - bottom - top) / 2
    ImageDraw.Draw(page).text(at, character, font=font, embedded_color=True)
    drawn = np.asarray(page.resize((side, side), Image.Resampling.BOX))
    return drawn if np.ptp(drawn) else None


@cache
def _opened(path: str) -> Any:
    try:
        return ImageFont.truetype(path, PIXELS)
    except OSError as error:
        raise UsageError(f"can't read the font {path}: {error}") from error


OPENMOJI = Style("openmoji", emoji.LICENCE, emoji.absent, _openmoji)
NOTO = Style("noto-emoji", LICENCE, _noto_absent, _noto)


def categories_absent() -> str:
    """Why categories are not here, or empty."""
    return "" if importlib.util.find_spec("pymdownx") else CATEGORIES_ABSENT


@cache
def categories() -> dict[str, str]:
    """The category of every character that is an emoji by itself, in the order of code points."""
    if reason := categories_absent():
        raise UsageError(reason)
    known: Mapping[str, Any] = importlib.import_module("pymdownx.twemoji_db").emoji
    found = {}
    for facts in known.values():
        points = str(facts.get("unicode", "")).removesuffix("-fe0f")
        if facts.get("category") in CATEGORIES and points and "-" not in points:
            found[chr(int(points, 16))] = facts["category"]
    return dict(sorted(found.items()))


@cache
def pictures(style: Style, side: int = SIDE) -> dict[str, Picture]:
    """By character, those that the style has, one of several that are the same."""
    if reason := style.absent() or categories_absent():
        raise UsageError(reason)
    found: dict[bytes, tuple[str, Picture]] = {}
    for character in categories():
        drawn = style.draw(character, side)
        if drawn is not None:
            found.setdefault(drawn.tobytes(), (character, drawn))
    return dict(found.values())


def _is_held(character: str) -> bool:
    return emoji.is_held(unicodedata.name(character, f"{ord(character):x}").lower())


def labelled(style: Style) -> Split:
    """Pictures of one style, the category of each; one in eight is held out, by its name, the same
    for every style.
    """
    found, known = pictures(style), categories()
    sides = []
    for held in (False, True):
        kept = [character for character in found if _is_held(character) == held]
        labels = [CATEGORIES.index(known[character]) for character in kept]
        sides += [np.stack([found[c] for c in kept]), np.array(labels, dtype=np.int64)]
    return Split(*sides)


def restyled(side: int = SIDE) -> Domains:
    """The characters that both styles have, OpenMoji's picture and Noto's."""
    first, second = (pictures(style, side) for style in (OPENMOJI, NOTO))
    both = [character for character in first if character in second]
    seen, held = ([c for c in both if _is_held(c) == out] for out in (False, True))
    return Domains(
        np.stack([first[character] for character in seen]),
        np.stack([second[character] for character in seen]),
        np.stack([first[character] for character in held]),
        np.stack([second[character] for character in held]),
        names=tuple(unicodedata.name(character).lower() for character in held),
    )


def _absent(*styles: Style) -> str:
    return next(filter(None, [*(style.absent() for style in styles), categories_absent()]), "")


for _style, _from in ((OPENMOJI, "extra `emoji`"), (NOTO, "extra `emoji`, and the font")):
    _whose = {"openmoji": "OpenMoji's", "noto-emoji": "Noto's"}[_style.name]
    DATASETS.register(
        _style.name,
        summary=f"{_whose} colour pictures, 32 x 32 pixels, 7 categories ({_from})",
        modes=len(CATEGORIES),
        licence=_style.licence,
        large=True,
    )(
        Labelled(
            _style.name,
            partial(labelled, _style),
            classes=len(CATEGORIES),
            absent=partial(_absent, _style),
            licence=_style.licence,
        )
    )

register(
    "OpenMoji's colour pictures to Noto's, 32 x 32 pixels, pairs (extra `emoji`, and the font)",
    Pairs(
        "openmoji@noto",
        restyled,
        True,
        partial(_absent, OPENMOJI, NOTO),
        licence=f"{emoji.LICENCE}; {LICENCE}",
        drawn=restyled,
    ),
    large=True,
)
