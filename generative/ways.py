"""Short stretches of ways between codes, for path lengths (Karras et al. 2019, section 4.1)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from generative.contracts import Codes, Decoder
from generative.latentspace import CHUNK
from generative.styles.sampler import StyleSampler

STEP = 1e-4
Shares = Float[Tensor, "n 1"]


def circled(first: Codes, second: Codes, share: Shares) -> Codes:
    """A share of the way along the great circle between directions; lengths along a line."""
    lengths = [codes.norm(dim=1, keepdim=True).clamp(min=1e-12) for codes in (first, second)]
    one, other = first / lengths[0], second / lengths[1]
    angle = (one * other).sum(1, keepdim=True).clamp(-1, 1).acos()
    curved = (torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * other) / angle.sin()
    return lined(lengths[0], lengths[1], share) * curved


def lined(first: Tensor, second: Tensor, share: Shares) -> Tensor:
    """A share of the straight way."""
    return first + share * (second - first)


def stretches(model: Decoder, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images at both ends of n stretches of great circles between codes; of a model with styles the
    noise stays as it is.
    """
    first, second = (model.codes(n, rng).double() for _ in range(2))
    share = torch.rand(n, 1, generator=rng, device=rng.device).double()
    width = model.network.width if isinstance(model, StyleSampler) else first.shape[1]
    ends = []
    for at in (share, share + STEP):
        moved = circled(first[:, :width], second[:, :width], at)
        codes = torch.cat([moved, first[:, width:]], 1).float()
        ends.append(torch.cat([model.decode(part) for part in codes.split(CHUNK)]))
    return ends[0], ends[1]


def style_stretches(model: StyleSampler, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same of straight ways between styles of codes."""
    (first, noise), (second, _) = (model.parts(model.codes(n, rng)) for _ in range(2))
    share = torch.rand(n, 1, generator=rng, device=rng.device)
    ways = [lined(model.styles(first), model.styles(second), at) for at in (share, share + STEP)]
    chunks = noise.split(CHUNK)
    ends = [
        torch.cat([model.drawn(*both) for both in zip(way.split(CHUNK), chunks, strict=True)])
        for way in ways
    ]
    return ends[0], ends[1]
