"""The way of a training: which modes its looks saw, and the signature of the game beside them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np

from bench.core.errors import Notice
from bench.models.signature import Signature
from bench.tasks.generation.featurescores import Named
from bench.tasks.values import scored_by
from metrics import StackTally, StackTruth
from metrics.contracts import PerMode
from metrics.modes import FAIR_QUARTER
from metrics.trajectories import Sight, Trajectory

TRAJECTORY = "trajectory"
OF_PLAY = ("contest", "stretches", "pulls")
"""What metrics of the signature take."""
LEAST_EACH = 8
"""Samples a mode that a look needs to tell which modes are there."""


def sight_of(weights: PerMode, near: PerMode, covered: np.ndarray, n: int) -> Sight | None:
    """Of counts by nearest mode and of modes that good samples cover; None where the samples are
    too few to tell.
    """
    enough = n >= LEAST_EACH * len(weights)
    return Sight(weights, near / n, covered) if enough else None


def sight_of_stacks(real: StackTruth, fake: StackTally) -> Sight | None:
    """By the judge's likeliest digits; covered is what holds a quarter of its fair share of stacks
    of which every digit passes.
    """
    covered = (fake.passing >= FAIR_QUARTER * real.shares * fake.n) & (fake.passing > 0)
    return sight_of(np.full(real.modes, 1 / real.modes), fake.raw, covered, fake.n)


def journey_of(steps: Sequence[int], sights: Sequence[Sight | None]) -> Trajectory | None:
    """Of the looks at a training; None where no modes are known."""
    seen = [sight for sight in sights if sight is not None]
    return Trajectory.of(steps, seen) if seen and len(seen) == len(steps) else None


def of_journey(journey: Trajectory | None, suffix: str) -> Iterator[Named]:
    """Every score of it; suffix: what it rests on."""
    if journey is None:
        return
    for entry in scored_by((TRAJECTORY,)):
        yield entry.name, entry.part(None, journey), suffix


def of_signature(signature: Signature) -> Iterator[Named]:
    """Every score of what was taken."""
    pairs = {
        "contest": (signature.real, signature.contest),
        "stretches": (None, signature.stretches),
        "pulls": (None, signature.pulls),
    }
    for entry in scored_by(OF_PLAY):
        real, fake = pairs[entry.facts.takes]
        if fake is not None:
            with suppress(KeyError):  # of another player
                yield entry.name, entry.part(real, fake), ""


def way_shown(journey: Trajectory | None) -> Mapping[str, np.ndarray]:
    """What a picture of the way needs: the modes' shares at each look [looks, modes]."""
    if journey is None:
        return {}
    shares = journey.shares.astype(np.float32)
    return {"way_steps": journey.steps, "way_shares": shares, "way_covered": journey.covered}


def tell_collapse(journey: Trajectory | None) -> None:
    """Warn of a training that ends collapsed."""
    if journey is not None and (since := journey.collapsed_since) is not None:
        near, modes, last = journey.near[-1], journey.modes, journey.steps[-1]
        warnings.warn(
            f"collapsed: samples are near {near} of {modes} modes, near half at most since step "
            f"{journey.steps[since]:,} of {last:,}",
            Notice,
            stacklevel=2,
        )
