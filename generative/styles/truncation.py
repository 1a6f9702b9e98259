"""Truncation of styles (Karras et al. 2019, appendix B): nearer to their mean."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from bench.core.errors import UsageError
from generative.styles.mapping import Styles


def truncated(styles: Styles, centre: Float[Tensor, " width"], psi: float) -> Styles:
    """centre + psi (w - centre): the centre at 0, w at 1, variance psi^2 of it between. Raises
    UsageError for a psi outside [0, 1].
    """
    if not 0 <= psi <= 1:
        raise UsageError(
            "`truncation`: of a model with styles expected psi, 0 to 1 (1: as they are), got "
            f"{psi:g}"
        )
    return styles if psi == 1 else centre + psi * (styles - centre)
