"""From a suite and a view of it to cells that are ready to run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import comb
from pathlib import Path
from typing import Any

from attacks import ATTACKS
from attacks.certificates import CERTIFICATES
from bench.core.digests import digest_of
from bench.core.errors import UnknownError, UsageError, nearest, unknown
from bench.core.files import user_path
from bench.datasets import DATASETS
from bench.datasets.named import fits
from bench.run.labels import named_shortly
from bench.run.measurable import with_measurable
from bench.run.shards import Shard
from bench.run.unfit import Resolving, refuse_all_unfit
from bench.suites.cell import Cell, cell_table, id_of
from bench.suites.grid import ALIKE, Choice, View, choices
from bench.suites.schema import Block, Suite
from bench.tasks import TASKS, Resolved, SamplingTask, Task
from bench.tasks.robustness.settings import settings_of
from generative import RECIPES
from generative.recipes.playing import Parted
from results import claims, published
from results.provenance import environment
from results.rows import RADIUS


@dataclass(frozen=True)
class Plan:
    """A suite, what is asked of it, and its cells in the order of the tables.

    Two blocks may ask for the same cell: it stands in both and is measured once.
    """

    suite: Suite
    view: View
    cells: list[Cell]
    device: str

    def unique(self) -> dict[str, Cell]:
        """Each measurement once, by key."""
        return {cell.key: cell for cell in reversed(self.cells)}

    def manifest(self) -> dict[str, Any]:
        """All that tables, gates and a reader need to know before the first cell is done."""
        blocks = [b for b in self.suite.block if any(c.block == b.name for c in self.cells)]
        metrics, parts = {}, {}
        for block in blocks:
            task = _task(block.task)
            for name in (*block.metrics, *block.primary):
                facts = task.metric_facts(name)
                metrics[facts.get("name", name)] = facts
        described: set[tuple[str, ...]] = set()
        for cell in self.cells:
            point = (cell.task, *cell.parts.values())
            if point not in described:
                described.add(point)
                for axis, facts in _task(cell.task).describe(cell).items():
                    parts.setdefault(axis, {})[cell.part(axis)] = facts
        return {
            "suite": self.suite.name,
            "title": self.suite.title,
            "tier": self.view.tier,
            "seeds": list(self.view.seeds),
            "device": self.device,
            "blocks": [_block_table(b) for b in blocks],
            "metrics": metrics,
            "parts": parts,
            "imports": list(self.suite.imports),
            "mixtures": {mixture.name: mixture.model_dump() for mixture in self.suite.mixture},
            "cells": [cell_table(cell) for cell in self.cells],
            "environment": environment(),
        }


def _block_table(block: Block) -> dict[str, Any]:
    """What tables need of a block; its metrics by the names that the rows have."""
    kept = {"name", "task", "published", "epsilons", "claims"}
    task, table = _task(block.task), block.model_dump(include=kept)
    if task.strength != RADIUS:
        table["strength"] = task.strength
    for kind in ("metrics", "primary"):
        names = getattr(block, kind)
        table[kind] = [task.metric_facts(name).get("name", name) for name in names]
    return table


def view_of(
    suite: Suite,
    tier: str | None = None,
    seeds: tuple[int, ...] | None = None,
    only: Iterable[tuple[str, str]] = (),
    grid: Iterable[tuple[str, tuple[str, ...]]] = (),
    set: Iterable[tuple[str, Any]] = (),
    ensemble: bool = False,
) -> View:
    """A view with the tier's defaults filled in. Raises UsageError for an unknown tier."""
    chosen = tier or suite.default_tier
    if chosen not in suite.tiers:
        raise unknown("tier", chosen, suite.tiers, f"(suite {suite.name})")
    count = suite.tiers[chosen].seeds
    numbers = seeds if seeds is not None else tuple(range(count))
    return View(chosen, numbers, tuple(only), tuple(grid), tuple(set), ensemble)


