"""Every law of bench.laws, for every registered part of its kind: registering enrols."""

import math
from hashlib import sha256

import pytest
from laws.alike import ALIKE

from bench.laws.base import judge, laws_of, load
from bench.laws.parts import registries

load()

THEIR_OWN = (
    "an-entry-is-described",
    "an-entry-keeps-its-contract",
    "exemptions-name-laws",
    "two-strides-are-one",
    "a-learner-depends-on-its-seed",
    "identity-and-forecast",
    "the-critic-makes-its-steps",
    "momentum-is-that-of-the-recipe-or-the-protocol",
    "the-parts-of-a-gan-are-those-it-trains-with",
    "a-protocol-fits-the-shape-of-the-data",
    "networks-say-whether-they-mix",
)
"""Laws that are quick, or about the very part: these are put to every part by default."""


FEWEST, SHARE, MOST = 2, 5, 3


def _by_default():
    """The pairs of law and part that are tried by default: all of `THEIR_OWN`; of each other law a
    fifth of its parts, two or three, by a hash of the names, none that is like another. The rest
    is slow: a law is of shared code, and the parts of one kind share most of it.
    """
    chosen = set()
    for kind, registry in registries().items():
        every = [(law, entry) for entry in registry.entries() for law in laws_of(entry, kind)]
        for law in {law.name for law, _ in every}:
            names = [entry.name for each, entry in every if each.name == law]
            own = [name for name in names if name not in ALIKE] or names
            some = names if law in THEIR_OWN else _some(law, own)
            chosen |= {(kind, law, name) for name in some}
    return chosen


def _some(law, names):
    """A fifth of the names, two or three."""
    ranked = sorted(names, key=lambda name: sha256(f"{law}|{name}".encode()).digest())
    return ranked[: min(MOST, max(FEWEST, math.ceil(len(names) / SHARE)))]


def _cases(every):
    """A case of a law for a part each; of exemptions by a declared fact nothing is left to try.
    every: whether slow ones are made, too: they are many.
    """
    default = _by_default()
    for kind, registry in registries().items():
        for entry in registry.entries():
            for law in laws_of(entry, kind):
                quick = (kind, law.name, entry.name) in default
                if law.exemption(entry) or not (quick or every):
                    continue
                for case, values in law.cases_of(entry).items():
                    name = "-".join(filter(None, [kind, entry.name, law.name, case]))
                    marks = [] if quick else [pytest.mark.slow]
                    yield pytest.param(law, entry, case, values, id=name, marks=marks)


def test_what_is_left_to_slow_tests_is_there_and_like_another():
    """Names that are registered, and laws that are."""
    entries = [(kind, entry) for kind, reg in registries().items() for entry in reg.entries()]
    about = ("model", "protocol", "attack", "certificate")
    kinds = {entry.name: kind for kind, entry in entries if kind in about}
    assert all(kinds[name] == kinds[other] for name, other in ALIKE.items())
    assert not set(ALIKE) & set(ALIKE.values())
    assert set(THEIR_OWN) <= {law.name for kind, entry in entries for law in laws_of(entry, kind)}


def pytest_generate_tests(metafunc):
    if "law" in metafunc.fixturenames:
        every = metafunc.config.option.markexpr != "not slow"
        metafunc.parametrize(("law", "entry", "case", "values"), [*_cases(every)])


def test_a_law_holds(law, entry, case, values):
    """Or the part says why not; an exemption that is not needed is an error."""
    found = judge(law, entry, case, values)
    if found.verdict == "skipped":
        pytest.skip(found.why)
    if found.verdict == "exempt" and found.why.startswith("a known issue"):
        pytest.xfail(found.why)
    assert found.verdict in ("holds", "exempt"), found.why
