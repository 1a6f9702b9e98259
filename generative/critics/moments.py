"""A critic of moments (McGAN, Mroueh et al. 2017): means and covariances of its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.networks import Network, Shape, layers_of
from generative.parts import CRITICS, CriticForm
from generative.training import Bounds


class Moments(nn.Module):
    """Examples to logits <v, f> + <U f, V f> of their features f, [n, d], so that the mean logits
    of two sets differ by <v, m - m'> + tr(U (S - S') V'), where m is the mean of f, and S that of
    f f', about 0 and not about m. mean: v, a row of d, and mean_norm its norm's dual, 0 where it is
    left out. left, right: U and V, `directions` rows of d; none where they are left out.
    """

    def __init__(self, body: nn.Module, width: int, mean_norm: int, directions: int) -> None:
        super().__init__()
        self.body, self.mean_norm = body, mean_norm
        self.mean = nn.Linear(width, 1, bias=False) if mean_norm else None
        self.left = nn.Linear(width, directions, bias=False) if directions else None
        self.right = nn.Linear(width, directions, bias=False) if directions else None

    def forward(self, x: Tensor, features: bool = False) -> Any:
        seen = self.body(x).flatten(1)
        logits = seen.new_zeros(len(seen)) if self.mean is None else self.mean(seen)[:, 0]
        if self.left is not None and self.right is not None:
            logits = logits + (self.left(seen) * self.right(seen)).sum(1)
        return (logits, seen) if features else logits


@dataclass(frozen=True)
class MomentCritic(CriticForm):
    """In the place of the last layer of the protocol's critic, whose input are the features.

    mean_norm: q of the norm of m - m' that v comes to at its best, 1 or 2; 0 leaves means out.
    directions: k of the sum of the k largest singular values of S - S' that U and V come to; 0
    leaves covariances out. Deviation: 8 directions, and that features are those of the protocol's
    critic, are ours.
    """

    mean_norm: Annotated[int, Bounds(0, 2)] = 2
    directions: Annotated[int, Bounds(0, 1_000)] = 8

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        *body, head = layers_of(critic.encoder(shape, 1))
        if not isinstance(head, nn.Linear):
            raise UsageError(
                "a critic of moments: expected layers that end in a linear one, got "
                f"{type(head).__name__}: choose another protocol"
            )
        self._refuse(head.in_features)
        return Moments(nn.Sequential(*body), head.in_features, self.mean_norm, self.directions)

    def _refuse(self, width: int) -> None:
        """Raise UsageError where there is nothing to match, or more than there are features."""
        if not (self.mean_norm or self.directions):
            raise UsageError(
                "a critic of moments: expected means or covariances, got mean_norm 0 and "
                "directions 0: leave one of the two as it is"
            )
        if self.directions > width:
            raise UsageError(
                f"directions: expected {width} at most, the features of this critic, got "
                f"{self.directions}"
            )


CRITICS.register(
    "moments",
    paper="arXiv:1702.08398",
    summary="Means and covariances of its features (McGAN)",
    cost=1.2,
)(MomentCritic())
