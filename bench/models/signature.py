"""What a look at a training takes beside samples: the signature of a game, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.datasets import Source
from bench.models.fields import Field, field_of
from generative import ConditionalSampler, Contested, Decoder, Fitted
from metrics.signature import Contest

JUDGED = 500
"""Reals, and as many fakes, that the critic is asked about."""
CODES, DIRECTIONS = 128, 16
"""At how many codes, and along how many directions at most, the generator's slope is taken."""
VALUES = 2**18
"""The most values of examples that are looked at."""


@dataclass(frozen=True, eq=False)
class Signature:
    """What was taken: nothing of what a model has not. real: the critic's logits of reals [n].
    field: of points in the plane, what it thinks of every place.
    """

    real: np.ndarray
    contest: Contest | None
    stretches: np.ndarray | None
    pulls: Mapping[str, float]
    field: Field | None = None

    @classmethod
    def of(cls, taken: Mapping[str, Any]) -> Signature:
        """Of what `take` gave."""
        found = {k: v.numpy() for k, v in taken.items() if isinstance(v, Tensor)}
        contest = Contest(found["fake"], found["slopes"]) if "fake" in found else None
        real = found.get("real", np.empty(0))
        field = Field(taken["field"].cpu(), taken["reach"]) if "field" in taken else None
        return cls(real, contest, found.get("stretches"), dict(taken["pulls"]), field)


def take(
    fitted: Fitted, source: Source, rng: torch.Generator, pulls: Mapping[str, float]
) -> dict[str, Any]:
    """As a tree of tensors, finite ones alone but for fields: a critic beyond the range of its
    numbers is no error of the training. A critic that is told classes, or sees several examples
    at once, judges no single one; a decoder without a graph has no stretches.
    """
    taken: dict[str, Any] = {"pulls": {k: v for k, v in pulls.items() if isfinite(v)}}
    if not isinstance(fitted, Decoder):
        return taken
    if isinstance(fitted, Contested) and not isinstance(fitted, ConditionalSampler):
        n = max(8, min(JUDGED, VALUES // prod(source.shape)))
        with torch.no_grad():
            taken["real"] = fitted.logits(source.fresh(n, rng)).cpu()
            fake = fitted.sample(n, rng)
        fake.requires_grad_()
        logits = fitted.logits(fake)
        (slope,) = torch.autograd.grad(logits.sum(), fake)
        contest = {"fake": logits.detach().cpu(), "slopes": slope.flatten(1).norm(dim=1).cpu()}
        if all(bool(torch.isfinite(part).all()) for part in (taken["real"], *contest.values())):
            taken |= contest
    if (field := field_of(fitted, source)) is not None:
        taken |= {"field": field.logits, "reach": field.reach}
    stretches = _stretches(fitted, source, rng)
    return taken if stretches is None else {**taken, "stretches": stretches}


def _stretches(fitted: Decoder, source: Source, rng: torch.Generator) -> Tensor | None:
    """Singular values of the Jacobian, along random directions where codes have many, [n, k]."""
    n = max(8, min(CODES, VALUES // (DIRECTIONS * prod(source.shape))))
    codes = fitted.codes(n, rng)
    dims = codes.shape[1]
    along = torch.eye(dims, device=codes.device)
    if dims > DIRECTIONS:
        noise = torch.randn(dims, DIRECTIONS, generator=rng, device=rng.device)
        along = torch.linalg.qr(noise).Q.T
    slopes = _slopes(fitted, codes, along)
    if not slopes or not all(bool(torch.isfinite(slope).all()) for slope in slopes):
        return None
    jacobian = torch.stack(slopes, 2).double()
    return (torch.linalg.svdvals(jacobian) / _spread(source)).cpu()


def _slopes(fitted: Decoder, codes: Tensor, along: Tensor) -> list[Tensor]:
    """The derivatives of samples as their codes move along each direction, [n, values of an
    example] each: the derivative by u of the slope of u * samples, which is linear in u. None of
    samples that no graph ties to their codes.
    """
    codes = codes.detach().requires_grad_()
    samples = fitted.decode(codes)
    if not samples.requires_grad:
        return []
    u = torch.zeros_like(samples, requires_grad=True)
    (back,) = torch.autograd.grad(samples, codes, u, create_graph=True)
    found = [
        torch.autograd.grad(back, u, direction.expand_as(codes), retain_graph=True)[0]
        for direction in along
    ]
    return [slope.flatten(1) for slope in found]


def _spread(source: Source) -> float:
    """The root mean square distance of training examples to their mean."""
    known = source.training[: max(2, VALUES // prod(source.shape))].flatten(1).double()
    return max(float((known - known.mean(0)).square().sum(1).mean().sqrt()), 1e-12)
