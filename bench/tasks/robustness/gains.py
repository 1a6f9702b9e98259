"""How far changes of images are stretched by a classifier: what it does to each, nothing averaged.

The logits are asked in the network's own precision; lengths and ratios are taken in float64.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool
from torch import Tensor

from attacks.contracts import Images, Model
from attacks.engine import logits_of
from attacks.gradients import ask, differentiable
from attacks.norms import spread
from attacks.streams import normal
from metrics.lipschitz import Moves

PURPOSE = 7
"""Tells the noise from what an attack draws of the same seeds."""
VALUES = 2**24
"""Of slopes that are held at once."""


def between(model: Model, images: Images, moved: Images) -> Moves:
    """Each image against what it was moved to; those that were not are left out."""
    lengths = _size(moved.double() - images.double())
    changes = _size(logits_of(model, moved).double() - logits_of(model, images).double())
    return _moves(changes, lengths, lengths > 0)


def noise_like(images: Images, moved: Images, seeds: Tensor) -> Images:
    """The images with Gaussian noise of the length that each was moved by; not clipped."""
    drawn = normal(seeds, images.shape[1:], PURPOSE).double()
    lengths = _size(moved.double() - images.double()) / _size(drawn)
    return (images.double() + drawn * spread(lengths, drawn)).to(images)


def pairs(model: Model, images: Images) -> Moves:
    """Each image against that other one on the way to which the logits change fastest; images that
    equal all others are left out.
    """
    logits = logits_of(model, images).double()
    lengths, changes = (_apart(x) for x in (images.double().flatten(1), logits))
    ratios = torch.where(lengths > 0, changes / lengths, -1.0)
    fastest, at = ratios.max(1)
    every = torch.arange(len(images), device=images.device)
    return _moves(changes[every, at], lengths[every, at], fastest >= 0)


def slopes(model: Model, images: Images) -> Moves:
    """The largest singular value of the Jacobian at each image: a step of no length."""
    classes = logits_of(model, images[:1]).shape[1]
    count = max(1, VALUES // (classes * math.prod(images.shape[1:])))
    largest = torch.cat([_slopes(model, part) for part in images.split(count)])
    return _moves(largest, torch.ones_like(largest), largest >= 0)


def _slopes(model: Model, images: Images) -> Tensor:
    with differentiable():
        points = images.detach().clone().requires_grad_()
        logits = ask(model, points)
        rows = [
            torch.autograd.grad(logit.sum(), points, retain_graph=True)[0].flatten(1)
            for logit in logits.unbind(1)
        ]
    return torch.linalg.matrix_norm(torch.stack(rows, 1).double(), 2)


def _apart(points: Tensor) -> Tensor:
    """Distances of all to all, without the rounding of squares; 0 on the diagonal."""
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")


def _size(difference: Tensor) -> Tensor:
    return difference.flatten(1).norm(dim=1)


def _moves(changes: Tensor, lengths: Tensor, kept: Bool[Tensor, " n"]) -> Moves:
    return Moves(changes[kept].cpu().numpy(), lengths[kept].cpu().numpy())
