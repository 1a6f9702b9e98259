"""What a code of images costs and what it loses: bits a pixel, peak signal over noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from metrics.contracts import METRICS, Score
from metrics.shares import mean_score

Images = UInt8[np.ndarray, "n c h w"]
PEAK = 255.0
LEAST = 1 / 12
"""The squared error that rounding to bytes makes of itself: none below it is told."""


@dataclass(frozen=True, eq=False)
class Sent:
    """decoded: the images as they come out. symbols: what an entropy coder is given, whole numbers
    [n, coefficients], a set for each code of its own. bits: of each image's file, in the place of
    symbols.
    """

    decoded: Images
    symbols: Sequence[np.ndarray] = ()
    bits: Float[np.ndarray, " n"] | None = None


def entropy(symbols: Int[np.ndarray, " coefficients"]) -> float:
    """First-order entropy of the symbols that occur, in bits each."""
    counts = np.unique(symbols, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(np.abs(-(shares * np.log2(shares)).sum()))


@METRICS.register(
    "bits_per_pixel",
    paper="doi:10.1109/TCOM.1983.1095851",
    takes="coded",
    direction="lower",
    title="bits a pixel",
    low=0,
    kind="deterministic",
    relative=0.02,
    digits=2,
    estimator="for each image the first-order entropy of each set of symbols times their number, "
    "summed over the sets (levels of a pyramid, frequencies of a block), over the pixels: no coder "
    "was run, and no table is sent; of JPEG the bytes of the file. The mean over images and its "
    "standard error",
)
def bits_per_pixel(real: Images, fake: Sent) -> Score:
    """sum_l n_l H_l / n, as Burt and Adelson 1983 judge their code."""
    pixels = real[0].size
    if fake.bits is not None:
        return mean_score(fake.bits / pixels)
    costs = [
        sum(one.shape[1] * entropy(one[at]) for one in fake.symbols) for at in range(len(real))
    ]
    return mean_score(np.array(costs, dtype=np.float64) / pixels)


@METRICS.register(
    "coded_psnr",
    takes="coded",
    direction="higher",
    title="PSNR (dB)",
    high=float(10 * np.log10(PEAK**2 / LEAST)),
    kind="deterministic",
    absolute=0.1,
    digits=1,
    estimator="10 log10(255^2 / mean squared error), the mean over all pixels of all images, which "
    "are bytes; an error below 1/12, that of rounding to bytes, counts as 1/12; standard error by "
    "the delta method over images",
)
def coded_psnr(real: Images, fake: Sent) -> Score:
    """Of the mean of the errors: the mean of each image's own would favour the easy ones."""
    apart = (real.astype(np.float64) - fake.decoded) ** 2
    found = mean_score(apart.mean((1, 2, 3)))
    error = max(found.value, LEAST)
    spread = None if found.std_error is None else 10 / np.log(10) * found.std_error / error
    return Score(float(10 * np.log10(PEAK**2 / error)), spread, found.n)
