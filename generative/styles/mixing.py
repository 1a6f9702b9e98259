"""Style mixing (Karras et al. 2019, section 3.1): coarse layers of one style, fine of another."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.styles.mapping import Styles

LayerStyles = Float[Tensor, "n layers width"]
"""A style for each layer."""


def everywhere(styles: Styles, layers: int) -> LayerStyles:
    """The same style in every layer."""
    return styles[:, None].expand(-1, layers, -1)


def mixed(first: LayerStyles, other: LayerStyles, cuts: Int[Tensor, " n"]) -> LayerStyles:
    """Layers before an example's cut have the first style, those from it on the other: at 0 the
    other alone, at the number of layers the first alone.
    """
    layers = torch.arange(first.shape[1], device=cuts.device)
    return torch.where((layers < cuts[:, None])[:, :, None], first, other)


def drawn_cuts(n: int, layers: int, share: float, rng: torch.Generator) -> Int[Tensor, " n"]:
    """A cut for each of n examples: with probability `share` one between two layers, else after
    the last.
    """
    cuts = torch.randint(1, layers, (n,), generator=rng, device=rng.device)
    mixes = torch.rand(n, generator=rng, device=rng.device) < share
    return torch.where(mixes, cuts, torch.full_like(cuts, layers))
