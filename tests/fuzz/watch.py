"""What an input may not cause: files written elsewhere, programs, connections, foreign modules.

Python tells of these by audit events; what compiled code does below it is not seen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fuzz.mutators import PLANTED

FORBIDDEN = ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.exec")
FORBIDDEN += ("os.posix_spawn", "os.fork", "os.forkpty")
MOVES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.symlink")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_STATE: dict[str, Any] = {"roots": (), "seen": [], "hooked": False}


def _hook(event: str, given: tuple) -> None:
    if not _STATE["roots"]:
        return
    if event == "import":
        if str(given[0]).partition(".")[0] == PLANTED:
            _STATE["seen"].append(f"imported {given[0]}")
    elif event == "open":
        path, mode, flags = given
        if (isinstance(mode, str) and set(mode) & set("wax+")) or int(flags or 0) & WRITING:
            _written(path)
    elif event in MOVES:
        _written(given[0])
    elif event in FORBIDDEN:
        _STATE["seen"].append(f"{event} {given!r:.80}")


def _written(path: Any) -> None:
    if isinstance(path, int):
        return
    whole = os.path.realpath(os.fsdecode(path))
    caches = "__pycache__" in whole or whole == os.devnull
    if not caches and not whole.startswith(_STATE["roots"]):
        _STATE["seen"].append(f"wrote {whole}")


@contextmanager
def watched(*roots: Path) -> Iterator[list[str]]:
    """What was done that may not be, while in here. roots: the folders that may be written in."""
    if not _STATE["hooked"]:
        sys.addaudithook(_hook)
        _STATE["hooked"] = True
    seen: list[str] = []
    _STATE.update(roots=tuple(os.path.realpath(root) for root in roots), seen=seen)
    try:
        yield seen
    finally:
        _STATE.update(roots=())


def plant(folder: Path) -> Path:
    """The module that no reader may import, and the mark that it would leave."""
    mark = folder / "mark"
    text = f"open({str(mark)!r}, 'w').close()\ndef part(*_):\n    raise SystemExit(1)\n"
    (folder / f"{PLANTED}.py").write_text(text)
    return mark
