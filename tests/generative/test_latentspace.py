"""Codes looked at: ways between them, sums, planes, bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm, truncnorm
from small import small_gaussian

from bench.core.errors import UsageError
from bench.core.randomness import stream
from generative import Decoder
from generative.latentspace import (
    PLANE,
    Sum,
    arithmetic,
    between,
    decoder_of,
    interpolation,
    plane,
    quantiles,
    read_sum,
    truncated,
)


def test_the_way_between_codes_keeps_their_length():
    """Of equally long ones, in equal angles, from the one to the other."""
    first, second = (torch.randn(6, 20, generator=stream("codes", k)) for k in (0, 1))
    second = second * (first.norm(dim=1) / second.norm(dim=1))[:, None]
    way = between(first, second, 9)
    assert way.shape == (6, 9, 20)
    torch.testing.assert_close(way[:, 0], first)
    torch.testing.assert_close(way[:, -1], second)
    torch.testing.assert_close(way.norm(dim=2), first.norm(dim=1)[:, None].expand(6, 9))
    unit = way / way.norm(dim=2, keepdim=True)
    steps = (unit[:, 1:] * unit[:, :-1]).sum(2).acos()
    torch.testing.assert_close(steps, steps[:, :1].expand(6, 8), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(way, between(second, first, 9).flip(1), rtol=1e-4, atol=1e-5)


def test_the_way_to_the_same_code_stands_still():
    """And one column is the first code."""
    first = torch.randn(3, 5, generator=stream("codes"))
    torch.testing.assert_close(between(first, first, 4), first[:, None].expand(3, 4, 5))
    torch.testing.assert_close(between(first, 2 * first, 2)[:, 1], 2 * first)
    torch.testing.assert_close(between(first, -first + 1, 1)[:, 0], first)


@pytest.mark.parametrize("latent", [1, 2, 3])
def test_the_way_stays_where_codes_are(latent):
    """As near to the middle as the farther of its ends: no model has seen what is beyond."""
    first, second = (torch.randn(500, latent, generator=stream("ends", k)) for k in (0, 1))
    way = between(first, second, 9)
    ends = torch.maximum(first.norm(dim=1), second.norm(dim=1))
    assert way.isfinite().all()
    assert (way.norm(dim=2).amax(1) <= 1.01 * ends).all()


class Plain(Decoder):
    """Codes as images of one row: what was decoded can be seen."""

    def __init__(self, latent=3, mean=0.0, spread=1.0):
        self.latent, self.mean, self.spread, self.drawn = latent, mean, spread, 0

    def codes(self, n, rng):
        self.drawn += 1
        if self.drawn > 5_000:
            raise RuntimeError("codes are drawn for ever")
        return self.mean + self.spread * torch.randn(n, self.latent, generator=rng)

    def decode(self, z):
        return z[:, None, None, :]

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def tensors(self):
        return {}


def test_a_sheet_of_ways():
    """Rows from one code to another, all of them other codes."""
    images = interpolation(Plain(16), stream("ways"), 4, 5)
    assert images.shape == (20, 1, 1, 16)
    rows = images.reshape(4, 5, 16)
    ends = Plain(16).codes(8, stream("ways"))
    torch.testing.assert_close(rows[:, 0], ends[:4])
    torch.testing.assert_close(rows[:, -1], ends[4:])


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("7-1+4", ((1, 7), (-1, 1), (1, 4))),
        ("1+1", ((1, 1), (1, 1))),
        ("-3+12", ((-1, 3), (1, 12))),
        ("+0 - 9", ((1, 0), (-1, 9))),
        ("  2 +3\t", ((1, 2), (1, 3))),
    ],
)
def test_sums_of_concepts(text, terms):
    """Sign and class of each, in order."""
    assert read_sum(text) == Sum(terms)


@pytest.mark.parametrize(
    "text", ["", "7", "-7", "7-", "-", "+", "7--1", "7+-1", "7 1", "a+b", "7*1", "1.5+2", "7-1=6"]
)
def test_what_is_no_sum(text):
    """It is quoted, beside what was expected."""
    with pytest.raises(UsageError, match="expected a sum of classes such as 7-1") as refused:
        read_sum(text)
    assert f"got '{text}'" in str(refused.value)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(0, 99)), min_size=2, max_size=6))
def test_sums_are_read_back(terms):
    """Whatever they are."""
    text = "".join(f"{'+' if sign > 0 else '-'}{number}" for sign, number in terms)
    assert read_sum(text) == read_sum(text.removeprefix("+")) == Sum(tuple(terms))


def _largest(images):
    """The place of the largest value, as a judge reads it."""
    return images[:, 0, 0].argmax(1).numpy()


def test_a_sum_of_means():
    """A row for each concept: three exemplars that are read as it, their mean, five around it; at
    last the signed sum of the means, eight around it.
    """
    images, columns = arithmetic(Plain(), _largest, read_sum("2-0+1"), stream("sum"))
    assert columns == 9
    rows = images.reshape(4, 9, 3)
    for row, concept in zip(rows[:3], (2, 0, 1), strict=True):
        assert (row[:3].argmax(1) == concept).all()
        torch.testing.assert_close(row[3], row[:3].mean(0))
        assert 0 < (row[4:] - row[3]).abs().max() <= 0.25
    total = rows[0, 3] - rows[1, 3] + rows[2, 3]
    torch.testing.assert_close(rows[3, 0], total)
    assert 0 < (rows[3, 1:] - total).abs().max() <= 0.25


def test_a_concept_that_no_sample_has():
    """How often it is read is said."""
    with pytest.raises(UsageError, match="reads class 7 in 0 of 2,000 samples: expected 3"):
        arithmetic(Plain(), _largest, read_sum("1+7"), stream("sum"))


def test_a_plane_of_codes():
    """At the middles of twenty equal shares of N(0, 1) each way, from the top left."""
    images = plane(Plain(2), stream("plane"))
    grid = images.reshape(PLANE, PLANE, 2).numpy()
    wanted = norm.ppf((np.arange(PLANE) + 0.5) / PLANE)
    np.testing.assert_allclose(grid[..., 0], np.tile(wanted, (PLANE, 1)), atol=1e-5)
    np.testing.assert_allclose(grid[..., 1], np.tile(wanted[::-1, None], (1, PLANE)), atol=1e-5)
    shares = torch.tensor([0.001, 0.5, 0.9])
    np.testing.assert_allclose(quantiles(shares), norm.ppf(shares.numpy()), atol=1e-4)
    with pytest.raises(UsageError, match=r"2 dimensions of codes, this one has 3: .*latent=2"):
        plane(Plain(3), stream("plane"))


@pytest.mark.parametrize("bound", [0.02, 0.5, 2.0, float("inf")])
def test_truncated_codes_stay_within_their_bound(bound):
    """And follow the truncated normal distribution there."""
    drawn = truncated(Plain(2), 1_500, stream("truncated"), bound)
    assert drawn.shape == (1_500, 1, 1, 2)
    values = drawn.flatten().numpy()
    assert np.abs(values).max() <= bound
    assert kstest(values, truncnorm(-bound, bound).cdf).pvalue > 1e-3
    if bound == float("inf"):
        plain = Plain(2).codes(1_500, stream("truncated"))
        assert torch.equal(drawn[:, 0, 0], plain)


@pytest.mark.parametrize("bound", [0.019, 0.0, -1.0, float("nan")])
def test_bounds_that_nothing_is_within(bound):
    """They are refused rather than waited for."""
    with pytest.raises(UsageError, match=r"expected bounds of 0\.02 at least"):
        truncated(Plain(), 10, stream("truncated"), bound)


def test_codes_that_are_never_within_the_bound():
    """An autoencoder's may lie anywhere: refused, too."""
    with pytest.raises(UsageError, match="truncation"):
        truncated(Plain(3, mean=6.0, spread=0.1), 10, stream("truncated"), 0.5)


def test_models_without_codes_are_refused():
    """By name."""
    model, _, _, _ = small_gaussian()
    with pytest.raises(UsageError, match="model 'pca' has no codes: expected a GAN"):
        decoder_of(model, "pca")
    assert decoder_of(Plain(), "plain").latent == 3
