"""The cells of a run that are being measured, as a live page shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from results.notes import is_alive, notes
from results.pages.sheets import Room, frame_of, shown_of
from results.runs import Run
from results.summary import label_of


def underway(run: Run, room: Room) -> Iterator[dict[str, Any]]:
    """Of each its name, how far its training is, and what it draws now; of one whose process is
    gone, that it is.
    """
    cells = {cell["key"]: cell for cell in run.manifest["cells"]}
    known = run.manifest.get("parts", {}).get("dataset", {})
    for note in notes(run.directory.path):
        cell = cells.get(note.key)
        if cell is None or note.key in run.records:
            continue
        dataset = cell["parts"].get("dataset", "")
        facts = known.get(dataset, {})
        place = frame_of(facts)
        shown = shown_of(note.arrays, facts, place) if note.arrays else None
        name = f"{cell['block']} · {dataset} · {label_of(cell)}, seed {cell['seed']}"
        if shown is not None and not room.take(len(str(shown)), name):
            shown = None
        yield {
            "name": name,
            "step": note.step,
            "steps": note.steps,
            "started": note.started,
            "gone": not is_alive(note.pid),
            "modes": None if place is None else place.modes,
            **(shown or {}),
        }
