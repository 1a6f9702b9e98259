"""A style generator (Karras et al. 2019, 2020): codes are mapped to styles of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch

from bench.core.registry import Entry
from generative.contracts import LOSSES, PENALTIES, RECIPES
from generative.games.adversarial import Adversarial
from generative.games.styling import Styling
from generative.growing.networks import Growing as CriticLayers
from generative.networks import Shape
from generative.protocols.base import Adam, Protocol, protocol_of
from generative.recipes.adversarial import Penalties
from generative.recipes.playing import Playing
from generative.recipes.progressive import READ, USUAL, grown_rules, most, refuse
from generative.styles.networks import Style as StyleLayers
from generative.training import SHARE, Bounds, Training

ADAM, COST = Adam(2e-3, (0.0, 0.99)), 4.0


@dataclass(frozen=True)
class Styled:
    """levels: how often sizes double; None for twice, or once where images are small. style_width:
    channels at the full size, twice as many a level further in. mapping_layers: of codes to styles.
    mixing: the share of fakes with the styles of two codes. penalty_every: steps from one penalty
    of the critic to the next, each of which counts so many times as much.
    """

    levels: Annotated[int | None, Bounds(1, 8)] = None
    style_width: Annotated[int, Bounds(1, 1_000)] = 16
    mapping_layers: Annotated[int, Bounds(1, 64)] = 4
    mixing: Annotated[float, SHARE] = 0.9
    penalty_every: Annotated[int, Bounds(1, 10_000)] = 8

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, coarsest first."""
        assert self.levels is not None
        return tuple(self.style_width * 2**at for at in range(self.levels, -1, -1))


@dataclass(frozen=True)
class Style(Playing):
    """loss, penalty: by name. weight: of the penalty. The batch is the protocol's, its latent the
    width of z and of styles; Adam's rate 2e-3 and betas 0 and 0.99 as in the paper, weights
    averaged at 0.995. The critic is that of progressive growing with the minibatch standard
    deviation, without growing. Deviations: R1 with the weight 0.1, at every 8th step (theirs: 10
    with images of a million pixels, at every 16th), a mapping of 4 layers for 8 at the same rate
    of 0.01, no path length penalty, width 16 for 32 at the full size and 512 at most; further
    those of `styles.networks`.
    """

    own_layers = True
    loss: str
    penalty: str
    weight: float = 0.1

    def entry(self, training: Training) -> Entry[Protocol, Any]:
        return protocol_of(training, ())

    def rules(self, training: Training) -> Protocol:
        return grown_rules(training, ADAM, prior="normal")

    def read(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return READ

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "loss": LOSSES[self.loss].part(),
            "penalty": PENALTIES[self.penalty].part,
            "penalties": Penalties(self.weight),
            "styled": Styled(),
        }

    def suiting(self, shape: Shape) -> dict[str, Any]:
        return {"levels": max(1, min(USUAL, most(shape)))}

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        return COST

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: Shape) -> Styling:
        styled = parts["styled"]
        refuse(shape, styled.levels, rules.steps)
        layers = StyleLayers(rules.latent, styled.mapping_layers, styled.widths)
        critic = CriticLayers(styled.widths)
        own = replace(rules, generator=layers, critic=critic, latent=layers.latent(shape))
        game = Adversarial(
            loss=parts["loss"],
            relativistic=False,
            protocol=own,
            shape=shape,
            penalties=((parts["penalty"], parts["penalties"].penalty_weight),),
            compares=True,
        )
        with torch.device("meta"):
            game.built(1)
        return Styling(game, styled.mixing, styled.penalty_every)


RECIPES.register(
    "style",
    paper="arXiv:1912.04958",
    summary="A style generator: mapping, modulation, noise, mixing; R1 (Karras et al. 2019, 2020)",
    parts=("nonsaturating", "r1"),
    images_only="styles are of levels, and points have none",
)(Style("nonsaturating", "r1"))
