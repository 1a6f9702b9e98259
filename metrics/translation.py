"""Translated images beside their true partners: pixel by pixel, and by structure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from bench.core.errors import UsageError
from metrics.contracts import METRICS, Score
from metrics.shares import mean_score

Images = Float[np.ndarray, "n c h w"]
WINDOW_SIGMA, WINDOW_RADIUS = 1.5, 5
PART = 64
STABILISERS = (0.01**2, 0.03**2)


@dataclass(frozen=True, eq=False)
class Translated:
    """What a translator made of n inputs, in [0, 1], and, where it has noise, what it made of each
    in further draws, [draws, n, c, h, w].
    """

    images: Images
    draws: Float[np.ndarray, "draws n c h w"] | None = None


def _paired(real: Images, fake: Translated) -> tuple[np.ndarray, np.ndarray]:
    if real.shape != fake.images.shape:
        raise UsageError(
            f"expected translations of the shape of the truth, {list(real.shape)}, got "
            f"{list(fake.images.shape)}"
        )
    return real.astype(np.float64), fake.images.astype(np.float64)


@METRICS.register(
    "l1",
    paper="arXiv:1611.07004",
    takes="translated",
    direction="lower",
    title="L1",
    low=0,
    high=1,
    relative=0.02,
    estimator="mean absolute difference of all values of an image from its true partner's, in "
    "[0, 1], and its mean over images",
)
def l1(real: Images, fake: Translated) -> Score:
    """The mean absolute error, which blurred images do well at."""
    true, made = _paired(real, fake)
    return mean_score(np.abs(true - made).mean((1, 2, 3)))


@METRICS.register(
    "psnr",
    takes="translated",
    direction="higher",
    title="PSNR dB",
    relative=0.02,
    digits=2,
    estimator="-10 log10 of an image's mean squared error from its true partner, in decibels (100 "
    "where they are equal), and its mean over images",
)
def psnr(real: Images, fake: Translated) -> Score:
    """The peak signal-to-noise ratio with a peak of 1."""
    true, made = _paired(real, fake)
    errors = np.square(true - made).mean((1, 2, 3))
    return mean_score(-10 * np.log10(np.maximum(errors, 1e-10)))


@METRICS.register(
    "ssim",
    paper="doi:10.1109/TIP.2003.819861",
    takes="translated",
    direction="higher",
    title="SSIM",
    low=-1,
    high=1,
    absolute=0.01,
    estimator="means, variances and covariance under a Gaussian window (sigma 1.5, 11 x 11), "
    "constants .01 and .03 squared, averaged over the places where the window lies inside the "
    "image and over its channels; its mean over images",
)
def ssim(real: Images, fake: Translated) -> Score:
    """Structural similarity (Wang et al. 2004, equation 13), for images of 11 pixels a side."""
    true, made = _paired(real, fake)
    if min(true.shape[2:]) < 2 * WINDOW_RADIUS + 1:
        raise UsageError(f"ssim needs images of 11 pixels a side at least, got {list(true.shape)}")
    of_true, of_made = _smooth(true), _smooth(made)
    spread_true = _smooth(true * true) - of_true**2
    spread_made = _smooth(made * made) - of_made**2
    together = _smooth(true * made) - of_true * of_made
    first, second = STABILISERS
    above = (2 * of_true * of_made + first) * (2 * together + second)
    below = (of_true**2 + of_made**2 + first) * (spread_true + spread_made + second)
    inside = (..., slice(WINDOW_RADIUS, -WINDOW_RADIUS), slice(WINDOW_RADIUS, -WINDOW_RADIUS))
    return mean_score((above / below)[inside].mean((1, 2, 3)))


def _smooth(images: np.ndarray) -> np.ndarray:
    radii = (0, 0, WINDOW_RADIUS, WINDOW_RADIUS)
    sigmas = (0.0, 0.0, WINDOW_SIGMA, WINDOW_SIGMA)
    return gaussian_filter(images, sigmas, radius=radii)


@METRICS.register(
    "noise_spread",
    takes="translated",
    direction="none",
    title="noise spread",
    low=0,
    high=1,
    absolute=0.005,
    digits=4,
    estimator="standard deviation (over n - 1) of each value over draws of the model's noise, its "
    "mean over an image's values, and over images: 0 where the noise does nothing",
)
def noise_spread(real: Images, fake: Translated) -> Score:
    """How much a translator's noise changes what it makes of one input."""
    if fake.draws is None or len(fake.draws) < 2:
        raise UsageError("it needs several draws of each translation")
    parts = (fake.draws[:, at : at + PART] for at in range(0, fake.draws.shape[1], PART))
    spreads = [part.astype(np.float64).std(0, ddof=1).mean((1, 2, 3)) for part in parts]
    return mean_score(np.concatenate(spreads))
