"""Counting samples by mode: fast enough to be forgotten, in memory that does not grow."""

import resource
import time
import tracemalloc

import pytest

from bench.core.randomness import stream
from bench.datasets import DATASETS
from metrics import ModeTally, tally

GRID = DATASETS["grid25@pacgan"].part


def test_the_tally_of_200_000_samples(benchmark):
    """In chunks, as the harness counts them."""
    samples = GRID.sample(200_000, stream("speed")).numpy()
    counts = benchmark(tally, GRID, samples, "euclid3")
    assert counts.n == 200_000


@pytest.mark.slow
def test_ten_million_samples_take_five_seconds():
    """Of one thread's time; the stream is counted a million at a time, and so is memory."""
    rng, total, seconds = stream("speed"), ModeTally.empty(25), 0.0
    before = _peak_megabytes()
    for _ in range(10):
        samples = GRID.sample(1_000_000, rng).numpy()
        began = time.process_time()
        total = total + tally(GRID, samples, "euclid3")
        seconds += time.process_time() - began
    assert total.n == 10_000_000
    assert abs(total.high_quality.sum() / total.n - 0.98889) < 0.0002
    assert seconds < 5
    assert _peak_megabytes() - before < 200


def test_a_tally_needs_no_memory_of_its_own():
    """A few chunks, however many samples there are."""
    peaks = []
    for n in (100_000, 400_000):
        samples = GRID.sample(n, stream("speed")).numpy()
        tracemalloc.start()
        tally(GRID, samples, "euclid3")
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    assert peaks[1] < 20
    assert peaks[1] < 1.2 * peaks[0] + 0.5


def _peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
