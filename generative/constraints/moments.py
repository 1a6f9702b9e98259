"""What keeps a critic of moments in its set (McGAN, Mroueh et al. 2017, arXiv:1702.08398)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.contracts import CONSTRAINTS, RECIPES, Constraint
from generative.critics.moments import Moments
from generative.recipes.adversarial import Adversarial
from generative.training import Bounds

Rows = Float[Tensor, "rows d"]
SLACK = 100
"""How many roundings off a set a weight may be and is left as it is: so that it is put there once,
and not moved by a rounding at every step.
"""


def _slack(weight: Tensor) -> float:
    return SLACK * torch.finfo(weight.dtype).eps


def in_ball(v: Rows, mean_norm: int) -> Rows:
    """The nearest point of the unit ball whose dual norm has this q: for q = 1 that of the largest
    absolute value, for q = 2 the Euclidean one.
    """
    if mean_norm == 1:
        return v.clamp(-1, 1)
    norm = v.norm()
    return v / norm if norm > 1 + _slack(v) else v


def orthonormal(rows: Rows) -> Rows:
    """Orthonormal rows that span what these span, each on the side of its own: Q of W' = Q R, with
    the signs of R's diagonal.
    """
    apart = (rows @ rows.T - torch.eye(len(rows), dtype=rows.dtype, device=rows.device)).abs().max()
    if apart <= _slack(rows):
        return rows
    q, r = torch.linalg.qr(rows.T)
    return (q * torch.where(r.diagonal() < 0, -1.0, 1.0).to(q)).T


@dataclass(frozen=True)
class MomentSet(Constraint):
    """After every step v is put back into its unit ball, U and V onto the Stiefel manifold, and
    every other weight into [-clip_bound, clip_bound], so that features are bounded. v, U and V are
    in their sets from the start, the others from the first step.
    """

    clip_bound: Annotated[float, Bounds(gt=0, le=1e6)] = 0.01

    @torch.no_grad()
    def prepare(self, critic: nn.Module) -> None:
        for head in _heads(critic):
            _settle(head)

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        heads = _heads(critic)
        own = {id(weight) for head in heads for weight in _own(head)}
        for weight in critic.parameters():
            if id(weight) not in own:
                weight.clamp_(-self.clip_bound, self.clip_bound)
        for head in heads:
            _settle(head)


def _heads(critic: nn.Module) -> list[Moments]:
    return [module for module in critic.modules() if isinstance(module, Moments)]


def _own(head: Moments) -> list[Tensor]:
    """v, U and V, as far as they are there."""
    return [each.weight for each in (head.mean, head.left, head.right) if each is not None]


def _settle(head: Moments) -> None:
    for weight in _own(head):
        mean = head.mean is not None and weight is head.mean.weight
        weight.copy_(in_ball(weight, head.mean_norm) if mean else orthonormal(weight))


CONSTRAINTS.register(
    "moment-set",
    paper="arXiv:1702.08398",
    summary="What a critic of moments matches by is of norm 1; all its other weights are clipped",
    per_layer=False,
)(MomentSet())

PARTS = ("wasserstein", "moments", "moment-set")
"""Of either recipe."""
LATER = "every-setting-counts: the first v is inside the ball of either norm, and stays for a while"
MATCHING = Adversarial(
    "wasserstein",
    critic="moments",
    constraint="moment-set",
    critic_steps=5,
    momentum=0.0,
)

RECIPES.register(
    "mcgan",
    paper="arXiv:1702.08398",
    summary="Means and covariances of the critic's features match (McGAN, Mroueh et al. 2017)",
    parts=PARTS,
    exempt=LATER,
)(MATCHING)

RECIPES.register(
    "mcgan-mean",
    paper="arXiv:1702.08398",
    summary="Means of the critic's features match, without covariances (Mroueh et al. 2017)",
    parts=PARTS,
    exempt=LATER,
)(replace(MATCHING, own_settings={"directions": 0}))
