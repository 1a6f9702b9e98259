"""Files that are there whole or not at all. Standard library only."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bench.core.errors import StoreError, UsageError, one_line

if TYPE_CHECKING:
    import zipfile

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


def sweep_unfinished(folder: Path, name: str = "") -> None:
    """Delete what writers that were killed left half written of files in a folder whose names begin
    so. For who holds the lock of these files: a living writer's would go, too.
    """
    for path in folder.glob(f".{name}*.tmp"):
        with suppress(OSError):
            path.unlink()


def _opened(path: Path) -> BinaryIO:
    """A new file; its folder is made where it is missing."""
    try:
        return open(path, "wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "wb")


MOST_BYTES = 2**35
"""Of numbers that are read at once: more than any machine of ours holds."""


def too_large(packed: zipfile.ZipFile) -> str:
    """What is wrong with what an archive says that it unpacks to, or empty."""
    total = sum(member.file_size for member in packed.infolist())
    if total <= MOST_BYTES:
        return ""
    most = f"{MOST_BYTES / 2**30:,.0f} GiB"
    return f"would unpack to {total / 2**30:,.0f} GiB: expected {most} at most"


POINTER = b"version https://git-lfs"


def pointer_advice(path: Path) -> str:
    """What to do about a file that only says where git-lfs keeps it; empty for every other."""
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(POINTER)) == POINTER
    except OSError:
        return ""
    return "; it is a pointer of git-lfs, the file itself is elsewhere: git lfs pull" * is_pointer


def user_path(name: str | os.PathLike[str]) -> Path:
    """The path that a user typed, with ~ for a home. Raises UsageError for what no file can be
    called, or whose folder may not be looked into.
    """
    path = Path(name)
    try:
        path = path.expanduser()
        os.path.lexists(path)  # a zero byte
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, ValueError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"can't look for '{one_line(name, 100)}': {why}") from error
    return path


def _to_write(name: str, path: str) -> Path:
    try:
        return user_path(path)
    except UsageError as error:
        raise UsageError(f"`{name}`: can't write: {error}") from error


def cache_folder() -> Path:
    """Where trained models are kept: $MINIMAX_CACHE, or the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("MINIMAX_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("minimax-bench")


def refuse_empty(files: Mapping[str, str | None]) -> None:
    """Raise UsageError for a file without a name, by its parameter's name."""
    for name, path in files.items():
        if path is not None and not path.strip():
            raise UsageError(f"`{name}`: the name is empty: expected a file's")


def refuse_no_folder(name: str, path: str | None) -> None:
    """Raise UsageError for a folder that could not be made or written in, by its parameter's name;
    its own folder must be there.
    """
    if path is None:
        return
    folder = _to_write(name, path)
    home = folder if folder.exists() else folder.absolute().parent
    if not home.is_dir() or not os.access(home, os.W_OK):
        raise UsageError(f"`{name}`: can't write in {path}: expected a folder, or a new one's name")


def refuse_unwritable(
    files: Mapping[str, str | None], suffixes: Mapping[str, str] | None = None
) -> None:
    """Raise UsageError for a file that could not be written in the end, by its parameter's name: in
    no folder, without the suffix that it must have, or one that another parameter names, too.
    """
    refuse_empty(files)
    named = {name: _to_write(name, path) for name, path in files.items() if path is not None}
    for name, path in named.items():
        suffix = (suffixes or {}).get(name, path.suffix)
        if path.suffix.lower() != suffix.lower():
            raise UsageError(f"`{name}`: expected a name that ends in {suffix}, got '{path}'")
        try:
            whole = path.resolve()
            writable = whole.parent.is_dir() and os.access(whole.parent, os.W_OK)
            writable = writable and not whole.is_dir()
            twice = [other.resolve() for other in named.values()].count(whole) > 1
        except (OSError, ValueError) as error:
            raise UsageError(one_line(f"`{name}`: can't write {path}: {error}")) from error
        if not writable:
            raise UsageError(
                f"`{name}`: can't write {path}: expected a file in a folder that is there"
            )
        if twice:
            raise UsageError(f"`{name}`: {path} is named twice")
