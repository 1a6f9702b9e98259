"""Samples held against a data set whose modes, or whose density, are known: the scores that a suite
gives a model of it, by the same code, and beside them those of as many real samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import UsageError, unknown
from bench.core.files import user_path
from bench.core.usercode import blamed
from bench.datasets import DATASETS
from bench.datasets.arrayfiles import SUFFIXES
from bench.datasets.arrays import array_of
from bench.datasets.images import shown
from bench.datasets.named import dataset_named, read_typed_name
from bench.datasets.pixels import outside
from bench.models.generatornames import model_of_file
from bench.models.programs import is_script
from bench.models.samplefiles import Drawn as Stored
from bench.models.samplefiles import as_samples, samples_in
from bench.score.drawing import sampler_in
from bench.score.samples import Given
from bench.suites.cell import Cell, id_of
from bench.suites.schema import mixtures_in
from bench.tasks import TASKS, Value
from bench.tasks.generation.experiment import DrawingExperiment, DrawingTask, Made
from bench.tasks.generation.settings import recipe_of
from bench.tasks.values import value_of
from generative import RECIPES, Sampler, Training
from generative.recipes.given import Code
from generative.recipes.ready import Ready

LEAST, MOST = 100, 10_000_000
ORACLE = "oracle"
MIXTURES = frozenset({"points", "modes"})
FORMS = (
    "an .npy, .npz, .pt or .csv file of samples, a folder of images, TorchScript of codes, weights "
    "of a model (MODEL:x.safetensors), or module:callable"
)


@dataclass(frozen=True)
class Target:
    """A data set by name, the task that scores models of it, what it offers, and its table where a
    file has it.
    """

    dataset: str
    task: str
    offers: frozenset[str]
    definition: dict[str, Any] | None = None

    def cell(self, model: str, n: int | None, seed: int, device: str) -> Cell:
        """The cell of a suite that scores `n` samples of a model, the task's usual number for None,
        under the name that it has there.
        """
        parts = {"dataset": self.dataset, "model": model}
        told = {} if n is None else {"samples": n}
        found = TASKS[self.task].part.resolve(parts, told, self.definition)
        if found.skip:
            raise UsageError(found.skip)
        return Cell(
            block="",
            task=self.task,
            parts=parts,
            settings=found.settings,
            seed=seed,
            cell_id=id_of(self.task, parts, found.differing),
            key="",
            fingerprint=found.fingerprint,
            code="",
            device=device,
            definition=self.definition,
        )

    def experiment(self, cell: Cell) -> DrawingExperiment[Any, Any]:
        """A cell at its place of work."""
        task = TASKS[self.task].part
        assert isinstance(task, DrawingTask)
        return task.experiment(cell, cell.device)


@dataclass(frozen=True)
class Known:
    """What was found. floor: the scores of as many real samples, by the metrics' names. cell: whose
    scores these would be in a suite. n: how many samples were scored.
    """

    target: Target
    values: Sequence[Value]
    floor: Mapping[str, Value]
    cell: Cell
    fake: str
    n: int
    modes: int


def target_of(given: Given) -> Target | None:
    """What REAL stands for, where it is a data set whose models a suite scores by their modes or
    their density; None for everything else. Raises UsageError for a mixture that is not there.
    """
    if not isinstance(given, str):
        return None
    path, _, name = given.rpartition(":") if ".toml:" in given else (given, "", "")
    if path.endswith(".toml"):
        return _of_file(path, name)
    if given not in DATASETS and (":" not in given or "/" in given):
        return None
    place = read_typed_name(given)
    if place.kind not in ("registered", "users") or place.side:
        return None
    offers = dataset_named(given, (), "a score").offers
    if "images" in offers:
        return None
    task = "stack" if "stacks" in offers else "mixture" if "points" in offers else ""
    return Target(given, task, offers) if task else None


def _of_file(path: str, name: str) -> Target:
    found = {mixture.name: mixture for mixture in mixtures_in(path)}
    if not found:
        raise UsageError(f"{shown(path)} has no [[mixture]]: expected one at least")
    if not name and len(found) != 1:
        raise UsageError(
            f"{shown(path)} has {len(found)} mixtures: expected {path}:NAME, of {', '.join(found)}"
        )
    chosen = name or next(iter(found))
    if chosen not in found:
        raise unknown("mixture", chosen, found, f"({shown(path)})")
    return Target(chosen, "mixture", MIXTURES, found[chosen].model_dump())


def score_known(
    target: Target, fake: Given, seed: int, device: str, metrics: Sequence[str] = ()
) -> Known:
    """The scores of samples, of a function or of a model in a file; inside `guarded`. metrics:
    which, all where none is named. Raises UsageError for what can't be used.
    """
    usual = target.experiment(target.cell(ORACLE, None, seed, device))
    drawn = _drawn(target, fake, usual)
    n = len(drawn.samples)
    if not LEAST <= n <= MOST:
        raise UsageError(f"FAKE {_name_of(fake)} has {n:,} samples: expected {LEAST} to {MOST:,}")
    reals = target.experiment(target.cell(ORACLE, n, seed, device))
    working = drawn.experiment or reals
    values = _values(working, drawn.fitted, drawn.samples)
    oracle = _oracle(reals)
    floor = _values(reals, oracle, reals.make(oracle).values)
    return Known(
        target,
        _chosen(values, metrics),
        {value.metric: value for value in floor},
        working.cell,
        _name_of(fake),
        n,
        int(getattr(usual.entry.part, "modes", 0) or 0),
    )


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is scored, what drew it, and the cell of the model that did; None for samples alone."""

    samples: Tensor
    fitted: Sampler
    experiment: DrawingExperiment[Any, Any] | None = None


