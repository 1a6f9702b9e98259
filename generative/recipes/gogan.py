"""GoGAN: the recipe of GANs one after another, each to rank above the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from generative.contracts import RECIPES, Fitted
from generative.games.adversarial import Adversarial as Gan
from generative.games.base import Game
from generative.games.ranking import Ranking
from generative.losses.margin_ranking import MARGIN_GAN, MarginRanking
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside
from generative.recipes.lapgan import lasting
from generative.samplers import GeneratorSampler
from generative.trainers.succession import Stage, Succession
from generative.training import WEIGHT, Bounds


@dataclass(frozen=True)
class Gang:
    """stages: GANs, at most; each needs a step. rank_weight: of the margin that a stage keeps from
    the one before; 0 goes on as before, with optimisers anew.
    """

    stages: Annotated[int, Bounds(1, 64)] = 2
    rank_weight: Annotated[float, WEIGHT] = 1.0


@dataclass(frozen=True)
class GoGan(Beside[Adversarial]):
    """The steps of a training are those of all stages, as many each; what is left over is the
    first one's. plain: of every stage, of `MarginRanking`; with one stage it is that. Unsure,
    as it is not held against the paper's text: a stage begins where the one before ended, and
    sees former fakes of the same codes, as in later code of the authors
    (human-analysis/RankGAN); these are two margins behind the data, and a margin is 1, as in a
    code by others (sanghoon/tf-exercise-gan). Deviations: optimisers begin anew with a stage; two
    stages of equal length and a weight of 1.
    """

    gang: Gang

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.plain.parts(settings), "gang": self.gang}

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> Game | Succession:
        gang: Gang = parts["gang"]
        lengths = shares(rules.steps, gang.stages)
        if len(lengths) == 1:
            return self.plain.game(rules, parts, shape)
        games = [self.plain.game(lasting(rules, steps), parts, shape) for steps in lengths]
        stages: list[Stage] = [partial(_stage, game, gang) for game in games]
        return Succession(tuple(stages), tuple(lengths), games[-1])

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        """A critic's step after the first stage passes half as many examples more."""
        later = 1 - 1 / parts["gang"].stages
        return (1 + 0.4 * later) * self.plain.effort(rules, usual, parts)


def _stage(own: Gan, gang: Gang, done: Sequence[Fitted]) -> Game:
    if not done:
        return own
    before, loss = done[-1], own.loss
    assert isinstance(before, GeneratorSampler)
    assert isinstance(loss, MarginRanking)
    return Ranking(own, loss.margin, gang.rank_weight, before)


def shares(steps: int, stages: int) -> list[int]:
    """The steps of each of as many stages as have one."""
    stages = min(stages, steps)
    each, over = divmod(steps, stages)
    return [each + over, *[each] * (stages - 1)]


RECIPES.register(
    "gogan",
    paper="arXiv:1704.04865",
    summary="WGANs with margins one after another, each to rank above the last (GoGAN, Juefei-Xu "
    "et al. 2017)",
    parts=("margin-ranking", "clip"),
)(GoGan(MARGIN_GAN, Gang(), on_points=MARGIN_GAN.on_points))
