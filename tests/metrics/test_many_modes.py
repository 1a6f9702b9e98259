"""Thousands of modes: counted by neighbours, as they are counted one by one."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
import torch
from harness import small_suite

from bench import api
from bench.datasets.mixtures import Mixture
from metrics.rules import RULES
from metrics.tally import MARGIN, counting_seconds, tally, truth

TALLY, MIXTURES = (sys.modules[name] for name in ("metrics.tally", "bench.datasets.mixtures"))


def mixture(kind, dim, modes, seed=0):
    """One of a kind whose modes lie at random."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1 if kind == "overlap" else 10, (modes, dim))
    covariances = {
        "same": lambda: np.full((modes, dim), 0.04),
        "overlap": lambda: np.full((modes, dim), 0.04),
        "widths": lambda: np.repeat(rng.uniform(0.001, 1, (modes, 1)), dim, 1),
        "axes": lambda: rng.uniform(0.001, 1, (modes, dim)),
        "degenerate": lambda: np.where(np.arange(dim) > dim // 2, 0.0, np.full((modes, dim), 0.04)),
        "matrices": lambda: _matrices(rng, modes, dim),
    }[kind]()
    return Mixture("m", centres, covariances, rng.uniform(0.5, 2, modes))


def _matrices(rng, modes, dim):
    a = 0.3 * rng.normal(size=(modes, dim, dim))
    return a @ a.transpose(0, 2, 1) + 0.01 * np.eye(dim)


KINDS = ("same", "overlap", "widths", "axes", "degenerate", "matrices")


def samples_of(data, n=1_500):
    """Draws, noise far from them, and what is no number or too large to be squared."""
    drawn = data.sample(n, torch.Generator().manual_seed(0)).numpy()
    noise = np.random.default_rng(1).normal(0, 30, (n // 5, data.dim))
    odd = [[1e300] * data.dim, [np.nan] * data.dim, [-1e160] * data.dim]
    return np.concatenate([drawn, noise, odd])


@pytest.mark.parametrize("dim", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_count_as_one_by_one(kind, dim, monkeypatch):
    """Counts are the same under every rule, densities to rounding."""
    data = mixture(kind, dim, 150)
    samples = samples_of(data)
    found = []
    for many in (10**9, 1):
        monkeypatch.setattr(TALLY, "MANY", many)
        monkeypatch.setattr(MIXTURES, "MANY", many)
        density = np.zeros(1) if data.degenerate else data.log_prob(samples[:-3])
        found.append(([tally(data, samples, rule) for rule in RULES], density))
    (counts, density), (others, other) = found
    for one, two in zip(counts, others, strict=True):
        np.testing.assert_array_equal(one.high_quality, two.high_quality)
        np.testing.assert_array_equal(one.nearest, two.nearest)
    np.testing.assert_allclose(other, density, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [0.5, 1, 2, 4, 8, 30])
@pytest.mark.parametrize("kind", KINDS)
def test_modes_are_apart_as_every_pair_says(kind, scale):
    data = mixture(kind, 10, 40, seed=int(10 * scale))
    data = Mixture("m", scale * data.centres, data.covariances, data.weights)
    for rule in RULES.entries():
        spans = np.array([rule.part.span(int(dims)) for dims in data.spread_dims])
        reach = (spans + MARGIN) * data.widest
        gaps = np.linalg.norm(data.centres[:, None] - data.centres[None], axis=2)
        np.fill_diagonal(gaps, np.inf)
        wanted = bool((gaps > reach[:, None] + reach[None]).all())
        assert TALLY._separated(data, rule.part) == wanted


def test_modes_that_are_no_neighbours_can_reach_each_other():
    """Every mode is apart from the nearest to it, and two wide ones are not apart."""
    sigmas = np.array([[0.6], [0.1], [0.2], [0.01]])
    for height, apart in ((3.9, False), (4.2, True)):
        centres = np.array([[0, 0], [3.6, 0], [0, height], [0, height + 1.1]])
        data = Mixture("m", centres, np.repeat(sigmas**2, 2, 1), np.ones(4))
        assert TALLY._separated(data, RULES["euclid3"].part) == apart


def grid_of(modes, sigma):
    side = int(np.ceil(np.sqrt(modes)))
    centres = np.array([divmod(i, side) for i in range(modes)], dtype=float)
    return Mixture("m", centres, np.full((modes, 2), sigma**2), np.ones(modes))


@pytest.mark.parametrize("sigma", [0.05, 0.3])
def test_many_modes_take_little_memory(sigma, monkeypatch):
    """Pairs of modes would take 200 MB, and with samples 50; here the calibration of overlapping
    ones is cut short.
    """
    monkeypatch.setattr(TALLY, "CALIBRATION_VALUES", 2**15)
    data = grid_of(3_000, sigma)
    samples = data.sample(2_000, torch.Generator().manual_seed(0)).numpy()
    tracemalloc.start()
    counts, right = tally(data, samples, "euclid3"), truth(data, "euclid3")
    density = data.log_prob(samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert counts.nearest.sum() == 2_000
    assert right.modes == 3_000
    assert np.isfinite(density).all()
    share = counts.high_quality.sum() / counts.n
    assert share == pytest.approx(right.shares.sum(), abs=0.03)


def test_the_forecast_sees_many_modes_and_those_that_overlap():
    few, many, close = (grid_of(*given) for given in ((25, 0.05), (20_000, 0.05), (20_000, 0.3)))
    assert counting_seconds(few, 10_000) < 0.1
    assert 1 < counting_seconds(many, 10_000) < 20
    assert counting_seconds(close, 10_000) > counting_seconds(many, 10_000) + 5


def test_a_plan_forecasts_them(tmp_path):
    """Of a suite's own mixture, on the model that takes no training."""
    minutes = []
    for modes in (4, 5_000):
        centres = [[float(i), 0.0] for i in range(modes)]
        own = f'[[mixture]]\nname = "own"\ncentres = {centres}\ncovariances = {[0.0025] * modes}\n'
        folder = tmp_path / str(modes)
        folder.mkdir()
        suite = small_suite(folder, '"ring8@pacgan"', '"own"', extra=own)
        plan = api.plan(suite, grid=[("model", ["oracle"])])
        minutes.append(plan["minutes"].sum())
    assert minutes[1] > minutes[0] + 0.5 / 60
