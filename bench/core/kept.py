"""What only an import of every part can tell, kept as JSON under a digest of all that decides it.

That is: our own source, the distributions that are installed, Python, and the modules of others
that register parts. Where any of it changes, it is made anew. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.errors import StoreError
from bench.core.files import cache_folder, write_atomically

HOME = Path(__file__).resolve().parents[2]
OURS = ("attacks", "bench", "generative", "metrics", "results")
READ = (".json", ".py", ".toml")
MOST = 8
"""Files of one name that are left: other installations may share the folder."""


def recall(name: str) -> Any:
    """What was kept under a name and still holds, or None."""
    found = _read(path_of(name))
    return None if found is None else found["value"]


def keep(name: str, value: Any, sources: Iterable[str]) -> None:
    """Keep it for the next process; a cache that can't be written is done without."""
    path = path_of(name)
    digests = {source: _digest(source) for source in sources}
    with suppress(OSError, StoreError):
        write_atomically(path, json.dumps({"sources": digests, "value": value}).encode())
        others = sorted(path.parent.glob(f"{name}-*.json"), key=lambda p: p.stat().st_mtime)
        for old in others[:-MOST]:
            old.unlink()


def path_of(name: str) -> Path:
    """The file of it."""
    return cache_folder() / "index" / f"{name}-{state()[:16]}.json"


@cache
def state() -> str:
    """A sha256 over our source, the installed distributions and Python."""
    digest = hashlib.sha256(sys.version.encode())
    for package in OURS:
        for path in sorted((HOME / package).rglob("*")):
            if path.suffix in READ and path.is_file():
                name = path.relative_to(HOME).as_posix()
                digest.update(f"\0{name}\0".encode() + path.read_bytes())
    digest.update("\0".join(sorted(_installed())).encode())
    return digest.hexdigest()


def _installed() -> set[str]:
    """The distributions on the import path, by the names of their folders, which have versions."""
    found = set[str]()
    for folder in sys.path:
        with suppress(OSError):
            found.update(path.name for path in Path(folder or ".").glob("*-info"))
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
        sources = found["sources"]
        fresh = all(_digest(source) == digest for source, digest in sources.items())
        return found if fresh and "value" in found else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _digest(source: str) -> str:
    try:
        return hashlib.sha256(Path(source).read_bytes()).hexdigest()
    except OSError:
        return ""
