"""Minibatch standard deviation (Karras et al. 2018, section 3): how a batch varies."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

GROUP, EPSILON = 4, 1e-8


def together(n: int) -> int:
    """How many of n examples are compared: 4, or the most below that n is a multiple of."""
    return next(group for group in range(GROUP, 0, -1) if n % group == 0)


class MinibatchDeviation(nn.Module):
    """One map more, [n, c, h, w] to [n, c + 1, h, w]: the standard deviation over a group of
    examples, averaged over channels and pixels, the same for all of the group. As in the authors'
    code examples of a group are strided, i, i + n/4, i + 2n/4, i + 3n/4, the deviation is over 4
    and not 3, and of equal examples it is sqrt(1e-8) = 1e-4. By design no example is judged alone.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Tensor:
        if not len(x):
            return torch.cat([x, x[:, :1]], 1)
        grouped = x.unflatten(0, (together(len(x)), -1))
        variance = (grouped - grouped.mean(0)).square().mean(0)
        spread = (variance + EPSILON).sqrt().flatten(1).mean(1)
        shown = spread.repeat(len(grouped)).view(-1, 1, 1, 1)
        return torch.cat([x, shown.expand(-1, 1, *x.shape[2:])], 1)
