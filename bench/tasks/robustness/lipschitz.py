"""How far a classifier can stretch a perturbation, layer by layer, beside how far it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from attacks.engine import frozen
from attacks.lipschitz import layer_norms, layers_of
from bench.core.errors import UsageError
from bench.models.classifiers import labelled, untrained
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Value
from bench.tasks.robustness.attack import seconds_of
from bench.tasks.robustness.base import RobustnessTask, Trial, artifact_of, trial_of
from bench.tasks.robustness.gains import between, noise_like, pairs, slopes
from bench.tasks.robustness.observing import observe
from bench.tasks.robustness.settings import ChosenAttack, choose_attack, origins_of
from bench.tasks.values import facts_of, value_of
from metrics import METRICS
from metrics.lipschitz import Layers, Moves

LAYER, BOUND, GAIN, LARGEST = "layer_norm", "lipschitz_bound", "gain", "largest_gain"
KINDS = {
    "adversarial": "adversarial gain",
    "noise": "noise gain",
    "pairs": "pairs gain",
    "slope": "steepest slope",
}
"""What moves images, and how its gains are headed."""
MOST_LAYERS = 64
"""Deeper networks have a row for each of so many layers, and the product of all."""
SLACK = 1e-4
"""What a ratio in float32 may be above a bound by rounding."""
SECONDS_A_LAYER = 0.5


class LipschitzTask(RobustnessTask):
    """Axes: dataset (labelled images), model (a classifier), attack (in l2: it looks for the change
    of an image that moves the logits most).
    """

    axes = ("dataset", "model", "attack")
    takes = ("layers", "moves")
    refuses = staticmethod(lambda parts, settings: _read(parts["model"], parts["dataset"])[1])

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        return _choose(parts["attack"], settings).relevant

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return ("attacks.lipschitz", *origins_of(parts["attack"]))

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        return seconds_of(parts["dataset"], settings) + SECONDS_A_LAYER

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        layers = _read(parts["model"], parts["dataset"])[0]
        return [
            *(f"{LAYER}@{number + 1}" for number in range(layers)),
            BOUND,
            *(f"{GAIN}@{kind}" for kind in KINDS),
            LARGEST,
        ]

    def metric_facts(self, name: str) -> dict[str, Any]:
        known, _, which = name.partition("@")
        facts = facts_of(known, self.takes)
        fits = {LAYER: which.isdecimal() and which != "0", GAIN: which in KINDS}
        if not fits.get(known, not which):
            raise UsageError(
                f"metric '{name}': expected {LAYER} with a number, such as {LAYER}@1, and {GAIN} "
                f"with what moves the images: {', '.join(f'{GAIN}@{kind}' for kind in KINDS)}"
            )
        if which:
            facts["title"] = KINDS.get(which, f"{facts['title']} {which}")
        return {**facts, "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        chosen = _choose(cell.part("attack"), cell.settings)
        trial = trial_of(cell, bench, chosen.settings.images)
        values, wrong = stretched(chosen, trial)
        return Measurement(values, artifact_key=trial.against.key, invalid=wrong)


def stretched(chosen: ChosenAttack, trial: Trial) -> tuple[list[Value], str]:
    """What layers can do and what they do; and why there is nothing, or empty: a change that is
    stretched beyond the product of the layers says that one of the two is wrong.
    """
    model = trial.against.model
    norms = np.array(layer_norms(model, trial.images))
    seen = observe(chosen, trial)
    if seen.clean is None or seen.wrong:
        return [], seen.wrong
    misled = seen.clean.right & (seen.steps[-1][1].predictions != seen.clean.labels)
    kept = torch.from_numpy(misled).to(trial.images.device)
    images, moved = trial.images[kept], seen.attacked[kept]
    with frozen(model):
        found = {
            "adversarial": between(model, images, moved),
            "noise": between(model, images, noise_like(images, moved, trial.seeds[kept])),
            "pairs": pairs(model, trial.images),
            "slope": slopes(model, trial.images),
        }
    bound = _value(BOUND, Layers(norms))
    largest = _value(LARGEST, _joined(found.values()))
    if largest.value > bound.value * (1 + SLACK):
        return [], (
            f"a change of an image is stretched {largest.value:.6g} times: expected at most the "
            f"product of the layers, {bound.value:.6g}, so one of the two is wrong"
        )
    layers = range(1, min(len(norms), MOST_LAYERS) + 1)
    return [
        *(_value(LAYER, Layers(norms, layer), f"@{layer}") for layer in layers),
        bound,
        *(_value(GAIN, moves, f"@{kind}") for kind, moves in found.items()),
        largest,
    ], ""


def _value(name: str, fake: Layers | Moves, suffix: str = "") -> Value:
    return value_of(name, METRICS[name].part(None, fake), suffix=suffix)


def _joined(moves: Iterable[Moves]) -> Moves:
    every = list(moves)
    return Moves(*(np.concatenate([getattr(m, name) for m in every]) for name in _ARRAYS))


_ARRAYS = ("changes", "lengths")


def _choose(attack: str, settings: Mapping[str, Any]) -> ChosenAttack:
    """An attack in l2. Raises UsageError in another norm: layers are bounded in l2 alone."""
    chosen = choose_attack(attack, {"norm": "l2", **settings})
    if chosen.settings.norm != "l2":
        raise UsageError(f"layers are bounded in l2: expected norm l2, got {chosen.settings.norm}")
    return chosen


@cache
def _read(model: str, dataset: str) -> tuple[int, str]:
    """How many layers a registered classifier has, and why they can't be read, or empty; of one
    that comes as it is nothing is known before it is there.
    """
    network = untrained(model, dataset)
    if network is None:
        return MOST_LAYERS, ""
    try:
        layers = layers_of(network, torch.zeros(1, *labelled(dataset).source(0).shape))
    except UsageError as error:
        return MOST_LAYERS, f"the layers of {model} can't be bounded: {error}"
    return min(len(layers), MOST_LAYERS), ""


TASKS.register("lipschitz")(LipschitzTask())
