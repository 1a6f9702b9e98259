"""What every data set that ships with the project has, beyond what the laws ask of anyone's."""

import pytest

from bench.core.randomness import stream
from bench.datasets import DATASETS
from bench.datasets.dirac import Dirac
from bench.datasets.mixtures import Mixture

OURS = [entry for entry in DATASETS.entries() if entry.origin.startswith("bench.datasets.")]


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in OURS])
def test_there_is_enough_of_it_and_it_fills_its_box(entry):
    """500 to train on, but for photos and faces; images from black to white, faces nearly; modes,
    and a licence.
    """
    part, facts = entry.part, entry.facts
    if part.missing:
        pytest.skip(part.missing)
    source = part.source(0)
    examples = source.training if len(source.training) else source.fresh(20, stream("fresh"))
    assert len(source.training) >= 500 or entry.name in ("photos", "orl")
    if source.box is not None:
        slack = 0.15 if entry.name.startswith("orl") else 0
        low, high = source.box
        assert low <= examples.min() <= low + slack
        assert high - slack <= examples.max() <= high
    assert facts.modes == source.modes == part.modes
    assert facts.licence or isinstance(part, Mixture | Dirac)
