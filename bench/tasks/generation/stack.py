"""Mode collapse on stacks of real digits: train a model, let a frozen judge read its samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.datasets.pixels import outside, to_bytes, to_unit
from bench.datasets.stacks import Stack
from bench.models.generators import KIND, Order, Trained, sampler, train
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, SamplingTask, Value
from bench.tasks.generation.bounds import bounds
from bench.tasks.generation.featurescores import OF_FEATURES, feature_scores
from bench.tasks.generation.settings import (
    Target,
    asked_of,
    describe_model,
    models_for,
    order_of,
    resolve,
)
from bench.tasks.values import facts_of, scored_by, value_of
from generative import Sampler
from metrics import JUDGES, METRICS, Judge, Score, StackTally, tally_stacks, truth_of
from metrics.judges.network import CLASSES

CURVES = ("off_manifold_digits", "stack_modes_raw", "reverse_kl_stack_raw")
PICTURED_SAMPLES = 64
SAMPLES = 10_000
TAKES = ("stack", "latent", *OF_FEATURES)
SAMPLES_PER_MODE = 26


class StackTask(SamplingTask):
    """Axes: dataset (a stack of digits) and model (a recipe). Scored by default: 10,000 samples,
    or 26 for each mode, as many as VEEGAN's protocol has.
    """

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return models_for("images")
        return [entry.name for entry in DATASETS.entries() if isinstance(entry.part, Stack)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        stack = _stack(parts["dataset"])
        judge = JUDGES[stack.judge].part
        judge.verify()
        missing = stack.missing
        target = Target(
            shape=(stack.depth, *JUDGES[stack.judge].facts.size),
            fingerprint="" if missing else stack.fingerprint,
            defaults=_defaults(stack),
            modules=(__name__, type(judge).__module__),
            data_modules=_dataset_modules(parts["dataset"]),
            takes=TAKES,
            extra={"judge": judge.tag},
            seconds=2e-4 * stack.depth,
            skip=missing,
        )
        if not missing:
            _refuse_size(parts["dataset"], stack, target.shape)
        return resolve(target, parts["model"], settings)

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric; of one that a judge gives, under its name and hash."""
        known, _, judge = name.partition("@")
        facts = facts_of(known, TAKES)
        if facts["takes"] == "latent":
            return {**facts_of(name, ("latent",)), "name": name}
        if not judge:
            example = f"{known}@{next(iter(JUDGES))}"
            raise UsageError(f"metric '{known}' needs the judge that gives it, such as {example}")
        return {**facts, "name": f"{known}@{JUDGES[judge.partition(':')[0]].part.tag}"}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        name = cell.part("dataset")
        entry, stack = DATASETS[name], _stack(name)
        return {
            "dataset": {
                "summary": entry.summary,
                "papers": [entry.paper],
                "modes": stack.modes,
                "licence": entry.facts.licence,
                "judge": JUDGES[stack.judge].part.tag,
                "images": True,
            },
            "model": describe_model(cell),
        }

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None if cell.skip else (KIND, _order(cell).key(cell.device))

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        stack = _stack(cell.part("dataset"))
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        scored = max(n, asked_of(cell, _defaults(stack)).samples)
        drawn = self.fitted(cell, bench).sample(scored, rng)[:n]
        return to_bytes(drawn).cpu().numpy()

    def fitted(self, cell: Cell, bench: Bench) -> Sampler:
        source = _stack(cell.part("dataset")).source(cell.seed, bench.device)
        return sampler(_order(cell), source, bench.artifacts)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        stack = _stack(cell.part("dataset"))
        judge, source = JUDGES[stack.judge].part, stack.source(cell.seed, bench.device)
        trained = train(_order(cell), source, bench.artifacts)
        curve = list(_curve(judge, stack, trained))
        if trained.fitted is None:
            return Measurement(curve, trained.diverged, trained.key)
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        samples = trained.fitted.sample(asked_of(cell, _defaults(stack)).samples, rng)
        if not bool(torch.isfinite(samples).all()):
            return Measurement(curve, "the final samples are not finite", trained.key)
        if wrong := outside(samples):
            return Measurement([], artifact_key=trained.key, invalid=wrong)
        images = to_bytes(samples)
        counts, features = look(judge, images)
        real = _reference(judge, cell.part("dataset"), cell.seed, len(images), bench.device)
        scores = [
            *_judged(judge, stack, counts),
            *((name, score, f"@{judge.tag}") for name, score in feature_scores(real, features)),
            *bounds(source, trained.fitted, cell, bench.device),
        ]
        final = [value_of(n, s, trained.total_steps, True, suffix) for n, s, suffix in scores]
        arrays = {"samples": images[:PICTURED_SAMPLES].cpu().numpy(), "digits": counts.digits}
        return Measurement([*curve, *final], "", trained.key, arrays)


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
    stack = _stack(name)
    source = stack.source(seed, device)
    images = source.training if stack.depth == 1 else source.batches().next(n)
    return look(judge, to_bytes(images))[1]


def _defaults(stack: Stack) -> dict[str, Any]:
    samples = max(SAMPLES, SAMPLES_PER_MODE * stack.modes)
    return {"protocol": "small-dcgan", "samples": samples, "evaluations": 4}


def _order(cell: Cell) -> Order:
    name = cell.part("dataset")
    return order_of(cell, _defaults(_stack(name)), _dataset_modules(name))


def _dataset_modules(name: str) -> tuple[str, ...]:
    """The modules whose source makes the data."""
    entry = DATASETS[name]
    return (entry.origin, type(entry.part).__module__)


def _refuse_size(name: str, stack: Stack, wanted: tuple[int, ...]) -> None:
    found = (stack.depth, *stack.load().images.shape[1:])
    if found != wanted:
        raise UsageError(
            f"dataset '{name}' has images of {found[1]} x {found[2]} pixels, but judge "
            f"'{stack.judge}' reads {wanted[1]} x {wanted[2]}: name another judge"
        )


def _stack(name: str) -> Stack:
    part = DATASETS[name].part
    if not isinstance(part, Stack):
        raise UsageError(f"dataset '{name}' is no stack of digits; this task needs one")
    return part


def _judged(
    judge: Judge, stack: Stack, counts: StackTally
) -> Iterable[tuple[str, Score | float, str]]:
    real = truth_of(judge.card, stack.depth)
    for entry in scored_by(("stack",)):
        yield entry.name, entry.part(real, counts), f"@{judge.tag}"


def _curve(judge: Judge, stack: Stack, trained: Trained) -> Iterable[Value]:
    """The scores of the snapshots on the way; none for a model trained in one step."""
    if trained.total_steps == 1:
        return
    real = truth_of(judge.card, stack.depth)
    for step, snapshot in zip(trained.steps, trained.snapshots, strict=True):
        counts, _ = look(judge, torch.from_numpy(snapshot))
        for name in CURVES:
            score = METRICS[name].part(real, counts)
            yield value_of(name, score, step, False, f"@{judge.tag}")


TASKS.register("stack")(StackTask())
