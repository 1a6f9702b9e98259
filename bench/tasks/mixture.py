"""Mode collapse on a Gaussian mixture: train a model, count its samples by mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture
from bench.errors import UsageError, one_line, unknown
from bench.randomness import stream
from bench.registry import Entry
from bench.suite import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task, Value
from bench.tasks.training import KIND, Order, Trained, train
from generative import (
    LOSSES,
    PROTOCOLS,
    RECIPES,
    DensitySampler,
    Protocol,
    Recipe,
    RecipeFacts,
    Training,
)
from metrics import METRICS, RULES, Score, tally, truth
from metrics.contracts import MetricFacts

CURVES = ("modes_covered", "high_quality", "reverse_kl_modes", "forward_kl_modes")
PICTURED_SAMPLES = 2_000


class MixtureSettings(BaseModel):
    """The settings of a mixture cell; None means what the protocol says.

    protocol: networks and optimisers of a GAN. samples: how many are scored. evaluations: how
    many times a training is looked at on the way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    protocol: str = "plane"
    steps: int | None = Field(default=None, ge=1, le=10_000_000)
    batch: int | None = Field(default=None, ge=2, le=1_000_000)
    critic_steps: int | None = Field(default=None, ge=1, le=1_000)
    generator_lr: float | None = Field(default=None, gt=0, le=1e6)
    critic_lr: float | None = Field(default=None, gt=0, le=1e6)
    samples: int = Field(default=10_000, ge=100, le=10_000_000)
    evaluations: int = Field(default=20, ge=1, le=1_000)

    def training(self) -> Training:
        return Training(
            self.protocol,
            self.steps,
            self.batch,
            self.critic_steps,
            self.generator_lr,
            self.critic_lr,
        )


class MixtureTask(Task):
    """Axes: dataset (a Gaussian mixture) and model (a recipe)."""

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return list(RECIPES)
        return [entry.name for entry in DATASETS.entries() if isinstance(entry.part, Mixture)]

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        mixture = _mixture(parts["dataset"], _freeze(definition))
        asked = _settings(settings)
        recipe, training = _recipe(parts["model"]), asked.training()
        try:
            relevant = recipe.part.relevant(training)
            several_steps = recipe.part.trainer(training, (mixture.dim,)).steps > 1
        except UsageError:
            raise
        except Exception as error:
            name, text = parts["model"], one_line(repr(error), 150)
            raise UsageError(f"model '{name}' can't be set up: {text}") from error
        resolved = {**relevant, "samples": asked.samples}
        if several_steps:
            resolved["evaluations"] = asked.evaluations
        return Resolved(
            settings=resolved,
            differing=_differing(asked, resolved, recipe.part),
            fingerprint=mixture.fingerprint,
            modules=(
                __name__,
                recipe.origin,
                *recipe.part.modules(training),
                *_dataset_modules(parts["dataset"], definition),
                *(entry.origin for entry in METRICS.entries()),
            ),
            seconds=recipe.part.seconds(training) + asked.samples * 2e-5,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        entry = METRICS[name]
        return {**vars(entry.facts), "paper": entry.paper, "name": name}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        name = cell.part("dataset")
        mixture, recipe = _mixture(name, _freeze(cell.definition)), _recipe(cell.part("model"))
        papers = [recipe.paper, *(LOSSES[loss].paper for loss in recipe.facts.parts)]
        if "protocol" in cell.settings:
            papers.append(PROTOCOLS[cell.settings["protocol"]].paper)
        return {
            "dataset": {
                "summary": mixture.note,
                "papers": [] if cell.definition else [DATASETS[name].paper],
                "modes": mixture.modes,
                "rule": mixture.rule,
                "centres": _flat(mixture.centres).tolist(),
                "widths": mixture.widest.tolist(),
            },
            "model": {"role": recipe.facts.role, "summary": recipe.summary, "papers": papers},
        }

    def artifact(self, cell: Cell) -> tuple[str, str]:
        return KIND, _order(cell).key(cell.device)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        mixture = _mixture(cell.part("dataset"), _freeze(cell.definition))
        source = mixture.source(cell.seed, bench.device)
        settings = _asked(cell)
        trained = train(_order(cell), source, bench.artifacts)
        curve = list(_curve(mixture, trained))
        if trained.fitted is None:
            return Measurement(curve, trained.diverged, trained.key)
        rng = stream(cell.cell_id, cell.seed, "samples", device=bench.device)
        samples = trained.fitted.sample(settings.samples, rng).cpu().numpy()
        if not np.isfinite(samples).all():
            return Measurement(curve, "the final samples are not finite", trained.key)
        scores = _scores(mixture, trained, samples, cell.seed)
        final = [_value(name, score, trained.total_steps, True) for name, score in scores]
        arrays = {"samples": _flat(samples[:PICTURED_SAMPLES]).astype(np.float32)}
        return Measurement([*curve, *final], "", trained.key, arrays)


def _order(cell: Cell) -> Order:
    asked = _asked(cell)
    return Order(
        cell.part("model"),
        asked.training(),
        cell.fingerprint,
        cell.seed,
        asked.evaluations,
        _dataset_modules(cell.part("dataset"), cell.definition),
    )


def _asked(cell: Cell) -> MixtureSettings:
    """The settings of a cell that are the task's; a recipe may have resolved others of its own."""
    known = MixtureSettings.model_fields
    return MixtureSettings(**{name: v for name, v in cell.settings.items() if name in known})


def _recipe(name: str) -> Entry[Recipe, RecipeFacts]:
    entry = RECIPES[name]
    if not isinstance(entry.part, Recipe):
        kind = type(entry.part).__name__
        raise UsageError(f"model '{name}' is a {kind}: expected an instance of generative.Recipe")
    return entry


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
    mixture: Mixture, trained: Trained, samples: np.ndarray, seed: int
) -> Iterable[tuple[str, Score | float]]:
    """Every registered metric that fits what is at hand."""
    counted: dict[tuple[str, int], Any] = {}
    for entry in METRICS.entries():
        facts = entry.facts
        if facts.takes == "modes":
            rule, n = facts.rule or mixture.rule, facts.samples or len(samples)
            if (rule, n) not in counted:
                counted[rule, n] = tally(mixture, samples[:n], rule)
            yield entry.name, entry.part(truth(mixture, rule), counted[rule, n])
        elif facts.takes == "density" and not mixture.degenerate:
            yield entry.name, entry.part(mixture, samples)
        elif (
            facts.takes == "likelihood"
            and isinstance(trained.fitted, DensitySampler)
            and not mixture.degenerate
        ):
            rng = stream("data", mixture.fingerprint, seed, "held-out")
            yield entry.name, entry.part(mixture.sample(len(samples), rng).numpy(), trained.fitted)


