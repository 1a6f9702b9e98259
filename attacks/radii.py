"""Radii of a batch: an image with a radius of 0 is where it should be already."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.contracts import Images, Radius, Seeds
from attacks.goals import Goal
from attacks.gradients import ordinary

Spared = Callable[[Images, Goal, Tensor, Seeds], Images]


def moving(attack: Spared, images: Images, goal: Goal, radius: Radius, seeds: Seeds) -> Images:
    """What an attack makes of the images that have a radius above 0; the others as they are, and
    the model is not asked about them. The attack is given images, their goal, a radius each and
    seeds, as tensors that may be part of a graph, outside torch.inference_mode.
    """
    with torch.inference_mode(False):
        images, seeds, goal = ordinary(images), ordinary(seeds), goal.ordinary()
        radii = torch.as_tensor(radius, dtype=images.dtype, device=images.device)
        radii = ordinary(radii).expand(len(images))
        chosen = radii > 0
        if bool(chosen.all()) and len(images):
            return attack(images, goal, radii, seeds)
        result = images.clone()
        if bool(chosen.any()):
            some = (images[chosen], goal[chosen], radii[chosen], seeds[chosen])
            result[chosen] = attack(*some)
        return result
