"""Adam for the images of a search: its averages are tensors of each image's own."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.contracts import Images
from attacks.norms import spread


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba 2015, algorithm 1, without the learning rate. An image counts its own steps."""

    first: float = 0.9
    second: float = 0.999
    epsilon: float = 1e-8

    def begin(self, images: Images) -> dict[str, Tensor]:
        """What is to be remembered of each image."""
        return {
            "mean": torch.zeros_like(images),
            "square": torch.zeros_like(images),
            "count": torch.zeros_like(images.flatten(1)[:, 0]),
        }

    def restart(self, memory: MutableMapping[str, Tensor], chosen: Tensor) -> None:
        """Forget all of some images."""
        memory["mean"][chosen], memory["square"][chosen] = 0.0, 0.0
        memory["count"] = torch.where(chosen, 0, memory["count"])

    def take(self, memory: MutableMapping[str, Tensor], gradient: Images) -> tuple[Images, Images]:
        """The next step, in units of the learning rate and to be subtracted, and what the average
        of the gradients was divided by for it: the root of that of their squares.
        """
        memory["count"] = count = memory["count"] + 1
        mean = memory["mean"].lerp_(gradient, 1 - self.first)
        square = memory["square"].mul_(self.second)
        square.addcmul_(gradient, gradient, value=1 - self.second)
        exact = count.double()
        root = spread((1 / (1 - self.second**exact)).sqrt(), gradient)
        below = square.sqrt().mul_(root).add_(self.epsilon)
        return (mean * spread(1 / (1 - self.first**exact), gradient)).div_(below), below
