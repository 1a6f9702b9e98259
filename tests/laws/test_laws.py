"""Every law of bench.laws, for every registered part of its kind: registering enrols."""

import pytest

from bench.laws.base import judge, laws_of, load
from bench.laws.parts import registries

load()

ALIKE = {
    **dict.fromkeys(
        ("lsgan-pearson", "hingegan", "rsgan", "rasgan", "rhinge", "rahinge", "rlsgan", "ralsgan"),
        "lsgan",
    ),
    **dict.fromkeys(
        (
            *("fgan-kl", "fgan-reverse-kl", "fgan-pearson", "fgan-neyman", "fgan-hellinger"),
            *("fgan-jeffrey", "fgan-js", "fgan-tv", "softmax-gan", "bgan", "b-gan", "smoothed-gan"),
        ),
        "lsgan",
    ),
    **dict.fromkeys(("pacgan3", "pacgan4"), "pacgan2"),
    **dict.fromkeys(("unrolled1", "unrolled10"), "unrolled5"),
    "ebgan": "ebgan-pt",
    "r2gan": "r1gan",
    "stacked-unrolled-half": "stacked-unrolled-quarter",
    "dcgan-32": "dcgan",
    **dict.fromkeys(("apgd-ce", "apgd-dlr", "apgd-t", "apgd-restarts"), "apgd"),
    **dict.fromkeys(("ni-fgsm", "ti-fgsm", "vmi-fgsm"), "di-fgsm"),
    "cascade": "autoattack",
    "best": "fmn",
    "simba-dct": "simba",
    "pgd-last": "pgd",
    "mi-fgsm": "bim",
    **dict.fromkeys(("crown-ibp", "alpha-crown"), "crown"),
}
"""Models that differ from another by the loss or by a setting alone, protocols by widths, attacks
and certificates by settings of one engine: how they are trained, stopped and resumed, or what they
promise, holds for both or for neither.
"""
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


def _marks(entry, law):
    """Slow for what another part shows as well."""
    return [pytest.mark.slow] if entry.name in ALIKE and law.name not in THEIR_OWN else []


def _cases():
    """A case of a law for a part each; of exemptions by a declared fact nothing is left to try."""
    for kind, registry in registries().items():
        for entry in registry.entries():
            for law in laws_of(entry, kind):
                if law.exemption(entry):
                    continue
                for case, values in law.cases_of(entry).items():
                    name = "-".join(filter(None, [kind, entry.name, law.name, case]))
                    marks = _marks(entry, law)
                    yield pytest.param(law, entry, case, values, id=name, marks=marks)


def test_what_is_left_to_slow_tests_is_there_and_like_another():
    """Names that are registered, and laws that are."""
    entries = [(kind, entry) for kind, reg in registries().items() for entry in reg.entries()]
    about = ("model", "protocol", "attack", "certificate")
    kinds = {entry.name: kind for kind, entry in entries if kind in about}
    assert all(kinds[name] == kinds[other] for name, other in ALIKE.items())
    assert not set(ALIKE) & set(ALIKE.values())
    assert set(THEIR_OWN) <= {law.name for kind, entry in entries for law in laws_of(entry, kind)}


@pytest.mark.parametrize(("law", "entry", "case", "values"), [*_cases()])
def test_a_law_holds(law, entry, case, values):
    """Or the part says why not; an exemption that is not needed is an error."""
    found = judge(law, entry, case, values)
    if found.verdict == "skipped":
        pytest.skip(found.why)
    if found.verdict == "exempt" and found.why.startswith("a known issue"):
        pytest.xfail(found.why)
    assert found.verdict in ("holds", "exempt"), found.why
