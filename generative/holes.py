"""What is hidden of a picture: its middle, or several squares."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from bench.core.errors import UsageError

KINDS = ("centre", "blocks")
BLOCKS, SHARE = 4, 4
"""How many squares are hidden, and which part of a side each has: a quarter of all at most."""


def centre(height: int, width: int) -> Bool[Tensor, "h w"]:
    """Which pixels are known where the middle quarter is hidden."""
    known = torch.ones(height, width, dtype=torch.bool)
    known[height // 4 : height - height // 4, width // 4 : width - width // 4] = False
    return known


def blocks(n: int, height: int, width: int, rng: torch.Generator) -> Bool[Tensor, "n h w"]:
    """Which pixels of each of `n` pictures are known where four squares of a quarter of the shorter
    side are hidden, each anywhere in the picture; they may overlap (Pathak et al. 2016, figure 3b).
    On the generator's device.
    """
    side = max(1, min(height, width) // SHARE)
    room = torch.tensor([height - side + 1, width - side + 1], device=rng.device)
    corners = (torch.rand(n, BLOCKS, 2, generator=rng, device=rng.device) * room).long()
    rows, columns = (torch.arange(size, device=rng.device) for size in (height, width))
    inside = [
        (ticks >= corners[..., axis, None]) & (ticks < corners[..., axis, None] + side)
        for axis, ticks in enumerate((rows, columns))
    ]
    hidden = inside[0][..., :, None] & inside[1][..., None, :]
    return ~hidden.any(1)


def drawn(kind: str, n: int, size: Sequence[int], rng: torch.Generator) -> Bool[Tensor, "n h w"]:
    """Which pixels are known of each of `n` pictures of a height and width. Raises UsageError for a
    kind there is not.
    """
    height, width = size
    if kind == "centre":
        return centre(height, width).to(rng.device).expand(n, height, width)
    if kind == "blocks":
        return blocks(n, height, width, rng)
    raise UsageError(f"hole: expected {' or '.join(KINDS)}, got '{kind}'")
