"""The audit of a classifier: can the figures of attacks on it be trusted?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field
from torch import Tensor

from attacks.audit import Finding, audit, tools
from attacks.diagnostics import DIAGNOSTICS, Tools
from bench.core.errors import unknown
from bench.models.brought import SETTINGS
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Bench, Measurement, Value
from bench.tasks.robustness.base import RobustnessTask, Trial, artifact_of, trial_of
from bench.tasks.robustness.settings import ImageSettings, attack_of, parse_radii
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


class AuditSettings(ImageSettings):
    """radii: the last is the one of interest. single, iterative, black_box, noise, search: the
    attacks.
    """

    radii: str = "0.1,0.2,0.3"
    images: int = Field(default=200, ge=2, le=100_000)
    single: str = "fgsm"
    iterative: str = "apgd-restarts"
    black_box: str = "square"
    noise: str = "sign-noise"
    search: str = "fab"

    @property
    def attacks(self) -> tuple[str, str, str, str, str]:
        return self.single, self.iterative, self.black_box, self.noise, self.search


class AuditTask(RobustnessTask):
    """Axes: dataset (labelled images), model (a classifier)."""

    axes = ("dataset", "model")

    def check(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        asked = checked(AuditSettings, settings)
        parse_radii(asked.radii)
        for attack in map(attack_of, asked.attacks):
            if asked.norm not in attack.part.norms:
                raise unknown("norm", asked.norm, attack.part.norms, f"(attack {attack.name})")
        return asked.model_dump()

    def origins(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> tuple[str, ...]:
        attacks = map(attack_of, checked(AuditSettings, settings).attacks)
        return tuple(entry.origin for entry in (*attacks, *DIAGNOSTICS.entries()))

    def forecast(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> float:
        return settings["images"] * SECONDS_AN_IMAGE

    def gives(self, parts: Mapping[str, str], settings: Mapping[str, Any]) -> Iterable[str]:
        return every_fact()

    def metric_facts(self, name: str) -> dict[str, Any]:
        known = every_fact()
        if name not in known:
            raise unknown("metric", name, known)
        return known[name]

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return artifact_of(cell)

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        own = {k: v for k, v in cell.settings.items() if k not in SETTINGS}
        asked = checked(AuditSettings, own)
        trial = trial_of(cell, bench, asked.images)
        findings = audit_trial(trial, asked, parse_radii(asked.radii), tools(*asked.attacks))
        return Measurement(values_of(findings, len(trial.images)), artifact_key=trial.against.key)


def every_fact() -> dict[str, dict[str, Any]]:
    """The facts of the number of findings and of each finding, by the names on the rows."""
    found = {COUNT: {**FINDINGS, "name": COUNT}}
    for entry in DIAGNOSTICS.entries():
        about = {"direction": "none", "kind": "seeded", "estimator": entry.summary}
        name = PREFIX + entry.name
        found[name] = {**vars(entry.facts), **about, "paper": entry.paper, "name": name}
    return found


def audit_trial(
    trial: Trial,
    asked: ImageSettings,
    radii: Sequence[float],
    using: Tools,
    given: Tensor | None = None,
    tell: Callable[[int, int], None] = lambda begun, of: None,
) -> list[Finding]:
    """The findings on a classifier, in the norm and the box that are asked for. given: what the
    attack in question made of the images within the last radius. tell: is told which diagnostic of
    how many begins.
    """
    return audit(
        trial.against.model,
        trial.images,
        trial.labels,
        seeds=trial.seeds,
        norm=asked.norm,
        radii=radii,
        box=asked.box,
        using=using,
        given=given,
        tell=tell,
    )


def values_of(findings: list[Finding], images: int) -> list[Value]:
    """Findings as rows; `label` says of each whether it fires, or what explains it."""
    rows = [
        Value(
            PREFIX + finding.name,
            finding.value,
            n=images,
            label=_label(finding),
            version=DIAGNOSTICS[finding.name].facts.version,
        )
        for finding in findings
    ]
    count = float(sum(finding.fires for finding in findings))
    return [Value(COUNT, count, n=images, direction="lower"), *rows]


def _label(finding: Finding) -> str:
    if finding.fires:
        return "fires"
    return f"explained by {', '.join(finding.blamed)}" if finding.blamed else ""


TASKS.register("audit")(AuditTask())
