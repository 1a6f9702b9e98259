"""A surrogate: a small network that learns a classifier's answers around some images, on the spot.

It has gradients where the classifier has none, or misleading ones; what misleads the one often
misleads the other (Papernot et al. 2017, "Practical black-box attacks against machine learning").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, conv2d, relu

from attacks.contracts import Images, Seeds
from attacks.gradients import differentiable
from attacks.objectives import Logits, answered
from attacks.streams import normal, uniform

WIDEST = 32
"""Rows and columns that it looks at; a larger image is averaged down to them."""
NARROW = 16
"""Up to so many the first convolution looks at every one, else at every other."""
CHANNELS = (16, 32)
HIDDEN = 128
SHARPNESS = 3.0
"""How far the answers' spread over the classes is stretched before it is a target."""


class Surrogate:
    """Two convolutions and two dense layers for images [n, c, h, w] of three rows and columns or
    more; two dense layers before the last for points. Its weights come of a number, not of torch's
    generator.
    """

    def __init__(self, shape: Sequence[int], classes: int, seed: int, like: Tensor) -> None:
        self.seen = tuple(shape)
        self.convolves = len(shape) == 3 and min(shape[1:]) >= 3
        if self.convolves:
            self.seen = (shape[0], *(min(side, WIDEST) for side in shape[1:]))
            self.stride = 2 if max(self.seen[1:]) > NARROW else 1
            rows, columns = (-(-side // (2 * self.stride)) for side in self.seen[1:])
            first, second = CHANNELS
            wide = 2 * self.stride + 1
            sizes = [(first, shape[0], wide, wide), (second, first, 3, 3)]
            sizes += [(HIDDEN, second * rows * columns), (classes, HIDDEN)]
        else:
            sizes = [(HIDDEN, prod(shape)), (HIDDEN, HIDDEN), (classes, HIDDEN)]
        self.weights, self.biases = [], []
        for layer, size in enumerate(sizes):
            key = torch.tensor([seed], device=like.device)
            drawn = normal(key, size, layer)[0].to(like.dtype) * sqrt(2 / prod(size[1:]))
            self.weights.append(drawn.requires_grad_())
            self.biases.append(drawn.new_zeros(size[0]).requires_grad_())

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights, *self.biases]

    def __call__(self, images: Images) -> Logits:
        layers = list(zip(self.weights, self.biases, strict=True))
        x = images - 0.5
        if self.convolves:
            if x.shape[1:] != self.seen:
                x = adaptive_avg_pool2d(x, (self.seen[1], self.seen[2]))
            (first, its), (second, own), *layers = layers
            x = relu(conv2d(x, first, its, stride=self.stride, padding=self.stride))
            x = relu(conv2d(x, second, own, stride=2, padding=1))
        x = x.flatten(1)
        for weight, bias in layers[:-1]:
            x = relu(x @ weight.T + bias)
        weight, bias = layers[-1]
        return x @ weight.T + bias


def targets_of(logits: Logits) -> Float[Tensor, "batch classes"]:
    """Answers as shares of the classes: the softmax of the logits at a common spread, the same
    whatever their scale and offset; all classes alike where an answer is not finite.
    """
    known = torch.where(answered(logits)[:, None], logits, 0.0)
    centred = known - known.mean(1, keepdim=True)
    peak = centred.abs().amax(1, keepdim=True)
    centred = torch.where(peak > 0, centred / peak, 0.0)
    spread = centred.square().mean(1, keepdim=True).sqrt().clamp_min(1e-6)
    return (SHARPNESS * centred / spread).softmax(1)


@dataclass(frozen=True)
class Lessons:
    """Adam over minibatches, the rate falling to 0 in a straight line."""

    steps: int = 100
    batch: int = 64
    lr: float = 3e-3


def learn(
    network: Surrogate, images: Images, shares: Float[Tensor, "n classes"], how: Lessons, seed: int
) -> None:
    """Fit a surrogate to shares of the classes, by cross-entropy. Its weights alone change."""
    with differentiable():
        optimiser = torch.optim.Adam(network.parameters, lr=how.lr)
        batches = _batches(len(images), how, seed, images.device)
        for step, chosen in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = how.lr * (1 - step / how.steps)
            chances = network(images[chosen]).log_softmax(1)
            loss = -(shares[chosen] * chances).sum(1).mean()
            gradients = torch.autograd.grad(loss, network.parameters)
            for weight, gradient in zip(network.parameters, gradients, strict=True):
                weight.grad = gradient
            optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def _batches(count: int, how: Lessons, seed: int, device: torch.device) -> list[Tensor]:
    """Which examples each step sees: all in turn, in an order that is drawn anew each time."""
    found: list[Tensor] = []
    key, rounds = torch.tensor([seed], device=device), 0
    while len(found) < how.steps:
        order = uniform(key, (count,), 91, rounds)[0].argsort()
        found += order.split(how.batch)
        rounds += 1
    return found[: how.steps]


def around(
    images: Images,
    seeds: Seeds,
    copies: int,
    reach: Float[Tensor, " batch"],
    low: float,
    high: float,
) -> Images:
    """The images, and copies of each with noise of up to `reach` a pixel, within the box."""
    shape = tuple(images.shape[1:])
    spread = reach.to(images.dtype).reshape(-1, *[1] * len(shape))
    noisy = [
        (images + spread * (2 * uniform(seeds, shape, 92, copy).to(images.dtype) - 1)).clamp(
            low, high
        )
        for copy in range(copies)
    ]
    return torch.cat([images, *noisy])
