"""What bounds a table of translations or completions: the truth, the input, the mean image."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.contracts import RECIPES, Completer, Data, Direction, Translator
from generative.games.translating import two_domains
from generative.recipes.references import Fixed
from generative.trainers.fit import FitTrainer

BOTH: tuple[Direction, ...] = ("forward", "backward")


class Truth(Translator):
    """Held-out images to their true partners, and nothing else."""

    directions = BOTH

    def __init__(self, first: Tensor, second: Tensor) -> None:
        self._domains: dict[Direction, tuple[Tensor, Tensor]] = {
            "forward": (first, second),
            "backward": (second, first),
        }

    def translate(
        self, x: Tensor, rng: torch.Generator, direction: Direction = "forward"
    ) -> Tensor:
        known, partners = self._domains[direction]
        if len(x) > len(known) or not torch.equal(x, known[: len(x)]):
            raise UsageError("the truth is known of the held-out images alone, in their order")
        return partners[: len(x)].clone()

    def tensors(self) -> dict[str, Tensor]:
        return {}


class Same(Translator):
    """Images as they are; grey ones in three channels, coloured ones as their mean, where the
    other domain has as many.
    """

    directions = BOTH

    def __init__(self, channels: Mapping[Direction, int]) -> None:
        self._channels = channels

    def translate(
        self, x: Tensor, rng: torch.Generator, direction: Direction = "forward"
    ) -> Tensor:
        wanted = self._channels[direction]
        if wanted == x.shape[1]:
            return x.clone()
        return x.mean(1, keepdim=True).expand(-1, wanted, -1, -1).clone()

    def tensors(self) -> dict[str, Tensor]:
        return {}


class Mean(Translator):
    """The mean training image of the other domain, whatever comes in."""

    directions = BOTH

    def __init__(self, forward: Tensor, backward: Tensor) -> None:
        self._means: dict[Direction, Tensor] = {"forward": forward, "backward": backward}

    def translate(
        self, x: Tensor, rng: torch.Generator, direction: Direction = "forward"
    ) -> Tensor:
        return self._means[direction].expand(len(x), -1, -1, -1).clone()

    def tensors(self) -> dict[str, Tensor]:
        return dict(self._means.items())


class OneImage(Completer):
    """The mean training example, always."""

    def __init__(self, mean: Tensor) -> None:
        self._mean = mean

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._mean.expand(n, *self._mean.shape).clone()

    def complete(self, x: Tensor, known: Tensor) -> Tensor:
        return torch.where(known, x, self._mean)

    def tensors(self) -> dict[str, Tensor]:
        return {"mean": self._mean}


class OneImageTrainer(FitTrainer):
    """Over the training set."""

    def fit(self, data: Data, seed: int) -> OneImage:
        return OneImage(data.training.mean(0))

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> OneImage:
        return OneImage(tensors["mean"])


class TruthTrainer(FitTrainer):
    """Nothing is trained."""

    def fit(self, data: Data, seed: int) -> Truth:
        domains = two_domains(data)
        if not domains.truth:
            raise UsageError("the truth is not known: nothing says which images belong together")
        return Truth(domains.held_first, domains.held_second)

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Truth:
        return self.fit(data, 0)


class SameTrainer(FitTrainer):
    """Nothing is trained."""

    def fit(self, data: Data, seed: int) -> Same:
        domains = two_domains(data)
        return Same({"forward": domains.shape[0], "backward": domains.first_shape[0]})

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Same:
        return self.fit(data, 0)


class MeanTrainer(FitTrainer):
    """Over the training images of each domain."""

    def fit(self, data: Data, seed: int) -> Mean:
        domains = two_domains(data)
        return Mean(_mean(domains.second), _mean(domains.first))

    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Mean:
        return Mean(tensors["forward"], tensors["backward"])


def _mean(images: Tensor) -> Tensor:
    """Of bytes, in [0, 1]."""
    return images.sum(0, dtype=torch.int64).double().div(255 * len(images)).float()


RECIPES.register(
    "one-image",
    summary="The mean training image, always: the floor of completions",
    role="floor",
    images_only="the mean of points is one point, and nothing is asked of it",
    exempt=(
        "samples-are-examples: it has one image to give",
        "samples-depend-on-the-generator-alone: it has one image to give",
    ),
)(Fixed(OneImageTrainer()))

RECIPES.register(
    "truth",
    summary="The held-out partners themselves: the best a score can show",
    role="ceiling",
    translates=True,
    exempt="nothing-of-the-batch-mates: it knows the held-out images in their order alone",
)(Fixed(TruthTrainer()))

RECIPES.register("identity", summary="The input as it is", role="floor", translates=True)(
    Fixed(SameTrainer())
)

RECIPES.register(
    "mean-image",
    summary="The mean training image of the other domain, always",
    role="floor",
    translates=True,
)(Fixed(MeanTrainer()))
