"""What holds for everything that makes a patch."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from attacks.patch import Placing
from attacks.patches import PATCHES, Purpose
from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets.digits import mnist5k
from bench.laws import base

TARGET, N = 3, 12
law = partial(base.law, PATCHES.kind)


def _digits() -> tuple[Tensor, Tensor]:
    split = mnist5k()
    images = torch.tensor(split.held_images[:: len(split.held_images) // N][:N])
    labels = torch.tensor(split.held_labels[:: len(split.held_labels) // N][:N])
    return images.reshape(-1, 1, 28, 28).float() / 255, labels


def _made(
    entry: Entry, images: Tensor, labels: Tensor, start: int = 5, area: float = 0.1
) -> Tensor:
    seeds = torch.arange(start, start + len(images))
    return entry.part(Purpose(_linear, images, labels, seeds, TARGET, Placing(area)))


def _linear(images: Tensor) -> Tensor:
    """Ten classes, whose weights are a fixed pattern."""
    flat = images.flatten(1)
    weights = torch.sin(torch.arange(10 * flat.shape[1]).float()).reshape(flat.shape[1], 10)
    return flat @ weights.to(flat)


@law()
def a_patch_is_a_picture_as_large_as_its_area(patch: Entry) -> None:
    """[channels, side, side] in [0, 1]; no pixel where the area is 0."""
    images, labels = _digits()
    labels[0] = TARGET
    for area in (0.0, 0.1, 0.4):
        side = Placing(area).side(28, 28)
        found = _made(patch, images, labels, area=area)
        assert found.shape == (1, side, side)
        assert found.dtype == images.dtype
        assert bool(((found >= 0) & (found <= 1)).all())


@law()
def the_seeds_decide_a_patch_that_is_drawn(patch: Entry) -> None:
    """The same with the same seeds; others give another one where, and only where, it says so."""
    images, labels = _digits()
    labels[0] = TARGET
    found = _made(patch, images, labels)
    assert torch.equal(found, _made(patch, images, labels))
    assert torch.equal(found, _made(patch, images, labels, start=99)) != patch.facts.draws


@law()
def what_needs_images_says_so(patch: Entry) -> None:
    """One that looks at none needs none; the images that are given are left as they were."""
    images, labels = _digits()
    kept = images.clone()
    labels[0] = TARGET
    _made(patch, images, labels)
    assert torch.equal(images, kept)
    everything, nothing = torch.full_like(labels, TARGET), torch.full_like(labels, TARGET + 1)
    refused = []
    for given in (everything, nothing):
        try:
            _made(patch, images, given)
        except UsageError:
            refused.append(given)
    assert len(refused) == (0 if patch.facts.noise else 1)
