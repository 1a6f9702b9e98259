"""What a model answers, and the gradient of an objective with respect to images alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attacks.contracts import Images, Labels, Model
from attacks.objectives import answered, margin

Objective = Callable[[Tensor, Tensor], Tensor]
Logits = Float[Tensor, "batch classes"]
HALF = (torch.float16, torch.bfloat16)


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients are recorded, whatever mode the caller is in: torch.no_grad, inference_mode."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def ordinary(values: Tensor) -> Tensor:
    """The values as a tensor that may be part of a graph: a copy where it was made in
    torch.inference_mode, whose tensors never may.
    """
    if not values.is_inference():
        return values
    with torch.inference_mode(False):
        return values.clone()


def ask(model: Model, images: Images) -> Logits:
    """The model's logits, in float32 at least: what half precision can't tell apart stays so, but
    nothing more is lost by counting with them.
    """
    logits = model(images)
    return logits.float() if logits.dtype in HALF else logits


def look(model: Model, images: Images) -> Logits:
    """The same without a graph."""
    with torch.no_grad():
        return ask(model, images).detach()


def ascent(
    model: Model, images: Images, labels: Labels, objective: Objective = margin
) -> tuple[Images, Logits]:
    """The gradient of the objective at the images, and the logits there.

    Parameters need no gradient: they get none. A model that cuts the graph gives zeros, and so do
    logits that are not finite.
    """
    with differentiable():
        points = ordinary(images).detach().requires_grad_()
        logits = ask(model, points)
        values = objective(logits, ordinary(labels))
        if not values.requires_grad:
            return torch.zeros_like(images), logits.detach()
        (gradient,) = torch.autograd.grad(values.sum(), points, allow_unused=True)
    logits = logits.detach()
    if gradient is None:
        return torch.zeros_like(images), logits
    known = answered(logits)
    if bool(known.all()):
        return gradient, logits
    return torch.where(known.reshape(-1, *[1] * (images.ndim - 1)), gradient, 0.0), logits


def misled(logits: Logits, labels: Labels) -> Bool[Tensor, " batch"]:
    """Whether each image is taken for something else than its label; logits that are not finite
    take it for nothing.
    """
    return (logits.argmax(1) != labels) & answered(logits)
