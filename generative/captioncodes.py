"""What a generator is told of a caption: its own numbers, or a draw about them.

Conditioning augmentation (Zhang et al. 2017, arXiv:1612.03242, section 3.2): c = mu + sigma e, both
made of the caption's vector, e from N(0, I); the generator pays for how far N(mu, sigma^2) is from
N(0, I).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from generative.protocols.base import Prior
from generative.recipes.vae import divergence
from generative.training import WEIGHT, Bounds

SLOPE = 0.2
Vectors = Float[Tensor, "n told"]


@dataclass(frozen=True)
class Augmentation:
    """kl_weight: what KL(N(mu, sigma^2) || N(0, I)), in nats, summed over the dimensions of c, is
    multiplied by in the generator's loss: 2/128, as the authors' code has twice the mean over 128
    of them; the paper writes once the sum. caption_noise: what sigma e is multiplied by, 1 in the
    paper. With 0 for both it is the plain generator, bit for bit.
    """

    kl_weight: Annotated[float, WEIGHT] = 2 / 128
    caption_noise: Annotated[float, Bounds(0, 100)] = 1.0

    @property
    def plain(self) -> bool:
        """Whether nothing is added, so that no sigma is made either."""
        return not (self.kl_weight or self.caption_noise)


class CaptionCode(nn.Module):
    """Vectors [n, told] and standard normal numbers [n, size] to c, [n, size].

    The mean and the log variance are each a layer and a leaky ReLU, as in the authors' code.
    """

    def __init__(self, told: int, size: int, noise: float) -> None:
        super().__init__()
        self.mean, self.log_variance = nn.Linear(told, size), nn.Linear(told, size)
        self.noise = noise

    def moments(self, vectors: Vectors) -> tuple[Tensor, Tensor]:
        """Mean and log variance of c, [n, size] each."""
        mean, log_variance = self.mean(vectors), self.log_variance(vectors)
        return leaky_relu(mean, SLOPE), leaky_relu(log_variance, SLOPE)

    def forward(self, vectors: Vectors, drawn: Float[Tensor, "n size"]) -> Float[Tensor, "n size"]:
        mean, log_variance = self.moments(vectors)
        return mean + self.noise * (log_variance / 2).exp() * drawn

    def divergence(self, vectors: Vectors) -> Float[Tensor, " n"]:
        """KL(N(mean, variance) || N(0, I)) in nats."""
        return divergence(*self.moments(vectors))


class PlainCode(nn.Module):
    """Vectors [n, told] to the mean of c alone; nothing is drawn, [n, 0]."""

    def __init__(self, told: int, size: int) -> None:
        super().__init__()
        self.mean = nn.Linear(told, size)

    def forward(self, vectors: Vectors, drawn: Float[Tensor, "n 0"]) -> Float[Tensor, "n size"]:
        return leaky_relu(self.mean(vectors), SLOPE)


def caption_code(told: int, size: int, augmentation: Augmentation) -> nn.Module:
    """Of vectors and numbers that are drawn: as many as `drawn_by` says."""
    if augmentation.plain:
        return PlainCode(told, size)
    return CaptionCode(told, size, augmentation.caption_noise)


def drawn_by(size: int, augmentation: Augmentation) -> int:
    """How many numbers of a code are the caption's own draw."""
    return 0 if augmentation.plain else size


def standard(drawn: Tensor, prior: Prior) -> Tensor:
    """Numbers of a code as standard normal ones: uniform on [-1, 1] through the inverse of the
    normal distribution's function.
    """
    if prior == "normal":
        return drawn
    bound = 1 - torch.finfo(drawn.dtype).eps
    return torch.erfinv(drawn.clamp(-bound, bound)) * 2**0.5
