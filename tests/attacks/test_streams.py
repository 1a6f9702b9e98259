"""Random numbers that are an image's own."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest

from attacks.streams import FIRST, GAMMA, SECOND, _mix, bits, integers, normal, signs, uniform


def test_the_hash_is_splitmix64():
    """Its first outputs from the seed 1234567, and each other by Python's integers."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = [(1234567 + (k + 1) * GAMMA) % 2**64 for k in range(4)]
    signed = torch.tensor([s - 2**64 if s >= 2**63 else s for s in states])
    assert [int(z) % 2**64 for z in _mix(signed)] == known
    assert bits(torch.tensor([5, -9]), (3,), 4).tolist() == [
        [_by_hand(seed, 4, k) for k in (1, 2, 3)] for seed in (5, -9)
    ]


def _by_hand(seed, purpose, count):
    def mix(z):
        z = ((z ^ (z >> 30)) * FIRST) % 2**64
        z = ((z ^ (z >> 27)) * SECOND) % 2**64
        return z ^ (z >> 31)

    state = mix((mix(seed % 2**64) + GAMMA * (purpose + 1)) % 2**64)
    z = mix((state + count * GAMMA) % 2**64)
    return z - 2**64 if z >= 2**63 else z


def _likely(counts):
    """Whether counts of equally likely bins pass a chi-square test at a thousandth on each side."""
    counts = np.asarray(counts, dtype=float).ravel()
    statistic = ((counts - counts.mean()) ** 2).sum() / counts.mean()
    return chi2.ppf(1e-3, counts.size - 1) < statistic < chi2.ppf(1 - 1e-3, counts.size - 1)


def _together(first, second, bins=16):
    """Counts of pairs of numbers in (0, 1)."""
    return np.histogram2d(first.ravel(), second.ravel(), bins, [[0, 1], [0, 1]])[0]


@pytest.mark.parametrize("start", [0, -500, 2**62])
def test_streams_are_uniform(start):
    """Over an image, over images, bit by bit; 0 and 1 never come."""
    seeds = torch.arange(1000) + start
    drawn = uniform(seeds, (100,))
    assert drawn.dtype == torch.float32
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert _likely(np.histogram(drawn, 256, (0, 1))[0])
    assert _likely(np.histogram(drawn[:, 0], 32, (0, 1))[0])
    assert _likely(np.histogram(uniform(seeds[:1], (20_000,)), 64, (0, 1))[0])
    words = bits(seeds, (20,)).numpy().view(np.uint64).ravel()
    ones = np.array([((words >> np.uint64(k)) & np.uint64(1)).sum() for k in range(64)])
    scores = (ones - len(words) / 2) / np.sqrt(len(words) / 4)
    assert np.abs(scores).max() < 4.5
    assert chi2.ppf(1e-3, 64) < (scores**2).sum() < chi2.ppf(1 - 1e-3, 64)


@pytest.mark.parametrize(
    "pair",
    [
        lambda s: (uniform(s, (50,)), uniform(s + 1, (50,))),
        lambda s: (uniform(s, (50,)), uniform(s + 2**32, (50,))),
        lambda s: (uniform(s, (50,)), uniform(s, (50,), 0)),
        lambda s: (uniform(s, (50,), 0), uniform(s, (50,), 1)),
        lambda s: (uniform(s, (50,), 0, 1), uniform(s, (50,), 1, 0)),
        lambda s: (uniform(s, (50,), 3), uniform(s, (50,), 3, 0)),
        lambda s: (uniform(s, (50,))[:, :-1], uniform(s, (50,))[:, 1:]),
        lambda s: (uniform(s, (50,), 1), uniform(s + 1, (50,), 0)),
    ],
    ids=["next seed", "far seed", "purpose", "number", "order", "longer", "counter", "both"],
)
def test_streams_are_independent(pair):
    """Of neighbours in seed, purpose and place: pairs fill the square evenly."""
    first, second = (drawn.numpy() for drawn in pair(torch.arange(1000)))
    assert (first == second).mean() < 1e-3
    assert _likely(_together(first, second))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / np.sqrt(first.size)


@pytest.mark.parametrize("draw", [bits, uniform, signs, normal])
def test_a_stream_is_the_images_own(draw):
    """Alone, in a batch, in another order; a longer one begins alike, a shape is only a shape."""
    seeds = torch.tensor([3, 10**18, -4, 0, 3])
    drawn = draw(seeds, (2, 3, 4), 1)
    assert drawn.shape == (5, 2, 3, 4)
    assert all(torch.equal(draw(seeds[i : i + 1], (2, 3, 4), 1)[0], drawn[i]) for i in range(5))
    assert torch.equal(draw(seeds.flip(0), (2, 3, 4), 1), drawn.flip(0))
    assert torch.equal(drawn[0], drawn[4])
    assert torch.equal(draw(seeds, (24,), 1), drawn.flatten(1))
    assert torch.equal(draw(seeds, (30,), 1)[:, :24], drawn.flatten(1))
    assert draw(seeds, ()).shape == (5,)


def test_normal_numbers_are_normal():
    """Their moments, their distribution, and none that is not finite."""
    drawn = normal(torch.arange(200), (500,)).double()
    n = drawn.numel()
    assert drawn.isfinite().all()
    assert abs(drawn.mean()) < 4 / n**0.5
    assert abs(drawn.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((drawn**3).mean()) < 4 * (15 / n) ** 0.5
    assert abs((drawn**4).mean() - 3) < 4 * (96 / n) ** 0.5
    assert kstest(drawn.flatten().numpy(), "norm").pvalue > 1e-3
    assert _likely(np.histogram(torch.special.ndtr(drawn), 64, (0, 1))[0])


def test_signs_are_a_fair_coin():
    """And nothing else."""
    drawn = signs(torch.arange(300), (100,))
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert abs(drawn.mean()) < 4 / drawn.numel() ** 0.5
    assert _likely(torch.bincount((drawn[:, :8] > 0).long() @ 2 ** torch.arange(8)))


def test_integers_are_in_range():
    """From 0 to below their end, each as likely; every seed may have an end of its own."""
    seeds = torch.arange(9_000)
    for high in (1, 2, 9, 1000):
        drawn = integers(seeds, high, 5)
        assert drawn.dtype == torch.int64
        assert drawn.min() == 0
        assert drawn.max() == high - 1
        assert high == 1 or _likely(torch.bincount(drawn, minlength=high))
    ends = torch.arange(1, 9_001)
    own = integers(seeds, ends)
    assert ((own >= 0) & (own < ends)).all()
    assert _likely(np.histogram(own / ends, 30, (0, 1))[0])
    assert torch.equal(integers(seeds[70:80], ends[70:80]), own[70:80])
    assert integers(torch.arange(10**5), 2**24 - 1).max() < 2**24 - 1
