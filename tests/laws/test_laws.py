"""Every law of bench.laws, for every registered part of its kind: registering enrols."""

import pytest

from bench.laws.base import judge, laws_of, load
from bench.laws.parts import registries

load()


def _cases():
    """A case of a law for a part each; of exemptions by a declared fact nothing is left to try."""
    for kind, registry in registries().items():
        for entry in registry.entries():
            for law in laws_of(entry, kind):
                if law.exemption(entry):
                    continue
                for case, values in law.cases_of(entry).items():
                    name = "-".join(filter(None, [kind, entry.name, law.name, case]))
                    yield pytest.param(law, entry, case, values, id=name)


@pytest.mark.parametrize(("law", "entry", "case", "values"), [*_cases()])
def test_a_law_holds(law, entry, case, values):
    """Or the part says why not; an exemption that is not needed is an error."""
    found = judge(law, entry, case, values)
    if found.verdict == "skipped":
        pytest.skip(found.why)
    if found.verdict == "exempt" and found.why.startswith("a known issue"):
        pytest.xfail(found.why)
    assert found.verdict in ("holds", "exempt"), found.why
