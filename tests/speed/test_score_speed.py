"""What is left to do after features costs a fraction of what it costs elsewhere."""

import statistics
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from speed.conftest import seconds

from metrics.features import Features
from metrics.frechet import frechet, frechet_distance
from metrics.neighbours import survey

DIMS, MANY, FEW = 2_048, 5_000, 500
ROUNDS = 3


def _features(n, seed, dims=DIMS):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, dims)) * np.linspace(0.2, 2, dims) + 0.1 * seed


def _moments(points):
    return points.mean(0), np.cov(points, rowvar=False)


def _by_square_root(real, fake):
    (m1, s1), (m2, s2) = _moments(real), _moments(fake)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = sqrtm(s1 @ s2)
    return float(np.square(m1 - m2).sum() + np.trace(s1 + s2 - 2 * np.real(root)))


def _by_torchmetrics(real, fake):
    fid = pytest.importorskip("torchmetrics.image.fid")
    pairs = [[torch.from_numpy(part) for part in _moments(points)] for points in (real, fake)]
    return float(fid._compute_fid(*pairs[0], *pairs[1]))


def test_frechet_of_a_thousand_digits(benchmark):
    """As often as a suite asks for it: 96 features, 10,000 samples."""
    real, fake = (Features(_features(10_000, seed, 96)) for seed in (0, 1))
    found = benchmark.pedantic(lambda: frechet(real, fake))
    assert found.value > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_frechet_at_2048_dimensions(hold):
    """From features to the distance, in one process with one thread: a fifth of the square root's
    time, .7 of the eigenvalues' of torchmetrics, and the same number.
    """
    assert torch.get_num_threads() == 1
    real, fake = _features(MANY, 0), _features(MANY, 1)
    traces = sum(np.trace(_moments(points)[1]) for points in (real, fake))
    assert abs(frechet_distance(real, fake) - _by_torchmetrics(real, fake)) < 1e-6 * traces
    ours, eigen, roots = [], [], []
    for _ in range(ROUNDS):
        ours += [seconds(lambda: frechet_distance(real, fake)) for _ in range(3)]
        eigen.append(seconds(lambda: _by_torchmetrics(real, fake)))
        roots.append(seconds(lambda: _by_square_root(real, fake)))
    cost, root = statistics.median(ours), statistics.median(roots)
    hold("Frechet of 5,000 x 2,048 over scipy's square root", cost / root, "at most", 0.2)
    hold(
        "Frechet of 5,000 x 2,048 over torchmetrics' eigenvalues",
        cost / statistics.median(eigen),
        "at most",
        0.7,
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_frechet_of_fewer_samples_than_dimensions(hold):
    """500 samples of 2,048 dimensions: a hundredth of the square root's time."""
    real, fake = _features(FEW, 0), _features(FEW, 1)
    ours = statistics.median([seconds(lambda: frechet_distance(real, fake)) for _ in range(5)])
    root = statistics.median([seconds(lambda: _by_square_root(real, fake)) for _ in range(3)])
    hold("Frechet of 500 x 2,048 over scipy's square root", ours / root, "at most", 0.01)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")
def test_neighbours_of_ten_thousand(hold, capsys):
    """Precision, recall, density and coverage, for two k, against prdc, for one."""
    prdc = pytest.importorskip("prdc")
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 10_000, 64))
    ratios = []
    for _ in range(ROUNDS):
        ours = seconds(lambda: survey(Features(real), Features(fake)))
        ratios.append(ours / seconds(lambda: prdc.compute_prdc(real, fake, 5)))
    ratio = statistics.median(ratios)
    hold("neighbours of 10,000 x 64 over prdc", ratio, "at most", 1.0)


BIG = """
import time
from concurrent.futures import ThreadPoolExecutor
import numpy as np, torch
from threadpoolctl import threadpool_limits
from metrics.features import Features
from metrics.neighbours import survey
torch.set_num_threads(1)
rng = np.random.default_rng(0)
real, fake = rng.standard_normal((2, 50_000, 64)).astype(np.float32)
with threadpool_limits(1), ThreadPoolExecutor(2) as pool:
    start = time.monotonic()
    survey(Features(real, apply=pool.map), Features(fake))
    wall = time.monotonic() - start
lines = open("/proc/self/status").read().splitlines()
peak = next(line for line in lines if line.startswith("VmHWM"))
print(wall, int(peak.split()[1]) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_neighbours_of_fifty_thousand(hold):
    """In 5 minutes on two cores, in 1.5 GB with all that Python itself takes."""
    done = subprocess.run([sys.executable, "-c", BIG], capture_output=True, text=True, check=True)
    wall, gigabytes = map(float, done.stdout.split())
    hold("neighbours of 50,000 x 64: minutes on 2 cores", wall / 60, "at most", 5)
    hold("neighbours of 50,000 x 64: GB", gigabytes, "at most", 1.5)
