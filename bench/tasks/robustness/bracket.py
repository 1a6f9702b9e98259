"""Robust accuracy between two bounds: what an attack leaves, and what a certificate shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from bench.core.errors import UsageError
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Value
from bench.tasks.robustness.attack import AttackTask, attack_values
from bench.tasks.robustness.base import RobustnessTask, Trial, artifact_of, trial_of, with_bits
from bench.tasks.robustness.certificate import ACCURACY, CertificateTask, certificate_values
from bench.tasks.robustness.certificates import (
    ChosenCertificate,
    certificate_of,
    choose_certificate,
    unread,
)
from bench.tasks.robustness.observing import clean_of
from bench.tasks.robustness.settings import (
    ChosenAttack,
    ImageSettings,
    choose_attack,
    origins_of,
    settings_of,
)
from bench.tasks.values import facts_of, value_of
from metrics import METRICS
from metrics.certified import Certified, contradictions
from results.gate.outcomes import bits

ROBUST, BETWEEN, CLEAN = "robust_accuracy", "undecided", "clean_error"
SHOWN = (CLEAN, ROBUST, ACCURACY, BETWEEN)


class BracketTask(RobustnessTask):
    """Axes: dataset (labelled images), model (a classifier), attack, certificate: both about the
    same images, at the same radii. An image that is certified and misled makes the cell invalid.
    """

    axes = ("dataset", "model", "attack", "certificate")
    takes = ("attack", "certified")
    refuses = staticmethod(unread)

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        attack, certificate = _choose(parts, settings)
        return {**certificate.relevant, **attack.relevant}

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (*origins_of(parts["attack"]), certificate_of(parts["certificate"]).origin)

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        attack, certificate = _choose(parts, settings)
        above = AttackTask().forecast(parts, attack.relevant)
        return above + CertificateTask().forecast(parts, certificate.relevant)

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        return SHOWN

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, self.takes), "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        parts = {axis: cell.part(axis) for axis in self.axes}
        attack, certificate = _choose(parts, cell.settings)
        trial = trial_of(cell, bench, attack.settings.images)
        values, wrong = bracket_values(attack, certificate, trial)
        return Measurement(values, artifact_key=trial.against.key, invalid=wrong)


def bracket_values(
    attack: ChosenAttack, certificate: ChosenCertificate, trial: Trial
) -> tuple[list[Value], str]:
    """What is left, what is certified and what lies between at each radius; and why that can't be,
    or empty.
    """
    above, wrong, _ = attack_values(attack, trial)
    below, told = certificate_values(certificate, trial) if not wrong else ([], "")
    if wrong or told:
        return [], wrong or told
    clean = clean_of(trial.against.classify(trial.images), trial.labels)
    found = [value for value in above if value.metric == CLEAN]
    for radius in attack.radii:
        left, shown = _at(above, ROBUST, radius), _at(below, ACCURACY, radius)
        robust, certified = (_bits(value, trial.labels) for value in (left, shown))
        if places := contradictions(certified, ~robust):
            return [], (
                f"{len(places)} of {len(robust)} images (the first is {places[0]}) are certified "
                f"at {attack.settings.norm} {radius:g} and misled within it: expected none, so the "
                "attack or the certificate is wrong"
            )
        between = Certified(certified, clean.predictions, robust=robust)
        value = value_of(BETWEEN, METRICS[BETWEEN].part(clean, between))
        value = replace(value, epsilon=radius, norm=attack.settings.norm)
        found += [left, shown, with_bits(value, robust & ~certified, trial.examples)]
    return found, ""


def _at(values: Iterable[Value], name: str, radius: float) -> Value:
    return next(v for v in values if v.metric == name and v.epsilon == radius)


def _bits(value: Value, labels: Tensor) -> np.ndarray:
    return bits(value.outcomes, len(labels))


def _choose(
    parts: Mapping[str, str], settings: Mapping[str, Any]
) -> tuple[ChosenAttack, ChosenCertificate]:
    """Both, with settings of their own and those that they share. Raises UsageError for a search,
    for a certificate of another classifier than the one that is attacked, and for other settings.
    """
    entry = certificate_of(parts["certificate"])
    if entry.facts.smoothed:
        raise UsageError(
            f"certificate {entry.name} is about the classifier under noise, not the one that is "
            "attacked: expected one that bounds the network, such as crown-ibp"
        )
    own = {k for k in settings if k in settings_of(entry.part)}
    shared = {k for k in settings if k in ImageSettings.model_fields}
    usual = {"stop": "first_success"}
    given = {k: v for k, v in settings.items() if k in shared or k not in own}
    attack = choose_attack(parts["attack"], {**usual, **given})
    if not attack.radii:
        raise UsageError(f"attack {parts['attack']} has no radius: a bracket needs one")
    told = {"norm": attack.settings.norm, "radii": attack.settings.radii}
    kept = {k: v for k, v in settings.items() if k in own | shared}
    return attack, choose_certificate(parts["certificate"], {**kept, **told})


TASKS.register("bracket")(BracketTask())
