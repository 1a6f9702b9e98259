"""AdaGAN: the recipe of GANs one after another, each of what those before lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from generative.contracts import RECIPES, Fitted
from generative.games import adversarial
from generative.games.base import Game
from generative.games.boosting import Boosting, Judging
from generative.protocols.base import Protocol
from generative.recipes.adversarial import Adversarial
from generative.recipes.beside import Beside
from generative.recipes.lapgan import lasting
from generative.samplers import UncontestedSampler
from generative.trainers.succession import Stage, Succession
from generative.training import SHARE, Bounds


@dataclass(frozen=True)
class Rounds:
    """rounds: GANs, at most; each needs a step, and so does each judge between two. round_weight:
    of all that a mixture draws, the share of the GAN that has joined it last (the paper's beta); 0
    is 1 / t in round t, by which all draw alike in the end.
    """

    rounds: Annotated[int, Bounds(1, 64)] = 4
    round_weight: Annotated[float, SHARE] = 0.0

    def share(self, number: int) -> float:
        """Of a round, counted from 0: the first has all."""
        return 1.0 if number == 0 else self.round_weight or 1 / (number + 1)


@dataclass(frozen=True)
class AdaGan(Beside[Adversarial]):
    """The steps of a training are those of all GANs and judges; a GAN has twice as many as a judge
    (the authors' epochs for points), and what is left over is the first one's. plain: of every
    round; with one round it is that.
    """

    rounds: Rounds

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.plain.parts(settings), "rounds": self.rounds}

    def game(
        self, rules: Protocol, parts: Mapping[str, Any], shape: tuple[int, ...]
    ) -> Game | Succession:
        rounds: Rounds = parts["rounds"]
        lengths = turns(rules.steps, rounds.rounds)
        if len(lengths) == 1:
            return self.plain.game(rules, parts, shape)
        games = [self.plain.game(lasting(rules, steps), parts, shape) for steps in lengths]
        stages: list[Stage] = []
        for at, game in enumerate(games):
            judged = at % 2 == 1
            stages.append(
                partial(_judging, game)
                if judged
                else partial(_boosting, game, rounds.share(at // 2))
            )
        last = Boosting(games[-1], rounds.share(len(lengths) // 2))
        return Succession(tuple(stages), tuple(lengths), last)

    def effort(self, rules: Protocol, usual: Protocol, parts: Mapping[str, Any]) -> float:
        """A step of a judge is less than half of one of the GAN."""
        judges = parts["rounds"].rounds - 1
        return (1 - 0.5 * judges / (3 * judges + 2)) * self.plain.effort(rules, usual, parts)


def _judging(own: adversarial.Adversarial, done: Sequence[Fitted]) -> Game:
    before = done[-1]
    assert isinstance(before, UncontestedSampler)
    return Judging(own.protocol, own.shape, before)


def _boosting(own: adversarial.Adversarial, share: float, done: Sequence[Fitted]) -> Game:
    before = done[-1] if done else None
    assert before is None or isinstance(before, UncontestedSampler)
    return Boosting(own, share, before)


def turns(steps: int, rounds: int) -> list[int]:
    """The steps of each GAN and, between two, of the judge of those before; of as many GANs as have
    a step each.
    """
    rounds = min(rounds, (steps + 1) // 2)
    judges = max(1, steps // (3 * rounds - 1))
    gans, over = divmod(steps - (rounds - 1) * judges, rounds)
    return [gans + over, *[judges, gans] * (rounds - 1)]


RECIPES.register(
    "adagan",
    paper="arXiv:1701.02386",
    summary="A mixture of GANs, each trained on the examples that those before lack (Tolstikhin et "
    "al. 2017)",
    parts=("nonsaturating",),
)(AdaGan(Adversarial("nonsaturating"), Rounds()))
