"""The gradient of an objective with respect to images, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from attacks.contracts import Images, Labels, Model
from attacks.objectives import margin

Objective = Callable[[Tensor, Tensor], Tensor]


def ascent(
    model: Model, images: Images, labels: Labels, objective: Objective = margin
) -> tuple[Images, Float[Tensor, "batch classes"]]:
    """The gradient of the objective at the images, and the logits there.

    Parameters need no gradient: they get none. A model that cuts the graph gives zeros.
    """
    points = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(points)
        values = objective(logits, labels)
        if not values.requires_grad:
            return torch.zeros_like(images), logits.detach()
        (gradient,) = torch.autograd.grad(values.sum(), points, allow_unused=True)
    return (torch.zeros_like(images) if gradient is None else gradient), logits.detach()


def misled(logits: Float[Tensor, "batch classes"], labels: Labels) -> Tensor:
    """Whether each image is taken for something else than its label."""
    return logits.argmax(1) != labels
