"""What the tasks that attack a classifier share: how a point is resolved, how a cell begins."""

from __future__ import annotations

import hashlib
import warnings
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from attacks import ATTACKS
from attacks.certificates import CERTIFICATES
from attacks.classifiers import CLASSIFIERS, Classifier, Defended, Ready
from attacks.corruptions import CORRUPTIONS
from attacks.patches import PATCHES
from bench.core.randomness import stream_seed
from bench.core.registry import Entry, Registry
from bench.datasets.named import entry_named, names_with
from bench.datasets.pixels import channels_for, in_channels, told_channels
from bench.models.brought import SETTINGS, held_by, is_brought
from bench.models.classifiers import (
    KIND,
    LABELLED,
    ClassifierOrder,
    Victim,
    classifier_of,
    labelled,
    origins_of,
    training_seconds,
    unfit,
    victim,
)
from bench.suites.cell import Cell
from bench.tasks.base import Bench, Resolved, Task, Value
from bench.tasks.robustness.certificates import certificate_of
from bench.tasks.robustness.settings import attack_of
from bench.tasks.values import scored_by

CLASSIFIER_AXES = ("source_model", "model")
"""The first of them that a task has is the classifier that it attacks."""
REGISTRIES: dict[str, Registry] = {
    "attack": ATTACKS,
    "certificate": CERTIFICATES,
    "corruption": CORRUPTIONS,
    "patch": PATCHES,
}
"""Of the other axes' parts."""

Refuses = Callable[[Mapping[str, str], Mapping[str, Any]], str]
"""Parts and settings to a reason."""


