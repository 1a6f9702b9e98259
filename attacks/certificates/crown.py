"""CROWN: linear bounds of every activation, taken back to the image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from attacks.certificates.chain import Chain
from attacks.certificates.contracts import CERTIFICATES, Bounds, PerClass
from attacks.certificates.intervals import (
    Interval,
    intervals,
    margins_between,
    next_interval,
    others,
    pulled,
    specification,
)
from attacks.certificates.layers import units
from attacks.certificates.region import AT_ONCE, PerFunction, Region, Rows
from attacks.contracts import Labels
from attacks.gradients import differentiable

Slopes = Mapping[int, Float[Tensor, "batch rows *layer"]]
"""By activation, the slopes of lower lines, for each function of its own."""

NO_SLOPES: Slopes = {}


@dataclass(frozen=True)
class Crown(Bounds):
    """Zhang et al. 2018, theorem 3.2 and section 3.3 (CROWN-Ada): between bounds of what goes into
    it an activation lies between two lines, and a linear function of what comes out is bounded by
    one of what goes in, back to the image.

    inner: where the bounds of inner layers come from: "crown", the same, layer by layer, or "ibp"
    (Zhang et al. 2020, CROWN-IBP). steps: of gradient ascent on the slopes of lower lines, for each
    margin of its own, of rate `rate` (Xu et al. 2021: alpha-CROWN, here of the last margins alone).
    Every bound is the better of this and of interval bounds.
    """

    inner: Literal["crown", "ibp"] = "crown"
    steps: int = 0
    rate: float = 0.1
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2", "l1")

    def below(self, chain: Chain, region: Region, labels: Labels) -> PerClass:
        known = intervals(chain, region) if self.inner == "ibp" else layered(chain, region)
        found = margins_between(chain, region, known, labels)
        rows = specification(labels, chain.shapes[-1][0], region.centre)
        last = len(chain.activations)
        found = torch.maximum(found, backward(chain, region, known, rows, last))
        if self.steps and last:
            found = torch.maximum(found, self._ascent(chain, region, known, rows))
        return others(found, labels)

    def _ascent(
        self, chain: Chain, region: Region, known: Sequence[Interval], rows: Rows
    ) -> PerFunction:
        """The best bounds on the way of Adam over the slopes."""
        last, best = len(chain.activations), torch.full_like(rows[:, :, 0], -torch.inf)
        with differentiable():
            slopes = {}
            for number, (activation, bounds) in enumerate(
                zip(chain.activations, known, strict=True)
            ):
                first = activation.lines(*bounds).low_slope[:, None]
                slopes[number] = first.expand(-1, rows.shape[1], *first.shape[2:]).clone()
                slopes[number].requires_grad_()
            adam = torch.optim.Adam(slopes.values(), lr=self.rate)
            for _ in range(self.steps):
                found = backward(chain, region, known, rows, last, slopes)
                best = torch.maximum(best, found.detach())
                gradients = torch.autograd.grad(-found.sum(), list(slopes.values()))
                for slope, gradient in zip(slopes.values(), gradients, strict=True):
                    slope.grad = gradient
                adam.step()
                with torch.no_grad():
                    for slope in slopes.values():
                        slope.clamp_(0, 1)
        return torch.maximum(best, backward(chain, region, known, rows, last, slopes).detach())


def backward(
    chain: Chain,
    region: Region,
    known: Sequence[Interval],
    rows: Rows,
    number: int,
    slopes: Slopes = NO_SLOPES,
) -> PerFunction:
    """Lower bounds of linear functions of what comes out of a segment."""
    rows, total = pulled(chain, number, rows)
    for before in reversed(range(number)):
        activation, bounds = chain.activations[before], known[before]
        lines = activation.lines(*bounds)
        low_slope = lines.low_slope[:, None]
        if before in slopes:
            low_slope = torch.where(activation.free(*bounds)[:, None], slopes[before], low_slope)
        above, below = rows.clamp_min(0), rows.clamp_max(0)
        biases = above * lines.low_bias[:, None] + below * lines.high_bias[:, None]
        rows = above * low_slope + below * lines.high_slope[:, None]
        rows, constant = pulled(chain, before, rows)
        total = total + constant + biases.flatten(2).sum(2)
    return total + region.least(rows)


def layered(chain: Chain, region: Region) -> list[Interval]:
    """Bounds of what goes into each activation, each from those before; a value that its own image
    has no use for is left at its interval bounds.
    """
    found: list[Interval] = []
    for number, activation in enumerate(chain.activations):
        if not number:
            found.append(region.through(chain.segments[0]))
            continue
        low, high = (end.flatten(1) for end in next_interval(chain, found, number))
        loose = activation.loose(low, high)
        chosen = loose.any(0).nonzero()[:, 0]
        for some in chosen.split(_at_once(chain, len(low))):
            rows = units(chain.shapes[number], some, region.centre)
            both = torch.cat([rows, -rows]).expand(len(low), *[-1] * (rows.ndim))
            least, minus = backward(chain, region, found, both, number).chunk(2, dim=1)
            used = loose[:, some]
            low[:, some] = torch.where(used, torch.maximum(low[:, some], least), low[:, some])
            high[:, some] = torch.where(used, torch.minimum(high[:, some], -minus), high[:, some])
        shape = chain.shapes[number]
        found.append((low.unflatten(1, shape), high.unflatten(1, shape)))
    return found


def _at_once(chain: Chain, batch: int) -> int:
    """How many values of a layer are bounded together."""
    widest = max(math.prod(layer.inputs) for segment in chain.segments for layer in segment)
    return max(1, AT_ONCE // (2 * batch * widest))


def _register(name: str, paper: str, summary: str, part: Crown, passes: int) -> None:
    facts = {"paper": paper, "summary": summary, "takes": "layers", "passes": passes}
    CERTIFICATES.register(name, **facts)(part)


_register("crown", "arXiv:1811.00866", "Linear bounds of every layer", Crown(), 5_000)
_register(
    "crown-ibp",
    "arXiv:1906.06316",
    "Linear bounds of the margins, interval bounds of the layers",
    Crown(inner="ibp"),
    100,
)
_register(
    "alpha-crown",
    "arXiv:2011.13824",
    "Linear bounds whose lower slopes are optimised",
    Crown(steps=20),
    10_000,
)
