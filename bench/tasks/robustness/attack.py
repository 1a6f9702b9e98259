"""A classifier under attack: train it, attack held-out images, score what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from attacks import Ensemble
from attacks.best import Best
from bench.core.errors import UsageError
from bench.models.classifiers import labelled
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Value
from bench.tasks.robustness.base import (
    RobustnessTask,
    Trial,
    artifact_of,
    trial_of,
    with_bits,
)
from bench.tasks.robustness.observing import Seen, observe
from bench.tasks.robustness.settings import (
    WITHIN,
    ChosenAttack,
    choose_attack,
    origins_of,
    parse_radii,
)
from bench.tasks.values import facts_of, value_of
from metrics import METRICS
from metrics.robustness import AfterAttack, Clean, outcomes

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
FIRST = ("adversarial_error", "robust_accuracy", "attack_success", WITHIN)
"""What an attack that stops at the first success is measured by: it leaves images on the boundary,
and how sure of them the classifier is, or how far they are, says nothing.
"""
COUNTED = ("robust_accuracy", WITHIN)
"""What a search's images are counted by at a radius."""
ADAPTED = "adapted"
"""What a metric's name ends with where the attack was adapted to the classifier."""
ADAPTABLE = ("adversarial_error", "attack_success", "robust_accuracy")
ROUNDING = 1e-6
TARGETED, BY = "target_success", "success_by"
"""How often targets are reached; and who in an ensemble misled how many, with the member's name."""
APART = ("distance_ratio", "optimality")
"""Of a member of several searches, with its name."""
SECONDS_A_PASS = 2e-5
PASSES_OF_A_SEARCH = 100


class AttackTask(RobustnessTask):
    """Axes: dataset (labelled images), model (a classifier), attack."""

    axes = ("dataset", "model", "attack")
    takes = ("attack",)

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        return choose_attack(parts["attack"], settings).relevant

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return origins_of(parts["attack"])

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        return seconds_of(parts["dataset"], settings)

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        chosen = choose_attack(parts["attack"], settings)
        names = dict.fromkeys(
            (*CLEAN, *COST, *scored(chosen), *(COUNTED if chosen.counted else ()))
        )
        return [name + _suffix(name, chosen) for name in names]

    def metric_facts(self, name: str) -> dict[str, Any]:
        known, _, grid = name.partition("@")
        facts = facts_of(known, self.takes)
        if known in ADAPTABLE and grid == ADAPTED:
            return {**facts, "title": f"{facts['title']}, adapted", "name": name}
        if (known in (WITHIN, BY, *APART)) != bool(grid):
            raise UsageError(
                f"metric '{name}': expected {WITHIN} with its radii, such as {WITHIN}@0.1,0.2, and "
                f"{BY}, {' and '.join(APART)} with a member of what has some, such as {BY}@square"
            )
        if known == BY:
            facts["title"] = f"by {grid}"
        if known in APART:
            facts["title"] = f"{facts['title']}, {grid}"
        return {**facts, "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        chosen = choose_attack(cell.part("attack"), cell.settings)
        trial = trial_of(cell, bench, chosen.settings.images)
        found, wrong, _ = attack_values(chosen, trial)
        return Measurement(found, artifact_key=trial.against.key, invalid=wrong)


def attack_values(
    chosen: ChosenAttack, trial: Trial, notify: Callable[[int], None] = lambda done: None
) -> tuple[list[Value], str, Tensor]:
    """Every value of the attack's curve or search, what it did wrong, and its last images; `notify`
    is told how many radii are done.
    """
    seen = observe(chosen, trial, notify)
    return values_seen(chosen, seen, trial.examples), seen.wrong, seen.attacked


def values_seen(chosen: ChosenAttack, seen: Seen, examples: str) -> list[Value]:
    """Every value of what was seen; none where something is wrong with it."""
    clean, found = seen.clean, []
    if clean is None:
        return []
    for radius, fake in seen.steps:
        found += _scored(scored(chosen), clean, fake, chosen, radius, examples)
        for counted_at in chosen.counted:
            near = replace(fake, within=fake.within & (fake.distances <= counted_at + ROUNDING))
            found += _scored(COUNTED, clean, near, chosen, counted_at, examples)
    n = len(clean.labels)
    cost = replace(seen.steps[-1][1], forwards=seen.forwards / n, backwards=seen.backwards / n)
    return [*_scored((*CLEAN, *COST), clean, cost, chosen, None, examples), *found]


def _scored(
    names: Iterable[str],
    real: Clean,
    fake: AfterAttack,
    chosen: ChosenAttack,
    epsilon: float | None,
    examples: str,
) -> list[Value]:
    """The values of some metrics of one radius."""
    found = []
    for name in names:
        known, _, member = name.partition("@")
        about = replace(fake, member=members_of(chosen).index(member)) if member else fake
        suffix = f"@{member}" if member else _suffix(known, chosen)
        value = value_of(known, METRICS[known].part(real, about), suffix=suffix)
        value = replace(value, epsilon=epsilon, norm=chosen.settings.norm)
        bits = outcomes(known, real, about)
        found.append(value if bits is None else with_bits(value, bits, examples))
    return found


def scored(chosen: ChosenAttack) -> list[str]:
    """The metrics of each radius, or of the search."""
    settings, attack = chosen.settings, chosen.attack
    names = [*(CURVE if chosen.radii else SEARCH)]
    if chosen.radii and settings.stop == "first_success":
        names = [*FIRST]
    if settings.targets != "none":
        names += [TARGETED]
    members = members_of(chosen)
    alone = isinstance(attack, Best) and settings.targets == "none"
    told = (BY, *APART) if alone else (BY,)
    return [*names, *(f"{name}@{member}" for name in told for member in members)]


def members_of(chosen: ChosenAttack) -> list[str]:
    """The names of what an attack is made of, in their order; none of one that is by itself."""
    attack = chosen.attack
    if not isinstance(attack, Ensemble | Best):
        return []
    return [name for name, _ in attack.members(chosen.settings.norm)]


def _suffix(name: str, chosen: ChosenAttack) -> str:
    """What a metric's name on a row ends with: the radii that it is about."""
    return f"@{chosen.grid}" if name == WITHIN else ""


def seconds_of(dataset: str, settings: Mapping[str, Any]) -> float:
    """A forecast of an attack's passes."""
    steps = int(settings.get("steps") or settings.get("queries") or 1)
    radii = len(parse_radii(settings["radii"])) if "radii" in settings else PASSES_OF_A_SEARCH
    images = min(settings["images"], len(labelled(dataset).split.held_images))
    return images * radii * (steps + 1) * SECONDS_A_PASS


TASKS.register("attack")(AttackTask())
