"""Suites: a grid of cells as data, read from TOML.

A suite has blocks (a task, a grid of parts, settings), rules that set settings for the cells
they match, and tiers. Names of parts are checked when a suite is planned, not here.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bench import tomlsuites
from bench.errors import UsageError, nearest, one_line, unknown

SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MAX_SEEDS = 10_000
MAX_CELLS = 1_000_000

Slug = Annotated[str, StringConstraints(pattern=SLUG)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Scalar = bool | int | float | str
Settings = dict[Name, Scalar]


class Strict(BaseModel):
    """A table whose unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Tier(Strict):
    """How much of a suite is run: the number of seeds, and what it is for."""

    seeds: int = Field(default=5, ge=1, le=MAX_SEEDS)
    about: str = ""


class Block(Strict):
    """One task over a grid of parts.

    metrics: shown, in this order; every measured one where none is named. primary: what a gate
    may judge by. published: tables printed beside ours. epsilons: the radii of a curve that tables
    show, all where empty. claims: what a paper says of such numbers, held against ours. tiers:
    where the block belongs; all where empty.
    """

    name: Slug
    task: Name
    grid: dict[Name, list[Name]]
    settings: Settings = {}
    metrics: list[Name] = []
    primary: list[Name] = []
    published: list[Slug] = []
    epsilons: list[float] = []
    claims: list[Slug] = []
    tiers: list[Slug] = []


class When(BaseModel):
    """Settings for the cells that match every pattern; of several rules the last wins.

    A pattern's key is `tier`, `block`, `task` or an axis of the grid; `*` matches any run of
    characters.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    set: Settings

    @property
    def patterns(self) -> dict[str, str]:
        return dict(self.__pydantic_extra__ or {})


class MixtureTable(Strict):
    """A Gaussian mixture of the user's own.

    covariances: per mode a variance, a list of variances, or a matrix. weights are relative.
    training_points: how many fixed points to train on; 0 for fresh draws at every step.
    """

    name: Slug
    centres: list[list[float]]
    covariances: list[float | list[float] | list[list[float]]]
    weights: list[float] | None = None
    rule: Name = "euclid3"
    training_points: int = Field(default=100_000, ge=0, le=10_000_000)


class Suite(Strict):
    """A suite as its file has it. imports: modules of the user's own that register parts."""

    name: Slug
    title: str = ""
    description: str = ""
    default_tier: Slug = "standard"
    tiers: dict[Slug, Tier] = {"standard": Tier()}
    block: list[Block] = Field(min_length=1)
    when: list[When] = []
    mixture: list[MixtureTable] = []
    imports: list[Name] = []


@dataclass(frozen=True)
class Choice:
    """One point of a grid before it is resolved: the parts, and the settings that apply."""

    block: Block
    parts: dict[str, str]
    settings: dict[str, Scalar]
    seed: int


@dataclass(frozen=True)
class Cell:
    """One piece of work with all its names.

    cell_id says what is measured, without suite and seed; random streams derive from it. key
    identifies the measurement: same key, measured already. code is the digest of the source
    that makes the number. definition: the table of a data set that the suite file defines.
    skip: why it can't be measured here, or empty.
    """

    block: str
    task: str
    parts: dict[str, str]
    settings: dict[str, Any]
    seed: int
    cell_id: str
    key: str
    fingerprint: str
    code: str
    device: str = "cpu"
    definition: dict[str, Any] | None = None
    seconds: float = 0.0
    skip: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def part(self, axis: str) -> str:
        """The name of a part, empty where the cell has no such axis."""
        return self.parts.get(axis, "")


@dataclass(frozen=True)
class View:
    """What a command asks of a suite: tier, seeds, and changes of grid and settings."""

    tier: str
    seeds: tuple[int, ...]
    only: tuple[tuple[str, str], ...] = ()
    grid: tuple[tuple[str, tuple[str, ...]], ...] = ()
    set: tuple[tuple[str, Scalar], ...] = ()


