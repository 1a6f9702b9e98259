"""What a law is, and how a part is judged by it.

A law is a plain function of a registry entry, and of a case where it has several; it raises
AssertionError where it does not hold. Its first line is its title, its name is what a part's
`exempt` and `known_issue` name.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Literal

from bench.core.errors import one_line
from bench.core.randomness import forked
from bench.core.registry import Entry, import_all
from bench.laws.examples import counter_example

Cases = Mapping[str, tuple]
Verdict = Literal["holds", "broken", "exempt", "skipped"]
ONE: Cases = {"": ()}
ANY = "any"
"""The kind of laws that are about every registered part."""
LAWS: dict[str, list[Law]] = {}
"""By the kind of part, as its registry calls it; filled at import and only read afterwards."""


class Skipped(Exception):
    """A law has nothing to say of this part here; the message says why."""


@dataclass(frozen=True)
class Law:
    """hold: the law itself, of an entry and what a case stands for. where: whether it is about
    such a part at all. only, unless: a fact that a part must declare, or must not, for the law to
    be asked of it.
    """

    kind: str
    name: str
    title: str
    hold: Callable[..., None]
    cases: Cases | Callable[[Entry], Cases]
    where: Callable[[Entry], bool]
    only: str
    unless: str

    def cases_of(self, entry: Entry) -> Cases:
        """The cases of the law for a part, each under its name."""
        return self.cases if isinstance(self.cases, Mapping) else self.cases(entry)

    def exemption(self, entry: Entry) -> str:
        """The declared fact that exempts a part from all cases, in words, or empty."""
        if self.only and not getattr(entry.facts, self.only):
            return f"it is not declared `{self.only}`"
        if self.unless and getattr(entry.facts, self.unless):
            return f"it is declared `{self.unless}`"
        return ""


@dataclass(frozen=True)
class Finding:
    """What became of one case of a law. why: the counter-example, or why there is none."""

    law: Law
    case: str
    verdict: Verdict
    why: str = ""


def law(
    kind: str,
    *,
    cases: Cases | Callable[[Entry], Cases] = ONE,
    where: Callable[[Entry], bool] = lambda entry: True,
    only: str = "",
    unless: str = "",
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a function to make it a law of a kind of part."""

    def add(hold: Callable[..., None]) -> Callable[..., None]:
        title = " ".join((hold.__doc__ or "").split("\n\n")[0].split())
        name = hold.__name__.replace("_", "-")
        LAWS.setdefault(kind, []).append(Law(kind, name, title, hold, cases, where, only, unless))
        return hold

    return add


def each(*axes: Iterable[Any] | Mapping[str, Any]) -> Cases:
    """Every combination of some values, named by them or by the keys of a mapping."""
    named = [
        axis if isinstance(axis, Mapping) else {_shown(value): value for value in axis}
        for axis in axes
    ]
    return {
        "-".join(label for label, _ in combination): tuple(value for _, value in combination)
        for combination in itertools.product(*(axis.items() for axis in named))
    }


def _shown(value: Any) -> str:
    return str(value).removeprefix("torch.")


def load() -> None:
    """Import every module of laws. It takes a second, which no other verb should."""
    import_all(importlib.import_module(__package__ or "bench.laws"))


def laws_of(entry: Entry, kind: str) -> list[Law]:
    """The laws that are about such a part."""
    return [each for each in _every(kind) if each.where(entry)]


def _every(kind: str) -> list[Law]:
    return [*LAWS.get(ANY, []), *LAWS.get(kind, [])]


def excuse(texts: Iterable[str], law: Law, case: str) -> str:
    """The reason that one of a part's exemptions gives for a case of a law, or empty."""
    for text in texts:
        named, _, reason = text.partition(":")
        name, _, patterns = named.strip().partition("[")
        chosen = [pattern.strip() for pattern in patterns.rstrip("]").split(",")]
        if name == law.name and (not patterns or any(fnmatch(case, each) for each in chosen)):
            return reason.strip() or "no reason given"
    return ""


def judge(law: Law, entry: Entry, case: str, values: tuple) -> Finding:
    """Put a part to one case of a law. What the part raises breaks the law."""
    if exempt := law.exemption(entry):
        return Finding(law, case, "exempt", exempt)
    try:
        with forked(0):
            law.hold(entry, *values)
    except Skipped as reason:
        return Finding(law, case, "skipped", str(reason))
    except Exception as error:
        found = counter_example(error)
    else:
        found = ""
    if designed := excuse(entry.exempt, law, case):
        return _strict(Finding(law, case, "exempt", designed), bool(found))
    if issue := excuse(entry.known_issue, law, case):
        return _strict(Finding(law, case, "exempt", f"a known issue: {issue}"), bool(found))
    return Finding(law, case, "broken" if found else "holds", found)


def _strict(finding: Finding, broken: bool) -> Finding:
    """An exemption that nothing is exempt by is an error."""
    if broken:
        return finding
    why = one_line(f"it holds, and the part is exempt from it: strike that off ({finding.why})")
    return Finding(finding.law, finding.case, "broken", why)


def judge_all(entry: Entry, kind: str) -> Iterable[Finding]:
    """Put a part to every case of every law of its kind, one after another. A part of which it
    can't even be said what is to be asked breaks the law.
    """
    for each in _every(kind):
        try:
            cases = each.cases_of(entry) if each.where(entry) else {}
            exempt = each.exemption(entry) if cases else ""
        except Exception as error:
            yield Finding(each, "", "broken", counter_example(error))
            continue
        if exempt:
            yield Finding(each, "", "exempt", exempt)
            continue
        for case, values in cases.items():
            yield judge(each, entry, case, values)


def once(make: Callable[..., Any]) -> Callable[..., Any]:
    """Remember what a function made of an entry's part, by the part's identity: laws that only
    look at a trained model share it.
    """
    known: dict[tuple, tuple[Any, Any]] = {}

    def remembered(entry: Entry, *rest: Any) -> Any:
        key = (id(entry.part), *rest)
        if key not in known:
            known[key] = entry.part, make(entry, *rest)
        return known[key][1]

    return remembered
