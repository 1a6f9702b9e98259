"""The laws of learning from few labels, by two recipes that the default pairs may leave out."""

import pytest

from bench.laws.base import judge, laws_of, load
from generative import RECIPES

load()
NAMES = ["improved-gan", "supervised", "supervised-all", "triple-gan"]
PAIRS = [
    (RECIPES[name], law)
    for name in NAMES
    for law in laws_of(RECIPES[name], RECIPES.kind)
    if law.hold.__module__ == "bench.laws.fewlabels"
]


@pytest.mark.parametrize(
    ("recipe", "law"), PAIRS, ids=[f"{recipe.name} {law.name}" for recipe, law in PAIRS]
)
def test_it_holds(recipe, law):
    found = judge(law, recipe, "", ())
    assert found.verdict in ("holds", "skipped"), found.why
    assert found.verdict == "holds" or law.name == "without-others-it-is-the-classifier-alone"
