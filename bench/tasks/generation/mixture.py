"""Mode collapse on a Gaussian mixture: train a model, count its samples by mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture, from_table
from bench.models.generators import KIND, Order, Trained, sampler, train
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, SamplingTask, Value
from bench.tasks.generation.bounds import Bound
from bench.tasks.generation.settings import (
    Target,
    asked_of,
    describe_model,
    models_for,
    order_of,
    resolve,
)
from bench.tasks.values import facts_of, scored_by, value_of
from generative import DensitySampler, LatentSampler, Sampler
from metrics import METRICS, Score, tally, truth

CURVES = ("modes_covered", "high_quality", "reverse_kl_modes", "forward_kl_modes")
PICTURED_SAMPLES = 2_000
DEFAULTS = {"protocol": "plane", "samples": 10_000, "evaluations": 20}
BOUNDED_EXAMPLES = 1_000
TAKES = ("modes", "density", "likelihood", "latent")


class MixtureTask(SamplingTask):
    """Axes: dataset (a Gaussian mixture) and model (a recipe)."""

    axes = ("dataset", "model")
    takes_mixtures = True

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return models_for("points")
        return [entry.name for entry in DATASETS.entries() if isinstance(entry.part, Mixture)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        mixture = _mixture(parts["dataset"], _freeze(definition))
        target = Target(
            shape=(mixture.dim,),
            fingerprint=mixture.fingerprint,
            defaults=DEFAULTS,
            modules=(__name__,),
            data_modules=_dataset_modules(parts["dataset"], definition),
            takes=TAKES,
            extra={},
            seconds=2e-5,
        )
        return resolve(target, parts["model"], settings)

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, TAKES), "name": name}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        name = cell.part("dataset")
        mixture = _mixture(name, _freeze(cell.definition))
        return {
            "dataset": {
                "summary": mixture.note,
                "papers": [] if cell.definition else [DATASETS[name].paper],
                "modes": mixture.modes,
                "rule": mixture.rule,
                "centres": _flat(mixture.centres).tolist(),
                "widths": mixture.widest.tolist(),
            },
            "model": describe_model(cell),
        }

    def artifact(self, cell: Cell) -> tuple[str, str]:
        return KIND, _order(cell).key(cell.device)

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        drawn = self.fitted(cell, bench).sample(max(n, asked_of(cell, DEFAULTS).samples), rng)
        return drawn[:n].cpu().numpy()

    def fitted(self, cell: Cell, bench: Bench) -> Sampler:
        mixture = _mixture(cell.part("dataset"), _freeze(cell.definition))
        return sampler(_order(cell), mixture.source(cell.seed, bench.device), bench.artifacts)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        mixture = _mixture(cell.part("dataset"), _freeze(cell.definition))
        source = mixture.source(cell.seed, bench.device)
        trained = train(_order(cell), source, bench.artifacts)
        curve = list(_curve(mixture, trained))
        if trained.fitted is None:
            return Measurement(curve, trained.diverged, trained.key)
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        asked = asked_of(cell, DEFAULTS)
        samples = trained.fitted.sample(asked.samples, rng).cpu().numpy()
        if not np.isfinite(samples).all():
            return Measurement(curve, "the final samples are not finite", trained.key)
        scores = _scores(mixture, trained, samples, cell, bench)
        final = [value_of(name, score, trained.total_steps, True) for name, score in scores]
        arrays = {"samples": _flat(samples[:PICTURED_SAMPLES]).astype(np.float32)}
        return Measurement([*curve, *final], "", trained.key, arrays)


def _order(cell: Cell) -> Order:
    return order_of(cell, DEFAULTS, _dataset_modules(cell.part("dataset"), cell.definition))


def _dataset_modules(name: str, definition: dict | None) -> tuple[str, ...]:
    """The modules whose source makes the data."""
    if definition is not None:
        return (Mixture.__module__,)
    entry = DATASETS[name]
    return (entry.origin, type(entry.part).__module__)


def _flat(points: np.ndarray) -> np.ndarray:
    """The first two coordinates, for pictures; 0 for the second where there is none."""
    return np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))


def _scores(
    mixture: Mixture, trained: Trained, samples: np.ndarray, cell: Cell, bench: Bench
) -> Iterable[tuple[str, Score | float]]:
    """Every registered metric that fits what is at hand."""
    counted: dict[tuple[str, int], Any] = {}
    held_out = mixture.sample(
        len(samples), stream("data", mixture.fingerprint, cell.seed, "held-out")
    )
    for entry in scored_by(TAKES):
        facts, fitted = entry.facts, trained.fitted
        if facts.takes == "modes":
            rule, n = facts.rule or mixture.rule, facts.samples or len(samples)
            if (rule, n) not in counted:
                counted[rule, n] = tally(mixture, samples[:n], rule)
            yield entry.name, entry.part(truth(mixture, rule), counted[rule, n])
        elif facts.takes == "latent" and isinstance(fitted, LatentSampler):
            bound = Bound(fitted, bench.device, (cell.cell_id, cell.seed))
            yield entry.name, entry.part(held_out[:BOUNDED_EXAMPLES].numpy(), bound)
        elif mixture.degenerate:
            continue
        elif facts.takes == "density":
            yield entry.name, entry.part(mixture, samples)
        elif facts.takes == "likelihood" and isinstance(fitted, DensitySampler):
            yield entry.name, entry.part(held_out.numpy(), fitted)


def _curve(mixture: Mixture, trained: Trained) -> Iterable[Value]:
    """The scores of the snapshots on the way; none for a model trained in one step."""
    if trained.total_steps == 1:
        return
    real = truth(mixture, mixture.rule)
    for step, snapshot in zip(trained.steps, trained.snapshots, strict=True):
        counts = tally(mixture, snapshot, mixture.rule)
        for name in CURVES:
            yield value_of(name, METRICS[name].part(real, counts), step, False)


@lru_cache(maxsize=256)
def _mixture(name: str, definition: tuple | None) -> Mixture:
    if definition is not None:
        return from_table(dict(definition))
    part = DATASETS[name].part
    if not isinstance(part, Mixture):
        raise UsageError(f"dataset '{name}' is no Gaussian mixture; this task needs one")
    return part


def _freeze(definition: dict | None) -> tuple | None:
    """A definition as a value that can be a key."""

    def deep(value: Any) -> Any:
        return tuple(map(deep, value)) if isinstance(value, list | tuple) else value

    return None if definition is None else tuple((k, deep(v)) for k, v in definition.items())


TASKS.register("mixture")(MixtureTask())
