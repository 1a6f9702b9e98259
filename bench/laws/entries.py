"""What holds for every entry of every registry: name, summary, paper, contract, exemptions."""

from __future__ import annotations

import re
import sys
from functools import partial

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.parts import fits, registries
from results import bibliography

law = partial(base.law, base.ANY)


def _kind(entry: Entry) -> str:
    """The kind of the registry that an entry is in, or empty."""
    for kind, registry in registries().items():
        if entry.name in registry and registry[entry.name] is entry:
            return kind
    return ""


@law(where=lambda entry: bool(_kind(entry)))
def an_entry_is_described(entry: Entry) -> None:
    """By a name that commands and patterns can hold, a line, a known paper and its module."""
    name, summary, paper, origin = entry.name, entry.summary, entry.paper, entry.origin
    assert registries()[_kind(entry)][name] == entry
    assert re.fullmatch(r"[a-z0-9]+([._@-][a-z0-9]+)*", name.replace("_", "-"))
    assert summary == summary.strip()
    assert len(summary) >= 4
    assert "\n" not in summary
    assert paper == "" or paper in bibliography.entries()
    assert origin in sys.modules


@law(where=lambda entry: bool(_kind(entry)))
def an_entry_keeps_its_contract(entry: Entry) -> None:
    """The part is what its registry promises."""
    kind = _kind(entry)
    assert fits(kind, entry.part)


@law(where=lambda entry: bool(_kind(entry)))
def exemptions_name_laws(entry: Entry) -> None:
    """And cases that there are, with a reason; or they would exempt a part from nothing."""
    laws = base.laws_of(entry, _kind(entry))
    for text in (*entry.exempt, *entry.known_issue):
        named = [
            case
            for each in laws
            for case in each.cases_of(entry)
            if base.excuse([text], each, case) not in ("", "no reason given")
        ]
        assert named, f"'{text}' names no law and case of {_kind(entry)}, or gives no reason"
