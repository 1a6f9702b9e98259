"""What `bench attack` found, as rows, tables and pictures."""

from __future__ import annotations

import hashlib
import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import pandas as pd
import torch

from attacks import MinimalNorm
from attacks.audit import Finding
from attacks.diagnostics import DIAGNOSTICS
from attacks.norms import NORMS, size
from bench.attack.classes import (
    FEW,
    class_layout,
    class_values,
    classes_of,
    confusion_layout,
    place_of,
)
from bench.attack.evaluate import AttackRequest as Request
from bench.attack.evaluate import Evaluation
from bench.attack.verdict import Verdict, verdict_of, with_verdicts
from bench.tasks import TASKS
from bench.tasks.robustness.attack import ADAPTED, APART, BY, TARGETED
from bench.tasks.robustness.settings import WITHIN
from results.pictures.attack import Confusion, Curve, Example, confusions, curves, triptychs
from results.provenance import source
from results.rows import Record
from results.statistics import wilson
from results.store import frame
from results.summary import summarise
from results.tables import Layout, layouts, number

SUITE = "attack"
SHOWN = (
    "clean_error",
    "adversarial_error",
    "attack_success",
    WITHIN,
    "robust_accuracy",
    "confidence_on_errors",
    "distance",
    TARGETED,
)
COSTS = ("attack_forwards", "attack_backwards")
EXAMPLES = 4
CURVES = (("robust_accuracy", "robust accuracy"), ("adversarial_error", "error"))


