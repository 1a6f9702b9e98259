"""Interval bounds through a chain, and its last maps as margins of a label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from attacks.certificates.chain import Chain
from attacks.certificates.layers import Values, pull, through
from attacks.certificates.region import PerFunction, Region, Rows
from attacks.contracts import Labels

Interval = tuple[Values, Values]


def intervals(chain: Chain, region: Region) -> list[Interval]:
    """Bounds of what goes into each activation."""
    found: list[Interval] = []
    for number, segment in enumerate(chain.segments[:-1]):
        found.append(next_interval(chain, found, number) if number else region.through(segment))
    return found


def next_interval(chain: Chain, known: Sequence[Interval], number: int) -> Interval:
    """Bounds of what comes out of a segment from those of what went into the activation before."""
    low, high = (chain.activations[number - 1].value(end) for end in known[number - 1])
    return through(chain.segments[number], low, high)


def specification(labels: Labels, classes: int, like: Tensor) -> Rows:
    """The label's logit minus that of each class, as functions of the logits."""
    every = torch.eye(classes, dtype=like.dtype, device=like.device)
    own = one_hot(labels, classes).to(like.dtype)
    return own[:, None] - every


def pulled(chain: Chain, number: int, rows: Rows) -> tuple[Rows, PerFunction]:
    """Functions of what comes out of a segment as functions of what goes in, and constants."""
    batch, count = rows.shape[:2]
    back, constant = pull(chain.segments[number], rows.flatten(0, 1))
    return back.unflatten(0, (batch, count)), constant.unflatten(0, (batch, count))


def margins_between(
    chain: Chain, region: Region, known: Sequence[Interval], labels: Labels
) -> PerFunction:
    """Lower bounds of the label's logit minus that of each class, 0 for the label: the last maps
    and the difference of logits are one (Gowal et al. 2018, section 3.3: the last layer elided).
    """
    rows = specification(labels, chain.shapes[-1][0], region.centre)
    rows, constant = pulled(chain, len(chain.segments) - 1, rows)
    if not chain.activations:
        return constant + region.least(rows)
    low, high = (chain.activations[-1].value(end).flatten(1)[:, None] for end in known[-1])
    flat = rows.flatten(2)
    return constant + (flat.clamp_min(0) * low + flat.clamp_max(0) * high).sum(2)


def others(margins: PerFunction, labels: Labels) -> PerFunction:
    """The same, infinity for the label."""
    return margins.scatter(1, labels[:, None], torch.inf)
