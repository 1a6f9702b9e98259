"""Whether a classifier's gradients are those of its answers: a check by finite differences."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attacks.contracts import Box, Images, Labels, Model, Seeds
from attacks.gradients import ascent, look
from attacks.objectives import lead
from attacks.streams import uniform

LENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1)
"""Of the steps, as shares of the range: the short ones for kinks, the long ones for grids."""
POINTS = 3
NEAR = 0.1
"""How far from the image the other points are, at most, as a share of the range."""
APART = 3.0
"""By which factor a change may differ from what the gradient says."""
SEEN = 8.0
"""How many times its rounding a change must be to tell anything."""


def wrong_slopes(
    model: Model, images: Images, labels: Labels, *, seeds: Seeds, box: Box, rounding: float
) -> Bool[Tensor, " batch"]:
    """Which images have gradients of the lead that are not its slope, at most of three points: the
    image, and two near it.

    Along the gradient's sign, the change of the lead over a central step is held against the
    gradient's; they agree where they do at any of six lengths, to a factor of three. So kinks are
    right (a short step sees none), and so is a grid whose gradient passes straight through (a long
    step crosses many of its edges). A change that rounding would hide tells nothing: at no length,
    or no gradient, is no disagreement. rounding: of a logit, as a share of the largest.
    """
    low, high = box or (float(images.min()), float(images.max()))
    wide, shape = high - low, tuple(images.shape[1:])
    wrong = []
    for point in range(POINTS):
        noise = 2 * uniform(seeds, shape, 93, point).to(images.dtype) - 1
        at = images + (NEAR * wide * noise if point else 0.0)
        shares = [_share(model, at, labels, h * wide, (low, high), rounding) for h in LENGTHS]
        told = torch.stack(shares)
        agrees = ((told > 1 / APART) & (told < APART)).any(0)
        wrong.append(~told.isnan().all(0) & ~agrees)
    return 2 * torch.stack(wrong).sum(0) > POINTS


def _share(
    model: Model,
    images: Images,
    labels: Labels,
    step: float,
    within: tuple[float, float],
    rounding: float,
) -> Float[Tensor, " batch"]:
    """The lead's change over what the gradient says; NaN where rounding hides it. At points that
    a step leaves in the box: at its ends a clipped image has half a slope.
    """
    low, high = within
    at = images.clamp(low + step, high - step)
    slope, logits = ascent(model, at, labels, lead)
    way = step * slope.sign()
    said = 2 * step * slope.flatten(1).abs().double().sum(1)
    ahead, behind = (lead(look(model, x).double(), labels) for x in (at + way, at - way))
    hidden = said <= SEEN * rounding * logits.double().abs().amax(1)
    share = (ahead - behind) / said
    return torch.where(hidden | ~share.isfinite(), torch.nan, share)
