"""Samples as a page shows them: sheets of images, and points over the true modes."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from results.pictures.beliefs import tinted
from results.pictures.sheets import beside, coloured, columns_for
from results.runs import Run
from results.store import arrays_in
from results.summary import label_of

POINTS = 400
IMAGES = 40
COLUMNS, SQUARE = 10, 16
"""Images of a row; so few make a square."""
TRIPLES, PAIRS = 4, 4
GRAIN = 1_000
"""Points are told to a thousandth of the picture's width."""


@dataclass
class Room:
    """How many bytes of pictures a page still has room for. full: whether sheets of samples were
    refused already: those that come after them are not even drawn.
    """

    left: int
    refused: list[str] = field(default_factory=list)
    full: bool = False

    def take(self, size: int, name: str) -> bool:
        """Whether so many more have room; if not, the name is kept."""
        if size > self.left:
            self.refused.append(name)
            return False
        self.left -= size
        return True


def sheets(
    run: Run, dataset: str, facts: Mapping[str, Any], cells: Iterable[dict[str, Any]], room: Room
) -> dict[str, Any] | None:
    """Of each row the samples of its seeds, up to the first that has no room; None for none.

    The first seed of every row comes before the second of any; what else the first seeds kept, the
    way of their trainings and the training images beside samples, comes last.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        if run.records.get(cell["key"], {}).get("status") in ("ok", "diverged"):
            rows.setdefault(label_of(cell), []).append(cell)
    found: dict[str, list[dict[str, Any]]] = {label: [] for label in rows}
    for at in range(max(map(len, rows.values()), default=0)):
        for label, group in rows.items():
            if at < len(group):
                cell = group[at]
                name = f"{dataset}: {label}, seed {cell['seed']}"
                if shown := _with_room(run.directory.samples_path(cell["key"]), facts, name, room):
                    found[label].append({"seed": cell["seed"], **shown})
    kept = [{"name": label, "seeds": seeds} for label, seeds in found.items() if seeds]
    if not kept:
        return None
    place = frame_of(facts)
    modes = None if place is None else place.modes
    for row in kept:
        path = run.directory.samples_path(rows[row["name"]][0]["key"])
        for view in (way_of, beside_training):
            shown = view(arrays_in(path), facts, place)
            if shown and room.take(len(str(shown)), f"{dataset}: {row['name']}, {view.__name__}"):
                row["seeds"][0] |= shown
    return {"modes": modes, "rows": kept, "seeds": seeds_of(kept)}


def _with_room(
    path: Path, facts: Mapping[str, Any], name: str, room: Room
) -> dict[str, Any] | None:
    """What a cell's file of arrays shows, where there is room for it."""
    if not path.is_file():
        return None
    if room.full:
        room.refused.append(name)
        return None
    about = json.dumps({key: facts[key] for key in ("centres", "widths", "colour") if key in facts})
    shown = _shown_in(path, path.stat().st_mtime_ns, about)
    if shown is None:
        return None
    room.full = not room.take(len(str(shown)), name)
    return None if room.full else shown


@lru_cache(maxsize=1_000)
def _shown_in(path: Path, changed: int, facts: str) -> dict[str, Any] | None:
    """The same, read and drawn once while the file stays as it is: a live page asks again."""
    about = json.loads(facts)
    return shown_of(arrays_in(path), about, frame_of(about))


