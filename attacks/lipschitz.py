"""How far each layer of a network can stretch a difference, in l2 (Szegedy et al. 2013, 4.3).

|f(x + r) - f(x)| <= L_1 ... L_K |r|. A layer is what is affine between two activations, zero
padding, stride, pooling and batch norm in evaluation included, with the activation after it. The
paper bounds a convolution by the frequencies of its kernels, as if the border were that of a
torus; here it is the operator norm of the very map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from attacks.certificates.activations import Activation
from attacks.certificates.chain import INSTEAD, in_double, steps
from attacks.certificates.layers import Affine, Reshape, Segment, Shape, Values, pull
from attacks.certificates.windows import Maximum
from attacks.contracts import Images, Model
from bench.core.errors import UsageError

DIRECT = 512
"""Up to so many inputs or outputs the matrix is written out and its singular values are exact."""
TOLERANCE = 1e-9
"""Relative, of the largest eigenvalue of what is larger."""


@dataclass(frozen=True, eq=False)
class Layer:
    """What is affine between two activations, and the factor that comes after it."""

    segment: Segment
    factor: float


def layers_of(model: Model, images: Images) -> list[Layer]:
    """The layers of a network for images of a shape, whose values don't matter. What has no
    weights, such as a maximum after an activation, counts to the layer before it.

    Raises UsageError for what is no module, is in training mode, or has a layer that can't be read;
    it names the layer.
    """
    found: list[Layer] = []
    segment: list[Affine] = []
    for step in [*_read(model, tuple(images.shape[1:])), None]:
        if isinstance(step, Affine):
            segment.append(step)
            continue
        layer = Layer(tuple(segment), 1.0 if step is None else step.steepest)
        segment = []
        if found and all(isinstance(part, Reshape) for part in layer.segment):
            before = found.pop()
            layer = Layer(before.segment, before.factor * layer.factor)
        found.append(layer)
    return found


def layer_norms(model: Model, images: Images) -> list[float]:
    """How far each layer stretches at most, in order, for images of a shape and on their device."""
    like = images.new_zeros(0, dtype=torch.float64)
    return [operator_norm(layer.segment, like) * layer.factor for layer in layers_of(model, images)]


def operator_norm(segment: Segment, like: Tensor) -> float:
    """The largest singular value of affine maps one after another, their biases left out; `like`
    has the dtype and the device. To 1e-9: of larger maps by Lanczos iterations (ARPACK) on the map
    and its transpose, rounded up by its tolerance.
    """
    if not segment:
        return 1.0
    inputs, outputs = segment[0].inputs, segment[-1].outputs
    if math.prod(outputs) <= DIRECT:
        return _largest(pull(segment, _basis(outputs, like))[0])
    if math.prod(inputs) <= DIRECT:
        return _largest(_forth(segment, _basis(inputs, like)))
    side = math.prod(inputs)

    def squared(vector: np.ndarray) -> np.ndarray:
        there = _forth(segment, torch.as_tensor(vector).to(like).reshape(1, *inputs))
        return pull(segment, there)[0].flatten().cpu().numpy()

    start = np.random.default_rng(0).standard_normal(side)
    operator = LinearOperator((side, side), matvec=squared, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    given: dict[str, Any] = {"which": "LA", "v0": start, "tol": TOLERANCE}
    found = eigsh(operator, 1, return_eigenvectors=False, **given)
    return math.sqrt(max(0.0, float(found[0])) * (1 + TOLERANCE))


def _largest(rows: Values) -> float:
    return float(torch.linalg.matrix_norm(rows.flatten(1), 2))


def _forth(segment: Segment, x: Values) -> Values:
    """What the maps make of x, without their biases."""
    for layer in segment:
        x = layer.linear(x)
    return x


def _basis(shape: Shape, like: Tensor) -> Values:
    """Every value of a layer alone, [values, *shape]."""
    return torch.eye(math.prod(shape)).to(like).reshape(-1, *shape)


def _read(model: Model, shape: Shape) -> list[Affine | Activation | Maximum]:
    if not isinstance(model, nn.Module):
        raise UsageError(f"layer bounds need a torch.nn.Module, got a {type(model).__name__}")
    try:
        return list(steps(model, "", shape, in_double))
    except UsageError as error:
        said = str(error).replace(f": {INSTEAD}", "").replace(f", or {INSTEAD}", "")
        raise UsageError(said) from None
