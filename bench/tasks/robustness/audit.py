"""The audit of a classifier: can the figures of attacks on it be trusted?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from attacks.audit import Finding, audit, tools
from attacks.diagnostics import DIAGNOSTICS
from bench.core.errors import unknown
from bench.models.classifiers import classifier_of, labelled, training_seconds, unfit, victim
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Resolved, Task, Value
from bench.tasks.robustness.settings import (
    artifact_of,
    attack_of,
    describe_victim,
    every_part,
    image_seeds,
    order_of,
    parse_radii,
)
from bench.tasks.values import checked

COUNT = "audit_findings"
PREFIX = "audit_"
SECONDS_AN_IMAGE = 0.05
FINDINGS = {
    "title": "findings",
    "direction": "lower",
    "version": 1,
    "kind": "seeded",
    "low": 0,
    "digits": 0,
    "paper": "arXiv:1902.06705",
    "estimator": "diagnostics that fire; what a cause explains is not counted again",
}


class Settings(BaseModel):
    """norm, radii (the last is the one of interest), clip, images; and the attacks to use."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    norm: str = "linf"
    radii: str = "0.1,0.2,0.3"
    clip: bool = True
    images: int = Field(default=200, ge=2, le=100_000)
    single: str = "fgsm"
    iterative: str = "apgd-restarts"
    black_box: str = "square"
    noise: str = "sign-noise"


class AuditTask(Task):
    """Axes: dataset (labelled images), model (a classifier)."""

    axes = ("dataset", "model")

    def every(self, axis: str) -> list[str]:
        return every_part(axis)

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked = checked(Settings, settings)
        parse_radii(asked.radii)
        usual, chosen = Settings().model_dump(), asked.model_dump()
        data, entry = labelled(parts["dataset"]), classifier_of(parts["model"])
        used = [attack_of(name) for name in _names(asked)]
        for attack in used:
            if asked.norm not in attack.part.norms:
                raise unknown("norm", asked.norm, attack.part.norms, f"(attack {attack.name})")
        skip = unfit(parts["model"], parts["dataset"])
        trained = 0.0 if skip else training_seconds(parts["model"], parts["dataset"])
        return Resolved(
            settings=chosen,
            differing={k: v for k, v in chosen.items() if usual[k] != v},
            fingerprint=data.fingerprint,
            modules=(
                __name__,
                entry.origin,
                type(data).__module__,
                *(attack.origin for attack in used),
                *(diagnostic.origin for diagnostic in DIAGNOSTICS.entries()),
            ),
            seconds=0.0 if skip else trained + asked.images * SECONDS_AN_IMAGE,
            skip=skip,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        if name == COUNT:
            return {**FINDINGS, "name": name}
        known = {PREFIX + diagnostic: DIAGNOSTICS[diagnostic] for diagnostic in DIAGNOSTICS}
        if name not in known:
            raise unknown("metric", name, [COUNT, *known])
        entry = known[name]
        about = {"direction": "none", "version": 1, "kind": "seeded", "estimator": entry.summary}
        return {**vars(entry.facts), **about, "paper": entry.paper, "name": name}

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return describe_victim(cell)

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        asked = checked(Settings, cell.settings)
        source = labelled(cell.part("dataset")).source(cell.seed, bench.device)
        images = source.held_out[: asked.images]
        against = victim(order_of(cell), bench.artifacts, bench.device)
        findings = audit(
            against.model,
            images,
            source.held_out_labels[: len(images)],
            seeds=image_seeds(cell.seed, len(images), bench.device),
            norm=asked.norm,
            radii=parse_radii(asked.radii),
            box=(0.0, 1.0) if asked.clip else None,
            using=tools(*_names(asked)),
        )
        return Measurement(values_of(findings, len(images)), artifact_key=against.key)


def values_of(findings: list[Finding], images: int) -> list[Value]:
    """Findings as rows; `label` says of each whether it fires, or what explains it."""
    rows = [
        Value(PREFIX + finding.name, finding.value, n=images, label=_label(finding))
        for finding in findings
    ]
    count = float(sum(finding.fires for finding in findings))
    return [Value(COUNT, count, n=images, direction="lower"), *rows]


def _label(finding: Finding) -> str:
    if finding.fires:
        return "fires"
    return f"explained by {', '.join(finding.blamed)}" if finding.blamed else ""


def _names(asked: Settings) -> tuple[str, str, str, str]:
    return asked.single, asked.iterative, asked.black_box, asked.noise


TASKS.register("audit")(AuditTask())
