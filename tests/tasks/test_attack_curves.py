"""What the task makes of every registered attack: success within a radius, confidence."""

import pytest
import torch
from laws.alike import ALIKE

from attacks import ATTACKS, FixedBudget, Ray
from attacks.engine import softmax
from bench.laws.attacks import Trial, stopped
from bench.laws.scenes import misled, scene
from bench.models.classifiers import Victim
from bench.tasks.robustness import base as robustness
from bench.tasks.robustness.attack import attack_values
from bench.tasks.robustness.settings import AttackSettings, ChosenAttack

FIXED = [entry for entry in ATTACKS.entries() if isinstance(entry.part, FixedBudget)]
STEPWISE = [entry for entry in FIXED if not isinstance(entry.part, Ray)]


def _trials(entries):
    """Each in every norm; by default in its first, and none that is like another."""
    for entry in entries:
        for place, norm in enumerate(entry.part.norms):
            marks = [pytest.mark.slow] if place or entry.name in ALIKE else []
            yield pytest.param(Trial(entry, norm), id=f"{entry.name}-{norm}", marks=marks)


def _values(trial, model, images, labels, radii):
    """What the task makes of an attack's curve: metric to values, in the order of the radii."""
    chosen = ChosenAttack(AttackSettings(norm=trial.norm, radii=radii), trial.part, {})
    seeds = torch.arange(len(images)) + 7
    seen = robustness.Trial(Victim(model, softmax, ""), images, labels, seeds, "ids")
    found, wrong, _ = attack_values(chosen, seen)
    assert wrong == ""
    table = {}
    for value in found:
        table.setdefault(value.metric.partition("@")[0], []).append(value.value)
    return table


@pytest.mark.parametrize("trial", [*_trials(FIXED)])
def test_success_within_a_radius_grows(trial):
    """From 0 on, with the literal success below it; robust accuracy falls by as much."""
    model, images, labels = scene(16)
    radii = ",".join(f"{factor * trial.radius:g}" for factor in (0, 0.3, 1, 3))
    table = _values(trial, model, images, labels, radii)
    within, robust = table["attack_success_within"], table["robust_accuracy"]
    assert within[0] == 0
    assert robust[0] == 1 - table["clean_error"][0] == 15 / 16
    assert within == sorted(within)
    assert all(a <= b for a, b in zip(table["attack_success"], within, strict=True))
    assert robust == pytest.approx([15 / 16 * (1 - share) for share in within])


@pytest.mark.parametrize("trial", [*_trials(STEPWISE)])
def test_confidence_is_that_of_images_that_were_never_stopped(trial):
    """Those that stop early lie at the boundary, where a model is less sure; a ratio of logits
    raises their scale, and so confidence, by less.
    """
    model, images, labels, radius, never, early = stopped(trial)
    least = 0.02 if getattr(trial.part, "loss", "") == "dlr" else 0.05
    if torch.equal(never, early):
        return
    sure = softmax(model(never).detach())[misled(model, never, labels)].mean().item()
    table = _values(trial, model, images, labels, f"{radius}")
    assert table["confidence_on_errors"] == pytest.approx([sure])
    assert sure > softmax(model(early).detach())[misled(model, early, labels)].mean() + least
