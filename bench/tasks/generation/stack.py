"""Mode collapse on stacks of real digits: train a model, let a frozen judge read its samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets import DatasetFacts, Source
from bench.datasets.named import entry_named, names_with
from bench.datasets.pixels import to_bytes, to_unit
from bench.datasets.stacks import Stack
from bench.models.generators import Trained
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation.bounds import bounds, held_out_of
from bench.tasks.generation.experiment import Arrays, DrawingExperiment, DrawingTask, Glimpse, Made
from bench.tasks.generation.facts import facts_by_what, modules_of
from bench.tasks.generation.featurescores import (
    OF_FEATURES,
    Named,
    feature_scores,
    names_given,
)
from bench.tasks.generation.journeys import OF_PLAY, TRAJECTORY, sight_of_stacks
from bench.tasks.generation.settings import (
    DrawingSettings,
    Evaluations,
    Target,
    models_for,
    read_settings,
    resolve_drawing,
)
from bench.tasks.values import scored_by
from generative import Sampler
from metrics import JUDGES, METRICS, Judge, StackTally, StackTruth, tally_stacks, truth_of
from metrics.judges.network import CLASSES

STACKS = frozenset({"stacks"})
CURVES = ("off_manifold_digits", "stack_modes_raw", "reverse_kl_stack_raw")
PICTURED_SAMPLES = 64
SAMPLES = 10_000
TAKES = ("stack", "latent", TRAJECTORY, *OF_PLAY, *OF_FEATURES)
SAMPLES_PER_MODE = 26


class StackSettings(DrawingSettings):
    """Of a model of stacks."""

    protocol: str = "small-dcgan"
    evaluations: Evaluations = 4


class StackExperiment(DrawingExperiment[Source, StackSettings]):
    """A model of stacks of digits, and the judge that reads them."""

    kind = StackSettings

    def open_entry(self) -> Entry[Stack, DatasetFacts]:
        return _entry(self.cell.part("dataset"))

    @property
    def stack(self) -> Stack:
        """What it is trained on."""
        return self.entry.part

    @property
    def judge(self) -> Judge:
        """The frozen classifier of its digits."""
        return JUDGES[self.stack.judge].part

    @cached_property
    def truth(self) -> StackTruth:
        """What the judge makes of real stacks."""
        return truth_of(self.judge.card, self.stack.depth)

    def glance(self, snapshot: np.ndarray) -> Glimpse:
        counts, _ = look(self.judge, torch.from_numpy(snapshot))
        tag = f"@{self.judge.tag}"
        scores = [(name, METRICS[name].part(self.truth, counts), tag) for name in CURVES]
        return Glimpse(scores, sight_of_stacks(self.truth, counts), tag)

    def shown(self, trained: Trained[Sampler]) -> Arrays:
        return {}

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        images = to_bytes(made.values)
        counts, features = look(self.judge, images)
        pictured = images[:PICTURED_SAMPLES].cpu().numpy()
        scores = self._scores(fitted, counts, features)
        return scores, {"samples": pictured, "digits": counts.digits}

    def _scores(self, fitted: Sampler, counts: StackTally, features: np.ndarray) -> Iterable[Named]:
        tag, where = self.judge.tag, (self.cell, self.device)
        for entry in scored_by(("stack",)):
            yield entry.name, entry.part(self.truth, counts), f"@{tag}"
        name, seed = self.cell.part("dataset"), self.cell.seed
        real = _reference(self.judge, name, seed, len(features), self.device)
        yield from feature_scores(real, features, tag)
        yield from bounds(held_out_of(self.source, *where), fitted, *where)


def look(judge: Judge, images: torch.Tensor) -> tuple[StackTally, np.ndarray]:
    """Stacks uint8 [n, depth, h, w], counted by what a judge reads in them; and its features of
    them, those of a stack's digits side by side.
    """
    n, depth = images.shape[:2]
    reading = judge.read(to_unit(images.flatten(0, 1))[:, None])
    labels, passed = reading.labels.reshape(n, depth), reading.passed.reshape(n, depth)
    return tally_stacks(labels, passed, CLASSES), reading.features.reshape(n, -1)


@lru_cache(maxsize=4)
def _reference(judge: Judge, name: str, seed: int, n: int, device: str) -> np.ndarray:
    """A judge's features of `n` stacks of training digits, of all the digits where one is a stack:
    what samples are compared with. The oracle's are of held-out digits.
    """
    stack = _entry(name).part
    source = stack.source(seed, device)
    images = source.training if stack.depth == 1 else source.batches().next(n)
    return look(judge, to_bytes(images))[1]


class StackTask(DrawingTask):
    """The dataset is a stack of digits. Scored by default: 10,000 samples, or 26 for each mode, as
    many as VEEGAN's protocol has.
    """

    needs = STACKS
    experiment = StackExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return models_for("images")
        return names_with(self.needs)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        entry = _entry(parts["dataset"])
        stack = entry.part
        judge = JUDGES[stack.judge].part
        judge.verify()
        usual = {"samples": max(SAMPLES, SAMPLES_PER_MODE * stack.modes)}
        asked = read_settings(StackSettings, settings, usual)
        target = Target(
            shape=(stack.depth, *JUDGES[stack.judge].facts.size),
            fingerprint="" if stack.missing else stack.fingerprint,
            modules=(__name__, type(judge).__module__),
            data_modules=modules_of(entry),
            takes=TAKES,
            rests={"judge": judge.tag},
            seconds=2e-4 * stack.depth * asked.samples,
            skip=stack.missing,
        )
        if not stack.missing:
            _refuse_size(parts["dataset"], stack, JUDGES[stack.judge].facts.size)
        usually = StackSettings(samples=usual["samples"])
        found = resolve_drawing(target, parts["model"], asked, usually)
        read = names_given(("stack", TRAJECTORY, *OF_FEATURES), judge.tag)
        return replace(found, gives=frozenset([*read, *names_given(("latent", *OF_PLAY))]))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric; of one that a judge gives, under its name and hash."""
        needs = f"the judge that gives it@{next(iter(JUDGES))}"
        return facts_by_what(
            name, TAKES, ("latent", *OF_PLAY), needs, lambda judge: JUDGES[judge].part.tag
        )

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        entry = _entry(cell.part("dataset"))
        stack = entry.part
        return {
            "summary": entry.summary,
            "papers": [entry.paper],
            "modes": stack.modes,
            "licence": entry.facts.licence,
            "judge": JUDGES[stack.judge].part.tag,
            "images": True,
        }


def _refuse_size(name: str, stack: Stack, wanted: tuple[int, int]) -> None:
    found = stack.load().images.shape[1:]
    if found != wanted:
        raise UsageError(
            f"dataset '{name}' has images of {found[0]} x {found[1]} pixels, but judge "
            f"'{stack.judge}' reads {wanted[0]} x {wanted[1]}: name another judge"
        )


def _entry(name: str) -> Entry[Stack, DatasetFacts]:
    return entry_named(name, STACKS, "task stack")


TASKS.register("stack")(StackTask())
