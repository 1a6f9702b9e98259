"""The batched L-BFGS attack leaves a loop over scipy's L-BFGS-B far behind."""

import statistics

import pytest
import torch
from reference.test_lbfgs import attack, by_scipy, classifier, victims
from speed.conftest import seconds

from attacks.lbfgs import Lbfgs

ROUNDS, DIGITS, LOOPED = 5, 200, 6


def test_sixteen_digits(benchmark):
    """One small batch, as a quick look at a classifier makes it."""
    model = classifier("sigmoid", iterations=120)
    images, labels, targets = victims(model, 16)
    found = benchmark.pedantic(attack, (model, images, labels, targets))
    assert (model(found).argmax(1) == targets).all()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("units", "bar"), [("sigmoid", 15), ("relu", 5)])
def test_an_image_costs_a_fraction_of_scipys(hold, units, bar):
    """200 digits in a batch against images one by one: the median of interleaved rounds in one
    process with one thread, of its processor time. Both start each minimisation from the last
    success.
    """
    assert torch.get_num_threads() == 1
    model = classifier(units, digits=4000, iterations=200)
    images, labels, targets = victims(model, DIGITS)
    ratios = []
    for round in range(ROUNDS):
        ours = seconds(lambda: attack(model, images, labels, targets, part=Lbfgs())) / DIGITS
        chosen = range(round * LOOPED, (round + 1) * LOOPED)
        loop = seconds(lambda c=chosen: [by_scipy(model, images[i], targets[i]) for i in c])
        ratios.append(loop / LOOPED / ours)
    ratio = statistics.median(ratios)
    hold(f"L-BFGS, {units} network: scipy's time an image over ours", ratio, "at least", bar)
