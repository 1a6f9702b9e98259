"""Files that are there whole or not at all. Standard library only."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from bench.errors import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: bytes) -> None:
    """Write, flush to the disk, rename: a reader sees the old file, the new one, or none.

    Raises StoreError where the file can't be written; what was there stays.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with _opened(partial) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        cause = "the disk is full" if error.errno in FULL else error.strerror or str(error)
        raise StoreError(
            f"can't write {path}: {cause}; what was finished is kept, "
            "the same command goes on from there"
        ) from error


def _opened(path: Path) -> BinaryIO:
    """A new file; its folder is made where it is missing."""
    try:
        return open(path, "wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "wb")


def cache_folder() -> Path:
    """Where trained models are kept: $MINIMAX_CACHE, or the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("MINIMAX_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("minimax-bench")
