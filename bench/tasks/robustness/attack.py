"""A classifier under attack: train it, attack held-out images, score what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from attacks import ATTACKS, FixedBudget, MinimalNorm
from attacks.engine import Counted, frozen, measure, read, run, search
from bench.core.errors import UsageError
from bench.models.classifiers import (
    Victim,
    classifier_of,
    labelled,
    training_seconds,
    unfit,
    victim,
)
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task, Value
from bench.tasks.robustness import settings as attacking
from bench.tasks.robustness.settings import (
    WITHIN,
    Asked,
    artifact_of,
    attack_of,
    describe_attack,
    describe_victim,
    every_part,
    example_hash,
    image_seeds,
    order_of,
    values,
)
from bench.tasks.values import facts_of, scored_by
from metrics.robustness import Attacked, Clean

CLEAN = ("clean_error", "clean_confidence")
COST = ("attack_forwards", "attack_backwards")
CURVE = (
    "adversarial_error",
    "robust_accuracy",
    "attack_success",
    WITHIN,
    "confidence_on_errors",
    "distance",
    "distortion",
)
SEARCH = tuple(name for name in CURVE if name != WITHIN)
SECONDS_A_PASS = 2e-5
TAKES = ("attack",)


class AttackTask(Task):
    """Axes: dataset (labelled images), model (a classifier), attack."""

    axes = ("dataset", "model", "attack")

    def every(self, axis: str) -> list[str]:
        return list(ATTACKS) if axis == "attack" else every_part(axis)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked, usual = (attacking.read(parts["attack"], given) for given in (settings, {}))
        data, attack = labelled(parts["dataset"]), attack_of(parts["attack"])
        entry = classifier_of(parts["model"])
        differing = {k: v for k, v in asked.relevant.items() if usual.relevant.get(k) != v}
        skip = unfit(parts["model"], parts["dataset"])
        return Resolved(
            settings=asked.relevant,
            differing=differing,
            fingerprint=data.fingerprint,
            modules=(
                __name__,
                attack.origin,
                entry.origin,
                type(data).__module__,
                *(metric.origin for metric in scored_by(TAKES)),
            ),
            seconds=0.0 if skip else forecast(parts, asked),
            skip=skip,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        known, _, grid = name.partition("@")
        facts = facts_of(known, TAKES)
        if (known == WITHIN) != bool(grid):
            raise UsageError(
                f"metric '{name}': expected {WITHIN} with its radii, such as {WITHIN}@0.1,0.2"
            )
        return {**facts, "name": name}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return {**describe_victim(cell), "attack": describe_attack(cell.part("attack"))}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        asked = attacking.read(cell.part("attack"), cell.settings)
        source = labelled(cell.part("dataset")).source(cell.seed, bench.device)
        images = source.held_out[: asked.settings.images]
        labels = source.held_out_labels[: len(images)]
        against = victim(order_of(cell), bench.artifacts, bench.device)
        seeds = image_seeds(cell.seed, len(images), bench.device)
        ids = example_hash(cell.fingerprint, len(images))
        with frozen(against.model):
            found, wrong, _ = attack_values(asked, against, images, labels, seeds, ids)
        return Measurement(found, artifact_key=against.key, invalid=wrong)


def attack_values(
    asked: Asked,
    against: Victim,
    images: Tensor,
    labels: Tensor,
    seeds: Tensor,
    ids: str,
    notify: Callable[[int], None] = lambda done: None,
) -> tuple[list[Value], str, Tensor]:
    """Every value of the attack's curve or search, what it did wrong, and its last images; `notify`
    is told how many radii are done.
    """
    counted = Counted(against.model)
    clean = clean_of(against, images, labels)
    within, found = np.zeros(len(images), bool), []
    fake, attacked = None, images
    notify(0)
    for done, (radius, attacked) in enumerate(_attacked(asked, counted, images, labels, seeds), 1):
        notify(done)
        fake, wrong = attacked_of(asked, against, clean, images, attacked, radius, within)
        if wrong:
            return [], wrong, attacked
        within = fake.within
        names = SEARCH if radius is None else CURVE
        found += values(names, clean, fake, asked, radius, ids)
    if fake is None:
        return [], "the attack gave no images", images
    forwards, backwards = (count / len(images) for count in (counted.forwards, counted.backwards))
    cost = replace(fake, forwards=forwards, backwards=backwards)
    shared = values((*CLEAN, *COST), clean, cost, asked, None, ids)
    return [*shared, *found], "", attacked


def _attacked(
    asked: Asked, model: Counted, images: Tensor, labels: Tensor, seeds: Tensor
) -> Iterable[tuple[float | None, Tensor]]:
    """Each radius with its images; a search has one, without a radius."""
    norm, box, attack = asked.settings.norm, asked.settings.box, asked.attack
    if isinstance(attack, MinimalNorm):
        yield None, search(attack, model, images, labels, norm=norm, seeds=seeds, box=box)
    else:
        radii = asked.radii
        given = {"radii": radii, "norm": norm, "seeds": seeds, "box": box}
        yield from zip(radii, run(attack, model, images, labels, **given), strict=True)


def clean_of(against: Victim, images: Tensor, labels: Tensor) -> Clean:
    """What a classifier makes of the images before an attack."""
    reading = read(against.model, images, against.confidences)
    return Clean(_array(labels), _array(reading.predictions), _array(reading.confidences))


def attacked_of(
    asked: Asked,
    against: Victim,
    clean: Clean,
    images: Tensor,
    attacked: Tensor,
    radius: float | None,
    within: np.ndarray,
) -> tuple[Attacked, str]:
    """What a classifier makes of them after it, and what the attack did wrong."""
    norm, box = asked.settings.norm, asked.settings.box
    measured = measure(images, attacked, norm=norm, radius=radius, box=box)
    if measured.wrong:
        none = np.empty(0)
        return Attacked(clean.predictions, none, none, none, within), measured.wrong
    reading = read(against.model, attacked, against.confidences)
    predictions = _array(reading.predictions)
    misled = clean.right & (predictions != clean.labels)
    return Attacked(
        predictions,
        _array(reading.confidences),
        _array(measured.distances),
        _array(measured.rms),
        within | misled,
    ), ""


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()


def forecast(parts: Mapping[str, str], asked: Asked) -> float:
    """A forecast: the training, and the passes of the attack."""
    data = labelled(parts["dataset"])
    steps = int(asked.relevant.get("steps") or asked.relevant.get("queries") or 1)
    radii = len(asked.radii) if isinstance(asked.attack, FixedBudget) else 100
    passes = min(asked.settings.images, len(data.split.held_images)) * radii * (steps + 1)
    return training_seconds(parts["model"], parts["dataset"]) + passes * SECONDS_A_PASS


TASKS.register("attack")(AttackTask())