class Gone(Sampler):
    """What drew samples that are all there is."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        raise UsageError("no more samples can be drawn: expected those that were given")

    def tensors(self) -> dict[str, Tensor]:
        return {}


def _drawn(target: Target, fake: Given, usual: DrawingExperiment[Any, Any]) -> Drawn:
    """As many samples as a file or an array has; of what draws them, the usual number."""
    cell, shape = usual.cell, usual.source.shape
    if not isinstance(fake, str | Path):
        function = sampler_in(fake)
        if function is None:
            return Drawn(as_samples(array_of(fake, "FAKE"), shape, "FAKE").to(cell.device), Gone())
        with blamed(f"FAKE {_name_of(fake)}"):
            given = Code(function).load(Training(), usual.source, cell.seed)
            return Drawn(usual.make(given).values, given)
    part = _model(str(fake))
    if isinstance(part, Stored):
        return Drawn(samples_in(part.place(cell.seed), shape).to(cell.device), Gone())
    named = target.experiment(target.cell(str(fake), None, cell.seed, cell.device))
    with blamed(f"FAKE {_name_of(fake)}"):
        fitted = part.load(named.asked.training(), named.source, cell.seed)
        return Drawn(named.make(fitted).values, fitted, named)


def _model(name: str) -> Ready:
    """The model of a name: code, a program, weights, or samples that were drawn before."""
    path = user_path(name)
    scripted = path.suffix.lower() in (".pt", ".ts") and path.is_file() and is_script(path)
    entry = None if path.suffix.lower() in SUFFIXES and not scripted else model_of_file(name)
    if entry is not None and isinstance(entry.part, Ready):
        return entry.part
    if entry is None and not path.exists() and sampler_in(name) is not None:
        part = recipe_of(name).part
        assert isinstance(part, Ready)
        return part
    if not path.exists():
        raise UsageError(f"FAKE: {shown(name)} is not there: expected {FORMS}")
    return Stored(name, SUFFIXES)


def _oracle(at_work: DrawingExperiment[Any, Any]) -> Sampler:
    """Fresh real samples."""
    trainer = RECIPES[ORACLE].part.trainer(at_work.asked.training(), at_work.source.shape)
    found = trainer.finish(trainer.start(at_work.source, at_work.stream("oracle")))
    assert isinstance(found, Sampler)
    return found


def _values(at_work: DrawingExperiment[Any, Any], fitted: Sampler, samples: Tensor) -> list[Value]:
    """Every score that a suite gives."""
    if not bool(torch.isfinite(samples).all()):
        raise UsageError("FAKE: some samples are not finite: expected numbers")
    if at_work.source.box is not None and (wrong := outside(samples)):
        raise UsageError(f"FAKE: {wrong}")
    scores, _ = at_work.score(fitted, Made(samples))
    return [value_of(name, score, suffix=suffix) for name, score, suffix in scores]


def _chosen(values: Sequence[Value], metrics: Sequence[str]) -> list[Value]:
    """Those that are asked for, by their names with or without what they rest on."""
    if not metrics:
        return list(values)
    found = []
    for name in metrics:
        own = [v for v in values if name in (v.metric, *_shorter(v.metric))]
        if not own:
            known = dict.fromkeys(v.metric.partition("@")[0] for v in values)
            raise unknown("metric", name, known, "(of this data set)")
        found += own
    return found


def _shorter(metric: str) -> tuple[str, str]:
    return metric.partition("@")[0], metric.partition(":")[0]


def _name_of(fake: Given) -> str:
    if isinstance(fake, str | Path):
        return shown(fake)
    return getattr(fake, "__name__", type(fake).__name__)
