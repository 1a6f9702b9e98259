"""Completed pictures: how near the hidden pixels come, and whether the same thing is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from bench.core.errors import UsageError
from metrics.contracts import METRICS, Score
from metrics.shares import mean_score, share_error

Images = Float[np.ndarray, "n c h w"]


@dataclass(frozen=True, eq=False)
class Completion:
    """What was made of n pictures with hidden pixels, in [0, 1].

    images: completed. drawn: what the model itself drew, before known pixels were put back; None
    where it completes in closed form.
    known: which pixels were. wanted, read: the classes that a judge reads in the true pictures and
    in the completed ones, where there is a judge.
    """

    images: Images
    drawn: Images | None
    known: Bool[np.ndarray, "h w"]
    wanted: Int[np.ndarray, " n"] | None = None
    read: Int[np.ndarray, " n"] | None = None


def _psnr(real: Images, fake: Images, where: np.ndarray) -> Score:
    """In decibels, over the pixels of a mask; each image's, then their mean."""
    if not where.any():
        raise UsageError("the mask has no such pixels")
    errors = np.square(real.astype(np.float64) - fake)[:, :, where].mean((1, 2))
    return mean_score(-10 * np.log10(np.maximum(errors, 1e-10)))


@METRICS.register(
    "psnr_hidden",
    paper="arXiv:1607.07539",
    takes="completed",
    direction="higher",
    title="PSNR hidden dB",
    relative=0.02,
    digits=2,
    estimator="-10 log10 of the mean squared error over an image's hidden pixels, in decibels (100 "
    "where they are equal), and its mean over images",
)
def psnr_hidden(real: Images, fake: Completion) -> Score:
    """How near the completed pixels come to the true ones."""
    return _psnr(real, fake.images, ~fake.known)


@METRICS.register(
    "psnr_known",
    paper="arXiv:1607.07539",
    takes="completed",
    direction="higher",
    title="PSNR known dB",
    relative=0.02,
    digits=2,
    estimator="the same over the known pixels, of what the model itself drew",
)
def psnr_known(real: Images, fake: Completion) -> Score:
    """How well the model can draw what it sees."""
    if fake.drawn is None:
        raise UsageError("this model draws no pixels that are known")
    return _psnr(real, fake.drawn, fake.known)


@METRICS.register(
    "same_reading",
    takes="completed",
    direction="higher",
    title="same reading",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of completed pictures in which the judge reads what it reads in the true one",
)
def same_reading(real: Images, fake: Completion) -> Score:
    """Whether the completed digit is the same digit."""
    if fake.wanted is None or fake.read is None:
        raise UsageError("no judge reads such pictures")
    share = float((fake.wanted == fake.read).mean())
    return Score(share, share_error(share, len(fake.read)), len(fake.read))
