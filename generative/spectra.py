"""Singular values by power iteration (Brock et al. 2019, section 4.1 and appendix F)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

LARGEST, ROUNDS, LEAST = 3, 2_000, 1e-7


def spectrum(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Sigma 0 to 2 of every weight of a model's tensors that is a matrix or a convolution."""
    return {
        name: singular_values(value).cpu().numpy()
        for name, value in tensors.items()
        if value.is_floating_point() and value.ndim in (2, 4) and min(value.flatten(1).shape) > 1
    }


@torch.no_grad()
def singular_values(
    weight: Tensor, count: int = LARGEST, rounds: int = ROUNDS
) -> Float[Tensor, " count"]:
    """The `count` largest singular values of a weight [rows, ...] as a matrix, or as many as it
    has, largest first, in float64: each by power iteration in what is orthogonal to the directions
    found before it, until two rounds agree to 1e-7, from a start that is always the same.
    """
    matrix = weight.detach().flatten(1).double()
    rng = torch.Generator().manual_seed(0)
    known, found = matrix.new_zeros(0, matrix.shape[0]), []
    for _ in range(min(count, *matrix.shape)):
        direction = torch.randn(matrix.shape[0], generator=rng).to(matrix)
        value = matrix.new_zeros(())
        for _ in range(rounds):
            direction = _apart(direction, known)
            before, reached = value, direction @ matrix
            value, direction = reached.norm(), matrix @ reached
            if (value - before).abs() <= LEAST * value:
                break
        known = torch.cat([known, _apart(direction, known)[None]])
        found.append(value)
    return torch.stack(found)


def _apart(direction: Tensor, known: Tensor) -> Tensor:
    """A direction [n] made orthogonal to known ones [k, n], of length 1; of nothing nothing. Twice:
    of one that is nearly a known one the first pass leaves rounding, and that is not orthogonal.
    """
    for _ in range(2):
        direction = direction - (known @ direction) @ known
        direction = direction / direction.norm().clamp(min=1e-300)
    return direction
