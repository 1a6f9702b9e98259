"""A classifier under certificates: train it, and show what no attack can take from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attacks.certificates import Reach
from attacks.certificates.running import certify, reached
from attacks.engine import frozen
from attacks.norms import size
from bench.models.classifiers import labelled
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Value
from bench.tasks.robustness.base import RobustnessTask, Trial, artifact_of, trial_of, with_bits
from bench.tasks.robustness.certificates import (
    ChosenCertificate,
    certificate_of,
    choose_certificate,
    unread,
)
from bench.tasks.robustness.observing import clean_of
from bench.tasks.values import facts_of, value_of
from metrics import METRICS
from metrics.certified import Certified

ACCURACY = "certified_accuracy"
RADIUS = "certified_radius"
ABSTAINS = "abstention"
SECONDS_A_PASS = 1e-4


class CertificateTask(RobustnessTask):
    """Axes: dataset (labelled images), model (a classifier), certificate."""

    axes = ("dataset", "model", "certificate")
    takes = ("certified",)
    refuses = staticmethod(unread)

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        return choose_certificate(parts["certificate"], settings).relevant

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (certificate_of(parts["certificate"]).origin,)

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        chosen = choose_certificate(parts["certificate"], settings)
        images = min(settings["images"], len(labelled(parts["dataset"]).split.held_images))
        times = 1 if isinstance(chosen.certificate, Reach) else len(chosen.radii)
        return images * times * settings.get("n", chosen.facts.passes) * SECONDS_A_PASS

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        entry = certificate_of(parts["certificate"])
        told = [RADIUS] if isinstance(entry.part, Reach) else []
        return [ACCURACY, *told, *([ABSTAINS] if entry.facts.smoothed else [])]

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, self.takes), "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        chosen = choose_certificate(cell.part("certificate"), cell.settings)
        trial = trial_of(cell, bench, chosen.settings.images)
        found, wrong = certificate_values(chosen, trial)
        return Measurement(found, artifact_key=trial.against.key, invalid=wrong)


def certificate_values(chosen: ChosenCertificate, trial: Trial) -> tuple[list[Value], str]:
    """Every value of a certificate's curve, and why there is none, or empty."""
    answers = trial.against.classify(trial.images)
    if answers.wrong:
        return [], f"before the certificate {answers.wrong}"
    clean = clean_of(answers, trial.labels)
    with frozen(trial.against.model):
        if isinstance(chosen.certificate, Reach):
            predictions, radii = _reached(chosen, chosen.certificate, trial)
            curve = [(predictions == trial.labels) & (radii > radius) for radius in chosen.radii]
        else:
            predictions, radii = answers.predictions, None
            curve = _curve(chosen, trial)
    told = None if radii is None else _finite(radii, trial.images, chosen).cpu().numpy()
    fakes = [Certified(bits.cpu().numpy(), predictions.cpu().numpy(), told) for bits in curve]
    values = []
    for radius, fake in zip(chosen.radii, fakes, strict=True):
        value = replace(value_of(ACCURACY, METRICS[ACCURACY].part(clean, fake)), epsilon=radius)
        values.append(with_bits(value, fake.certified, trial.examples))
    if told is not None and np.isfinite(told).all():
        values.append(value_of(RADIUS, METRICS[RADIUS].part(clean, fakes[0])))
    if chosen.facts.smoothed:
        value = value_of(ABSTAINS, METRICS[ABSTAINS].part(clean, fakes[0]))
        values.append(with_bits(value, fakes[0].predictions < 0, trial.examples))
    return [replace(value, norm=chosen.settings.norm) for value in values], ""


def _reached(chosen: ChosenCertificate, certificate: Reach, trial: Trial) -> tuple[Tensor, Tensor]:
    given = {"norm": chosen.settings.norm, "box": chosen.settings.box, "seeds": trial.seeds}
    return reached(certificate, trial.against.model, trial.images, **given)


def _curve(chosen: ChosenCertificate, trial: Trial) -> list[Tensor]:
    """The certified images of each radius: what is certified at a radius is so at every smaller
    one, and is not asked for again.
    """
    certified = torch.zeros_like(trial.labels, dtype=torch.bool)
    curve: list[Tensor] = []
    for radius in reversed(chosen.radii):
        rest = ~certified
        asked = (values[rest] for values in (trial.images, trial.labels, trial.seeds))
        images, labels, seeds = asked
        given = {"radius": radius, "norm": chosen.settings.norm, "box": chosen.settings.box}
        if len(images):
            model = trial.against.model
            found = certify(chosen.certificate, model, images, labels, seeds=seeds, **given)
            certified = certified.masked_scatter(rest, found)
        curve.insert(0, certified)
    return curve


def _finite(radii: Tensor, images: Tensor, chosen: ChosenCertificate) -> Tensor:
    """Radii that nothing in the box ends are those of the whole box."""
    box = chosen.settings.box
    if box is None:
        return radii
    corner = torch.maximum(images - box[0], box[1] - images)
    return torch.where(radii.isinf(), size(corner, chosen.settings.norm).double(), radii)


TASKS.register("certificate")(CertificateTask())