def _curve(mixture: Mixture, trained: Trained) -> Iterable[Value]:
    """The scores of the snapshots on the way; none for a model trained in one step."""
    if trained.total_steps == 1:
        return
    real = truth(mixture, mixture.rule)
    for step, snapshot in zip(trained.steps, trained.snapshots, strict=True):
        counts = tally(mixture, snapshot, mixture.rule)
        for name in CURVES:
            yield _value(name, METRICS[name].part(real, counts), step, False)


def _value(name: str, score: Score | float, step: int, final: bool) -> Value:
    facts: MetricFacts = METRICS[name].facts
    value, std_error, n = score if isinstance(score, Score) else (float(score), None, None)
    return Value(
        name, value, std_error, n, step, final, direction=facts.direction, version=facts.version
    )


def _settings(settings: Mapping[str, Any]) -> MixtureSettings:
    try:
        asked = MixtureSettings(**settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise unknown("setting", name, MixtureSettings.model_fields) from None
        got = one_line(repr(first["input"]), 60)
        raise UsageError(f"setting '{name}': {first['msg'].lower()}, got {got}") from None
    if not isinstance(PROTOCOLS[asked.protocol].part, Protocol):
        raise UsageError(f"protocol '{asked.protocol}' is none: expected a generative.Protocol")
    return asked


def _differing(asked: MixtureSettings, resolved: dict[str, Any], recipe: Any) -> dict[str, Any]:
    """The settings that name a cell: those that matter and are not the default's."""
    defaults = {
        **MixtureSettings().model_dump(),
        **recipe.relevant(Training(asked.protocol)),
        "protocol": MixtureSettings().protocol,
    }
    return {key: value for key, value in resolved.items() if defaults.get(key) != value}


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


def from_table(table: dict[str, Any]) -> Mixture:
    """A mixture from a suite's [[mixture]] table. Raises UsageError where it is none."""
    if table["rule"] not in RULES:
        raise unknown("rule", table["rule"], RULES, f"(mixture '{table['name']}')")
    dim = len(table["centres"][0]) if table["centres"] else 0
    covariances = [_covariance(value, dim) for value in table["covariances"]]
    full = any(isinstance(value[0], list) for value in covariances if value)
    return Mixture(
        table["name"],
        np.array(table["centres"], dtype=object),
        np.array([_matrix(c) if full else c for c in covariances], dtype=object),
        np.array(table["weights"] or [1.0] * len(table["centres"])),
        rule=table["rule"],
        training_points=table["training_points"] or None,
    )


def _covariance(value: Any, dim: int) -> list:
    if isinstance(value, int | float):
        return [float(value)] * dim
    return [list(row) if isinstance(row, list | tuple) else row for row in value]


def _matrix(value: list) -> list:
    if value and isinstance(value[0], list):
        return value
    return np.diag(value).tolist()


TASKS.register("mixture")(MixtureTask())
