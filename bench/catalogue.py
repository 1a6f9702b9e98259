"""What there is: registered parts, suites, versions, the cache; and what to cite."""

from __future__ import annotations

import pandas as pd
import torch

from attacks import ATTACKS, foolbox_adapter
from attacks.classifiers import CLASSIFIERS
from attacks.diagnostics import DIAGNOSTICS
from bench.core.errors import unknown
from bench.core.files import cache_folder
from bench.core.registry import Registry
from bench.datasets import DATASETS
from bench.extractors import EXTRACTORS
from bench.models.store import ArtifactStore
from bench.suites import builtin as tomlsuites
from bench.tasks.generation.settings import papers_of
from generative import (
    CONSTRAINTS,
    LOSSES,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
    TRANSLATION_PROTOCOLS,
)
from metrics import JUDGES, METRICS, RULES
from metrics.judges.segmenter import SEGMENTERS
from results import bibliography, published
from results.provenance import environment
from results.runs import find_run, refusing_damage

REGISTRIES: dict[str, Registry] = {
    "models": RECIPES,
    "losses": LOSSES,
    "penalties": PENALTIES,
    "constraints": CONSTRAINTS,
    "protocols": PROTOCOLS,
    "metrics": METRICS,
    "rules": RULES,
    "datasets": DATASETS,
    "judges": JUDGES,
    "features": EXTRACTORS,
    "attacks": ATTACKS,
    "classifiers": CLASSIFIERS,
    "diagnostics": DIAGNOSTICS,
}
ALSO: dict[str, Registry] = {"protocols": TRANSLATION_PROTOCOLS, "judges": SEGMENTERS}
"""What is listed with the others, and has a registry of its own."""


def list_parts(kind: str) -> pd.DataFrame:
    """What is registered under a kind such as "models", the suites, or the published numbers."""
    if kind == "suites":
        return pd.DataFrame(tomlsuites.rows())
    if kind == "published":
        return pd.DataFrame(published.rows())
    if kind not in REGISTRIES:
        raise unknown("kind", kind, ["suites", "published", *REGISTRIES])
    rows = []
    more = ALSO[kind].entries() if kind in ALSO else []
    for entry in [*REGISTRIES[kind].entries(), *more]:
        facts = vars(entry.facts) | {"exempt": entry.exempt, "known_issue": entry.known_issue}
        facts = {name: value for name, value in facts.items() if value not in ("", ())}
        if text := getattr(entry.part, "deviations", ""):
            facts["deviations"] = text
        rows.append({"name": entry.name, "summary": entry.summary, "paper": entry.paper, **facts})
    return pd.DataFrame(rows + (foolbox_adapter.rows() if kind == "attacks" else []))


def cite(what: str) -> str:
    """BibTeX for exactly what a run ran, or for one registered part."""
    if what.startswith(foolbox_adapter.PREFIX):
        known = foolbox_adapter.names()
        if what not in known:
            raise unknown("attack", what, known)
        return bibliography.cite([foolbox_adapter.PAPER])
    for registry in (*REGISTRIES.values(), *ALSO.values()):
        if what in registry:
            entry = registry[what]
            return bibliography.cite([entry.paper, *papers_of(getattr(entry.facts, "parts", ()))])
    manifest = find_run(what).manifest()
    with refusing_damage(what):
        parts = [facts for axis in manifest["parts"].values() for facts in axis.values()]
        papers = [paper for facts in parts for paper in facts.get("papers", [])]
        papers += [facts.get("paper", "") for facts in manifest["metrics"].values()]
        return bibliography.cite(papers)


def env() -> pd.DataFrame:
    """Versions, devices and folders, a name and a value a row."""
    facts = environment()
    rows = {**facts.pop("versions"), **facts}
    rows["cuda"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    rows["mps"] = str(torch.backends.mps.is_available())
    rows["cache"] = str(cache_folder())
    return pd.DataFrame([{"name": name, "value": str(value)} for name, value in rows.items()])


def cache_contents() -> pd.DataFrame:
    """What the artifact store holds, by kind."""
    return pd.DataFrame(
        ArtifactStore(cache_folder()).contents(),
        columns=["kind", "artifacts", "unfinished", "bytes"],
    )


def clean() -> pd.DataFrame:
    """Empty the artifact store; what it held. Runs are left alone."""
    held = cache_contents()
    ArtifactStore(cache_folder()).empty()
    return held
