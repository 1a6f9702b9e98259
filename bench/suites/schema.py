"""Suites: a grid of cells as data, read from TOML.

A suite has blocks (a task, a grid of parts, settings), rules that set settings for the cells
they match, and tiers. Names of parts are checked when a suite is planned, not here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bench.core.errors import UsageError, nearest, one_line, uncapital, unknown
from bench.core.files import user_path
from bench.suites import builtin as tomlsuites

SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MAX_SEEDS = 10_000

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
    """One task over a grid of parts; what is no axis of its task is a setting with several values.

    metrics: shown, in this order; every measured one where none is named. primary: what a gate
    may judge by. published: tables printed beside ours. epsilons: the radii of a curve that tables
    show, all where empty. claims: what a paper says of such numbers, held against ours. tiers:
    where the block belongs; all where empty.
    """

    name: Slug
    task: Name
    grid: dict[Name, list[Name | bool | int | float]]
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


def read_table(name: str) -> tuple[dict[str, Any], Path]:
    """The TOML of a built-in suite, or of a file where the name ends in .toml, and its path.

    Raises UsageError for an unknown name, a file that can't be read, or broken TOML.
    """
    path = user_path(name) if name.endswith(".toml") else tomlsuites.SUITES / f"{name}.toml"
    if not name.endswith(".toml") and name not in tomlsuites.names():
        raise unknown("suite", name, tomlsuites.names(), "(or a file that ends in .toml)")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), path
    except OSError as error:
        raise UsageError(f"can't read the suite {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(one_line(f"{path} is not valid TOML: {error}")) from error


class Mixtures(BaseModel):
    """The mixtures of a file, whatever else it holds."""

    model_config = ConfigDict(frozen=True)

    mixture: list[MixtureTable] = []


def mixtures_in(path: str) -> list[MixtureTable]:
    """The mixtures of a TOML file, a suite's or one of its own. Raises UsageError for what is
    none.
    """
    table, _ = read_table(path)
    try:
        return Mixtures.model_validate(table).mixture
    except (ValidationError, RecursionError) as error:
        raise UsageError(one_line(f"{path}: {_explain(error)}")) from error


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
    return f"{place or 'suite'}: {uncapital(first['msg'])}, got {_shown(first.get('input'))}"


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
