"""Directions in a space of units: the units, random ones, principal axes; and who excites each.

A constant that is added to the features moves no rank: centred features rank images as raw ones do.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench.tasks.robustness.hidden import Units

Directions = Float[Tensor, "directions units"]
Tops = Int[Tensor, "groups top"]
"""The places of the images that excite each direction most, most first."""

KINDS = ("units", "random", "pca")
FEATURES = ("raw", "cosine", "whitened")
NOTHING = 1e-6
"""A standard deviation below this share of the largest is rounding: a dead unit, no axis."""


def prepared(values: Units, how: str) -> Units:
    """The features that are ranked. raw: as they are. cosine: of each image, centred over the
    images and brought to length 1, so that no image ranks high for its norm. whitened: centred, and
    turned by the inverse root of their covariance (ZCA: each unit remains the nearest to itself);
    directions without variance are dropped.
    """
    if how == "raw":
        return values
    centred = values - values.mean(0)
    if how == "cosine":
        return centred / centred.norm(dim=1, keepdim=True).clamp_min(torch.finfo().tiny)
    deviations, axes = principal(values)
    return centred @ (axes.T / deviations) @ axes


def principal(values: Units) -> tuple[Float[Tensor, " axes"], Directions]:
    """Standard deviations over the images, falling, and the axes, each turned so that its largest
    entry is above 0; those of no variance are left out.
    """
    centred = values - values.mean(0)
    _, sizes, axes = torch.linalg.svd(centred, full_matrices=False)
    kept = sizes > NOTHING * sizes.max().clamp_min(torch.finfo().tiny)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    deviations = sizes[kept] / max(1, len(values) - 1) ** 0.5
    return deviations, (axes * largest.sign())[kept]


def directions(values: Units, count: int, rng: torch.Generator) -> Mapping[str, Directions]:
    """By kind, at most `count` of each. units: drawn without replacement from those that vary over
    the images; random: Gaussian; pca: the principal axes of most variance.
    """
    spread = values.std(0)
    alive = (spread > NOTHING * spread.max()).nonzero()[:, 0]
    chosen = alive[torch.randperm(len(alive), generator=rng)[:count].to(alive.device)]
    drawn = torch.randn(count, values.shape[1], generator=rng, dtype=torch.float64)
    return {
        "units": torch.eye(values.shape[1], dtype=values.dtype, device=values.device)[chosen],
        "random": drawn.to(values),
        "pca": principal(values)[1][:count],
    }


def tops(values: Units, along: Directions, top: int, rng: torch.Generator) -> Tops:
    """The images with the largest <phi(x), v>; of equal ones any, by lot."""
    order = torch.randperm(len(values), generator=rng).to(values.device)
    ranked = (values[order] @ along.T).T.sort(dim=1, descending=True, stable=True).indices
    return order[ranked[:, :top]]


def by_lot(images: int, groups: int, top: int, rng: torch.Generator) -> Tops:
    """Groups of images drawn without replacement: what nothing is behind."""
    return torch.rand(groups, images, generator=rng).argsort(1)[:, :top]
