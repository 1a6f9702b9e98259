"""Notes of cells that are being measured, in their run's folder: `underway/<key>.json` and .npz.

They are for whoever watches; nothing of a run depends on them, and none outlives its cell for long.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

FOLDER = "underway"


@dataclass(frozen=True)
class Note:
    """pid: of the process that measures the cell. started: seconds since 1970. step, steps: of its
    training; 0 where there is none. arrays: what it drew last, in the place of a finished cell's.
    """

    key: str
    pid: int
    started: float
    step: int = 0
    steps: int = 0
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def note(run: Path, said: Note) -> None:
    """Put a note into a run's folder; without arrays, those of an earlier one stay. Raises OSError
    where it can't be written.
    """
    path = _path(run, said.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    if said.arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **said.arrays)  # type: ignore[arg-type]
        _put(path.with_suffix(".npz"), buffer.getvalue())
    about = {"pid": said.pid, "started": said.started, "step": said.step, "steps": said.steps}
    _put(path, json.dumps(about).encode())


def forget(run: Path, key: str) -> None:
    """Take back what was noted of a cell."""
    for suffix in (".json", ".npz"):
        _path(run, key).with_suffix(suffix).unlink(missing_ok=True)


def forget_all(run: Path) -> None:
    """Take back every note: nobody measures."""
    for left in (run / FOLDER).glob("*"):
        left.unlink(missing_ok=True)


def notes(run: Path) -> Iterator[Note]:
    """Every note; what goes away or is damaged meanwhile is left out."""
    for path in sorted((run / FOLDER).glob("*.json")):
        try:
            about = json.loads(path.read_bytes())
            numbers = {name: float(about[name]) for name in ("pid", "started", "step", "steps")}
            kept = path.with_suffix(".npz")
            arrays = (
                dict(np.load(io.BytesIO(kept.read_bytes()), allow_pickle=False))
                if (kept.exists())
                else {}
            )
        except Exception:  # a damaged archive makes NumPy raise nearly anything
            continue
        pid, started, step, steps = numbers.values()
        yield Note(path.stem, int(pid), started, int(step), int(steps), arrays)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _path(run: Path, key: str) -> Path:
    return run / FOLDER / f"{key}.json"


def _put(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one; a crash of the machine may lose both."""
    partial = path.with_name(f".{path.name}.tmp")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