def make_plan(suite: Suite, view: View, device: str = "cpu") -> Plan:
    """Resolve every cell. Raises UsageError for a part, metric or setting that is not known, and
    for parts that do not go together, unless `*` stood for one of them: that cell is skipped. Where
    the command names models or data, and none goes with any, that is an error, too.
    """
    _check_names(suite)
    definitions = {mixture.name: mixture.model_dump() for mixture in suite.mixture}
    asked = [name for axis, names in view.grid if axis == "dataset" for name in names]
    every = {b.task: _every(_task(b.task), definitions, asked) for b in suite.block}
    points = [*choices(suite, view, every)]
    _load_models(points)
    _refuse_clashes(suite)
    if foreign := _foreign(points, {axis for axis, _ in view.grid}):
        points = [*choices(suite, view, every, foreign)]
    resolve, resolved = Resolving(), dict[tuple[str, ...], Resolved]()
    cells: dict[tuple[str, str], Cell] = {}
    for choice in (_beside(choice, view) for choice in points):
        definition = definitions.get(choice.parts.get("dataset", ""))
        point = (choice.block.name, *choice.parts.values(), *map(repr, choice.swept.items()))
        if point not in resolved:
            resolved[point] = resolve(_task(choice.block.task), choice, definition)
        if resolved[point].once and choice.seed != view.seeds[0]:
            continue
        _refuse_beside(choice.seed, resolved[point])
        cell = _cell(choice, resolved[point], definition, device)
        cells.setdefault((cell.block, cell.key), cell)
    resolve.refuse()
    by_name = any("*" not in names for axis, names in view.grid if axis in ("dataset", "model"))
    refuse_all_unfit(resolved.values(), by_name)
    if not cells:
        raise UsageError(
            f"suite {suite.name} has no cells at tier {view.tier} for what was asked: choose "
            "another tier, or other names"
        )
    ready = named_shortly(cells.values())
    return Plan(with_measurable(suite, view, resolved), view, ready, device)


def _beside(choice: Choice, view: View) -> Choice:
    """With all seeds trained side by side, where that is asked for and the task can have it."""
    if not view.ensemble or len(view.seeds) < 2 or not _task(choice.block.task).ensembles:
        return choice
    seeds = ",".join(map(str, view.seeds))
    return replace(choice, settings={"ensemble": seeds, **choice.settings})


def _refuse_beside(seed: int, resolved: Resolved) -> None:
    """Raise UsageError where seeds are trained side by side, and this one is not among them."""
    told = resolved.settings.get("ensemble", "")
    if told and str(seed) not in told.split(","):
        raise UsageError(f"`ensemble`: expected seeds among which is {seed}, got {told}")


def _load_models(points: Iterable[Choice]) -> None:
    """Let every model of the user's register what it brings, so that a grid shares its settings;
    what can't be loaded says so where its cells are resolved.
    """
    for name, task in dict.fromkeys((c.parts.get("model", ""), c.block.task) for c in points):
        if name not in RECIPES and isinstance(_task(task), SamplingTask):
            with suppress(UsageError):
                RECIPES[name]


def _foreign(points: Iterable[Choice], asked: Iterable[str]) -> set[tuple[str, str]]:
    """The settings of `asked` that a block's task does not know, with the block's name. Raises
    UsageError for one that no block's does.
    """
    firsts: dict[str, Choice] = {}
    for choice in points:
        firsts.setdefault(choice.block.name, choice)
    found: set[tuple[str, str]] = set()
    for axis in asked:
        swept = [choice for choice in firsts.values() if axis in choice.swept]
        errors = {choice.block.name: error for choice in swept if (error := _unknown(choice, axis))}
        if errors and len(errors) == len(swept):
            raise unknown("setting", axis, {name for e in errors.values() for name in e.known})
        found |= {(block, axis) for block in errors}
    return found


def _unknown(choice: Choice, axis: str) -> UnknownError | None:
    """What a task says of a setting that it does not know."""
    try:
        _task(choice.block.task).resolve(choice.parts, {axis: choice.swept[axis]}, None)
    except UnknownError as error:
        return error if error.name == axis else None
    except UsageError:
        return None
    return None


def _refuse_clashes(suite: Suite) -> None:
    """Raise UsageError for a setting of some part that has the name of an axis: a grid that names
    it could mean both.
    """
    tasks = {axis: block.task for block in suite.block for axis in _task(block.task).axes}
    for kind, name, settings in _own_settings():
        for axis in set(settings) & set(tasks):
            raise UsageError(
                f"'{axis}' is an axis of task {tasks[axis]} and a setting of {kind} '{name}': give "
                "that setting another name"
            )


def _own_settings() -> Iterator[tuple[str, str, Iterable[str]]]:
    """Kind and name of every part that brings settings, and their names."""
    for entry in (*RECIPES.entries(), *RECIPES.brought()):
        if isinstance(entry.part, Parted):
            yield "model", entry.name, entry.part.own()
    for attack in (*ATTACKS.entries(), *ATTACKS.brought()):
        yield "attack", attack.name, settings_of(attack.part)
    for certificate in (*CERTIFICATES.entries(), *CERTIFICATES.brought()):
        yield "certificate", certificate.name, settings_of(certificate.part)


