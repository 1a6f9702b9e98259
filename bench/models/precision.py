"""A classifier that counts in half precision while it is attacked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attacks import Model
from bench.core.errors import UsageError, one_line, unknown

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
SCALE = 2.0**8
"""What gradients are multiplied by on their way through float16, whose smallest normal number is
6e-5; taken back at the images.
"""


def refuse_precision(name: str, device: str) -> None:
    """Raise UsageError for a precision that there is not, or that a device can't do."""
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)
    if PRECISIONS[name] is None:
        return
    probe = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)).to(device)
    images = torch.rand(2, 1, 4, 4, device=device, requires_grad=True)
    try:
        (gradient,) = torch.autograd.grad(
            in_precision(probe, name, torch.device(device))(images).sum(), images
        )
        done = bool(gradient.isfinite().all())
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise UsageError(_refused(name, device, one_line(error, 100))) from error
    if not done:
        raise UsageError(_refused(name, device, "its gradients are not finite"))


def _refused(name: str, device: str, why: str) -> str:
    return f"`precision`: {device} can't count in {name} ({why}): leave it at float32"


def in_precision(model: Model, name: str, device: torch.device) -> Model:
    """The model with its forward pass under autocast, and its logits in float32; as it is in
    float32.
    """
    dtype = PRECISIONS[name]
    if dtype is None:
        return model
    factor = SCALE if dtype == torch.float16 else 1.0

    def ask(images: Tensor) -> Tensor:
        given = _Times.apply(images, 1 / factor)
        with torch.autocast(device.type, dtype):
            logits = model(given)
        return _Times.apply(logits.float(), factor)

    return ask


class _Times(torch.autograd.Function):
    """Values as they are; their gradient times a factor."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None