def seeds_of(rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Every seed that some row has, rising."""
    return sorted({each["seed"] for row in rows for each in row["seeds"]})


@dataclass(frozen=True)
class Frame:
    """What a picture of points shows: from minus to plus `reach` on both axes. modes: where the
    true ones are and how wide, in thousandths of the picture.
    """

    reach: float
    modes: list[list[int]]

    def placed(self, points: np.ndarray) -> list[int]:
        """Points [n, 2] as x, y, x, y in thousandths, those outside left out."""
        inside = points[(np.abs(points) < self.reach).all(1)]
        at = np.rint((inside / self.reach + 1) / 2 * GRAIN).astype(int)
        return at.flatten().tolist()


def frame_of(facts: Mapping[str, Any]) -> Frame | None:
    """Around the true modes, where they are known and in a plane."""
    centres = np.array(facts.get("centres", []), dtype=float)
    if centres.ndim != 2 or centres.shape[1] != 2:
        return None
    widths = np.broadcast_to(np.array(facts["widths"], dtype=float), len(centres))
    reach = float(1.25 * np.abs(centres).max() + 3 * widths.max())
    bare = Frame(reach, [])
    places = np.array(bare.placed(centres)).reshape(-1, 2)
    radii = np.rint(3 * widths / (2 * reach) * GRAIN).astype(int)
    return Frame(reach, [[*xy, int(r)] for xy, r in zip(places.tolist(), radii, strict=True)])


def shown_of(
    arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], place: Frame | None
) -> dict[str, Any] | None:
    """The samples of one cell, or None where it kept none that can be shown."""
    samples = arrays.get("samples")
    if samples is None or not len(samples):
        return None
    if samples.ndim == 2 and samples.shape[1] == 2 and place is not None:
        return {"points": place.placed(samples[:POINTS])}
    pixels = pixels_of(arrays, facts)
    return None if pixels is None else {"image": _drawing(pixels)}


def pixels_of(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> np.ndarray | None:
    """A sheet of the images that a cell kept, uint8 [h, w, 3]: beside what they were made of and
    the truth, where it is of pairs; None where it kept none.
    """
    samples = arrays.get("samples")
    if samples is None or not len(samples) or samples.ndim != 4 or samples.dtype != np.uint8:
        return None
    if "inputs" in arrays:
        kinds = 3 if "truth" in arrays else 2
        triples = beside(arrays["inputs"], samples, arrays.get("truth"))
        return _tiled(triples[: kinds * TRIPLES * 4], True, kinds * TRIPLES)
    return _tiled(samples[:IMAGES], bool(facts.get("colour")), 0)


def way_of(
    arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], place: Frame | None
) -> dict[str, Any]:
    """What a training drew of the same noise at each look; nothing where it kept none."""
    looks, steps = arrays.get("training"), arrays.get("training_steps")
    if looks is None or steps is None or len(looks) != len(steps) or not len(looks):
        return {}
    frames = [shown_of({"samples": look}, facts, place) for look in looks]
    if any(frame is None for frame in frames):
        return {}
    behind = _fields_of(arrays, len(looks), place)
    way = [{**(f or {}), "step": int(s)} for f, s in zip(frames, steps, strict=True)]
    return {"way": [{**frame, **more} for frame, more in zip(way, behind, strict=True)]}


def _fields_of(
    arrays: Mapping[str, np.ndarray], looks: int, place: Frame | None
) -> list[dict[str, Any]]:
    """What the critic thought at each look, and how many times as wide as the page's frame that is;
    nothing where it was not asked.
    """
    from PIL import Image

    fields, reach = arrays.get("training_fields"), arrays.get("training_reach")
    if place is None or fields is None or reach is None or len(fields) != looks:
        return [{}] * looks
    wide = round(float(reach) / place.reach, 4)
    tints = [tinted(field.astype(float)) for field in fields]
    return [{"field": address(Image.fromarray(tint)), "wide": wide} for tint in tints]


def beside_training(
    arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], place: Frame | None
) -> dict[str, Any]:
    """Samples, each beside the training image that is most like it; nothing where none is kept."""
    samples, nearest = arrays.get("samples"), arrays.get("nearest")
    if samples is None or nearest is None or nearest.ndim != 4 or not len(nearest):
        return {}
    if samples.dtype != np.uint8 or samples.shape[1:] != nearest.shape[1:]:
        return {}
    pairs = beside(samples[: len(nearest)], nearest, None)
    return {"beside": picture(pairs, True, 2 * PAIRS)}


def picture(images: np.ndarray, colour: bool, columns: int) -> str:
    """A sheet of images uint8 [n, c, h, w] as an address that holds it, WebP without loss."""
    return _drawing(_tiled(images, colour, columns))


def _tiled(images: np.ndarray, colour: bool, columns: int) -> np.ndarray:
    channels = 1 if colour else images.shape[1]
    square = columns_for(len(images), channels)
    few = len(images) <= SQUARE
    wide = columns or (square if few else max(square, min(COLUMNS, len(images)) // channels))
    return np.ascontiguousarray(coloured(images, max(1, wide), colour))


def _drawing(pixels: np.ndarray) -> str:
    from PIL import Image

    return address(Image.fromarray(pixels))


def address(image: Any) -> str:
    """An image as `data:`, the same bytes for the same pixels."""
    buffer = io.BytesIO()
    image.save(buffer, format="webp", lossless=True, quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


LEFT_TO_PAGES = ("-samples", "-curves", "-radii")
"""Ends of the names of pictures that a page has in another form."""


def drawn(run: Run, wanted: Callable[[str], bool], room: Room) -> Iterator[dict[str, Any]]:
    """The pictures that a run drew under some names, but for what the page shows itself."""
    for path in sorted((run.directory.path / "pictures").glob("*.png")):
        if not wanted(path.stem) or path.stem.endswith(LEFT_TO_PAGES):
            continue
        shown = _picture_in(path, path.stat().st_mtime_ns)
        if shown is not None and room.take(len(shown["src"]), f"pictures/{path.name}"):
            yield {"name": path.stem, **shown}


@lru_cache(maxsize=200)
def _picture_in(path: Path, changed: int) -> dict[str, Any] | None:
    """A file as a page holds it, and its size; None for what is no picture. Read once while it
    stays as it is.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as opened:
            return {"src": address(opened.convert("RGB")), "size": list(opened.size)}
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
