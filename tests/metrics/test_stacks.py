"""Scores of stacks and of bounds by name."""

import numpy as np
import pytest

from bench.laws.modes import gain
from bench.laws.stackscores import SAMPLERS, Line, on_the_line, readings, stack_truth
from metrics import METRICS, tally_stacks


@pytest.mark.parametrize("depth", [2, 3])
def test_the_smaller_collapse_is_better(depth):
    """A dropped digit costs less than all but one; unfolding sees it, the raw count does not."""
    real = stack_truth(depth)
    tallies = {name: tally_stacks(*readings(real, name), 10) for name in SAMPLERS}
    for name in ("stack_modes", "reverse_kl_stack", "reverse_kl_stack_raw"):
        entry = METRICS[name]
        perfect, dropped, one = (
            entry.part(real, tallies[sampler]).value
            for sampler in ("perfect", "drop-one", "one-mode")
        )
        assert gain(entry, perfect, dropped) > 0
        assert gain(entry, dropped, one) > 0
    counted, raw = (
        METRICS[name].part(real, tallies["drop-one"]).value
        for name in ("stack_modes", "stack_modes_raw")
    )
    assert counted == pytest.approx(9**depth, rel=0.02)
    assert raw > 1.1 * 9**depth


def test_a_worse_posterior_has_a_worse_bound():
    """The bound is its two terms, and below the likelihood by the divergence of the posteriors."""
    examples = on_the_line(20_000)
    names = ("elbo", "elbo_reconstruction", "elbo_divergence")
    exact, off = (
        {name: METRICS[name].part(examples, Line(error)).value for name in names}
        for error in (0.0, 1.0)
    )
    for found in (exact, off):
        terms = found["elbo_reconstruction"] - found["elbo_divergence"]
        assert found["elbo"] == pytest.approx(terms)
    likelihood = METRICS["log_likelihood_importance"].part(examples[:200], Line()).value
    wanted = float(np.mean(-0.5 * np.log(4 * np.pi) - examples**2 / 4))
    assert exact["elbo"] == pytest.approx(wanted, abs=0.01)
    assert off["elbo"] == pytest.approx(exact["elbo"] - 1.0, abs=0.02)
    assert likelihood == pytest.approx(
        float(np.mean(-0.5 * np.log(4 * np.pi) - examples[:200] ** 2 / 4))
    )
    assert METRICS["elbo"].facts.direction == "higher"
    assert METRICS["log_likelihood_importance"].facts.direction == "higher"


def test_importance_samples_are_those_of_the_estimator():
    """200 of the first 200 examples, or of as many as there are."""
    entry = METRICS["log_likelihood_importance"]
    for n, wanted in ((1_000, 200), (50, 50)):
        line, examples = Line(), on_the_line(n)
        score = entry.part(examples, line)
        assert line.asked == [(wanted, 200)]
        assert score.n == wanted
        first = line.importance_log_prob(examples[:200], 1)
        assert score.value == pytest.approx(first.mean())
        assert score.std_error == pytest.approx(first.std(ddof=1) / np.sqrt(wanted))
