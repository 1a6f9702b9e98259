"""Adam for the images of a search: its averages are tensors of each image's own."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.contracts import Images


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba 2015, algorithm 1, without the learning rate: `step` gives the average of the
    gradients over the root of that of their squares. An image counts its own steps.
    """

    first: float = 0.9
    second: float = 0.999
    epsilon: float = 1e-8

    def begin(self, images: Images) -> dict[str, Tensor]:
        """What is to be remembered of each image."""
        return {
            "mean": torch.zeros_like(images),
            "square": torch.zeros_like(images),
            "count": torch.zeros(len(images), dtype=torch.float64, device=images.device),
        }

    def restart(self, memory: MutableMapping[str, Tensor], chosen: Tensor) -> None:
        """Forget all of some images."""
        for name in ("mean", "square", "count"):
            memory[name][chosen] = 0

    def step(self, memory: MutableMapping[str, Tensor], gradient: Images) -> Images:
        """The next step, in units of the learning rate; to be subtracted."""
        memory["count"] += 1
        shape = (-1, *[1] * (gradient.ndim - 1))
        count = memory["count"].reshape(shape)
        mean = memory["mean"].lerp_(gradient, 1 - self.first)
        square = memory["square"].mul_(self.second).addcmul_(gradient, gradient, value=1 - self.second)
        root = (1 - self.second**count).sqrt().to(gradient)
        share = (root / (1 - self.first**count)).to(gradient)
        return (mean * share).div_(square.sqrt().add_(self.epsilon * root))
