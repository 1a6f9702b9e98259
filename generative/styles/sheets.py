"""A sheet of mixed styles: coarse ones by row, fine by column (Karras et al. 2019, figure 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.errors import UsageError
from generative.styles.sampler import StyleSampler

COLUMNS = 8


def mixing_sheet(model: StyleSampler, n: int, rng: torch.Generator, cut: int) -> tuple[Tensor, int]:
    """About `n` images and how many make a row: the first row and column are samples as they are,
    with a black corner; any other has the styles of its row's sample before layer `cut`, those of
    its column's from it on, and its row's noise. Raises UsageError for a cut that is none.
    """
    if not 0 <= cut <= model.layers:
        raise UsageError(f"`mixing`: expected a layer, 0 to {model.layers}, got {cut}")
    rows = max(1, n // COLUMNS - 1)
    down, across = model.codes(rows, rng), model.codes(COLUMNS - 1, rng)
    first = model.decode(across)
    lines = [torch.cat([torch.zeros_like(first[:1]), first])]
    cuts = torch.full((len(across),), cut, device=across.device)
    for code in down.split(1):
        mixed = model.mixed(code.expand(len(across), -1), across, cuts)
        lines.append(torch.cat([model.decode(code), mixed]))
    return torch.cat(lines), COLUMNS
