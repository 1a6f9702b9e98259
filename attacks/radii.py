"""Radii of a batch: an image with a radius of 0 is where it should be already."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.contracts import Images, Labels, Radius, Seeds

Spared = Callable[[Images, Labels, Tensor, Seeds], Images]


def moving(attack: Spared, images: Images, labels: Labels, radius: Radius, seeds: Seeds) -> Images:
    """What an attack makes of the images that have a radius above 0; the others as they are, and
    the model is not asked about them. The attack is given images, labels, a radius each and seeds.
    """
    radii = torch.as_tensor(radius, dtype=images.dtype, device=images.device).expand(len(images))
    chosen = radii > 0
    if bool(chosen.all()) and len(images):
        return attack(images, labels, radii, seeds)
    result = images.clone()
    if bool(chosen.any()):
        result[chosen] = attack(images[chosen], labels[chosen], radii[chosen], seeds[chosen])
    return result
