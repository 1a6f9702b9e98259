"""Planted faults: what each score makes of samples that are known to be wrong in one way.

Real digits are drawn apart into a reference and fresh ones; the fresh ones are then spoilt. A score
sees a fault where it gets worse than for fresh digits, by more than a margin and in every draw
alike; it is blind where it does not move, and fooled where it gets better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import sqrt

import numpy as np
import pandas as pd
from scipy.stats import t

from bench.core.arguments import checked
from bench.core.devices import device_named
from bench.core.errors import UsageError
from bench.core.limits import MAX_CHECK_SEEDS
from bench.core.progress import Notify, tell_nobody
from bench.core.threads import usual_threads
from bench.datasets.digits import CLASSES, mnist5k
from bench.score.measure import ScoreRequest, guarded, score
from metrics import METRICS
from metrics.contracts import MetricFacts

COUNT = 2_000
SURE = 0.99
MIRRORED = (2, 3, 5, 7)
"""Digits whose mirror images are none."""


@dataclass(frozen=True, eq=False)
class Draw:
    """One way to deal 5,000 digits: reference, fresh ones, and the rest, with their labels."""

    seed: int
    images: np.ndarray
    labels: np.ndarray

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    @property
    def reference(self) -> np.ndarray:
        return self.images[:COUNT]

    @property
    def fresh(self) -> np.ndarray:
        return self.images[COUNT : 2 * COUNT]

    @property
    def dropped(self) -> int:
        """The digit that a fault concerns."""
        return self.seed % CLASSES

    def unseen(self, wanted: np.ndarray) -> np.ndarray:
        """Digits outside the reference, chosen by their labels."""
        return self.images[COUNT:][wanted[COUNT:]]


def deal(seed: int) -> Draw:
    """The digits in an order of their own for each seed."""
    split = mnist5k()
    images = np.concatenate([split.images, split.held_images])
    labels = np.concatenate([split.labels, split.held_labels])
    order = np.random.default_rng(seed).permutation(len(images))
    return Draw(seed, images[order], labels[order])


Plant = Callable[[Draw], tuple[np.ndarray, np.ndarray]]


def _noisy(images: np.ndarray, rng: np.random.Generator, spread: float) -> np.ndarray:
    grown = images + rng.normal(0, 255 * spread, images.shape)
    return grown.clip(0, 255).round().astype(np.uint8)


def _moved(images: np.ndarray, pixels: int) -> np.ndarray:
    """To the right and down."""
    grown = np.pad(images, ((0, 0), (pixels, 0), (pixels, 0)))
    return grown[:, : images.shape[1], : images.shape[2]]


def _without(draw: Draw) -> np.ndarray:
    return draw.unseen(draw.labels != draw.dropped)[:COUNT]


def _invented(draw: Draw) -> np.ndarray:
    """A tenth are mirror images."""
    mirrored = draw.unseen(np.isin(draw.labels, MIRRORED))[: COUNT // 10, :, ::-1]
    return np.concatenate([draw.fresh[: COUNT - len(mirrored)], mirrored])


def _collapsed(draw: Draw) -> np.ndarray:
    """One digit, in slight variations."""
    kept = draw.unseen(draw.labels == draw.dropped)
    return _noisy(kept[draw.rng.integers(len(kept), size=COUNT)], draw.rng, 0.02)


FAULTS: dict[str, tuple[str, Plant]] = {
    "fresh": ("other real digits: nothing is wrong", lambda d: (d.reference, d.fresh)),
    "identical": ("the reference itself", lambda d: (d.reference, d.reference)),
    "copied": (
        "the reference, shifted by a pixel",
        lambda d: (d.reference, _moved(d.reference, 1)),
    ),
    "duplicated": (
        "100 real digits, each 20 times",
        lambda d: (d.reference, np.repeat(d.fresh[: COUNT // 20], 20, axis=0)),
    ),
    "shifted": ("real digits, shifted by two pixels", lambda d: (d.reference, _moved(d.fresh, 2))),
    "noisy": (
        "real digits with Gaussian noise of .2",
        lambda d: (d.reference, _noisy(d.fresh, d.rng, 0.2)),
    ),
    "dropped": ("real digits without one of the ten", lambda d: (d.reference, _without(d))),
    "invented": (
        "a tenth are mirrored 2, 3, 5 and 7, which are no digits",
        lambda d: (d.reference, _invented(d)),
    ),
    "collapsed": ("one of the ten alone, varied a little", lambda d: (d.reference, _collapsed(d))),
    "swapped": (
        "the arguments of `dropped` in the wrong order, held against that",
        lambda d: (_without(d), d.reference),
    ),
}
AGAINST = {"swapped": "dropped"}
"""What a fault is held against, where that is not `fresh`."""


@checked("notify")
def check_metrics(
    *,
    features: str = "digits-cnn",
    seeds: int = 5,
    workers: int | None = None,
    weights: str | None = None,
    download: bool = False,
    device: str = "auto",
    notify: Notify = tell_nobody,
) -> pd.DataFrame:
    """What each score makes of faults planted in real digits, a row for each pair: its mean, that
    of what it is held against, the mean difference with a 99 % interval over draws, and the
    verdict: "sees", "blind" or "fooled"; where arguments are swapped "changes" or "the same".
    weights, download, device: of the features, as `score` takes them.

    Raises UsageError for unknown features, and for weights that are missing or others.
    """
    if not 2 <= seeds <= MAX_CHECK_SEEDS:
        raise UsageError(f"`seeds`: expected 2 to {MAX_CHECK_SEEDS}, got {seeds}")
    read = partial(
        ScoreRequest, features=features, colours="grey", weights=weights, download=download,
        device=device_named(device),
    )  # fmt: skip
    jobs = [(fault, seed) for seed in range(seeds) for fault in FAULTS]
    found: list[dict[str, float]] = []
    with guarded(), ThreadPoolExecutor(workers or usual_threads()) as pool:
        for done, values in enumerate(pool.map(lambda job: _values(job[0], job[1], read), jobs), 1):
            found.append(values)
            notify("scoring", done, len(jobs))
    return pd.DataFrame(_verdicts(dict(zip(jobs, found, strict=True)), seeds))


def _values(fault: str, seed: int, read: Callable[..., ScoreRequest]) -> dict[str, float]:
    """Every usual score of one planted fault."""
    real, fake = FAULTS[fault][1](deal(seed))
    found = score(read(real, fake))
    return {value.metric: value.value for value in found.values}


def _verdicts(found: dict[tuple[str, int], dict[str, float]], seeds: int) -> Iterator[dict]:
    for metric in found["fresh", 0]:
        facts = METRICS[metric.partition("@")[0]].facts
        for fault, (about, _) in FAULTS.items():
            against = AGAINST.get(fault, "fresh")
            values, others = (
                np.array([found[name, seed][metric] for seed in range(seeds)])
                for name in (fault, against)
            )
            steps = values - others
            reach = float(t.ppf((1 + SURE) / 2, seeds - 1) * steps.std(ddof=1) / sqrt(seeds))
            mean = float(steps.mean())
            yield {
                "metric": metric,
                "fault": fault,
                "about": about,
                "value": float(values.mean()),
                "against": against,
                "other": float(others.mean()),
                "difference": mean,
                "low": mean - reach,
                "high": mean + reach,
                "verdict": _verdict(fault, facts, mean, reach, float(others.mean())),
            }


def _verdict(fault: str, facts: MetricFacts, mean: float, reach: float, other: float) -> str:
    margin = max(facts.absolute, facts.relative * abs(other))
    moved = abs(mean) > max(reach, margin)
    if fault == "fresh":
        return ""
    if fault in AGAINST:
        return "changes" if moved else "the same"
    if not moved:
        return "blind"
    if facts.direction == "none":
        return "sees"
    worse = mean < 0 if facts.direction == "higher" else mean > 0
    return "sees" if worse else "fooled"
