"""What there is: registered parts, suites, versions, the cache; and what to cite."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from attacks import ATTACKS, foolbox_adapter
from attacks.certificates import CERTIFICATES
from attacks.classifiers import CLASSIFIERS
from attacks.corruptions import CORRUPTIONS
from attacks.diagnostics import DIAGNOSTICS
from attacks.patches import PATCHES
from bench.catalogue.index import FREE, cited_run, listed
from bench.core.arguments import checked
from bench.core.errors import unknown
from bench.core.files import cache_folder
from bench.core.registry import Registry
from bench.datasets import DATASETS
from bench.datasets.encoders import ENCODERS
from bench.extractors import EXTRACTORS
from bench.figures import FIGURES
from bench.models.store import ArtifactStore
from bench.tasks.generation.settings import papers_of
from bench.tasks.robustness import audit
from generative import (
    CONSTRAINTS,
    CRITICS,
    DYNAMICS,
    GENERATORS,
    LOSSES,
    NETWORKS,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
    TERMS,
    TRANSLATION_PROTOCOLS,
    VIEWS,
    Loss,
)
from generative.pyramids import BLENDS, CODERS, PYRAMIDS
from generative.recipes.playing import Parted, Playing
from generative.training import settings_of
from metrics import JUDGES, METRICS, RULES
from metrics.judges.segmenter import SEGMENTERS
from metrics.judges.towers import TOWERS
from results import bibliography
from results.provenance import environment
from results.trackers import TRACKERS

REGISTRIES: dict[str, Registry] = {
    "models": RECIPES,
    "losses": LOSSES,
    "penalties": PENALTIES,
    "constraints": CONSTRAINTS,
    "views": VIEWS,
    "terms": TERMS,
    "dynamics": DYNAMICS,
    "critics": CRITICS,
    "generators": GENERATORS,
    "networks": NETWORKS,
    "protocols": PROTOCOLS,
    "pyramids": PYRAMIDS,
    "coders": CODERS,
    "blends": BLENDS,
    "metrics": METRICS,
    "rules": RULES,
    "datasets": DATASETS,
    "encoders": ENCODERS,
    "judges": JUDGES,
    "features": EXTRACTORS,
    "attacks": ATTACKS,
    "certificates": CERTIFICATES,
    "corruptions": CORRUPTIONS,
    "patches": PATCHES,
    "classifiers": CLASSIFIERS,
    "diagnostics": DIAGNOSTICS,
    "figures": FIGURES,
    "trackers": TRACKERS,
}
ALSO: dict[str, tuple[Registry, ...]] = {
    "protocols": (TRANSLATION_PROTOCOLS,),
    "judges": (SEGMENTERS, TOWERS),
}
"""What is listed with the others, and has a registry of its own."""


@checked()
def list_parts(kind: str) -> pd.DataFrame:
    """What is registered under a kind such as "models", the suites, or the published numbers."""
    if kind in FREE:
        return listed(kind)
    if kind not in REGISTRIES:
        raise unknown("kind", kind, [*FREE, *REGISTRIES])
    return pd.DataFrame(_rows(kind))


def _rows(kind: str) -> list[dict[str, Any]]:
    rows = []
    more = [entry for registry in ALSO.get(kind, ()) for entry in registry.entries()]
    for entry in [*REGISTRIES[kind].entries(), *more]:
        facts = vars(entry.facts) | {"exempt": entry.exempt, "known_issue": entry.known_issue}
        facts = {name: value for name, value in facts.items() if value not in ("", ())}
        if text := getattr(entry.part, "deviations", ""):
            facts["deviations"] = text
        if own := _settings(entry.part):
            facts["settings"] = own
        if suited := _on_points(entry.part):
            facts["on_points"] = suited
        rows.append({"name": entry.name, "summary": entry.summary, "paper": entry.paper, **facts})
    return rows + (foolbox_adapter.rows() if kind == "attacks" else [])


def _settings(part: Any) -> str:
    """The settings of a part of a game, or of all that a model is made of, with what they are."""
    own = part.own() if isinstance(part, Parted) else settings_of(_made(part))
    return ", ".join(f"{name}={setting.default}" for name, setting in own.items())


def _on_points(part: Any) -> str:
    """The settings that a model has on points, with what they are there."""
    own = part.on_points if isinstance(part, Playing) else {}
    return ", ".join(f"{name}={value}" for name, value in own.items())


def _made(part: Any) -> Any:
    """A loss is registered as a class."""
    return part() if isinstance(part, type) and issubclass(part, Loss) else part


@checked()
def cite(what: str) -> str:
    """BibTeX for exactly what a run ran, or for one registered part."""
    papers = _papers()
    if what in papers:
        return bibliography.cite(papers[what])
    if what.startswith(foolbox_adapter.PREFIX):
        raise unknown("attack", what, foolbox_adapter.names())
    return cited_run(what)[0]


def _papers() -> dict[str, list[str]]:
    """What to cite for each part, by its name; a name of several kinds cites all of them."""
    found = {name: [foolbox_adapter.PAPER] for name in foolbox_adapter.names()}
    others = (registry for also in ALSO.values() for registry in also)
    for registry in (*REGISTRIES.values(), *others):
        for entry in registry.entries():
            papers = [entry.paper, *papers_of(getattr(entry.facts, "parts", ()))]
            found[entry.name] = [*found.get(entry.name, []), *papers]
    return found


def index() -> dict[str, Any]:
    """Every listing, the papers of every part and the facts of every metric, as
    `bench.catalogue.index` keeps them.
    """
    return {
        "kinds": {kind: _rows(kind) for kind in REGISTRIES},
        "papers": _papers(),
        "facts": {**{e.name: vars(e.facts) for e in METRICS.entries()}, **audit.every_fact()},
    }


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
    """Empty the artifact store; what it held. Runs are left alone, and so are models that somebody
    is training: `attrs["busy"]` says how many.
    """
    held = cache_contents()
    held.attrs["busy"] = ArtifactStore(cache_folder()).empty()
    return held
