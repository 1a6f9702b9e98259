"""Every pixel by itself: how often it has each level in training images."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import RECIPES, Data, Images, MassSampler, PerExample
from generative.networks import Shape
from generative.pixels import levels_of, steps_of
from generative.recipes.references import Fixed
from generative.samplers import drawn_in_parts
from generative.trainers.fit import FitTrainer

Frequencies = Float[Tensor, "d levels"]


@final
class FrequencySampler(MassSampler):
    """Pixels that know nothing of one another. frequencies: of each level of each pixel, adding to
    1; shape: of an image.
    """

    passes = 1

    def __init__(self, frequencies: Frequencies, shape: Shape) -> None:
        self._frequencies, self._shape = frequencies, shape

    def sample(self, n: int, rng: torch.Generator) -> Images:
        weights = self._frequencies.float().to(rng.device)
        last = weights.shape[1] - 1

        def draw(size: int) -> Images:
            drawn = torch.multinomial(weights, size, replacement=True, generator=rng)
            return (drawn.T / last).unflatten(1, self._shape)

        return drawn_in_parts(n, self._shape, draw)

    def log_mass(self, x: Images, rng: torch.Generator, draws: int = 1) -> PerExample:
        logs = self._frequencies.to(x.device).log()
        steps = steps_of(x.flatten(1), logs.shape[1]).long()
        return logs[torch.arange(len(logs), device=x.device), steps].sum(1)

    def tensors(self) -> dict[str, Tensor]:
        return {"frequencies": self._frequencies}


class FrequencyTrainer(FitTrainer):
    """Each level of each pixel counts once more than it is seen."""

    def fit(self, data: Data, seed: int) -> FrequencySampler:
        images = data.training
        levels = levels_of(images)
        steps = steps_of(images.flatten(1), levels).long()
        counts = torch.ones(prod(data.shape), levels, dtype=torch.float64, device=images.device)
        ones = torch.ones_like(steps.T, dtype=torch.float64)
        counts.scatter_add_(1, steps.T, ones)
        return FrequencySampler(counts / counts.sum(1, keepdim=True), data.shape)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> FrequencySampler:
        return FrequencySampler(tensors["frequencies"], data.shape)


RECIPES.register(
    "pixel-frequencies",
    summary="Each pixel by itself, by how often it has each level: what a density must beat",
    role="floor",
    images_only="points have no levels",
)(Fixed(FrequencyTrainer()))
