"""What a network of the user's holds: the tensors that its code can reach, and the files it reads.

A network is not always a torch.nn.Module that says what its weights are: code may keep them in a
closure, a list or a global name, or read a file each time it is loaded. What it reads when it is
asked, and not when it is loaded, is not seen.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.core.asfound import AsFound

PROGRAMS = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib")
"""Files of code, which the digest of a module's source is over."""
FOREIGN = ("torch", "torchvision", "timm", "numpy", "builtins", "functools", "collections")
"""Packages whose code holds no weights of the user's."""

_WATCHED: ContextVar[set[str] | None] = ContextVar("watched", default=None)
_EVER: dict[str, set[str]] = {}
"""By what was loaded, the files that it was ever seen to read: a second loading imports nothing."""


@contextmanager
def watched(who: str) -> Iterator[set[str]]:
    """The files that are opened for reading in here, code and what is installed left out; with
    those that `who` read in here before.
    """
    _install()
    seen = _EVER.setdefault(who, set())
    token = _WATCHED.set(seen)
    try:
        yield seen
    finally:
        _WATCHED.reset(token)


@cache
def _install() -> None:
    """Python keeps an audit hook until it ends: one is enough."""
    sys.addaudithook(_see)


def _see(event: str, given: tuple[Any, ...]) -> None:
    seen = _WATCHED.get() if event == "open" else None
    if seen is None or not isinstance(given[0], str | bytes | os.PathLike):
        return
    path, mode, flags = given
    writes = any(letter in mode for letter in "wax+") if mode else bool(flags & 0b11)
    name = os.path.abspath(os.fsdecode(path))
    if not writes and not name.endswith(PROGRAMS) and not name.startswith(_installed()):
        seen.add(name)


@cache
def _installed() -> tuple[str, ...]:
    """Where the machine's own files are, and those that come with Python and its packages."""
    homes = {str(Path(home) / "lib") for home in (sys.prefix, sys.base_prefix)}
    return ("/proc/", "/sys/", "/dev/", "/etc/", *(f"{home}{os.sep}" for home in homes))


def contents_of(model: Any, files: Collection[str] = ()) -> str:
    """A sha256 over a network's state, all tensors that it can reach, and the bytes of files."""
    digest = hashlib.sha256()
    state = model.state_dict() if isinstance(model, nn.Module) else {}
    for name, value in (state if isinstance(state, Mapping) else {}).items():
        digest.update(f"{name}\0".encode())
        _add(digest, value)
    for value in reachable(model):
        _add(digest, value)
    for name in sorted(files):
        digest.update(f"{Path(name).name}\0".encode())
        try:
            with open(name, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError:
            continue
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    """A tensor or an array: its type, shape and bytes; of other values none."""
    if isinstance(value, Tensor):
        value = _bytes_of(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype} {value.shape}\0".encode() + value.tobytes())


def _bytes_of(tensor: Tensor) -> np.ndarray:
    """A tensor's values whatever its type and layout."""
    try:
        plain = tensor.detach()
        plain = plain.dequantize() if plain.is_quantized else plain
        plain = plain.to_dense() if plain.layout != torch.strided else plain
        flat = plain.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    except (RuntimeError, NotImplementedError, TypeError):
        return np.zeros(0)  # lazy or opaque: its network can't be asked either
    return np.frombuffer(f"{tensor.dtype} {tuple(tensor.shape)}\0".encode() + flat.tobytes(), "u1")


def reachable(root: Any) -> Iterator[Tensor | np.ndarray]:
    """The tensors and arrays that an object holds, by attributes, items, closures, default values
    and the global names that its functions use; in an order that is the same in every process.
    """
    seen: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, Tensor | np.ndarray):
            yield thing
        else:
            waiting.extend(reversed(list(_held(thing))))


def _held(thing: Any) -> Iterator[Any]:
    """What an object holds by itself."""
    if isinstance(thing, str | bytes | int | float | complex | ModuleType | AsFound | None):
        return
    if isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, list | tuple):
        yield from thing
    elif isinstance(thing, partial):
        yield from (thing.func, thing.args, thing.keywords)
    elif isinstance(thing, MethodType):
        yield from (thing.__self__, thing.__func__)
    elif isinstance(thing, FunctionType):
        yield from () if _foreign(thing) else _of_function(thing)
    elif isinstance(thing, type):
        functions = (FunctionType, staticmethod, classmethod, property)
        own = [] if _foreign(thing) else [*vars(thing).values(), *thing.__bases__]
        yield from (_bare(one) for one in own if isinstance(one, (*functions, type)))
    else:
        yield getattr(thing, "__dict__", None)
        yield type(thing)


def _bare(member: Any) -> Any:
    """The function of a class's member."""
    if isinstance(member, property):
        return member.fget
    return member.__func__ if isinstance(member, staticmethod | classmethod) else member


def _of_function(function: Callable[..., Any]) -> Iterator[Any]:
    """What a function's closure, defaults and global names stand for."""
    assert isinstance(function, FunctionType)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    yield function.__defaults__
    yield function.__kwdefaults__
    for name in function.__code__.co_names:
        yield function.__globals__.get(name)


def _foreign(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] in FOREIGN
