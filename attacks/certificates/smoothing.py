"""Randomised smoothing: the classifier that answers what the network says most often under noise.

The certificate is about that classifier. What the network itself makes of an image may differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from scipy.special import betaincinv, ndtri
from torch import Tensor
from torch.nn.functional import one_hot

from attacks.certificates.contracts import CERTIFICATES, Reach, Reached
from attacks.contracts import UNIT, Box, Images, Model, Seeds
from attacks.gradients import look, ordinary
from attacks.norms import PerImage, refuse
from attacks.objectives import answered
from attacks.streams import normal
from bench.core.errors import UsageError

Counts = Int[Tensor, "batch classes"]
Chances = Float[Tensor, " batch"]

BLOCK = 100
"""Draws of an image from one stream."""
AT_ONCE = 2**22
"""Values of noise that are held at once."""
SELECTION, ESTIMATION = 0, 1
"""Noise of two purposes, that have nothing to do with each other."""


@dataclass(frozen=True)
class Smoothing(Reach):
    """Cohen et al. 2019, section 3.2.2 (CERTIFY): under N(0, sigma^2) in every pixel, unclipped,
    the class that `n0` draws give most often; where the lower limit of its probability from `n`
    others, at confidence 1 - alpha, is p > 1/2, it is the answer within sigma Phi^-1(p) in l2, else
    the certificate abstains.

    Over the noise of an image its certificate is wrong with probability `alpha` at most. An answer
    that is not finite counts for no class. The box is not needed: what holds in the ball holds in
    its part within the box.
    """

    sigma: float = 0.25
    n0: int = 100
    n: int = 10_000
    alpha: float = 0.001
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 0.5 and self.n0 >= 1 and self.n >= 1 and self.sigma > 0):
            raise UsageError(
                "smoothing needs an `alpha` between 0 and 0.5, a `sigma` above 0 and draws `n0` "
                f"and `n` of 1 at least, got {self}"
            )

    def reach(
        self, model: Model, images: Images, *, norm: str, seeds: Seeds, box: Box = UNIT
    ) -> Reached:
        refuse(norm, self.norms, "smoothing")
        images, seeds = ordinary(images), ordinary(seeds)
        if not len(images):
            none = images.new_zeros(0, dtype=torch.float64)
            return Reached(none.long(), none)
        few = max(1, AT_ONCE // (BLOCK * images[0].numel()))
        counted = [
            (self.counts(model, x, s, self.n0, SELECTION), self.counts(model, x, s, self.n))
            for x, s in zip(images.split(few), seeds.split(few), strict=True)
        ]
        first, second = (torch.cat(counts) for counts in zip(*counted, strict=True))
        likely = first.argmax(1)
        agreed = second.gather(1, likely[:, None])[:, 0]
        radii = certified_radius(agreed, self.n, self.alpha, self.sigma)
        return Reached(torch.where(radii > 0, likely, -1), radii)

    def counts(
        self, model: Model, images: Images, seeds: Seeds, draws: int, purpose: int = ESTIMATION
    ) -> Counts:
        """How often each class is the answer in so many draws of the noise."""
        shape, blocks = tuple(images.shape[1:]), []
        for number, begun in enumerate(range(0, draws, BLOCK)):
            noise = normal(seeds, (BLOCK, *shape), purpose, number)[:, : draws - begun]
            noisy = images[:, None] + self.sigma * noise.to(images.dtype)
            logits = look(model, noisy.flatten(0, 1))
            votes = one_hot(logits.argmax(1), logits.shape[1]) * answered(logits)[:, None]
            blocks.append(votes.unflatten(0, noise.shape[:2]).sum(1))
        return torch.stack(blocks).sum(0)


def at_least(successes: Tensor, draws: int, alpha: float) -> Chances:
    """The lower limit of a probability at confidence 1 - alpha from so many successes in so many
    draws (Clopper and Pearson 1934): the one at which as many or more have probability alpha.
    """
    counted = successes.double().cpu().numpy()
    found = torch.from_numpy(betaincinv(counted.clip(1), draws - counted + 1, alpha))
    return torch.where(successes > 0, found.to(successes.device), 0.0)


def certified_radius(successes: Tensor, draws: int, alpha: float, sigma: float) -> PerImage:
    """How far in l2 the most frequent answer holds, float64; 0 where it is not shown to be given
    more often than all others together.
    """
    limit = at_least(successes, draws, alpha).clamp_min(0.5)
    return sigma * torch.from_numpy(ndtri(limit.cpu().numpy())).to(limit.device)


CERTIFICATES.register(
    "smoothing",
    paper="arXiv:1902.02918",
    summary="The classifier under Gaussian noise, in l2",
    takes="any",
    smoothed=True,
    draws=True,
    passes=10_100,
)(Smoothing())
