"""Code of the user's own: `module:attribute`, found in folders that come last on the path, or
`file.py:attribute`.

Our packages have common names (`metrics`, `results`, `attacks`), so the user's folder is
appended, never put first, and a foreign package that shadows one of ours is refused by name.
Standard library only.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.errors import BenchError, UnaskedError, UsageError, one_line

OURS = ("attacks", "generative", "metrics", "results")


def add_folder(folder: str | os.PathLike[str]) -> None:
    """Append a folder to the import path, last, once."""
    path = str(Path(folder).resolve())
    if path not in sys.path:
        sys.path.append(path)


def add(folders: Iterable[str | os.PathLike[str]], modules: Iterable[str]) -> None:
    """Append folders to the import path, and import what is registered by modules in them."""
    for folder in folders:
        add_folder(folder)
    for module in modules:
        import_module(module)


@dataclass(frozen=True)
class _Reach:
    """Who names code in a file, and which of it may run: what the user named, too."""

    origin: str
    asked: frozenset[str]


_REACH: ContextVar[_Reach | None] = ContextVar("reach", default=None)


@contextmanager
def only_asked(origin: str, asked: Iterable[str | None], trust: bool) -> Iterator[None]:
    """In here code of the user's is loaded if it is among `asked`, what the command itself names;
    what a file from elsewhere names raises UsageError, unless it is trusted.
    """
    names = frozenset(name for name in asked if name)
    token = _REACH.set(None if trust else _Reach(origin, names))
    try:
        yield
    finally:
        _REACH.reset(token)


def _refuse_unasked(name: str) -> None:
    reach = _REACH.get()
    if reach is None or name in reach.asked:
        return
    raise UnaskedError(
        f"{one_line(reach.origin, 100)} names code, '{one_line(name, 60)}', which is not run "
        "unasked: `trust` runs it, if you know where it comes from"
    )


def load(name: str) -> Any:
    """The object that `module:attribute` names.

    Raises UsageError where the module can't be imported or lacks the attribute, and for code that
    was not asked for inside `only_asked`.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"expected module:attribute, got '{name}'")
    _refuse_unasked(name)
    part: Any = _imported(module_name)
    for step in attribute.split("."):
        try:
            part = getattr(part, step)
        except AttributeError as error:
            raise UsageError(f"module '{module_name}' has no '{attribute}'") from error
    return part


def import_module(name: str) -> ModuleType:
    """A module of the user's. Raises UsageError where it can't be imported, or exits, and for one
    that was not asked for inside `only_asked`.
    """
    _refuse_unasked(name)
    return _imported(name)


def is_file(module: str) -> bool:
    """Whether a module is named by its file."""
    return module.endswith(".py")


def _imported(name: str) -> ModuleType:
    there = sys.modules.get(name)
    if there is not None and not getattr(there.__spec__, "_initializing", False):
        return there
    try:
        return _of_file(name) if is_file(name) else importlib.import_module(name)
    except FileNotFoundError as error:
        raise UsageError(f"{one_line(name, 100)} is not there") from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"can't import '{name}': {one_line(f'{type(error).__name__}: {error}', 150)}; its "
            "folder must be the present one, the suite file's, or on PYTHONPATH"
        ) from error


def _of_file(name: str) -> ModuleType:
    """The module of a file, imported once; what lies beside it can be imported, too."""
    path = Path(name).expanduser().resolve()
    if str(path) in sys.modules:
        return sys.modules[str(path)]
    if not path.is_file():
        raise FileNotFoundError(path)
    add_folder(path.parent)
    spec = importlib.util.spec_from_file_location(str(path), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[str(path)] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[str(path)]
        raise
    return module


@contextmanager
def blamed(name: str) -> Iterator[None]:
    """Whatever code of the user's, or a library that it calls, raises in here is a UsageError with
    its name; what our own lines raise stays an error of ours.
    """
    try:
        yield
    except BenchError:
        raise
    except SystemExit as error:
        raise UsageError(f"{name} ended Python by SystemExit({error.code!r})") from error
    except Exception as error:
        if _is_ours(error):
            raise
        text = one_line(f"{type(error).__name__}: {error}", 200)
        raise UsageError(f"{name} failed: {text}{_place(error)}{_memory_advice(error)}") from error


def _last_file(error: BaseException) -> tuple[str, int]:
    """Where an error was raised: file and line; an empty name where it has no place."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return ("", 0) if frame is None else (frame.tb_frame.f_code.co_filename, frame.tb_lineno)


def _place(error: BaseException) -> str:
    """The file and line of an error in code of the user's own."""
    file, line = _last_file(error)
    path = Path(file)
    foreign = "site-packages" in path.parts or not path.is_file()
    return "" if foreign or _is_ours(error) else f" ({path.name}:{line})"


def _is_ours(error: BaseException) -> bool:
    """Whether the line that raised is in a package of ours, and it was not for lack of memory."""
    if _memory_advice(error):
        return False
    home, file = Path(__file__).resolve().parents[2], Path(_last_file(error)[0])
    return any(file.is_relative_to(home / package) for package in ("bench", *OURS))


def _memory_advice(error: BaseException) -> str:
    """What to do about too little memory; empty for every other error."""
    lacking = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    said = str(error)
    lacking = lacking or "can't allocate memory" in said or "out of memory" in said
    return "; take fewer or smaller images" if lacking else ""


def refuse_shadows() -> None:
    """Raise UsageError where a foreign package has the name of one of ours."""
    home = Path(__file__).resolve().parents[2]
    for name in OURS:
        spec = importlib.util.find_spec(name)
        origin = None if spec is None else spec.origin
        if origin is None or Path(origin).resolve().parent.parent != home:
            raise UsageError(
                f"the package '{name}' of Minimax is shadowed by {origin or 'a folder'}: "
                "rename that, run from another folder, or take it off PYTHONPATH"
            )
