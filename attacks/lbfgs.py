"""The first attack: L-BFGS on the size of the perturbation and the loss of a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from attacks.boxed_lbfgs import Descents, Mask, PerPoint, Place, Points, pick
from attacks.contracts import ATTACKS, UNIT, Box, Images, Labels, MinimalNorm, Model, Seeds
from attacks.goals import Goal, check_targets
from attacks.gradients import ascent, misled
from attacks.norms import refuse
from attacks.objectives import Logits, PerImage, entropy

# Products of few rows add up in another order than those of many, and the last rows of an odd
# number are computed in another way: in sixteens, a result does not depend on the batch mates left.
ROWS = 16
# In units of rounding of the largest logit: a smaller lead might be lost in another batch.
SURE = 16
APART, BRACKETS, BEYOND = 4.0, 30, 0.1


@dataclass(frozen=True)
class Lbfgs(MinimalNorm):
    """Szegedy et al. 2013, section 4.1: minimise c |r| + loss(x + r, target) over x + r in the box.

    The loss is cross-entropy in nats; without targets (the paper draws them at random) that of the
    wrong classes taken together, -log(1 - p_y). Deviations: |r|^2 for |r|, which has no gradient
    where the search begins; and the search is for the largest c whose minimiser reaches the goal,
    where the paper says the smallest: the larger c, the smaller r. c starts where the loss, were
    it linear, would reach 0, changes fourfold until both outcomes are known, and is then bisected
    on a log scale `searches` times; every minimisation after a success starts from the last one.
    The loss has several minima: `looks` times a larger c is tried from the image itself, with an
    empty memory (a tenth more, then a twentieth), and where that succeeds the search goes on. What
    is returned is the smallest x + r met on the way that reaches the goal by more than the
    rounding of its logits; the original where there is none, and where it is misclassified as it
    stands. An image's result does not depend on its batch mates where its logits do not.

    steps: evaluations of one minimisation, at most. memory: pairs that L-BFGS keeps. tolerance:
    the projected slope at which a minimisation is over, as a share of 2 c |r|.

    Raises UsageError for an unknown norm, and for targets that are of another number than the
    images, equal to the label, or no class.
    """

    steps: int = 60
    memory: int = 10
    searches: int = 10
    tolerance: float = 1e-3
    looks: int = 2
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def __call__(
        self,
        model: Model,
        images: Images,
        labels: Labels,
        *,
        norm: str,
        seeds: Seeds,
        box: Box = UNIT,
        targets: Labels | None = None,
    ) -> Images:
        refuse(norm, self.norms, "lbfgs")
        if not len(images):
            return images
        goal = Goal(labels, targets)
        logits = _evaluate(model, images, Goal(labels))[1]
        if targets is not None:
            check_targets(targets, labels, logits.shape[1], "lbfgs")
        right = (~misled(logits, labels)).nonzero()[:, 0]
        result = images.clone()
        found, known = self._search(model, images[right], goal[right], box)
        result[right[known]] = found[known]
        return result

    def _search(self, model: Model, images: Images, goal: Goal, box: Box) -> tuple[Images, Mask]:
        """The nearest images found that reach the goal, and where there are any."""
        origin, index = images.flatten(1), torch.arange(len(images), device=images.device)
        best, least = origin.clone(), origin.new_full((len(images),), torch.inf).double()
        start = _place(model, origin, goal, images.shape)
        slope = start.gradient.double().square().sum(1)
        bracket = _Bracket.around(slope / (2 * start.loss), start)
        descents = Descents(origin, start, bracket.weight, box, self.memory)
        going = torch.ones_like(index, dtype=torch.bool)
        while len(index):
            over = descents.stuck | (descents.count >= self.steps)
            done = (descents.settled(self.tolerance) | over) & going
            if done.any():
                place = bracket.settle(done, descents.place, self)
                descents.restart(done, place, bracket.weight, done & bracket.looking)
            going = ~bracket.closed(self.searches)
            if going.sum() <= 0.9 * len(going):
                descents.only(going)
                bracket, index = bracket.only(going), index[going]
                going = going[going]
                continue
            there = _place(model, descents.propose(), goal[index], images.shape)
            apart = (there.at - descents.origin).double().square().sum(1)
            better = going & (there.lead > 0) & (apart < least[index])
            best[index[better]], least[index[better]] = there.at[better], apart[better]
            descents.judge(there)
        return best.reshape(images.shape), least < torch.inf


@dataclass
class _Bracket:
    """What is known of each image's largest c: it lies between `low`, with the minimiser `place`
    taken for the target, and `high`; 0 and infinity where unknown. `weight` is being tried: the
    `tried`-th, after `halved` bisections, or one `looking` beyond a bracket that was closed.
    """

    weight: PerPoint
    low: PerPoint
    high: PerPoint
    tried: PerPoint
    halved: PerPoint
    looked: PerPoint
    looking: Mask
    place: Place
    origin: Place

    @classmethod
    def around(cls, guess: PerPoint, place: Place) -> _Bracket:
        zero = torch.zeros_like(guess)
        guess = guess.clamp(1e-12, 1e12)
        return cls(guess, zero, zero + torch.inf, zero, zero, zero, zero > 0, place, place)

    def only(self, kept: Tensor) -> _Bracket:
        return _Bracket(
            self.weight[kept],
            self.low[kept],
            self.high[kept],
            self.tried[kept],
            self.halved[kept],
            self.looked[kept],
            self.looking[kept],
            self.place.only(kept),
            self.origin.only(kept),
        )

    def settle(self, done: Mask, at: Place, plan: Lbfgs) -> Place:
        """Take in the minimisers that are done; where to start from for the next weight."""
        taken, looked = done & (at.lead > 0), done & self.looking
        farther = looked & taken
        self.low = torch.where(taken, self.weight, self.low)
        self.high = torch.where(done & ~taken & ~looked, self.weight, self.high)
        self.high = torch.where(farther, torch.inf, self.high)
        self.place = pick(taken | (self.low == 0), at, self.place)
        self.tried = torch.where(farther, 0, self.tried + done)
        self.halved = torch.where(farther, 0, self.halved + (done & ~looked & self._both()))
        middle = (self.low * self.high).sqrt()
        outside = torch.where(self.low > 0, self.weight * APART, self.weight / APART)
        self.weight = torch.where(done, torch.where(self._both(), middle, outside), self.weight)
        look = done & (self.halved > plan.searches) & (self.looked < plan.looks)
        self._look(look, self.looking & ~done)
        return pick(look, self.origin, self.place)

    def _look(self, chosen: Mask, looking: Mask) -> None:
        """Try a tenth above what is known to do, then a twentieth."""
        ahead = self.low * (1 + BEYOND * 0.5**self.looked)
        self.weight = torch.where(chosen, ahead, self.weight)
        self.looked, self.looking = self.looked + chosen, looking | chosen

    def closed(self, searches: int) -> Mask:
        """Whether it is as narrow as asked, or one side was looked for in vain."""
        lost = (self.tried >= BRACKETS) & ~self._both()
        return ((self.halved > searches) & ~self.looking) | lost

    def _both(self) -> Mask:
        return (self.low > 0) & (self.high < torch.inf)


def _place(model: Model, points: Points, goal: Goal, shape: torch.Size) -> Place:
    """The loss, its gradient and the sure part of the lead of what is wanted."""
    gradient, logits = _evaluate(model, points.reshape(-1, *shape[1:]), goal)
    rounding = torch.finfo(logits.dtype).eps * logits.abs().amax(1)
    return Place(
        points,
        gradient.flatten(1),
        _loss(goal, logits.double()),
        goal.lead(logits) - SURE * rounding,
    )


def _evaluate(model: Model, images: Images, goal: Goal) -> tuple[Images, Logits]:
    """The gradient of the loss and the logits, of a batch filled up with its last image."""
    count = len(images)
    rows = torch.arange(-(-count // ROWS) * ROWS, device=images.device).clamp_max(count - 1)
    own = goal[rows].ordinary()
    gradient, logits = ascent(model, images[rows], own.labels, lambda z, _: _loss(own, z))
    return gradient[:count], logits[:count]


def _loss(goal: Goal, logits: Logits) -> PerImage:
    """In nats: of the target, or of the wrong classes taken together."""
    if goal.targets is None:
        return softplus(-goal.rise(logits))
    return entropy(logits, goal.targets)


ATTACKS.register(
    "lbfgs",
    paper="arXiv:1312.6199",
    summary="L-BFGS search for the smallest perturbation",
)(Lbfgs())
