"""From a grid and a view of it to single choices."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.core.errors import UsageError, nearest, unknown
from bench.suites.schema import MAX_SEEDS, Block, Scalar, Suite

MAX_CELLS = 1_000_000
ALIKE = 0.75
"""How like an axis a word must be to be taken for it, misspelt, and not for a setting."""
BLOCK = "block"
"""What `only` narrows beside the axes of the grids: which blocks there are."""
Every = dict[str, dict[str, list[str]]]
"""By task and axis, the parts that `*` stands for."""
Foreign = Collection[tuple[str, str]]
"""Settings that `--grid` varies and a block's task does not know: block and setting."""


@dataclass(frozen=True)
class Choice:
    """One point of a grid before it is resolved: the parts, the settings that apply, and those of
    them that the grid varies.

    starred: whether a part of it was named by `*` alone. usual: the settings without those that the
    command changes or varies.
    """

    block: Block
    parts: dict[str, str]
    settings: dict[str, Scalar]
    swept: dict[str, Scalar]
    seed: int
    starred: bool
    usual: dict[str, Scalar]


@dataclass(frozen=True)
class View:
    """What a command asks of a suite: tier, seeds, and changes of grid and settings. ensemble:
    whether the seeds are to be trained side by side, where that is faster.
    """

    tier: str
    seeds: tuple[int, ...]
    only: tuple[tuple[str, str], ...] = ()
    grid: tuple[tuple[str, tuple[str, ...]], ...] = ()
    set: tuple[tuple[str, Scalar], ...] = ()
    ensemble: bool = False


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


def choices(suite: Suite, view: View, every: Every, foreign: Foreign = ()) -> Iterator[Choice]:
    """Every point of the grids that a view asks for: blocks in order, seeds innermost.

    A part that `--grid` names goes to the blocks whose task knows it; one that none knows goes to
    all. A setting that it varies goes to all blocks but those it is `foreign` to; one that `set`
    says is not varied by a suite's own grid. Raises UsageError for an axis or pattern that matches
    nothing, and a value that is written twice.
    """
    blocks = _blocks(suite, view)
    axes = {axis for block in blocks for axis in block.grid}
    for axis, _ in view.only:
        if axis not in axes | {BLOCK} | {name for name, _ in view.grid}:
            raise unknown("axis in `only`", axis, axes | {BLOCK})
    replaced: dict[str, tuple[str, ...]] = {}
    for axis, names in view.grid:
        if axis not in axes and (guess := nearest(axis, axes, ALIKE)):
            raise UsageError(f"unknown axis in `grid` '{axis}': did you mean '{guess}'?")
        replaced[axis] = (*replaced.get(axis, ()), *names)
    for axis, names in replaced.items():
        if not any(name.strip() for name in names):
            raise UsageError(f"`grid` {axis}: expected names with commas between, got none")
        if axis in dict(view.set):
            raise UsageError(f"`set` {axis}: the grid varies it, too: leave one of them out")
    grids = []
    kept = {block.task for block in blocks} if BLOCK in dict(view.only) else {*every}
    here = {task: parts for task, parts in every.items() if task in kept}
    for block in blocks:
        known = {axis: v for axis, v in replaced.items() if (block.name, axis) not in foreign}
        grid = _grid(block, known, here)
        said = dict(view.set).keys() - every.get(block.task, {}).keys()
        grids.append({axis: values for axis, values in grid.items() if axis not in said})
    _refuse_empty(view, grids)
    total = sum(_size(grid) for grid in grids) * len(view.seeds)
    if total > MAX_CELLS:
        raise UsageError(f"{total} cells are more than {MAX_CELLS}: narrow the grid or the seeds")
    for block, grid in zip(blocks, grids, strict=True):
        yield from _points(suite, block, grid, view, every)


def _blocks(suite: Suite, view: View) -> list[Block]:
    """The blocks of a tier whose name a view keeps. Raises UsageError where it keeps none."""
    blocks = [block for block in suite.block if not block.tiers or view.tier in block.tiers]
    names = [block.name for block in blocks]
    for axis, pattern in view.only:
        if axis == BLOCK and not any(fnmatchcase(name, pattern) for name in names):
            raise unknown(BLOCK, pattern, names, f"(tier {view.tier}: `only` matches nothing)")
    return [block for block in blocks if _kept(BLOCK, block.name, view)]


