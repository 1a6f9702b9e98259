"""Samples as a page shows them: sheets of images, and points over the true modes."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from results.pictures.sheets import beside, coloured, columns_for
from results.runs import Run
from results.summary import label_of

POINTS = 400
IMAGES = 40
COLUMNS = 10
TRIPLES = 4
GRAIN = 1_000
"""Points are told to a thousandth of the picture's width."""


@dataclass
class Room:
    """How many bytes of pictures a page still has room for."""

    left: int
    refused: list[str] = field(default_factory=list)

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
    """Of each row the samples of its seeds, as many seeds as there is room for; None for none.

    The first seed of every row comes before the second of any.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        if run.records.get(cell["key"], {}).get("status") in ("ok", "diverged"):
            rows.setdefault(label_of(cell), []).append(cell)
    found: dict[str, list[dict[str, Any]]] = {label: [] for label in rows}
    place = frame_of(facts)
    for at in range(max(map(len, rows.values()), default=0)):
        for label, group in rows.items():
            if at < len(group):
                cell = group[at]
                shown = shown_of(run.directory.samples(cell["key"]), facts, place)
                name = f"{dataset}: {label}, seed {cell['seed']}"
                if shown is not None and room.take(len(str(shown)), name):
                    found[label].append({"seed": cell["seed"], **shown})
    kept = [{"name": label, "seeds": seeds} for label, seeds in found.items() if seeds]
    if not kept:
        return None
    modes = None if place is None else place.modes
    return {"modes": modes, "rows": kept, "seeds": seeds_of(kept)}


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
    if samples.ndim != 4 or samples.dtype != np.uint8:
        return None
    if "inputs" in arrays:
        kinds = 3 if "truth" in arrays else 2
        triples = beside(arrays["inputs"], samples, arrays.get("truth"))
        return {"image": picture(triples[: kinds * TRIPLES * 4], True, kinds * TRIPLES)}
    return {"image": picture(samples[:IMAGES], bool(facts.get("colour")), 0)}


def picture(images: np.ndarray, colour: bool, columns: int) -> str:
    """A sheet of images uint8 [n, c, h, w] as an address that holds it, WebP without loss."""
    from PIL import Image

    channels = 1 if colour else images.shape[1]
    wide = columns or max(columns_for(len(images), channels), min(COLUMNS, len(images)) // channels)
    sheet = coloured(images, max(1, wide), colour)
    return address(Image.fromarray(np.ascontiguousarray(sheet)))


def address(image: Any) -> str:
    """An image as `data:`, the same bytes for the same pixels."""
    return _address(image.mode, image.size, image.tobytes())


@lru_cache(maxsize=2_048)
def _address(mode: str, size: tuple[int, int], pixels: bytes) -> str:
    """A live page has most of its pictures again and again."""
    from PIL import Image

    buffer = io.BytesIO()
    made = Image.frombytes(mode, size, pixels)
    made.save(buffer, format="webp", lossless=True, quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


LEFT_TO_PAGES = ("-samples", "-curves", "-radii")
"""Ends of the names of pictures that a page has in another form."""


def drawn(run: Run, begins: str, room: Room) -> Iterator[dict[str, Any]]:
    """The pictures that a run drew of a block and data set, but for what the page shows itself."""
    from PIL import Image

    folder = run.directory.path / "pictures"
    for path in sorted(folder.glob("*.png")):
        if not path.stem.startswith(begins) or path.stem.endswith(LEFT_TO_PAGES):
            continue
        try:
            with Image.open(path, formats=("PNG",)) as opened:
                shown = {"src": address(opened.convert("RGB")), "size": list(opened.size)}
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
        if room.take(len(shown["src"]), f"pictures/{path.name}"):
            yield {"name": path.stem.removeprefix(begins).strip("-"), **shown}
