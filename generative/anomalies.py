"""AnoGAN: how far an image is from the nearest that a generator can draw (Schlegl et al. 2017).

For each image a code is searched that makes (1 - lambda) R + lambda D small: R is the distance of
the drawn image to it, D that of what the critic sees in both. The sum is the anomaly score.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import Perceiver

Images = Float[Tensor, "n c h w"]
PerImage = Float[Tensor, " n"]

CHUNK = 256
"""Images that descend at once."""


@dataclass(frozen=True)
class Search:
    """discrimination: lambda, of the critic's features. starts: codes that are tried before the
    descent, of which each image takes the one that fits best. Deviations: the paper starts at one
    code at random, and makes 500 steps.
    """

    steps: int = 200
    rate: float = 0.03
    discrimination: float = 0.1
    starts: int = 100


@dataclass(frozen=True, eq=False)
class Found:
    """drawn: the nearest images. residual: R, the absolute differences of pixels, summed.
    discrimination: D, those of the features of the critic's last hidden layer, summed. score: their
    weighted sum. [n] each.
    """

    drawn: Images
    residual: PerImage
    discrimination: PerImage
    score: PerImage


def searched(model: Perceiver, images: Images, rng: torch.Generator, search: Search) -> Found:
    """The nearest that a generator draws of images [n, c, h, w] in [0, 1]: of all the codes on the
    way, that with the smallest sum.
    """
    seen = model.features(images)
    codes = _started(model, images, seen, rng, search)
    parts = zip(codes.split(CHUNK), images.split(CHUNK), seen.split(CHUNK), strict=True)
    best = torch.cat([_descended(model, *part, search) for part in parts])
    drawn = model.decode(best)
    residual, discrimination = _apart(drawn, model.features(drawn), images, seen)
    return Found(drawn, residual, discrimination, weighed(residual, discrimination, search))


def weighed(residual: Tensor, discrimination: Tensor, search: Search) -> Tensor:
    """The sum that is searched by, and that ranks images."""
    share = search.discrimination
    return (1 - share) * residual + share * discrimination


def _apart(drawn: Tensor, felt: Tensor, images: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """R and D."""
    return (drawn - images).abs().flatten(1).sum(1), (felt - seen).abs().sum(1)


def _started(
    model: Perceiver, images: Images, seen: Tensor, rng: torch.Generator, search: Search
) -> Tensor:
    codes = model.codes(max(1, search.starts), rng)
    drawn = model.decode(codes)
    felt = model.features(drawn)
    chosen = []
    for image, features in zip(images, seen, strict=True):
        sums = weighed(*_apart(drawn, felt, image[None], features[None]), search)
        chosen.append(int(sums.argmin()))
    return codes[torch.tensor(chosen, dtype=torch.int64, device=codes.device)].clone()


def _descended(
    model: Perceiver, first: Tensor, images: Images, seen: Tensor, search: Search
) -> Tensor:
    """The best code on the way from the first, the first and the last among them; uniform ones stay
    in their cube.
    """
    z = first.clone().requires_grad_()
    optimiser = torch.optim.Adam([z], lr=search.rate)
    best, kept = torch.full((len(images),), float("inf"), device=z.device), first.clone()
    for step in range(search.steps + 1):
        drawn = model.decode(z)
        sums = weighed(*_apart(drawn, model.features(drawn), images, seen), search)
        better = sums.detach() < best
        best = torch.where(better, sums.detach(), best)
        kept = torch.where(better[:, None], z.detach(), kept)
        if step == search.steps:
            break
        (z.grad,) = torch.autograd.grad(sums.sum(), [z])
        optimiser.step()
        if model.prior == "uniform":
            z.data.clamp_(-1, 1)
    return kept