def read_table(name: str) -> tuple[dict[str, Any], Path]:
    """The TOML of a built-in suite, or of a file where the name ends in .toml, and its path.

    Raises UsageError for an unknown name, a file that can't be read, or broken TOML.
    """
    path = Path(name).expanduser() if name.endswith(".toml") else tomlsuites.SUITES / f"{name}.toml"
    if not name.endswith(".toml") and name not in tomlsuites.names():
        raise unknown("suite", name, tomlsuites.names(), "(or a file that ends in .toml)")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path
    except OSError as error:
        raise UsageError(f"can't read the suite {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(one_line(f"{path} is not valid TOML: {error}")) from error


def load_suite(name: str) -> Suite:
    """A built-in suite by name, or a suite file. Raises UsageError where it is none."""
    table, path = read_table(name)
    return parse_suite(table, str(path))


def parse_suite(table: dict[str, Any], origin: str) -> Suite:
    """A suite from its table. Raises UsageError that names the place and the nearest key."""
    try:
        suite = Suite.model_validate(table)
    except (ValidationError, RecursionError) as error:
        raise UsageError(one_line(f"{origin}: {_explain(error)}")) from error
    _check(suite, origin)
    return suite


def _explain(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "the tables are nested too deeply"
    first = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        fields = _fields_at(first["loc"])
        guess = nearest(key, fields)
        hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(sorted(fields))}"
        return f"unknown key '{place}': {hint}"
    return f"{place or 'suite'}: {first['msg'].lower()}, got {_shown(first.get('input'))}"


def _shown(value: object) -> str:
    try:
        return one_line(repr(value), 60)
    except RecursionError:
        return "tables nested too deeply"


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {"block": Block, "tiers": Tier, "mixture": MixtureTable}
    model = Suite if len(loc) == 1 else tables.get(str(loc[0]), Suite)
    return list(model.model_fields)


def _check(suite: Suite, origin: str) -> None:
    """What the types can't say."""
    for kind, names in (
        ("block", [block.name for block in suite.block]),
        ("mixture", [mixture.name for mixture in suite.mixture]),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(f"{origin}: two {kind}s are named '{min(twice)}'")
    tier_uses = [(tier, f"block '{b.name}'") for b in suite.block for tier in b.tiers]
    for tier, place in [(suite.default_tier, "default_tier"), *tier_uses]:
        if tier not in suite.tiers:
            raise unknown("tier", tier, suite.tiers, f"({origin}, {place})")
    for block in suite.block:
        for metric in block.primary:
            if block.metrics and metric not in block.metrics:
                raise unknown("primary metric", metric, block.metrics, f"({origin}, {block.name})")
    axes = {axis for block in suite.block for axis in block.grid}
    for rule in suite.when:
        for key, pattern in rule.patterns.items():
            if key not in axes | {"tier", "block", "task"}:
                raise unknown("key of a when rule", key, axes | {"tier", "block", "task"}, origin)
            if not isinstance(pattern, str):
                raise UsageError(f"{origin}: when.{key}: expected a pattern, got {pattern!r}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """`5` is the seeds 0 to 4; `0,1,2` are those. Raises UsageError for none or negative ones."""
    advice = f"expected a count such as 5 or a list such as 0,1,2, got '{text}'"
    if not re.fullmatch(r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*,?\s*", text):
        raise UsageError(f"--seeds: {advice}")
    numbers = [int(part.strip()) for part in text.split(",") if part.strip()]
    seeds = tuple(dict.fromkeys(numbers)) if "," in text else tuple(range(min(numbers[0], 2**20)))
    if not seeds or len(seeds) > MAX_SEEDS:
        raise UsageError(f"--seeds: expected 1 to {MAX_SEEDS} seeds, got {len(seeds)}")
    return seeds


Every = dict[str, dict[str, list[str]]]
"""By task and axis, the parts that `*` stands for."""


def choices(suite: Suite, view: View, every: Every) -> Iterator[Choice]:
    """Every point of the grids that a view asks for: blocks in order, seeds innermost.

    A part that `--grid` names goes to the blocks whose task knows it; one that none knows goes to
    all. Raises UsageError for an axis or pattern that matches nothing.
    """
    blocks = [block for block in suite.block if not block.tiers or view.tier in block.tiers]
    axes = {axis for block in blocks for axis in block.grid}
    for option, asked in (("--only", view.only), ("--grid", view.grid)):
        for axis, _ in asked:
            if axis not in axes:
                raise unknown(f"axis in {option}", axis, axes)
    replaced: dict[str, tuple[str, ...]] = {}
    for axis, names in view.grid:
        replaced[axis] = (*replaced.get(axis, ()), *names)
    grids = [_grid(block, replaced, every) for block in blocks]
    _refuse_empty(view, grids)
    total = sum(_size(grid) for grid in grids) * len(view.seeds)
    if total > MAX_CELLS:
        raise UsageError(f"{total} cells are more than {MAX_CELLS}: narrow the grid or the seeds")
    for block, grid in zip(blocks, grids, strict=True):
        kept = {
            axis: [name for name in names if _kept(axis, name, view)]
            for axis, names in grid.items()
        }
        for point in itertools.product(*kept.values()):
            parts = dict(zip(kept, point, strict=True))
            settings = _settings(suite, block, parts, view)
            for seed in view.seeds:
                yield Choice(block, parts, settings, seed)


def _size(grid: dict[str, list[str]]) -> int:
    size = 1
    for names in grid.values():
        size *= len(names)
    return size


def _grid(block: Block, replaced: dict[str, tuple[str, ...]], every: Every) -> dict[str, list[str]]:
    out = {}
    for axis, names in block.grid.items():
        known = every.get(block.task, {}).get(axis, [])
        elsewhere = {name for axes in every.values() for name in axes.get(axis, [])} - set(known)
        asked = [name for name in replaced.get(axis, ()) if name not in elsewhere]
        chosen = asked if axis in replaced else names
        expanded = [n for name in chosen for n in (known if name == "*" else [name])]
        out[axis] = list(dict.fromkeys(expanded))
    return out


def _kept(axis: str, name: str, view: View) -> bool:
    patterns = [pattern for key, pattern in view.only if key == axis]
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _refuse_empty(view: View, grids: list[dict[str, list[str]]]) -> None:
    for axis, pattern in view.only:
        names = sorted({name for grid in grids for name in grid.get(axis, [])})
        if not any(fnmatchcase(name, pattern) for name in names):
            raise unknown(axis, pattern, names, "(--only matches nothing)")


def _settings(suite: Suite, block: Block, parts: dict[str, str], view: View) -> dict[str, Scalar]:
    facts = {**parts, "tier": view.tier, "block": block.name, "task": block.task}
    settings = dict(block.settings)
    for rule in suite.when:
        if all(k in facts and fnmatchcase(facts[k], glob) for k, glob in rule.patterns.items()):
            settings.update(rule.set)
    settings.update(dict(view.set))
    return settings
