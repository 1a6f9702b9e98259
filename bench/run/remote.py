"""What a machine does that was sent a cell: see whether it is alike, measure, and answer.

It knows nothing of who sent it, nor how: a scheduler brings the cell here and the answer back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.core import usercode
from bench.core.digests import source_digest, whole_digest
from bench.core.errors import BenchError, StoreError
from bench.core.files import cache_folder
from bench.models.store import Elsewhere
from bench.run.runner import Context, Found, Outcome, measured
from bench.suites.cell import Cell
from results.provenance import commit, versions
from results.store import RunDirectory

PROBE = ".shared.tmp"
"""A file that says of a folder which one it is; whoever locks a run sweeps it."""


@dataclass(frozen=True)
class Terms:
    """What has to be the same wherever cells of a run are measured. code: of our own source; users:
    of the user's. modules: which these are.
    """

    code: str
    commit: str
    versions: dict[str, str]
    modules: tuple[str, ...]
    users: str


def terms_of(cells: Iterable[Cell], context: Context) -> Terms:
    """The terms of this machine."""
    named = {name for cell in cells for name in (cell.task, *cell.parts.values()) if ":" in name}
    modules = {name.partition(":")[0] for name in named} | set(context.imports)
    return terms_here(tuple(sorted(modules)))


def terms_here(modules: tuple[str, ...]) -> Terms:
    """The terms of this machine, the user's modules known."""
    return Terms(whole_digest(), commit()[0], versions(), modules, source_digest(modules))


def difference(asked: Terms, folders: Iterable[str]) -> str:
    """In what this machine differs from the one that asks, both named, or empty."""
    try:
        usercode.add(folders, ())
        own = terms_here(asked.modules)
    except (BenchError, OSError) as error:
        return str(error)
    if own.code != asked.code:
        return f"its code is {_code(own)}, expected {_code(asked)}"
    for name, version in asked.versions.items():
        if own.versions.get(name) != version:
            return f"its {name} is {own.versions.get(name) or 'missing'}, expected {version}"
    if own.users != asked.users:
        named = ", ".join(asked.modules)
        return f"your own code is another there ({named}: {own.users[:8]}, not {asked.users[:8]})"
    return ""


def _code(terms: Terms) -> str:
    return f"{terms.code[:8]}" + (f" (commit {terms.commit[:8]})" if terms.commit else "")


@dataclass(frozen=True)
class Probes:
    """What the folders of a run hold for as long as it goes on, to be known by. token: of the
    driver.
    """

    token: str
    run: Path
    cache: Path

    def put(self) -> None:
        """Mark both folders."""
        for folder in (self.run, self.cache):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / PROBE).write_text(self.token)

    def take(self) -> None:
        """Take the marks away, if they are ours."""
        for folder in (self.run, self.cache):
            with suppress(OSError):
                if _is_marked(folder, self.token):
                    (folder / PROBE).unlink()


def _is_marked(folder: Path, token: str) -> bool:
    try:
        return (folder / PROBE).read_text() == token
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Post:
    """A machine's place in a run. shares: whether it sees the run's own folder; models: whether it
    sees the run's store of models.
    """

    context: Context
    shares: bool
    models: bool


def post_of(context: Context, probes: Probes) -> Post:
    """This machine's place: what it does not see of the driver's folders, it has of its own."""
    usercode.add(context.folders, context.imports)
    shares, models = (_is_marked(f, probes.token) for f in (context.run, context.cache))
    own = context
    if not shares:
        own = replace(own, run=Path(tempfile.gettempdir()) / f"minimax-{probes.token[:12]}")
    if not models:
        own = replace(own, cache=cache_folder().resolve())
    return Post(own, shares, models)


@dataclass(frozen=True)
class Trouble:
    """A machine can't keep what it measures: full, or not to be written. everywhere: in the run's
    own folder, so that another machine could not, either.
    """

    text: str
    everywhere: bool


def answer(cell: Cell, post: Post, elsewhere: Elsewhere | None) -> Outcome | Found | Trouble:
    """Measure a cell: written where the run's folder is seen, else to be written by the driver."""
    try:
        found = measured(cell, post.context, None if post.models else elsewhere)
    except StoreError as error:
        return Trouble(str(error), post.models)
    finally:
        if not post.shares:
            _remove(post.context.run)
    if not post.shares:
        return found
    try:
        RunDirectory(post.context.run).write_cell(found.record, found.arrays)
    except StoreError as error:
        return Trouble(str(error), True)
    return found.outcome


def _remove(folder: Path) -> None:
    """Take away what notes of cells left: empty folders."""
    for path in (folder / "underway", folder):
        with suppress(OSError):
            os.rmdir(path)
