"""What an image is taken to be beyond its edges: six rules of which all are in use."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.errors import unknown

BORDERS = ("reflect1", "reflect2", "repeat", "zero", "circular", "extend")
"""reflect1: mirrored at the middle of the last pixel, which is not repeated; reflect2: at its outer
edge, so that it is; repeat: the last pixel; circular: from the other side; extend: mirrored and
turned over, 2 x_0 - x_i, which goes on with a slope.
"""


def padded(images: Tensor, width: int, rule: str, dim: int) -> Tensor:
    """Images with `width` pixels more at both ends of one of their dimensions.

    An end of `extend` reaches as far as there are other pixels. Raises UsageError for another rule.
    """
    if rule not in BORDERS:
        raise unknown("border", rule, BORDERS)
    n = images.shape[dim]
    at = torch.arange(-width, n + width, device=images.device)
    edge = at.clamp(0, n - 1)
    if rule == "circular":
        return images.index_select(dim, at % n)
    if rule == "reflect2":
        turned = at % (2 * n)
        return images.index_select(dim, torch.minimum(turned, 2 * n - 1 - turned))
    nearest = images.index_select(dim, edge)
    if rule == "repeat":
        return nearest
    if rule == "zero":
        shape = [1] * images.ndim
        shape[dim] = -1
        return nearest * (edge == at).reshape(shape)
    period = max(1, 2 * (n - 1))
    turned = at % period
    mirrored = images.index_select(dim, torch.minimum(turned, period - turned).clamp(0, n - 1))
    return mirrored if rule == "reflect1" else 2 * nearest - mirrored
