"""The modules that a network may be made of: what each is as affine maps and activations.

Dropout and batch norm as they are in evaluation mode. What joins two branches is not among them; a
maximum over a window is neither, and is read for those that ask no more than how far it stretches.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from attacks.certificates.activations import RELU, SIGMOID, TANH
from attacks.certificates.chain import INSTEAD, Cast, Steps, refused, steps
from attacks.certificates.layers import Affine, Convolution, Dense, Reshape, Scale, Shape
from attacks.certificates.windows import Maximum

Pair = tuple[int, int]


@steps.register(nn.Sequential)
def _sequential(module: nn.Sequential, name: str, shape: Shape, cast: Cast) -> Steps:
    # named_children() leaves out a module that stands there twice
    for child, part in zip(module._modules, module, strict=True):
        for step in steps(part, f"{name}.{child}" if name else child, shape, cast):
            yield step
            shape = step.outputs if isinstance(step, Affine | Maximum) else shape


@steps.register(nn.Identity)
@steps.register(nn.Dropout)
@steps.register(nn.Dropout2d)
def _nothing(module: nn.Module, name: str, shape: Shape, cast: Cast) -> Steps:
    if not isinstance(module, nn.Identity):
        _refuse_training(module, name)
    yield from ()


@steps.register(nn.ReLU)
def _relu(module: nn.ReLU, name: str, shape: Shape, cast: Cast) -> Steps:
    yield RELU


@steps.register(nn.Sigmoid)
def _sigmoid(module: nn.Sigmoid, name: str, shape: Shape, cast: Cast) -> Steps:
    yield SIGMOID


@steps.register(nn.Tanh)
def _tanh(module: nn.Tanh, name: str, shape: Shape, cast: Cast) -> Steps:
    yield TANH


@steps.register(nn.Flatten)
def _flatten(module: nn.Flatten, name: str, shape: Shape, cast: Cast) -> Steps:
    if module.start_dim != 1 or module.end_dim not in (-1, len(shape)):
        raise refused(module, name, f"must flatten whole images (start_dim=1), or {INSTEAD}")
    yield Reshape(inputs=shape, outputs=(math.prod(shape),))


@steps.register(nn.Linear)
def _linear(module: nn.Linear, name: str, shape: Shape, cast: Cast) -> Steps:
    if shape != (module.in_features,):
        raise refused(module, name, f"expected ({module.in_features},) an image, got {shape}")
    bias = None if module.bias is None else cast(module.bias)
    yield Dense(inputs=shape, outputs=(module.out_features,), weight=cast(module.weight), bias=bias)


@steps.register(nn.Conv2d)
def _conv2d(module: nn.Conv2d, name: str, shape: Shape, cast: Cast) -> Steps:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        padding = f"padding={module.padding!r}, padding_mode={module.padding_mode!r}"
        raise refused(module, name, f"expected zero padding by numbers, got {padding}: {INSTEAD}")
    if len(shape) != 3 or shape[0] != module.in_channels:
        raise refused(module, name, f"expected ({module.in_channels}, h, w) an image, got {shape}")
    bias = None if module.bias is None else cast(module.bias)[:, None, None]
    how = (_pair(module.stride), _pair(module.padding), _pair(module.dilation))
    yield _convolution(cast(module.weight), bias, shape, *how, module.groups)


@steps.register(nn.AvgPool2d)
def _average(module: nn.AvgPool2d, name: str, shape: Shape, cast: Cast) -> Steps:
    kernel, stride, padding = map(_pair, (module.kernel_size, module.stride, module.padding))
    partial = any(padding) and not module.count_include_pad
    if module.ceil_mode or module.divisor_override is not None or partial or len(shape) != 3:
        raise refused(module, name, f"must average as many values everywhere, or {INSTEAD}")
    yield _mean(kernel, shape, stride, padding, cast)


@steps.register(nn.MaxPool2d)
def _maximum(module: nn.MaxPool2d, name: str, shape: Shape, cast: Cast) -> Steps:
    if module.ceil_mode or len(shape) != 3:
        raise refused(module, name, f"must have whole windows of images, or {INSTEAD}")
    sizes = (module.kernel_size, module.stride, module.padding, module.dilation)
    sides = [
        (side + 2 * pad - (kernel - 1) * apart - 1) // by + 1
        for side, kernel, by, pad, apart in zip(shape[1:], *map(_pair, sizes), strict=True)
    ]
    kernel, stride, _, dilation = map(_pair, sizes)
    yield Maximum(name, module, (shape[0], *sides), kernel, stride, dilation)


@steps.register(nn.AdaptiveAvgPool2d)
def _average_all(module: nn.AdaptiveAvgPool2d, name: str, shape: Shape, cast: Cast) -> Steps:
    if module.output_size not in (1, (1, 1)) or len(shape) != 3:
        raise refused(module, name, f"must average whole channels, or {INSTEAD}")
    kernel = (shape[1], shape[2])
    yield _mean(kernel, shape, kernel, (0, 0), cast)


@steps.register(nn.BatchNorm1d)
@steps.register(nn.BatchNorm2d)
def _batch_norm(module: Any, name: str, shape: Shape, cast: Cast) -> Steps:
    _refuse_training(module, name)
    if module.running_mean is None:
        raise refused(module, name, f"must have kept its statistics, or {INSTEAD}")
    factor = (cast(module.running_var) + module.eps).rsqrt()
    factor = factor if module.weight is None else factor * cast(module.weight)
    bias = -cast(module.running_mean) * factor
    bias = bias if module.bias is None else bias + cast(module.bias)
    yield scale(factor, bias, shape)


def scale(factor: Tensor, bias: Tensor, shape: Shape) -> Scale:
    """A factor and a bias for each channel."""
    wide = (-1, *[1] * (len(shape) - 1))
    given = {"weight": factor.reshape(wide), "bias": bias.reshape(wide)}
    return Scale(inputs=shape, outputs=shape, **given)


def _convolution(weight: Tensor, bias: Tensor | None, shape: Shape, *how: Any) -> Convolution:
    sides = [
        (side + 2 * pad - (kernel - 1) * apart - 1) // by + 1
        for side, kernel, by, pad, apart in zip(shape[1:], weight.shape[2:], *how[:3], strict=True)
    ]
    names = ("stride", "padding", "dilation", "groups")
    given = dict(zip(names, how, strict=True))
    return Convolution(
        inputs=shape, outputs=(len(weight), *sides), weight=weight, bias=bias, **given
    )


def _mean(kernel: Pair, shape: Shape, stride: Pair, padding: Pair, cast: Cast) -> Convolution:
    """The mean of a window, channel by channel."""
    weight = cast(torch.full((shape[0], 1, *kernel), 1 / math.prod(kernel)))
    return _convolution(weight, None, shape, stride, padding, (1, 1), shape[0])


def _refuse_training(module: nn.Module, name: str) -> None:
    if module.training:
        raise refused(module, name, "is in training mode: call .eval() on the network first")


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
