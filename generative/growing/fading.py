"""Fade-in (Karras et al. 2018, section 2, figure 2): a new level comes in gradually."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generative.pyramids.box import doubled, halved


class Fading(nn.Module):
    """alpha of the new and 1 - alpha of the old: exactly the old at 0, exactly the new at 1. It is
    kept beside the weights, as the training moves it.
    """

    alpha: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.ones(()))

    def forward(self, old: Tensor, new: Tensor) -> Tensor:
        # A number, not the tensor: a graph may outlive the alpha that it was drawn at.
        return torch.lerp(old, new, float(self.alpha))


def fade(network: nn.Module, alpha: float) -> None:
    """Bring every level that comes in to where it is."""
    for part in network.modules():
        if isinstance(part, Fading):
            part.alpha.fill_(alpha)


def faded(images: Tensor, alpha: float) -> Tensor:
    """True images as a level that comes in sees them: what halving loses of them counts alpha."""
    return torch.lerp(doubled(halved(images), images.shape[2:]), images, alpha)


def alpha_at(progress: float, fade: float) -> float:
    """Where a level is after a share of its training: from 0 to 1 over its first `fade`."""
    return 1.0 if fade <= 0 else min(1.0, progress / fade)
