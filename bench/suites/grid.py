"""From a grid and a view of it to single choices."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.core.errors import UsageError, unknown
from bench.suites.schema import MAX_SEEDS, Block, Scalar, Suite  # MOVED-NEEDS

MAX_CELLS = 1_000_000
Every = dict[str, dict[str, list[str]]]
"""By task and axis, the parts that `*` stands for."""


@dataclass(frozen=True)
class Choice:
    """One point of a grid before it is resolved: the parts, and the settings that apply."""

    block: Block
    parts: dict[str, str]
    settings: dict[str, Scalar]
    seed: int


@dataclass(frozen=True)
class View:
    """What a command asks of a suite: tier, seeds, and changes of grid and settings."""

    tier: str
    seeds: tuple[int, ...]
    only: tuple[tuple[str, str], ...] = ()
    grid: tuple[tuple[str, tuple[str, ...]], ...] = ()
    set: tuple[tuple[str, Scalar], ...] = ()


def parse_seeds(text: str) -> tuple[int, ...]:
    """`5` is the seeds 0 to 4; `0,1,2` are those. Raises UsageError for none or negative ones."""
    advice = f"expected a count such as 5 or a list such as 0,1,2, got '{text}'"
    if not re.fullmatch(r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*,?\s*", text):
        raise UsageError(f"`seeds`: {advice}")
    numbers = [int(part.strip()) for part in text.split(",") if part.strip()]
    seeds = tuple(dict.fromkeys(numbers)) if "," in text else tuple(range(min(numbers[0], 2**20)))
    if not seeds or len(seeds) > MAX_SEEDS:
        raise UsageError(f"`seeds`: expected 1 to {MAX_SEEDS} seeds, got {len(seeds)}")
    return seeds


def choices(suite: Suite, view: View, every: Every) -> Iterator[Choice]:
    """Every point of the grids that a view asks for: blocks in order, seeds innermost.

    A part that `--grid` names goes to the blocks whose task knows it; one that none knows goes to
    all. Raises UsageError for an axis or pattern that matches nothing.
    """
    blocks = [block for block in suite.block if not block.tiers or view.tier in block.tiers]
    axes = {axis for block in blocks for axis in block.grid}
    for option, asked in (("`only`", view.only), ("`grid`", view.grid)):
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
            raise unknown(axis, pattern, names, "(`only` matches nothing)")


def _settings(suite: Suite, block: Block, parts: dict[str, str], view: View) -> dict[str, Scalar]:
    facts = {**parts, "tier": view.tier, "block": block.name, "task": block.task}
    settings = dict(block.settings)
    for rule in suite.when:
        if all(k in facts and fnmatchcase(facts[k], glob) for k, glob in rule.patterns.items()):
            settings.update(rule.set)
    settings.update(dict(view.set))
    return settings
