"""The mean training image of each class: the floor of models that are told one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import RECIPES, Codes, ConditionalSampler, Data, Labels
from generative.recipes.references import Fixed
from generative.samplers import labels_for
from generative.trainers.fit import FitTrainer

Means = Float[Tensor, "classes *shape"]


class ClassMeans(ConditionalSampler):
    """One image for each class, whatever the code."""

    def __init__(self, means: Means) -> None:
        self._means, self.classes = means, len(means)

    def sample(self, n: int, rng: torch.Generator, condition: Labels | None = None) -> Tensor:
        return self._means[labels_for(n, condition, self.classes, self._means.device)]

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return torch.randn(n, 1, generator=rng, device=rng.device)

    def decode(self, z: Codes, condition: Labels | None = None) -> Tensor:
        return self._means[labels_for(len(z), condition, self.classes, self._means.device)]

    def tensors(self) -> dict[str, Tensor]:
        return {"means": self._means}


class ClassMeansTrainer(FitTrainer):
    """Over the training set, once through; of a class that is not there, the mean of all."""

    def fit(self, data: Data, seed: int) -> ClassMeans:
        x, labels = data.labelled_batches().next(len(data.training))
        every = [x[labels == label] for label in range(data.classes)]
        return ClassMeans(torch.stack([(own if len(own) else x).mean(0) for own in every]))

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> ClassMeans:
        return ClassMeans(tensors["means"])


RECIPES.register(
    "class-mean",
    summary="The mean training image of the class that is asked for: the floor of diversity",
    role="floor",
    labelled=True,
    images_only="the mean of points is one point, and nothing is asked of it",
    exempt=(
        "samples-are-examples: it has one image for each class to give",
        "samples-depend-on-the-generator-alone: it draws nothing",
    ),
)(Fixed(ClassMeansTrainer()))
