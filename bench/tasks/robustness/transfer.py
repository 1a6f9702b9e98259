"""Images attacked on one classifier, shown to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field
from torch import Tensor

from attacks import MinimalNorm
from attacks.engine import frozen, measure
from attacks.norms import spread
from bench.core.digests import digest_of
from bench.core.errors import UsageError
from bench.models.store import Checkpoint, artifact_key
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Value
from bench.tasks.robustness.attack import seconds_of
from bench.tasks.robustness.base import (
    RobustnessTask,
    Trial,
    order_of,
    trial_of,
    victim_of,
    with_bits,
)
from bench.tasks.robustness.observing import clean_of
from bench.tasks.robustness.perturbing import perturb
from bench.tasks.robustness.settings import AttackSettings, ChosenAttack, choose_attack, origins_of
from bench.tasks.values import facts_of, scored_by, value_of
from metrics.robustness import Clean
from metrics.transfer import Transferred

KIND = "adversarials"


class TransferSettings(AttackSettings):
    """radii: one alone. amplify: the root of the mean squared difference of a pixel that the
    difference is scaled to, 0 to leave it (Szegedy et al. 2013, table 4).
    """

    radii: str = "0.25"
    amplify: float = Field(default=0.0, ge=0, le=1e3)


class TransferTask(RobustnessTask):
    """Axes: dataset, source_model (on which the images are made), model, attack."""

    axes = ("dataset", "source_model", "model", "attack")
    takes = ("transfer",)

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        return _choose(parts["attack"], settings).relevant

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        return origins_of(parts["attack"])

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        return seconds_of(parts["dataset"], settings)

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        return [entry.name for entry in scored_by(self.takes)]

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, self.takes), "name": name}

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None if cell.skip else (KIND, _key(cell))

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        chosen = _choose(cell.part("attack"), cell.settings)
        trial = trial_of(cell, bench, chosen.settings.images, "source_model")
        made = _made(cell, chosen, trial, bench)
        if made["wrong"]:
            return Measurement([], artifact_key=_key(cell), invalid=made["wrong"])
        shown = _amplified(trial.images, made["images"], chosen.relevant["amplify"])
        other = victim_of(cell, bench)
        before, answers = other.classify(trial.images), other.classify(shown)
        if wrong := before.wrong or answers.wrong:
            return Measurement([], artifact_key=_key(cell), invalid=wrong)
        clean = clean_of(before, trial.labels)
        at_home = trial.against.logits(shown).argmax(1)
        rms = measure(trial.images, shown, norm="l2", radius=None, box=None).rms
        found = (answers.predictions, answers.confidences, at_home, rms)
        fake = Transferred(*(values.cpu().numpy() for values in found))
        values = _scored(clean, fake, chosen.settings.norm, trial.examples)
        return Measurement(values, artifact_key=_key(cell))


def _choose(attack: str, settings: Mapping[str, Any]) -> ChosenAttack:
    chosen = choose_attack(attack, settings, TransferSettings)
    if not isinstance(chosen.attack, MinimalNorm) and len(chosen.radii) != 1:
        raise UsageError(f"`radii`: a transfer takes one, got '{chosen.settings.radii}'")
    return chosen


def _key(cell: Cell) -> str:
    """The artifact of attacked images: the same whatever classifier they are shown to, and how far
    they are amplified.
    """
    facts = {
        "source": order_of(cell, "source_model").key(cell.device),
        "attack": cell.part("attack"),
        "settings": {k: v for k, v in cell.settings.items() if k != "amplify"},
        "dataset": cell.fingerprint,
        "seed": cell.seed,
        "code": digest_of((__name__, *origins_of(cell.part("attack")))),
    }
    return artifact_key(KIND, facts)


def _made(cell: Cell, chosen: ChosenAttack, trial: Trial, bench: Bench) -> dict[str, Any]:
    """The attacked images, and what the attack did wrong."""

    def make(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
        with frozen(trial.against.model):
            step = next(perturb(chosen, trial.against.model, trial))
        norm, box = chosen.settings.norm, chosen.settings.box
        measured = measure(trial.images, step.images, norm=norm, radius=step.radius, box=box)
        return {"images": step.images, "wrong": measured.wrong}, {"cell": cell.cell_id}

    return bench.artifacts.get_or_make(KIND, _key(cell), make).tree


def _amplified(images: Tensor, attacked: Tensor, wanted: float) -> Tensor:
    """Each difference scaled to a root mean square of `wanted`, 0 to leave it; not clipped."""
    if not wanted:
        return attacked
    difference = attacked - images
    rms = difference.flatten(1).square().mean(1).sqrt()
    return images + difference * spread(wanted / rms.clamp_min(1e-12), images)


def _scored(clean: Clean, fake: Transferred, norm: str, examples: str) -> list[Value]:
    found = []
    for entry in scored_by(TransferTask.takes):
        value = replace(value_of(entry.name, entry.part(clean, fake)), norm=norm)
        wrong = fake.predictions != clean.labels
        found.append(with_bits(value, wrong, examples) if entry.name == "transfer_error" else value)
    return found


TASKS.register("transfer")(TransferTask())
