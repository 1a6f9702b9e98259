"""Training examples weighed by how much a model lacks them (AdaGAN), and batches by the weights."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import PerExample

Share = Float[Tensor, " n"]
"""What each example counts, float64, not negative, 1 in total."""


def lacking(ratios: PerExample, share: float) -> Share:
    """What each of n training examples counts for a component that is to have a share of a mixture,
    above 0 and up to 1. ratios: at each, the density of the mixture so far over that of the data.

        w_i = max(0, level - (1 - share) ratio_i) / (share n), with the level at which they add to 1

    (Tolstikhin et al. 2017, arXiv:1701.02386, equations 17 and 18 and their algorithm to find
    lambda*). Of all distributions on the examples it is the one whose mixture with the present
    model is nearest to uniform by any f-divergence. Where ratios are estimates, and do not have
    a mean of 1, weights add to 1 all the same, as the level is of the very estimates.
    """
    n, ordered = len(ratios), ratios.double().sort().values
    counts = torch.arange(1, n + 1, dtype=torch.float64, device=ratios.device)
    levels = (share * n + (1 - share) * ordered.cumsum(0)) / counts
    enough = levels[:-1] <= (1 - share) * ordered[1:]
    level = levels[int(enough.nonzero()[0])] if bool(enough.any()) else levels[-1]
    return (level - (1 - share) * ratios.double()).clamp(min=0) / (share * n)


class Reweighted:
    """An endless stream of training examples [n, ...], each drawn anew as likely as it counts."""

    def __init__(self, examples: Tensor, weights: Share, rng: torch.Generator) -> None:
        ends = weights.double().cumsum(0)
        self._examples, self._ends, self._rng = examples, ends / ends[-1], rng

    def next(self, n: int) -> Tensor:
        rng = self._rng
        at = torch.rand(n, generator=rng, device=rng.device, dtype=torch.float64)
        return self._examples[torch.searchsorted(self._ends, at, right=True)]

    def position(self) -> dict[str, Tensor]:
        return {"rng": self._rng.get_state()}

    def seek(self, position: dict[str, Tensor]) -> None:
        self._rng.set_state(position["rng"])
