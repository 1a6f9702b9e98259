"""Progressive growing: a GAN of small images, and finer levels added (Karras et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from generative.contracts import LOSSES, PENALTIES, RECIPES, Data, Fitted, Trainer
from generative.games.adversarial import Adversarial
from generative.games.growing import Growing
from generative.growing.networks import Growing as GrowingLayers
from generative.growing.networks import sizes_of
from generative.networks import Initialisation, Shape
from generative.parts import TERMS
from generative.protocols.base import Adam, Protocol, protocol_of
from generative.pyramids.box import halvings
from generative.recipes.adversarial import Penalties
from generative.recipes.playing import Parted
from generative.trainers.chain import Chain, Link
from generative.trainers.execution import Execution, execution_of
from generative.trainers.game import GameTrainer
from generative.training import SHARE, Bounds, Training

READ = ("steps", "batch", "critic_steps", "generator_lr", "critic_lr", "latent")
LEAST, USUAL = 4, 2
"""The shortest side of the coarsest level; how often sizes double where nothing is said."""
ADAM, AVERAGE, COST = Adam(3e-3, (0.0, 0.99)), 0.995, 2.0


@dataclass(frozen=True)
class Growth:
    """levels: how often sizes double; None for twice, or once where images are small.
    growing_width: channels at the full size, twice as many a level further in. fade: the share of a
    level's steps over which it comes in.
    """

    levels: Annotated[int | None, Bounds(1, 8)] = None
    growing_width: Annotated[int, Bounds(1, 1_000)] = 16
    fade: Annotated[float, SHARE] = 0.5

    def widths(self, at: int) -> tuple[int, ...]:
        """Channels of the levels up to one, coarsest first."""
        assert self.levels is not None
        return tuple(self.growing_width * 2 ** (self.levels - level) for level in range(at + 1))


def grown_rules(training: Training, adam: Adam, **more: Any) -> Protocol:
    """The run's protocol for layers of equalised rates: both players with one optimiser, weights as
    PyTorch draws them, averaged. more: what else is said in its place.
    """
    own = replace(
        protocol_of(training, ()).part,
        initialisation=Initialisation(),
        bare=None,
        average=AVERAGE,
        generator_adam=adam,
        critic_adam=adam,
        **more,
    )
    return own.told(training.settings)


@dataclass(frozen=True)
class Progressive(Parted):
    """One GAN a level, each of which begins with what the one before came to (`Growing`).

    loss, penalty, terms: by name. weight: of the penalty, None for its own. Batch and codes are the
    protocol's; its layers are those of `growing.networks`, Adam's betas 0 and 0.99 as in the paper,
    weights averaged at 0.995, about as many images as the paper's 0.999 with a quarter of the
    batch. Deviations: Adam's rate 3e-3 for 1e-3, as thousands of batches are seen and not hundreds
    of thousands; two doublings for up to eight, and so 64 channels at most for 512; further those
    of `Growing` and its networks.
    """

    loss: str
    penalty: str
    terms: tuple[str, ...] = ()
    weight: float | None = None

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training, ())

    def rules(self, training: Training) -> Protocol:
        return grown_rules(training, ADAM)

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return READ

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        penalty = PENALTIES[self.penalty]
        return {
            "loss": LOSSES[self.loss].part(),
            "penalty": penalty.part,
            "penalties": Penalties(penalty.facts.weight if self.weight is None else self.weight),
            **{f"term {name}": TERMS[name].part for name in self.terms},
            "growth": Growth(),
        }

    def suiting(self, shape: Shape) -> dict[str, Any]:
        return {"levels": max(1, min(USUAL, most(shape)))}

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST

    def trainer(self, training: Training, shape: Shape) -> Chain:
        training = self.suited(training, shape)
        rules, parts = self.rules(training), self.told_parts(training)
        growth = parts["growth"]
        refuse(shape, growth.levels, rules.steps)
        sides = sizes_of(shape, growth.levels + 1)
        shapes = tuple((shape[0], *side) for side in sides)
        lengths = shares(rules.steps, growth.levels)
        links = tuple(
            partial(
                _level,
                self._gan(replace(rules, steps=lengths[at]), parts, at, own),
                shapes,
                growth.fade,
                execution_of(training),
            )
            for at, own in enumerate(shapes)
        )
        return Chain(links, lengths, partial(_whole, links))

    def _gan(self, rules: Protocol, parts: Mapping[str, Any], at: int, shape: Shape) -> Adversarial:
        layers = GrowingLayers(parts["growth"].widths(at))
        game = Adversarial(
            loss=parts["loss"],
            relativistic=False,
            protocol=replace(rules, generator=layers, critic=layers),
            shape=shape,
            penalties=((parts["penalty"], parts["penalties"].penalty_weight),),
            terms=tuple((parts[f"term {name}"], TERMS[name].facts) for name in self.terms),
            compares=True,
        )
        with torch.device("meta"):
            game.built(1)
        return game


def _level(
    gan: Adversarial,
    shapes: tuple[Shape, ...],
    fade: float,
    execution: Execution,
    done: Sequence[Any],
) -> Trainer:
    below = done[-1] if done else None
    return GameTrainer(Growing(gan, shapes, below, fade), execution=execution)


def _whole(links: Sequence[Link], data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
    """The last level holds all there is."""
    return links[-1]([]).restore(data, tensors)


def shares(steps: int, levels: int) -> tuple[int, ...]:
    """The steps of each level, coarsest first: half as many of the coarsest, which has none to come
    in over, as in the paper; what is left over is the last one's.
    """
    part = steps // (2 * levels + 1)
    return (part, *[2 * part] * (levels - 1), steps - part - 2 * part * (levels - 1))


def most(shape: Shape) -> int:
    """How often sizes of such examples can double from 4 pixels a side at least."""
    return halvings(shape[1:], LEAST) if len(shape) == 3 else 0


def refuse(shape: Shape, levels: int, steps: int) -> None:
    """Raise UsageError for what can't be grown, or not in so few steps."""
    if most(shape) < 1:
        raise UsageError(
            f"growing needs images of {2 * LEAST - 1} pixels a side and more, from {LEAST} at "
            f"least, got examples of shape {list(shape)}: choose another model, or images of "
            "another size"
        )
    if levels > most(shape):
        raise UsageError(
            f"levels: expected 1 to {most(shape)} for images of {shape[1]} x {shape[2]} pixels, "
            f"which leave {LEAST} a side at least, got {levels}"
        )
    if steps < 2 * levels + 1:
        raise UsageError(
            f"steps: expected {2 * levels + 1} at least for {levels + 1} levels, got {steps}: a "
            "level would not be trained"
        )


RECIPES.register(
    "progressive",
    paper="arXiv:1710.10196",
    summary="Progressive growing: WGAN-GP, finer levels fade in (Karras et al. 2018)",
    parts=("wasserstein", "gradient-penalty", "drift"),
    images_only="points have no coarse version",
)(Progressive("wasserstein", "gradient-penalty", ("drift",)))

RECIPES.register(
    "progressive-r1",
    paper="arXiv:1710.10196",
    summary="Progressive growing with the non-saturating loss and R1 in the place of WGAN-GP",
    parts=("nonsaturating", "r1"),
    images_only="points have no coarse version",
)(Progressive("nonsaturating", "r1", weight=0.1))
