"""What tables, pictures and citations need to know of a cell's parts and of its metrics."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets import DatasetFacts
from bench.suites.cell import Cell
from bench.tasks.generation.settings import papers_of, recipe_of
from bench.tasks.values import facts_of
from generative import PROTOCOLS, TRANSLATION_PROTOCOLS
from generative.recipes.ready import Ready


def describe_model(cell: Cell) -> dict[str, Any]:
    """The role of a model's row, and what to cite for it."""
    recipe = recipe_of(cell.part("model"))
    papers = [recipe.paper, *papers_of(recipe.facts.parts)]
    for protocols in (PROTOCOLS, TRANSLATION_PROTOCOLS):
        if (name := cell.settings.get("protocol", "")) in protocols:
            papers.append(protocols[name].paper)
    note = recipe.part.note if isinstance(recipe.part, Ready) else ""
    told = {"note": note, "one_training": True} if note else {}
    return {"role": recipe.facts.role, "summary": recipe.summary, "papers": papers, **told}


def describe_images(entry: Entry[Any, DatasetFacts], colour: bool) -> dict[str, Any]:
    """Of a data set of images."""
    return {
        "summary": entry.summary,
        "papers": [entry.paper] if entry.paper else [],
        "modes": entry.facts.modes,
        "licence": entry.facts.licence,
        "images": True,
        "colour": colour,
    }


def modules_of(entry: Entry[Any, DatasetFacts]) -> tuple[str, ...]:
    """The modules whose source makes the data."""
    return (entry.origin, type(entry.part).__module__)


def facts_by_what(
    name: str,
    takes: Collection[str],
    alone: Collection[str],
    needs: str,
    tag_of: Callable[[str], str],
) -> dict[str, Any]:
    """The facts of METRIC@WHAT under the metric's name and the tag of what it rests on; under its
    name where it rests on nothing, which `alone` says of it or of what it takes. needs: what it
    rests on in words, and an example. Raises UsageError where that is left out.
    """
    known, _, given = name.partition("@")
    facts = facts_of(known, takes)
    if known in alone or facts["takes"] in alone:
        return {**facts, "name": known}
    if not given:
        words, example = needs.split("@")
        raise UsageError(f"metric '{known}' needs {words}, such as {known}@{example}")
    return {**facts, "name": f"{known}@{tag_of(given.partition(':')[0])}"}
