"""Registries: a part's name, the part, and the facts it declares about itself.

Registering a part names it, cites it and enrols it in the law tests. Registries are
filled at import and only read afterwards. Standard library only.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

from bench.core import usercode
from bench.core.errors import UsageError, unknown

T = TypeVar("T")
F = TypeVar("F")
P = TypeVar("P")

ENTRY_POINTS = "minimax.parts"


@dataclass(frozen=True)
class NoFacts:
    """The facts of a kind of part that declares none."""


@dataclass(frozen=True)
class Entry(Generic[T, F]):
    """A registered part. `paper` is a key of the bibliography, or empty.

    exempt: laws that are not for it by design, known_issue: laws that it is known to break; each
    "law: reason", or "law[case, case]: reason" for some cases of one (patterns, as of files). Both
    are strict: a law that is named and holds is an error.
    """

    name: str
    part: T
    paper: str
    summary: str
    origin: str
    facts: F
    exempt: tuple[str, ...] = ()
    known_issue: tuple[str, ...] = ()


class Registry(Generic[T, F]):
    """Names to entries, in the order of registration.

    `facts` is the frozen dataclass that a part's declared facts must fit. `registry["name"]`
    answers an unknown name with the nearest known one, and takes `module:attribute` for a
    part of the user's own.
    """

    def __init__(self, kind: str, facts: type[F], *, listed_as: str = "") -> None:
        self.kind = kind
        self._facts = facts
        self._advice = f"(`bench list {listed_as}` shows all)" if listed_as else ""
        self._entries: dict[str, Entry[T, F]] = {}
        self._adopters: list[Callable[[object], T | None]] = []
        self._readers: list[Callable[[str], Entry[T, F] | None]] = []
        self._brought: dict[str, Entry[T, F]] = {}

    def adopt(self, make: Callable[[object], T | None]) -> Callable[[object], T | None]:
        """Decorate what makes a part of something else that a user may name; None for what it
        can't.
        """
        self._adopters.append(make)
        return make

    def read(
        self, make: Callable[[str], Entry[T, F] | None]
    ) -> Callable[[str], Entry[T, F] | None]:
        """Decorate what makes an entry of a name that stands for a file of the user's; None for
        every other name.
        """
        self._readers.append(make)
        return make

    def register(
        self,
        name: str,
        *,
        paper: str = "",
        summary: str = "",
        exempt: str | Iterable[str] = (),
        known_issue: str | Iterable[str] = (),
        **facts: Any,
    ) -> Callable[[P], P]:
        """Decorate (or call on) a part to add it under `name`.

        The part's origin is the module that calls this, where its numbers stand. Raises
        ValueError for a name that is taken, TypeError for facts the kind lacks.
        """
        origin = sys._getframe(1).f_globals.get("__name__", "")
        excuses = _texts(exempt), _texts(known_issue)

        def add(part: P) -> P:
            if name in self._entries:
                taken = self._entries[name].origin
                raise ValueError(f"{self.kind} '{name}' is registered already, by {taken}")
            described = summary or _first_sentence(part)
            entry: Any = Entry(name, part, paper, described, origin, self._facts(**facts), *excuses)
            self._entries[name] = entry
            return part

        return add

    def __getitem__(self, name: str) -> Entry[T, F]:
        if name in self._entries:
            return self._entries[name]
        for entry in (make(name) for make in self._readers):
            if entry is not None:
                self._brought[name] = entry
                return entry
        if ":" in name:
            return self._users(name)
        raise unknown(self.kind, name, self._entries, self._advice)

    def _users(self, name: str) -> Entry[T, F]:
        """A part of the user's own: as it registered itself, or without facts."""
        part = usercode.load(name)
        for adopted in (make(part) for make in self._adopters):
            part = part if adopted is None else adopted
        for entry in self._entries.values():
            if entry.part is part:
                return entry
        try:
            facts = self._facts()
        except TypeError:
            raise UsageError(
                f"{self.kind} '{name}' has not registered itself: list its module under `imports` "
                "of the suite and use the name it registers"
            ) from None
        origin = name.partition(":")[0]
        self._brought[name] = Entry(name, part, "", _first_sentence(part), origin, facts)
        return self._brought[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def brought(self) -> list[Entry[T, F]]:
        """Parts of the user's own that were asked for by `module:attribute` so far."""
        return list(self._brought.values())

    def entries(self) -> list[Entry[T, F]]:
        """All entries, in the order of registration."""
        return list(self._entries.values())


def _texts(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _first_sentence(part: object) -> str:
    """Of a docstring: its first line, or, where that is no sentence, all up to its end or to a
    semicolon.
    """
    lines = (getattr(part, "__doc__", None) or "").strip().split("\n\n")[0].split("\n")
    if lines[0].endswith((".", "?")) or len(lines) == 1:
        return lines[0]
    whole = " ".join(line.strip() for line in lines)
    return re.split(r"(?<=\.)\s|;\s", whole)[0]


def import_all(package: ModuleType) -> None:
    """Import every module of a package, in name order, so that its parts register."""
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        importlib.import_module(f"{package.__name__}.{module.name}")


def sources_of_others() -> list[str]:
    """The files of the packages that other distributions offer as `minimax.parts`, as far as they
    were imported.
    """
    points = importlib.metadata.entry_points(group=ENTRY_POINTS)
    packages = {point.value.partition(":")[0].partition(".")[0] for point in points}
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in packages]
    files = {getattr(module, "__file__", None) for module in modules}
    return sorted(file for file in files if file)


def discover() -> None:
    """Import the modules that other distributions offer as `minimax.parts`.

    One that can't be imported is reported as a warning and left out.
    """
    for point in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda p: p.name):
        try:
            point.load()
        except Exception as error:
            warnings.warn(
                f"parts '{point.name}' ({point.value}) were not loaded: {error!r}", stacklevel=2
            )
