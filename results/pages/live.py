"""A run that is still going, read again and again: only what is new is read, and drawn anew."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from results.notes import FOLDER
from results.pages.page import ROOM, page
from results.rows import FINAL
from results.runs import Run
from results.store import RunDirectory, is_key

REST = 9.0
"""Seconds of rest for each second of work that a page took: at most a tenth of a core, at a low
priority, and only while cells finish one upon another.
"""


@dataclass
class Live:
    """A run's page as it stands. room: bytes of pictures."""

    directory: RunDirectory
    room: int = ROOM
    _records: dict[str, dict] = field(default_factory=dict)
    _page: tuple[str, str] = ("", "")
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stamp(self) -> str:
        """What tells the state of the folder from others: it costs a look at some hundred names."""
        digest = hashlib.sha256()
        for path in self._watched():
            try:
                about = path.stat()
            except OSError:
                continue
            digest.update(f"{path.name} {about.st_mtime_ns} {about.st_size}\n".encode())
        return digest.hexdigest()[:16]

    def _watched(self) -> Iterator[Path]:
        """A file that is replaced changes its folder."""
        folder = self.directory.path
        yield folder / "manifest.json"
        yield folder / "pictures"
        yield from sorted((folder / "cells").glob("*"))
        yield from sorted((folder / FOLDER).glob("*"))

    def state(self) -> str:
        """The stamp of the page that would be given now: that of the last one, while it rests."""
        with self._lock:
            resting = self._page[0] and time.monotonic() < self._next
            return self._page[0] if resting else self.stamp()

    def page(self) -> str:
        """The page as things stand, or stood a moment ago. Raises UsageError for a damaged run."""
        with self._lock:
            stamp = self.stamp()
            resting = time.monotonic() < self._next
            if self._page[1] and (stamp == self._page[0] or resting):
                return self._page[1]
            begun = time.thread_time()
            text = page([self._read()], room=self.room, live=stamp)
            took = time.thread_time() - begun
            self._page, self._next = (stamp, text), time.monotonic() + took * REST
            return text

    def _read(self) -> Run:
        """The run; a cell that is finished for good is read once."""
        manifest = self.directory.manifest()
        keys = [cell.get("key") for cell in manifest["cells"]]
        known = {key: record for key, record in self._records.items() if key in set(keys)}
        new = [key for key in keys if is_key(key) and key not in known]
        found, _ = self.directory.read_cells(new)
        records = {**known, **found}
        self._records = {k: record for k, record in records.items() if record["status"] in FINAL}
        return Run(self.directory, manifest, {k: records[k] for k in keys if k in records})