def _every(task: Task, definitions: Iterable[str], asked: Iterable[str]) -> dict[str, list[str]]:
    """What `*` stands for on each axis of a task; the suite's own mixtures are data sets, and those
    that were asked for by a name of the user's where they offer what the task needs.
    """
    every = {axis: task.every(axis) for axis in task.axes}
    if "dataset" in every:
        own = [name for name in asked if name not in DATASETS and fits(name, task.needs)]
        every["dataset"] += [*(definitions if task.takes_mixtures else ()), *own]
    return every


def _task(name: str) -> Task:
    return TASKS[name].part


def _check_names(suite: Suite) -> None:
    for block in suite.block:
        task = _task(block.task)
        if not isinstance(task, Task):
            raise UsageError(f"'{block.task}' is no task: expected an instance of bench.tasks.Task")
        _check_axes(block, task, [_task(other.task) for other in suite.block])
        for metric in [*block.metrics, *block.primary]:
            task.metric_facts(metric)
        for table in block.published:
            if table not in published.names():
                raise unknown("published table", table, published.names(), f"(block {block.name})")
        for name in block.claims:
            if name not in claims.names():
                raise unknown("claims", name, claims.names(), f"(block {block.name})")


def _check_axes(block: Block, task: Task, tasks: Sequence[Task]) -> None:
    """Raise UsageError for an axis without names, and for a word that was meant to be one. tasks:
    those of the whole suite.
    """
    for axis, values in block.grid.items():
        if axis not in task.axes and not values:
            raise UsageError(f"block {block.name}: grid.{axis}: expected at least one value")
        if axis in task.axes:
            if not all(isinstance(value, str) for value in values):
                raise UsageError(f"block {block.name}: grid.{axis}: expected names, got {values}")
        elif any(axis in other.axes for other in tasks):
            raise UsageError(
                f"block {block.name}: grid.{axis}: task {block.task} has no such axis, and what is "
                "an axis of another task in the suite is no setting to vary"
            )
        elif guess := nearest(axis, task.axes, ALIKE):
            raise UsageError(f"unknown axis '{axis}': did you mean '{guess}'? (block {block.name})")
    missing = [axis for axis in task.axes if not block.grid.get(axis)]
    if missing:
        raise UsageError(f"block {block.name}: the grid needs at least one {missing[0]}")


def _cell(choice: Choice, resolved: Resolved, definition: dict | None, device: str) -> Cell:
    parts = {axis: choice.parts[axis] for axis in _task(choice.block.task).axes}
    own = None if resolved.by_seed is None else resolved.by_seed.get(choice.seed, "")
    brought = (*resolved.brought, *([own] if own else []))
    lacking = f"model '{parts.get('model')}' has no file for seed {choice.seed}" * (own == "")
    identity = {
        "task": choice.block.task,
        "parts": parts,
        "settings": resolved.settings,
        "seed": choice.seed,
        "dataset": resolved.fingerprint,
        "device": device,
        "dtype": "float32",
        **({"brought": brought} if brought else {}),
    }
    return Cell(
        block=choice.block.name,
        task=choice.block.task,
        parts=parts,
        settings=resolved.settings,
        seed=choice.seed,
        cell_id=id_of(choice.block.task, parts, resolved.differing),
        key=hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
        fingerprint=resolved.fingerprint,
        code=digest_of(resolved.modules),
        device=device,
        definition=definition,
        seconds=resolved.seconds,
        skip=resolved.skip or lacking,
        swept={k: resolved.settings[k] for k in choice.swept if k in resolved.settings},
        unread=() if resolved.skip else _unread(choice, resolved),
        brought=brought,
        note=resolved.note,
    )


def _unread(choice: Choice, resolved: Resolved) -> tuple[str, ...]:
    """What the grid varies and this point does not read."""
    return tuple(name for name in choice.swept if name not in resolved.settings)


def smallest_p(seeds: int) -> float:
    """The smallest two-sided p-value a Mann-Whitney test of n against n seeds can give."""
    return min(1.0, 2 / comb(2 * seeds, seeds))


def folder_of(suite: Suite, tier: str, out: str | Path | None, part: Shard | None = None) -> Path:
    """Where a run lives: `out`, or runs/<suite>/<tier>, a part of it beside it. Raises UsageError
    for an empty name.
    """
    if out is not None and not str(out).strip():
        raise UsageError("`out`: the name is empty: expected a folder's")
    return (
        user_path(out)
        if out
        else Path("runs") / suite.name / (tier + (part.suffix if part else ""))
    )
