"""Noise of sensors: Gaussian, shot noise, and values that are stuck."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.contracts import Seeds
from attacks.corruptions.contracts import CORRUPTIONS, PAPER, Corruption
from attacks.pixels import Pixels
from attacks.streams import normal, uniform


def gaussian(images: Pixels, seeds: Seeds, deviation: float) -> Pixels:
    """Independent in each value, of this standard deviation."""
    return images + deviation * normal(seeds, tuple(images.shape[1:])).to(images.dtype)


def shot(images: Pixels, seeds: Seeds, photons: float) -> Pixels:
    """Poisson counts of the light: so many photons on average where an image is 1."""
    drawn = uniform(seeds, tuple(images.shape[1:])).double()
    return (poisson(images.double() * photons, drawn, photons) / photons).to(images.dtype)


def poisson(mean: Tensor, drawn: Tensor, most: float) -> Tensor:
    """The counts of which the distribution function first exceeds what was drawn from (0, 1)."""
    chance = (-mean).exp()
    below, counts = chance.clone(), torch.zeros_like(mean)
    for count in range(1, int(most + 10 * most**0.5 + 20)):
        counts += below < drawn
        chance = chance * mean / count
        below += chance
    return counts


def impulse(images: Pixels, seeds: Seeds, share: float) -> Pixels:
    """This share of all values at 0 or 1, each as often."""
    drawn = uniform(seeds, tuple(images.shape[1:]))
    stuck = torch.where(drawn < share / 2, 0.0, 1.0).to(images.dtype)
    return torch.where(drawn < share, stuck, images)


CORRUPTIONS.register("gaussian_noise", paper=PAPER, summary="Gaussian noise", draws=True)(
    Corruption(gaussian, (0.05, 0.1, 0.15, 0.22, 0.3))
)
CORRUPTIONS.register("shot_noise", paper=PAPER, summary="Poisson noise of light", draws=True)(
    Corruption(shot, (60.0, 25.0, 12.0, 5.0, 3.0))
)
CORRUPTIONS.register("impulse_noise", paper=PAPER, summary="Values at 0 or 1", draws=True)(
    Corruption(impulse, (0.03, 0.06, 0.1, 0.17, 0.27))
)
