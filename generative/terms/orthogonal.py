"""The orthogonal penalty of BigGAN (Brock et al. 2019, section 3.1, equation 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from generative.parts import TERMS, Sight, Term
from generative.training import WEIGHT


def overlap(weight: Tensor) -> Tensor:
    """|W W' o (1 - I)|^2 of a weight [rows, ...], a filter a row: 0 where rows are orthogonal. Its
    slope is 4 (W W' o (1 - I)) W. The authors' code puts half of that into the gradient, so that
    its strength is twice the one here.
    """
    rows = weight.flatten(1)
    products = rows @ rows.T
    return (products - torch.diag(products.diagonal())).square().sum()


@dataclass(frozen=True)
class Orthogonal(Term):
    """The sum of overlaps over the layers of the generator, without the embedding of classes. Rows
    are outputs, of a transposed convolution inputs.
    """

    orthogonal_weight: Annotated[float, WEIGHT] = 1e-4

    @property
    def weight(self) -> float:
        return self.orthogonal_weight

    def __call__(self, sight: Sight) -> Tensor:
        return torch.stack([overlap(weight) for weight in sight.filters]).sum()


TERMS.register(
    "orthogonal",
    paper="arXiv:1809.11096",
    summary="The generator's filters stay orthogonal (BigGAN)",
    player="generator",
)(Orthogonal())
