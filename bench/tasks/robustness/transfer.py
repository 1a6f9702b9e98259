"""Images attacked on one classifier, shown to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from attacks import ATTACKS, MinimalNorm
from attacks.engine import frozen, logits_of, measure, read, run, search
from attacks.norms import spread
from bench.core.digests import digest_of
from bench.core.errors import UsageError
from bench.models.classifiers import classifier_of, labelled, unfit, victim
from bench.models.store import Checkpoint, artifact_key
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task, Value
from bench.tasks.robustness import settings as attacking
from bench.tasks.robustness.attack import clean_of, forecast
from bench.tasks.robustness.settings import (
    Asked,
    attack_of,
    describe_attack,
    describe_victim,
    every_part,
    example_hash,
    image_seeds,
    order_of,
    with_bits,
)
from bench.tasks.values import facts_of, scored_by, value_of
from metrics.robustness import Clean
from metrics.transfer import Transferred

KIND = "adversarials"
TAKES = ("transfer",)


class Settings(attacking.Settings):
    """radii: one alone. amplify: the root of the mean squared difference of a pixel that the
    difference is scaled to, 0 to leave it (Szegedy et al. 2013, table 4).
    """

    radii: str = "0.25"
    amplify: float = Field(default=0.0, ge=0, le=1e3)


class TransferTask(Task):
    """Axes: dataset, source_model (on which the images are made), model, attack."""

    axes = ("dataset", "source_model", "model", "attack")

    def every(self, axis: str) -> list[str]:
        if axis == "attack":
            return list(ATTACKS)
        return every_part("model" if axis == "source_model" else axis)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked, usual = (_read(parts["attack"], given) for given in (settings, {}))
        data, attack = labelled(parts["dataset"]), attack_of(parts["attack"])
        models = [classifier_of(parts[axis]) for axis in ("source_model", "model")]
        reasons = [unfit(entry.name, parts["dataset"]) for entry in models]
        skip = next(filter(None, reasons), "")
        return Resolved(
            settings=asked.relevant,
            differing={k: v for k, v in asked.relevant.items() if usual.relevant.get(k) != v},
            fingerprint=data.fingerprint,
            modules=(
                __name__,
                attack.origin,
                *(entry.origin for entry in models),
                type(data).__module__,
                *(metric.origin for metric in scored_by(TAKES)),
            ),
            seconds=0.0 if skip else forecast({**parts, "model": parts["source_model"]}, asked),
            skip=skip,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, TAKES), "name": name}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        source = classifier_of(cell.part("source_model"))
        return {
            **describe_victim(cell),
            "source_model": {"summary": source.summary, "papers": [source.paper]},
            "attack": describe_attack(cell.part("attack")),
        }

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None if cell.skip else (KIND, _key(cell))

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        asked = _read(cell.part("attack"), cell.settings)
        source = labelled(cell.part("dataset")).source(cell.seed, bench.device)
        images = source.held_out[: asked.settings.images]
        labels = source.held_out_labels[: len(images)]
        made = _made(cell, asked, images, labels, bench)
        if made["wrong"]:
            return Measurement([], artifact_key=_key(cell), invalid=made["wrong"])
        shown = _amplified(images, made["images"], asked.relevant["amplify"])
        own, other = (
            victim(order_of(cell, axis), bench.artifacts, bench.device)
            for axis in ("source_model", "model")
        )
        with frozen(own.model), frozen(other.model):
            clean = clean_of(other, images, labels)
            at_home = logits_of(own.model, shown).argmax(1)
            reading = read(other.model, shown, other.confidences)
        rms = measure(images, shown, norm="l2", radius=None, box=None).rms
        found = (reading.predictions, reading.confidences, at_home, rms)
        fake = Transferred(*(values.cpu().numpy() for values in found))
        values = _values(clean, fake, asked, example_hash(cell.fingerprint, len(images)))
        return Measurement(values, artifact_key=_key(cell))


def _read(attack: str, settings: Mapping[str, Any]) -> Asked:
    asked = attacking.read(attack, settings, Settings)
    if not isinstance(asked.attack, MinimalNorm) and len(asked.radii) != 1:
        raise UsageError(f"radii: a transfer takes one, got '{asked.settings.radii}'")
    return asked


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
        "code": digest_of((__name__, attack_of(cell.part("attack")).origin)),
    }
    return artifact_key(KIND, facts)


def _made(cell: Cell, asked: Asked, images: Tensor, labels: Tensor, bench: Bench) -> dict[str, Any]:
    """The attacked images, and what the attack did wrong."""

    def make(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
        own = victim(order_of(cell, "source_model"), bench.artifacts, bench.device)
        seeds = image_seeds(cell.seed, len(images), bench.device)
        with frozen(own.model):
            attacked = _attacked(asked, own.model, images, labels, seeds)
        radius = None if isinstance(asked.attack, MinimalNorm) else asked.radii[0]
        norm, box = asked.settings.norm, asked.settings.box
        measured = measure(images, attacked, norm=norm, radius=radius, box=box)
        return {"images": attacked, "wrong": measured.wrong}, {"cell": cell.cell_id}

    return bench.artifacts.get_or_make(KIND, _key(cell), make).tree


def _attacked(
    asked: Asked, model: torch.nn.Module, images: Tensor, labels: Tensor, seeds: Tensor
) -> Tensor:
    norm, box, attack = asked.settings.norm, asked.settings.box, asked.attack
    if isinstance(attack, MinimalNorm):
        return search(attack, model, images, labels, norm=norm, seeds=seeds, box=box)
    given = {"radii": asked.radii, "norm": norm, "seeds": seeds, "box": box}
    return next(iter(run(attack, model, images, labels, **given)))


def _amplified(images: Tensor, attacked: Tensor, wanted: float) -> Tensor:
    """Each difference scaled to a root mean square of `wanted`, 0 to leave it; not clipped."""
    if not wanted:
        return attacked
    difference = attacked - images
    rms = difference.flatten(1).square().mean(1).sqrt()
    return images + difference * spread(wanted / rms.clamp_min(1e-12), images)


def _values(clean: Clean, fake: Transferred, asked: Asked, ids: str) -> list[Value]:
    found = []
    for entry in scored_by(TAKES):
        value = replace(value_of(entry.name, entry.part(clean, fake)), norm=asked.settings.norm)
        wrong = fake.predictions != clean.labels
        found.append(with_bits(value, wrong, ids) if entry.name == "transfer_error" else value)
    return found


TASKS.register("transfer")(TransferTask())
