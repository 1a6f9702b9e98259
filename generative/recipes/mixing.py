"""MIX+GAN: the recipe of several generators and critics with weights that are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generative.contracts import RECIPES
from generative.games.base import Game
from generative.games.mixing import Mixing, Mixture
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside


@dataclass(frozen=True)
class MixGan(Beside[Adversarial]):
    """plain: of a loss alone, one that compares no reals with fakes. With one part it is that."""

    mixture: Mixture

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.plain.parts(settings), "mixture": self.mixture}

    def game(self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]) -> Game:
        if parts["mixture"].parts == 1:
            return self.plain.game(rules, parts, shape)
        return Mixing(parts["loss"], parts["mixture"], rules, shape)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        """Every critic judges the reals and the fakes of every generator."""
        count = parts["mixture"].parts
        return count * (1 + count) / 2 * self.plain.effort(rules, usual, parts)


RECIPES.register(
    "mix-gan",
    paper="arXiv:1703.00573",
    summary="Mixtures of generators and of critics, with weights that are trained (Arora et al. "
    "2017)",
    parts=("minimax",),
)(MixGan(Adversarial("minimax"), Mixture()))
