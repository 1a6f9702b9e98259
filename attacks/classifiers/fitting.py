"""Fitting a classifier by minibatches: one loop, and what it minimises as data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from attacks.classifiers.contracts import Classifier, Shape
from attacks.contracts import Box, FixedBudget


class Objective(ABC):
    """What is minimised over a minibatch."""

    @abstractmethod
    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        """A scalar with a graph to the weights; `progress` is the share of the training done."""


@dataclass(frozen=True)
class Plain(Objective):
    """Cross-entropy."""

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        return cross_entropy(network(images), labels)


PLAIN = Plain()


def grown(radius: float, ramp: float, progress: float) -> float:
    """A radius that grows from 0 over the training's share `ramp`, and is whole from there on."""
    return radius * min(1.0, progress / ramp) if ramp else radius


@dataclass(frozen=True)
class Mixed(Objective):
    """alpha J(x, y) + (1 - alpha) J(attack(x), y) (Goodfellow et al. 2014, section 6).

    The attacked images are made afresh from the present weights, of the network as it will answer
    (without dropout), and are constants of the step.
    alpha = 0 is training on attacked images alone (Madry et al. 2018). ramp: the share of the
    training in which the radius grows from 0; without it a wide one can end at a constant answer.
    """

    attack: FixedBudget
    radius: float
    alpha: float = 0.5
    box: Box = None
    norm: str = "linf"
    ramp: float = 0.0

    def __call__(
        self, network: nn.Module, images: Tensor, labels: Tensor, progress: float
    ) -> Tensor:
        radius = grown(self.radius, self.ramp, progress)
        seeds = torch.randint(2**62, (len(images),), device=labels.device)
        network.eval()
        attacked = self.attack(
            network, images, labels, radius=radius, norm=self.norm, seeds=seeds, box=self.box
        )
        network.train()
        loss = (1 - self.alpha) * cross_entropy(network(attacked), labels)
        return loss + self.alpha * cross_entropy(network(images), labels) if self.alpha else loss


@dataclass(frozen=True)
class Schedule:
    """Adam with a learning rate that falls to 0 along half a cosine.

    decay: for each layer with weights, lambda of lambda sum(w^2) / k with k its outputs (Szegedy et
    al. 2013, section 4.2); none where empty.
    """

    epochs: int = 50
    batch: int = 100
    lr: float = 1e-3
    decay: tuple[float, ...] = ()


USUAL = Schedule()


def fit(
    network: nn.Module, images: Tensor, labels: Tensor, schedule: Schedule, objective: Objective
) -> None:
    """Minimise an objective over minibatches drawn without replacement; ends in evaluation mode."""
    weights = list(network.parameters())
    optimiser = torch.optim.Adam(weights, lr=schedule.lr, fused=True)
    per_epoch = math.ceil(len(images) / schedule.batch)
    total, step = schedule.epochs * per_epoch, 0
    network.train()
    for _ in range(schedule.epochs):
        order = torch.randperm(len(images), device=images.device)
        for chosen in order.split(schedule.batch):
            for group in optimiser.param_groups:
                group["lr"] = schedule.lr * (1 + math.cos(math.pi * step / total)) / 2
            loss = objective(network, images[chosen], labels[chosen], step / total)
            loss = loss + _decayed(network, schedule.decay)
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.grad = gradient.contiguous()
            optimiser.step()
            step += 1
    optimiser.zero_grad(set_to_none=True)
    network.eval()


def _decayed(network: nn.Module, decay: Sequence[float]) -> Tensor | float:
    if not decay:
        return 0.0
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    terms = zip(layers, decay, strict=True)
    return sum(rate * layer.weight.square().sum() / layer.out_features for layer, rate in terms)


@dataclass(frozen=True)
class Fitted(Classifier):
    """A network, a schedule and an objective. half: train on the first or the second half of the
    images alone, 0 for all. cost: forward-backward passes a step; milliseconds: of one pass over
    100 images on one core.
    """

    network: Callable[[Shape, int], nn.Module]
    schedule: Schedule = USUAL
    objective: Objective = PLAIN
    half: int = 0
    cost: float = 1.0
    milliseconds: float = 2.0

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return self.network(shape, classes)

    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        images, labels = halved(images, labels, self.half)
        fit(network, images, labels, self.schedule, self.objective)

    def settings(self) -> dict[str, object]:
        about = {"network": self.network, "schedule": self.schedule, "objective": self.objective}
        return {**{name: repr(part) for name, part in about.items()}, "half": self.half}

    def seconds(self, examples: int) -> float:
        passes = self.schedule.epochs * examples / 100 * self.cost
        return passes * self.milliseconds / 1000


def halved(images: Tensor, labels: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """The first (1) or the second (2) half of the examples, or all (0)."""
    middle = len(images) // 2
    part = (slice(None), slice(0, middle), slice(middle, None))[half]
    return images[part], labels[part]


@dataclass(frozen=True)
class Converged(Classifier):
    """A network fitted to all images at once by L-BFGS, until a weight decay too small for
    minibatches to feel has settled the weights. decay, half: as in Schedule and Fitted.
    """

    network: Callable[[Shape, int], nn.Module]
    decay: tuple[float, ...]
    iterations: int = 300
    half: int = 0
    milliseconds: float = 1.0

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return self.network(shape, classes)

    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        images, labels = halved(images, labels, self.half)
        weights = list(network.parameters())
        optimiser = torch.optim.LBFGS(
            weights,
            max_iter=self.iterations,
            history_size=20,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Tensor:
            loss = cross_entropy(network(images), labels) + _decayed(network, self.decay)
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.grad = gradient.contiguous()
            return loss.detach()

        network.train()
        optimiser.step(closure)
        optimiser.zero_grad(set_to_none=True)
        network.eval()

    def settings(self) -> dict[str, object]:
        return {"recipe": repr(self)}

    def seconds(self, examples: int) -> float:
        share = 0.5 if self.half else 1.0
        return self.iterations * share * examples / 100 * self.milliseconds / 1000