class Report(ABC):
    """What `bench attack` found, in one norm or in several."""

    @property
    @abstractmethod
    def evaluations(self) -> tuple[Evaluation, ...]:
        """Of each norm."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """Classifier and attack."""

    @property
    @abstractmethod
    def rows(self) -> pd.DataFrame:
        """One for each value, with the columns of every table of ours."""

    @property
    @abstractmethod
    def verdict(self) -> Verdict:
        """Whether the figures can be believed."""

    @property
    @abstractmethod
    def told(self) -> pd.DataFrame:
        """The table with the interval of each value, and what speaks for or against it."""

    @abstractmethod
    def layouts(self) -> Iterator[Layout]:
        """Tables for people."""

    @abstractmethod
    def adversarials(self) -> bytes:
        """An .npz file of the attacked images: see `npz`."""

    @final
    def figure(self) -> bytes:
        """A PNG of the first images that were right and are misled, each with its perturbation."""
        found = self.evaluations
        few = max(1, EXAMPLES // len(found))
        title = f"{self.subject}, {' then '.join(map(place_of, found))}"
        return triptychs([one for made in found for one in _examples(made, few)], title)

    @final
    def curve(self) -> bytes:
        """A PNG of robust accuracy and error over the radius, a panel a norm."""
        panels = [(_curves(made), made.asked.settings.norm) for made in self.evaluations]
        return curves(panels, self.subject)

    @final
    def confusion(self) -> bytes:
        """A PNG of attacked images by label and answer, a panel a norm."""
        panels = []
        for made in self.evaluations:
            found = classes_of(made, class_names(made))
            names = [found.name(label) for label in found.shown]
            panels.append(Confusion(place_of(made), found.counts(), names))
        return confusions(panels, self.subject)


@final
@dataclass(frozen=True, eq=False)
class Attacked(Report):
    """table: the rows, with the columns of every table of ours. evaluation: what they come from."""

    table: pd.DataFrame
    evaluation: Evaluation
    request: Request
    record: dict[str, Any]

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        return (self.evaluation,)

    @property
    def subject(self) -> str:
        return f"{self.request.classifier}, {self.request.attack}"

    @property
    def rows(self) -> pd.DataFrame:
        return self.table

    def layouts(self) -> Iterator[Layout]:
        """The curve or the search, the classes, then the audit."""
        records = {self.record["key"]: self.record}
        manifest = _manifest(self.record, self.evaluation)
        for layout in layouts(summarise(manifest, records), manifest):
            notes = [*layout.notes, *(f"! {note}" for note in self.evaluation.notes)]
            yield replace(layout, notes=notes)
        yield from self._by_class()
        if self.evaluation.findings:
            said = (*self.verdict.lines, *self.verdict.hints)
            yield audit_layout(self.evaluation.findings, said)
        elif self.request.audits:
            yield Layout("audit", [], [], [], [*self.verdict.lines])

    def _by_class(self) -> Iterator[Layout]:
        """The classes where they are asked for, or few; how they are confused where asked for."""
        made = self.evaluation
        found, where = classes_of(made, class_names(made)), place_of(made)
        if self.request.per_class or found.classes <= FEW:
            yield class_layout(found, where)
        if self.request.per_class:
            yield confusion_layout(found, where)

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.request, self.evaluation)

    @property
    def told(self) -> pd.DataFrame:
        return with_verdicts(self.table, self.evaluation, self.verdict)

    def adversarials(self) -> bytes:
        return npz([self])


def npz(reports: Sequence[Attacked]) -> bytes:
    """An .npz file, a row an image and norm: attacked and clean images, labels, predictions and
    confidences before and after, the size of each difference in every norm, the norm and radius of
    the attack (NaN of a search), which attack misled it (empty: none), its name and its place.
    """
    rows = [_arrays(report.evaluation) for report in reports]
    buffer = io.BytesIO()
    whole: dict[str, Any] = {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}
    np.savez_compressed(buffer, **whole)
    return buffer.getvalue()


def _arrays(made: Evaluation) -> dict[str, np.ndarray]:
    n, settings = len(made.pictures.labels), made.asked.settings
    change = made.attacked.double() - made.pictures.images.double()
    before, after = (
        logits.double().softmax(1).amax(1).numpy() for logits in (made.before, made.after)
    )
    radius = np.nan if made.asked.counted or made.largest is None else made.largest
    return {
        "images": made.attacked.numpy(),
        "clean": made.pictures.images.numpy(),
        "labels": made.pictures.labels.numpy(),
        "predictions": made.after.argmax(1).numpy(),
        "clean_predictions": made.before.argmax(1).numpy(),
        "confidences": after,
        "clean_confidences": before,
        **{name: size(change, name).numpy() for name in NORMS},
        "norm": np.array([settings.norm] * n),
        "radius": np.full(n, radius),
        "robust": made.robust,
        "finders": np.array(made.finders),
        "names": np.array(made.pictures.names),
        "places": np.arange(n),
    }


def _examples(made: Evaluation, few: int) -> list[Example]:
    """The first images that were right and are misled."""
    names = class_names(made)
    before, after = (_answers(logits) for logits in (made.before, made.after))
    labels = made.pictures.labels.tolist()
    return [
        Example(
            made.pictures.images[i].numpy(),
            made.attacked[i].numpy(),
            (names(before[0][i]), before[1][i]),
            (names(after[0][i]), after[1][i]),
            names(labels[i]),
        )
        for i in _telling(before[0], after[0], labels)[:few]
    ]


def _curves(made: Evaluation) -> list[Curve]:
    """Robust accuracy and error over the radius, with their intervals."""
    found = []
    for metric, label in CURVES:
        at = [v for v in made.values if v.metric == metric and v.epsilon is not None]
        bounds = [wilson(v.value, v.n or 1) for v in at]
        low, high = ([getattr(b, side) for b in bounds] for side in ("low", "high"))
        radii, shares = [v.epsilon for v in at], [v.value for v in at]
        found.append(Curve(label, *(np.array(x, float) for x in (radii, shares, low, high))))
    return found


def report(request: Request, made: Evaluation, seconds: float) -> Attacked:
    """The rows of an evaluation, and all it takes to print it."""
    asked = asdict(replace(request, parts=None))
    identity = json.dumps([asked, made.asked.relevant], sort_keys=True, default=str)
    classes = classes_of(made, class_names(made))
    by_class = class_values(classes, made, made.examples) if request.per_class else ()
    record = Record(
        suite=SUITE,
        task=SUITE,
        cell_id=f"{SUITE}/{request.data}/{request.classifier}/{request.attack}",
        key=hashlib.sha256(identity.encode()).hexdigest(),
        dataset=request.data,
        dataset_fingerprint=_fingerprint(made),
        model=request.classifier,
        attack=request.attack,
        settings={**made.asked.relevant, "images": len(made.pictures.labels)},
        seed=request.seed,
        seconds=seconds,
        device=request.device,
        threads=request.threads_used,
        values=[*made.values, *by_class],
        **source(),
    ).as_dict()
    table = frame([record])
    verdict = verdict_of(request, made)
    table.attrs |= {"verdict": verdict.word, "said": verdict.said, "notes": made.notes}
    return Attacked(table, made, request, record)


def timed(request: Request, work: Any) -> Attacked:
    """The report of `work()`, an evaluation of the request."""
    started = time.perf_counter()
    made = work()
    return report(request, made, time.perf_counter() - started)


def _fingerprint(made: Evaluation) -> str:
    digest = hashlib.sha256(made.pictures.images.numpy().tobytes())
    digest.update(made.pictures.labels.numpy().tobytes())
    return digest.hexdigest()


def _manifest(record: dict[str, Any], made: Evaluation) -> dict[str, Any]:
    """What tables need to know: a block of one cell."""
    attack = TASKS["attack"].part
    adapted = [value.metric for value in made.values if value.metric.endswith(f"@{ADAPTED}")]
    given = {v.metric.partition("@")[0]: v.metric for v in made.values if v.metric not in adapted}
    own = tuple(f"{name}@" for name in (BY, *APART))
    members = [value.metric for value in made.values if value.metric.startswith(own)]
    shown = [given[name] for name in SHOWN if name in given]
    if isinstance(made.asked.attack, MinimalNorm):
        shown += ["distortion"]
    shown += dict.fromkeys([*members, *(name for name in adapted if name.startswith("robust"))])
    cost = [*shown, *COSTS]
    facts = {name: attack.metric_facts(name) for name in cost}
    parts = {name: record[name] for name in ("dataset", "model", "attack")}
    cell = {"parts": parts, "cell_id": record["cell_id"], "key": record["key"]}
    cell |= {"settings": record["settings"], "seed": record["seed"]}
    block = {"name": "attack", "task": "attack", "metrics": cost, "published": []}
    return {"blocks": [block], "metrics": facts, "cells": [{**cell, "block": "attack"}]}


def audit_layout(findings: Sequence[Finding], said: Iterable[str]) -> Layout:
    """The audit, a row a diagnostic: its value, what it means, and whether it fires; under it what
    is said of all.
    """
    rows = []
    for finding in findings:
        entry = DIAGNOSTICS[finding.name]
        value = number(finding.value, {"percent": entry.facts.percent, "digits": 1})
        verdict = "fires" if finding.fires else "" if entry.facts.above is None else "fine"
        if finding.blamed:
            verdict = (
                f"explained by {', '.join(DIAGNOSTICS[b].facts.title for b in finding.blamed)}"
            )
        limit = "" if entry.facts.above is None else f"{100 * entry.facts.above:g}"
        cells = (entry.facts.title, value, limit, verdict, entry.summary)
        rows.append([(cell, "") for cell in cells])
    heads = ["audit", "%", "above", "verdict", "what it measures"]
    return Layout("audit", heads, rows, ["model"] * len(rows), [*said], (0, 3, 4))


def _answers(logits: torch.Tensor) -> tuple[list[int], list[float]]:
    chances = logits.double().softmax(1)
    return chances.argmax(1).tolist(), chances.amax(1).tolist()


def _telling(before: Sequence[int], after: Sequence[int], labels: Sequence[int]) -> list[int]:
    """The first images that were right and are misled; others where there are too few."""
    misled = [i for i, y in enumerate(labels) if before[i] == y != after[i]]
    rest: Iterable[int] = (i for i in range(len(labels)) if i not in set(misled))
    return [*misled, *rest][:EXAMPLES]


def class_names(made: Evaluation) -> Any:
    """A class's name: the data's own, ImageNet's for 1,000 classes, else its number."""
    names = made.classes
    if not names and made.before.shape[1] == 1000:
        from torchvision.models._meta import _IMAGENET_CATEGORIES

        names = list(_IMAGENET_CATEGORIES)
    return lambda label: names[label] if 0 <= label < len(names) else str(label)