def _points(
    suite: Suite, block: Block, grid: dict[str, list[Scalar]], view: View, every: Every
) -> Iterator[Choice]:
    kept = {
        axis: [name for name in names if _kept(axis, name, view)] for axis, names in grid.items()
    }
    axes = every.get(block.task, {})
    named = {axis: _named(block, axis, view) for axis in axes}
    for point in itertools.product(*kept.values()):
        chosen = dict(zip(kept, point, strict=True))
        parts = {axis: str(name) for axis, name in chosen.items() if axis in axes}
        swept = {axis: value for axis, value in chosen.items() if axis not in axes}
        usual = _settings(suite, block, {**parts, **_as_text(swept)}, view.tier)
        settings = {**usual, **dict(view.set), **swept}
        starred = any(name not in named[axis] for axis, name in parts.items())
        for seed in view.seeds:
            yield Choice(block, parts, settings, swept, seed, starred, usual)


def _named(block: Block, axis: str, view: View) -> set[str]:
    """What an axis names one by one, and not by `*`."""
    replaced = [name for key, names in view.grid if key == axis for name in names]
    return {str(name) for name in replaced or block.grid.get(axis, ())} - {"*"}


def _as_text(swept: dict[str, Scalar]) -> dict[str, str]:
    """Values as the patterns of rules and views see them."""
    return {axis: str(value) for axis, value in swept.items()}


def scalar(text: str) -> Scalar:
    """A value as TOML reads it: a number, true, false; else the text as it is."""
    try:
        value = tomllib.loads(f"value = {text}").get("value", text)
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _size(grid: dict[str, list[Scalar]]) -> int:
    size = 1
    for names in grid.values():
        size *= len(names)
    return size


def _grid(
    block: Block, replaced: dict[str, tuple[str, ...]], every: Every
) -> dict[str, list[Scalar]]:
    out: dict[str, list[Scalar]] = {}
    axes = every.get(block.task, {})
    for axis in dict.fromkeys([*block.grid, *replaced]):
        known = axes.get(axis, [])
        elsewhere = {name for other in every.values() for name in other.get(axis, [])} - set(known)
        if axis in axes and axis not in block.grid:
            continue
        asked = [name for name in replaced.get(axis, ()) if name not in elsewhere]
        chosen: list[Scalar] = [*(asked if axis in replaced else block.grid[axis])]
        if axis not in axes:
            if not elsewhere:
                where = "`grid` " if axis in replaced else f"block {block.name}: grid."
                read = [scalar(str(v)) if axis in replaced else v for v in chosen]
                out[axis] = _each(where + axis, chosen, read)
            continue
        expanded = [n for name in chosen for n in (known if name == "*" else [name])]
        out[axis] = list(dict.fromkeys(expanded))
    return out


def _each(where: str, written: Sequence[Scalar], values: Sequence[Scalar]) -> list[Scalar]:
    """Values of a setting, two spellings of one (1e-3 and 0.001, 1 and 1.0) once. Raises UsageError
    for one that is written twice.
    """
    texts = [str(text) for text in written]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: {twice} stands there twice: expected each value once")
    found: dict[tuple[bool, Scalar], Scalar] = {}
    for value in values:
        found.setdefault((isinstance(value, bool), value), value)
    return list(found.values())


def _kept(axis: str, name: Scalar, view: View) -> bool:
    patterns = [pattern for key, pattern in view.only if key == axis]
    return not patterns or any(matches(name, pattern) for pattern in patterns)


def matches(value: object, pattern: str) -> bool:
    """Whether a name or a value fits a pattern: 0.0001 both `1e-4` and `0.0*`."""
    if fnmatchcase(str(value), pattern):
        return True
    if isinstance(value, str | bool) or not isinstance(value, int | float):
        return False
    try:
        return float(pattern) == value
    except ValueError:
        return False


def _refuse_empty(view: View, grids: list[dict[str, list[Scalar]]]) -> None:
    for axis, pattern in view.only:
        if axis == BLOCK:
            continue
        names = {str(name): name for grid in grids for name in grid.get(axis, [])}
        if not any(matches(name, pattern) for name in names.values()):
            raise unknown(axis, pattern, names, "(`only` matches nothing)")


def _settings(suite: Suite, block: Block, parts: dict[str, str], tier: str) -> dict[str, Scalar]:
    """The settings that a suite has for one point of a block."""
    facts = {**parts, "tier": tier, "block": block.name, "task": block.task}
    settings = dict(block.settings)
    for rule in suite.when:
        if all(k in facts and fnmatchcase(facts[k], glob) for k, glob in rule.patterns.items()):
            settings.update(rule.set)
    return settings
