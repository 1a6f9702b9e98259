"""What there is, without importing the parts: torch comes with them, and the answer rarely changes.

The first call in an installation imports every part and keeps what it says of itself; so does the
first after any of our source, an installed distribution, or a module that registers parts changed.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import pandas as pd

from bench.catalogue import zoo
from bench.core import kept
from bench.core.errors import UsageError, unknown
from bench.core.registry import sources_of_others
from bench.suites import builtin as tomlsuites
from results import bibliography, published

FOOLBOX = "foolbox:"
FREE: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "suites": tomlsuites.rows,
    "published": published.rows,
    "zoo": zoo.rows,
}
"""What no part is needed for."""


def listed(kind: str) -> pd.DataFrame:
    """What is registered under a kind such as "models", the suites, or the published numbers."""
    if kind in FREE:
        return pd.DataFrame(FREE[kind]())
    kinds = _index()["kinds"]
    if kind not in kinds:
        raise unknown("kind", kind, [*FREE, *kinds])
    return pd.DataFrame(kinds[kind])


def cited(what: str) -> tuple[str, str]:
    """BibTeX for exactly what a run ran, or for one registered part; a folder is always a run. And
    what to say of the finished cells of a run that are left out, or empty.
    """
    if "/" not in what and (with_torch() or what.startswith(FOOLBOX)):
        papers = _index()["papers"]
        if what in papers:
            return bibliography.cite(papers[what]), ""
        if what.startswith(FOOLBOX):
            raise unknown("attack", what, [name for name in papers if name.startswith(FOOLBOX)])
    return cited_run(what)


def cited_run(run: str) -> tuple[str, str]:
    """The same of a run: its parts' papers, then its metrics'."""
    from results.runs import find_run, left_out, refusing_damage  # listings need none of it

    directory = find_run(run)
    manifest = directory.manifest()
    with refusing_damage(run):
        parts = [facts for axis in manifest["parts"].values() for facts in axis.values()]
        papers = [paper for facts in parts for paper in facts.get("papers", [])]
        papers += [facts.get("paper", "") for facts in manifest["metrics"].values()]
        if not all(isinstance(paper, str) for paper in papers):
            raise TypeError("a paper that is no text")
        return bibliography.cite(papers), left_out(directory, manifest)


def metric_facts(metric: str) -> dict[str, Any]:
    """The facts of a registered metric by the name on its rows; none of an unknown one, nor of any
    where nothing is kept and torch is not installed.
    """
    facts = _facts()
    return facts.get(metric.partition(":")[0]) or facts.get(metric.partition("@")[0]) or {}


@cache
def _facts() -> dict[str, Any]:
    found = kept.recall("parts")
    if found is None and not with_torch():
        return {}
    return (found or _index())["facts"]


def with_torch() -> bool:
    """Whether parts can be imported here."""
    return importlib.util.find_spec("torch") is not None


def _index() -> dict[str, Any]:
    """Every listing, and the papers of every part by its name."""
    found = kept.recall("parts")
    if found is not None:
        return found
    if not with_torch():
        raise UsageError(
            "what is registered can't be told without torch, which is not installed here: install "
            "minimax-bench with all it needs (suites, published numbers and baselines need none)"
        )
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("default")
        from bench.catalogue.parts import index
    made = index()
    for warning in raised:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if not raised:
        kept.keep("parts", made, sources_of_others())
    return made