class RobustnessTask(Task):
    """A task about labelled images and classifiers. takes: which metrics score it. refuses: why a
    cell's classifier can't be read as its parts or settings need it, or empty.
    """

    needs = LABELLED
    takes: tuple[str, ...] = ()
    refuses: Refuses = staticmethod(lambda parts, settings: "")

    @abstractmethod
    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that matter, each with its value. Raises UsageError for unknown ones."""

    @abstractmethod
    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        """The modules of the parts that make its number, beside data, classifiers and metrics."""

    @abstractmethod
    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        """The seconds of a measurement, the training of its classifier left out."""

    @abstractmethod
    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        """The metrics of a measurement, by their names on rows."""

    @final
    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked = {k: v for k, v in settings.items() if k not in SETTINGS}
        chosen, usual = (self.check(parts, given) for given in (asked, {}))
        name, data = parts["dataset"], labelled(parts["dataset"])
        models = [parts[axis] for axis in CLASSIFIER_AXES if axis in self.axes]
        networks = any(is_brought(model) for model in models)
        held = [held_by(classifier_of(model, settings)) for model in models]
        made = [module for model in models for module in origins_of(model, settings)]
        skip = next(filter(None, [unfit(model, name) for model in models]), "")
        skip = skip or self.refuses(parts, chosen)
        seconds = 0.0
        if not skip:
            seconds = training_seconds(models[0], name) + self.forecast(parts, chosen)
        told = ((k, str(settings.get(k, v))) for k, v in SETTINGS.items() if networks)
        own = {k: v for k, v in told if v != SETTINGS[k]}
        return Resolved(
            settings={**chosen, **own},
            differing={
                **{k: v for k, v in chosen.items() if usual.get(k) != v},
                **own,
            },
            fingerprint=data.fingerprint,
            modules=(
                type(self).__module__,
                type(data).__module__,
                *made,
                *(entry.origin for entry in scored_by(self.takes)),
                *self.origins(parts, chosen),
            ),
            seconds=seconds,
            skip=skip,
            brought=tuple(filter(None, held)),
            gives=frozenset(self.gives(parts, chosen)),
        )

    @final
    def every(self, axis: str) -> list[str]:
        if axis == "dataset":
            return names_with(self.needs)
        return list(REGISTRIES.get(axis, CLASSIFIERS))

    @final
    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return {axis: _describe(axis, cell.part(axis)) for axis in self.axes}


def _describe(axis: str, name: str) -> dict[str, Any]:
    """What tables and citations need of a part; noise is a floor, a source model has no row."""
    if axis == "dataset":
        entry = entry_named(name, LABELLED, "an attack")
        return {**_cited(entry), "licence": entry.facts.licence}
    if axis == "attack":
        noise = attack_of(name).facts.noise
        return {"role": "floor" if noise else "model", **_cited(attack_of(name))}
    if axis == "certificate":
        return {"role": "model", **_cited(certificate_of(name))}
    if axis == "corruption":
        return _cited(CORRUPTIONS[name])
    if axis == "patch":
        noise = PATCHES[name].facts.noise
        return {"role": "floor" if noise else "model", **_cited(PATCHES[name])}
    entry = classifier_of(name)
    role = {"role": "model"} if axis == "model" else {}
    return {**role, "shipped": isinstance(entry.part, Ready), **_cited(entry)}


def _cited(entry: Entry) -> dict[str, Any]:
    return {"summary": entry.summary, "papers": [entry.paper] if entry.paper else []}


@dataclass(frozen=True, eq=False)
class Trial:
    """A classifier and the labelled images that it is attacked on. seeds: an int64 for each.
    examples: what names the images, in their order. precision: what the classifier counts with
    while it is attacked; what is measured of it, it is asked in float32.
    """

    against: Victim
    images: Tensor
    labels: Tensor
    seeds: Tensor
    examples: str
    precision: str = "float32"

    def part(self, first: int, n: int) -> Trial:
        """Some of the images, with their own seeds."""
        images, labels, seeds = (
            values[first : first + n] for values in (self.images, self.labels, self.seeds)
        )
        return replace(self, images=images, labels=labels, seeds=seeds)


def trial_on(against: Victim, images: Tensor, labels: Tensor, seed: int, source: str) -> Trial:
    """A trial of a run's seed. source: the fingerprint of the images' data set, or what else tells
    them from others.
    """
    text = f"{source}|held-out|{len(images)}".encode(errors="surrogateescape")
    named = hashlib.sha256(text).hexdigest()[:16]
    return Trial(against, images, labels, image_seeds(seed, len(images), images.device), named)


def image_seeds(seed: int, n: int, device: torch.device | str = "cpu") -> Tensor:
    """The run's seed and an image's place alone decide its int64: every classifier and attack meets
    the same noise, so that their outcomes are pairs.
    """
    return torch.arange(n, dtype=torch.int64, device=device) + stream_seed(seed, "attack")


def trial_of(cell: Cell, bench: Bench, n: int, axis: str = "model") -> Trial:
    """The first `n` held-out images of a cell, and its classifier, trained if need be."""
    source = labelled(cell.part("dataset")).source(cell.seed, bench.device)
    images, labels = source.held_out[:n], source.held_out_labels[:n]
    against = victim_of(cell, bench, axis)
    if is_brought(cell.part(axis)):
        images = as_read(against, images)
    return trial_on(against, images, labels, cell.seed, cell.fingerprint)


def as_read(against: Victim, images: Tensor) -> Tensor:
    """Images in the colours that a network of the user's reads, as `bench attack` gives them."""

    def reads(one: Tensor) -> bool:
        try:
            against.logits(one)
        except Exception:  # whatever the user's code raises
            return False
        return True

    channels = channels_for(reads, images)
    if said := told_channels(images.shape[1], channels):
        warnings.warn(said, stacklevel=2)
    return in_channels(images, channels).contiguous() if said else images


def with_bits(value: Value, bits: np.ndarray, examples: str) -> Value:
    """A share with its bits, base64 of bytes, the first highest, and what names its examples."""
    packed = b64encode(np.packbits(bits).tobytes()).decode()
    return replace(value, outcomes=packed, examples=examples)


def order_of(cell: Cell, axis: str = "model") -> ClassifierOrder:
    """The classifier that a cell names on an axis."""
    settings = {k: v for k, v in cell.settings.items() if k in SETTINGS}
    return ClassifierOrder(cell.part(axis), cell.part("dataset"), cell.seed, settings)


def victim_of(cell: Cell, bench: Bench, axis: str = "model") -> Victim:
    """The same, from the store or trained now."""
    return victim(order_of(cell, axis), bench.artifacts, bench.device)


def artifact_of(cell: Cell) -> tuple[str, str] | None:
    """Kind and key of the classifier that a cell trains, if it trains one."""
    trains = isinstance(classifier_of(cell.part("model")).part, Classifier | Defended)
    return (KIND, order_of(cell).key(cell.device)) if trains and not cell.skip else None
