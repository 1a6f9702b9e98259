"""LAPGAN: a Laplacian pyramid of GANs, each of one level (Denton et al. 2015)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Annotated, Any

import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from generative.coarsetofine import Level
from generative.contracts import LOSSES, RECIPES, Data, Fitted, Trainer
from generative.games.adversarial import Adversarial
from generative.games.coarsest import Coarsest
from generative.games.refining import Refining
from generative.networks import Initialisation, Mlp, Shape
from generative.protocols.base import Protocol, layers_said, protocol_of
from generative.pyramids.box import halvings
from generative.recipes.playing import Parted
from generative.refiners import Refiner, noise_size
from generative.trainers.chain import Chain, Link
from generative.trainers.execution import Execution, execution_of
from generative.trainers.game import GameTrainer
from generative.training import Bounds, Training

READ = ("steps", "batch", "critic_steps", "generator_lr", "critic_lr", "latent")
LEAST, USUAL = 4, 2
"""The shortest side of the coarsest level; how often images are halved where nothing is said, as
far as that leaves so many pixels.
"""
DENSE = Mlp((256, 256), "leaky_relu", batch_norm=True)
COST = 0.6
"""A step over one of the protocol's GANs at the finest size, about, over all levels."""


@dataclass(frozen=True)
class Ladder:
    """levels: how often images are halved; None for twice, or once where they are small."""

    levels: Annotated[int | None, Bounds(1, 8)] = None


@dataclass(frozen=True)
class Lapgan(Parted):
    """A GAN of the coarsest level, and one of what each finer level adds, trained one after
    another, each for half as many steps as the one before. The protocol's critic, optimisers and
    averages are those of every level; the coarsest has dense networks, as the paper's.

    loss: one that compares no reals with fakes. Deviations: the generator's and critic's widths,
    Adam and batch norm are those of the protocol and of `Refiner`; no classes; the model is the
    average of its weights, where the authors keep that of the epoch whose nearest of several
    samples is nearest to true images, which rewards a mean; further those of `Refining`.
    """

    loss: str
    dense: Mlp = DENSE

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training)

    def rules(self, training: Training) -> Protocol:
        return self.entry(training).part.told(training.settings)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return READ

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"loss": LOSSES[self.loss].part(), "ladder": Ladder(), "refiner": Refiner()}

    def suiting(self, shape: Shape) -> dict[str, Any]:
        return {"levels": max(1, min(USUAL, _most(shape)))}

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST

    def levels(self, training: Training, shape: Shape) -> tuple[Level, ...]:
        """The coarsest first. Raises UsageError for images that can't be halved so often, and for
        too few steps to train each.
        """
        training = self.suited(training, shape)
        times, rules = training.settings["levels"], self.rules(training)
        _refuse(shape, times, rules.steps)
        shapes = [tuple(shape)]
        for _ in range(times):
            channels, height, width = shapes[0]
            shapes.insert(0, (channels, -(-height // 2), -(-width // 2)))
        first, *lengths = shares(rules.steps, times)
        finer = [
            Level(fine, replace(lasting(rules, steps), latent=noise_size(coarse)))
            for steps, (coarse, fine) in zip(lengths, pairwise(shapes), strict=True)
        ]
        return (Level(shapes[0], lasting(self._dense(rules, training), first)), *finer)

    def _dense(self, rules: Protocol, training: Training) -> Protocol:
        """Of the coarsest level: dense networks, but for those that a training names."""
        own = {"generator": self.dense, "critic": self.dense.unmixed()}
        said = {name.removesuffix("_network") for name in layers_said(training)}
        if "critic" not in said:
            rules = replace(rules, initialisation=Initialisation(), bare=None)
        return replace(rules, **{k: v for k, v in own.items() if k not in said})

    def trainer(self, training: Training, shape: Shape) -> Chain:
        levels, parts = self.levels(training, shape), self.told_parts(training)
        loss, execution = parts["loss"], execution_of(training)
        gan = Adversarial(loss, False, levels[0].protocol, levels[0].shape)
        with torch.device("meta"):
            gan.built(1)
            for level in levels[1:]:
                level.protocol.critic.encoder(level.shape, 1)
        first = partial(_played, lambda done: Coarsest(gan, levels), execution)
        finer = partial(_played, lambda done: Refining(loss, parts["refiner"], done[-1]), execution)
        links = (first, *[finer] * (len(levels) - 1))
        lengths = tuple(level.protocol.steps for level in levels)
        return Chain(links, lengths, partial(_whole, links))


def _played(
    game: Callable[[Sequence[Any]], Any], execution: Execution, done: Sequence[Fitted]
) -> Trainer:
    return GameTrainer(game(done), execution=execution)


def _whole(links: Sequence[Link], data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
    """Each level of its own tensors, on those below."""
    done: list[Fitted] = []
    for link in links:
        done.append(link(done).restore(data, tensors))
    return done[-1]


def shares(steps: int, times: int) -> list[int]:
    """The steps of each of times + 1 levels, coarsest first: each has half of those of the one
    before, which has a quarter of its pixels; what is left over is the coarsest's.
    """
    whole = 2 ** (times + 1) - 1
    finer = [steps * 2 ** (times - level) // whole for level in range(1, times + 1)]
    return [steps - sum(finer), *finer]


def lasting(rules: Protocol, steps: int) -> Protocol:
    """For some of the training's steps, with averages over as large a share of them."""
    average = max(0.0, 1 - (1 - rules.average) * rules.steps / steps) if rules.average else 0.0
    return replace(rules, steps=steps, average=average)


def _most(shape: Shape) -> int:
    return halvings(shape[1:], LEAST) if len(shape) == 3 else 0


def _refuse(shape: Shape, times: int, steps: int) -> None:
    """Raise UsageError for what has no such pyramid, or can't be trained in so few steps."""
    most = _most(shape)
    if most < 1:
        raise UsageError(
            f"a pyramid of GANs needs images of {2 * LEAST - 1} pixels a side and more, to be "
            f"halved to {LEAST} at least, got examples of shape {list(shape)}: choose another "
            "model, or images of another size"
        )
    if times > most:
        sides = f"{shape[1]} x {shape[2]}"
        raise UsageError(
            f"levels: expected 1 to {most} for images of {sides} pixels, which leave {LEAST} a "
            f"side at least, got {times}"
        )
    least = 2 ** (times + 1) - 1
    if steps < least:
        raise UsageError(
            f"steps: expected {least} at least for {times + 1} levels, each trained for half as "
            f"many as the one before, got {steps}: a level would not be trained"
        )


RECIPES.register(
    "lapgan",
    paper="arXiv:1506.05751",
    summary="A pyramid of GANs: the coarse image, then what each level adds (Denton et al. 2015)",
    parts=("nonsaturating",),
    images_only="points have no coarse version",
)(Lapgan("nonsaturating"))
