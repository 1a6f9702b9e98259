"""Small models and images that attacks are tried on, and what is measured of their results."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attacks.contracts import Model
from attacks.objectives import lead
from bench.core.randomness import forked, stream

IMAGES = 8


def net(classes: int = 10) -> nn.Sequential:
    """A small network of images 8 x 8, its weights far enough apart to be sure of some."""
    with forked(0):
        first, second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2, padding=1)
        layers = [first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(128, classes)]
    model = nn.Sequential(*layers).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2.5)
    return model


def pictures(count: int = IMAGES, side: int = 8) -> Tensor:
    """Images with a fifth of their pixels at either end of the box."""
    drawn = torch.rand(count, 1, side, side, generator=stream("images", side))
    return (1.6 * drawn - 0.3).clamp(0, 1)


def scene(count: int = IMAGES, classes: int = 10) -> tuple[nn.Sequential, Tensor, Tensor]:
    """A model, images, and labels that it agrees with, but for the last one."""
    model, images = net(classes), pictures(count)
    labels = model(images).argmax(1)
    labels[-1] = (labels[-1] + 1) % classes
    return model, images, labels


def linear(classes: int, pixels: int = 16) -> tuple[Model, Tensor, Tensor, Tensor]:
    """A linear model in float64, images, labels that it agrees with, and its weights."""
    weights = torch.randn(pixels, classes, generator=stream("linear", classes), dtype=torch.float64)
    images = pictures(6, side=round(pixels**0.5)).double()

    def model(x: Tensor) -> Tensor:
        return x.flatten(1) @ weights

    return model, images, model(images).argmax(1), weights


def misled(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """Which images are taken for something else."""
    with torch.no_grad():
        return model(images).argmax(1) != labels


def leads(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """How far the best wrong class is ahead of the label."""
    with torch.no_grad():
        return lead(model(images), labels)


def sizes(difference: Tensor, norm: str) -> Tensor:
    """The norm of each difference, in double precision; derived again, not by attacks.norms."""
    flat = difference.double().flatten(1).abs()
    known = {"linf": flat.amax(1), "l2": flat.square().sum(1).sqrt(), "l1": flat.sum(1)}
    return known[norm] if norm in known else (flat > 0).sum(1).double()


class Odd(nn.Module):
    """A model in mixed modes: a frozen bias, a gradient from before, statistics on the move."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        with forked(1):
            self.linear, self.head = nn.Linear(64, 12), nn.Linear(12, 4)
        self.norm, self.fails = nn.BatchNorm1d(12), fails
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(()))
        self.eval()
        self.norm.train()
        self.head.bias.requires_grad_(False)
        self.linear.weight.grad = torch.ones(12, 64)

    def forward(self, images: Tensor) -> Tensor:
        logits = self.head(self.norm(self.linear(images.flatten(1))).relu())
        self.seen.add_(len(images))
        if self.fails:
            raise ArithmeticError("the model is out of order")
        return logits


def state_of(model: nn.Module) -> tuple[list[Tensor], list[tuple], list[bool]]:
    """All that an attack could leave behind: tensors by identity and value, flags, modes."""
    tensors = [*model.parameters(), *model.buffers()]
    held = [(id(tensor), tensor.requires_grad, id(tensor.grad)) for tensor in tensors]
    values = [tensor.detach().clone() for tensor in tensors]
    values += [tensor.grad.clone() for tensor in tensors if tensor.grad is not None]
    return values, held, [module.training for module in model.modules()]


def assert_as_found(before: tuple[list[Tensor], list[tuple], list[bool]], model: nn.Module) -> None:
    """Weights, flags, gradients, modes and statistics, bit for bit."""
    values, held, modes = state_of(model)
    for kept, value in zip(before[0], values, strict=True):
        assert torch.equal(kept, value)
    assert held == before[1]
    assert modes == before[2]


def answer_for_nothing(images: Tensor) -> Tensor:
    """Logits that do not depend on the images."""
    return torch.tensor([5.0, 0.0, 0.0]).expand(len(images), 3)


def answer_with_a_graph(images: Tensor) -> Tensor:
    """The same, with a gradient that is 0."""
    return answer_for_nothing(images) + 0 * images.flatten(1)[:, :1]
