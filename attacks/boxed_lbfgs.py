"""L-BFGS in a box for many problems at once: each has a memory and a line search of its own.

The problems are c |x - origin|^2 + loss(x): what is added to the loss is known, so the memory
holds the turns of the loss alone and serves every c. Nothing here calls the loss: `propose` says
where to look and `judge` is told what was there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attacks.contracts import Box
from attacks.norms import into_box

Points = Float[Tensor, "batch pixels"]
PerPoint = Float[Tensor, " batch"]
Mask = Bool[Tensor, " batch"]

ARMIJO = 1e-4
FLAT = 1e-6
"""What a float32 loss can't tell apart, as a share of the objective."""
REPEATS, STALLS = 8, 4
"""How many shorter steps a direction is given, and steps that gain nothing a minimisation."""


@dataclass
class Place:
    """Points [batch, pixels] of the images' dtype, and the loss [batch] (float64), its gradient
    [batch, pixels] and the lead of the target [batch] there.
    """

    at: Points
    gradient: Points
    loss: PerPoint
    lead: PerPoint

    def only(self, kept: Tensor) -> Place:
        """Some of them."""
        return Place(*(value[kept] for value in vars(self).values()))


def pick(chosen: Mask, these: Place, those: Place) -> Place:
    """These where chosen, those elsewhere."""
    pairs = zip(vars(these).values(), vars(those).values(), strict=True)
    return Place(*(_where(chosen, a, b) for a, b in pairs))


def dot(a: Points, b: Points) -> PerPoint:
    """The inner product of each row."""
    return (a * b).sum(1)


class Memory:
    """The last moves of each problem and how the gradient of its loss turned over them."""

    def __init__(self, size: int, like: Points) -> None:
        zeros = like.new_zeros(len(like))
        self._pairs = [(torch.zeros_like(like), torch.zeros_like(like), zeros) for _ in range(size)]

    def store(self, moves: Points, turns: Points) -> None:
        """Zeros where nothing was learnt."""
        self._pairs = [*self._pairs[1:], (moves, turns, dot(moves, moves))]

    def forget(self, chosen: Mask) -> None:
        """Every pair of the chosen problems."""
        for pair in self._pairs if chosen.any() else ():
            for values in pair:
                values[chosen] = 0

    def only(self, kept: Tensor) -> None:
        """Let the other problems go."""
        self._pairs = [(move[kept], turn[kept], size[kept]) for move, turn, size in self._pairs]

    def downhill(self, slope: Points, free: Points, weight: PerPoint) -> Points:
        """Minus the inverse Hessian times the slope, over the free pixels (the two-loop recursion,
        Nocedal 1980). A pair along which the objective does not curve upwards is passed over;
        without any the direction is that of `steepest`.
        """
        rest, taped, twice = slope, [], 2 * weight[:, None]
        scale, known = torch.zeros_like(weight), torch.zeros_like(weight, dtype=torch.bool)
        for move, turn, size in reversed(self._pairs):
            bend = torch.addcmul(turn, twice, move).mul_(free)
            curve = dot(move, bend)
            sound = curve > 1e-8 * weight * size
            if not known.all():
                scale = torch.where(sound & ~known, curve / dot(bend, bend), scale)
                known = known | sound
            share = torch.where(sound, 1 / curve, 0.0)
            along = share * dot(move, rest)
            rest = torch.addcmul(rest, along[:, None], bend, value=-1)
            taped.append((move, bend, share, along))
        rest = torch.where(known[:, None], scale[:, None] * rest, -steepest(slope, weight))
        for move, bend, share, along in reversed(taped):
            rest.addcmul_((along - share * dot(bend, rest))[:, None], move)
        return rest.mul_(free).neg_()


def steepest(slope: Points, weight: PerPoint) -> Points:
    """Against the slope: the whole way were the loss linear, but no further than 1."""
    length = torch.linalg.vector_norm(slope, dim=1).clamp_min(1e-30)
    return -slope * torch.minimum(0.5 / weight, 1 / length)[:, None]


class Descents:
    """A batch of minimisations: L-BFGS with two-metric projection (Bertsekas 1982, equation 33).

    Pixels at an end of the box that the slope pushes outwards stand still; the direction comes
    from the others alone, and the step is cut at the box. Steps shrink until Armijo's condition
    holds or, within rounding of the objective, the slope's (Hager and Zhang 2005, equation 27).
    Where a direction fails, the steepest is tried; where that fails, the minimisation is over.
    """

    def __init__(
        self, origin: Points, place: Place, weight: PerPoint, box: Box, memory: int
    ) -> None:
        zero = torch.zeros_like(weight)
        self.origin, self.place, self.weight = origin, place, weight
        self.count = self._repeats = self._stalls = self._fall = zero
        self.stuck = self._plain = zero > 0
        self._step = torch.ones_like(weight)
        self._course = self._move = torch.zeros_like(origin)
        self._memory, self._box = Memory(memory, origin), box

    def only(self, kept: Tensor) -> None:
        """Let the other problems go."""
        self.place = self.place.only(kept)
        self._memory.only(kept)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value[kept])

    def restart(self, chosen: Mask, place: Place, weight: PerPoint, anew: Mask) -> None:
        """New problems for the chosen: other weights, other places to start from; some with an
        empty memory.
        """
        self._memory.forget(anew)
        self.place = pick(chosen, place, self.place)
        self.weight = torch.where(chosen, weight, self.weight)
        for name in ("count", "_repeats", "_stalls", "stuck", "_plain"):
            setattr(self, name, _where(~chosen, getattr(self, name), 0))
        self._step = torch.where(chosen, 1.0, self._step)

    def settled(self, tolerance: float) -> Mask:
        """Whether a step along the slope, cut at the box, would move |r| by less than a share."""
        at, slope = self.place.at, self._slope(self.place)
        half = (0.5 / self.weight).to(at)[:, None]
        ahead = into_box(at - slope * half, self._box) - at
        far = torch.linalg.vector_norm(at - self.origin, dim=1)
        return torch.linalg.vector_norm(ahead, dim=1) <= tolerance * far

    def propose(self) -> Points:
        """Where to evaluate the loss next."""
        at, slope, weight = self.place.at, self._slope(self.place), self.weight.to(self.origin)
        free = self._free(at, slope)
        inner = slope * free
        course = self._memory.downhill(inner, free, weight)
        self._course = torch.where((self._repeats > 0)[:, None], self._course, course)
        move = self._cut(at)[1]
        least = 1e-10 * (dot(move, move) * dot(inner, inner)).sqrt()
        uphill = ~(dot(slope, move) < -least) & ~self._plain
        self._again(uphill)
        self._plain = self._plain | uphill
        plain = self._plain & (self._repeats == 0)
        self._course = _where(plain, steepest(inner, weight), self._course)
        there, self._move = self._cut(at)
        self._fall = dot(slope, self._move).to(self.weight)
        return there

    def judge(self, there: Place) -> None:
        """Go to the proposed places where the objective is low enough; look nearer elsewhere."""
        before, after = self.value(self.place), self.value(there)
        end = dot(self._slope(there), self._move).to(self.weight)
        fall, noise = self._fall, FLAT * before.abs()
        lower = after <= before + ARMIJO * fall
        taken = lower | ((after <= before + noise) & (end <= (2 * ARMIJO - 1) * fall))
        moves, turns = self._move, there.gradient - self.place.gradient
        self._memory.store(_where(taken, moves, 0.0), _where(taken, turns, 0.0))
        self.place = pick(taken, there, self.place)
        self.count = self.count + 1
        shrink = (fall / (fall - end).clamp_max(-1e-30)).clamp(0.1, 0.5)
        self._step = torch.where(taken, 1.0, self._step * shrink)
        self._repeats = torch.where(taken, 0, self._repeats + 1)
        slight = taken & (before - after <= noise)
        self._stalls = torch.where(slight, self._stalls + 1, torch.where(taken, 0, self._stalls))
        failed = (self._repeats > REPEATS) | ~(fall < 0)
        self.stuck = (failed & self._plain) | (self._stalls >= STALLS)
        self._plain = (self._plain | failed) & ~taken
        self._again(failed)

    def value(self, place: Place) -> PerPoint:
        """The objective, in float64."""
        apart = (place.at - self.origin).to(self.weight.dtype)
        return place.loss + self.weight * dot(apart, apart)

    def _slope(self, place: Place) -> Points:
        apart = place.at - self.origin
        return place.gradient + 2 * self.weight.to(apart)[:, None] * apart

    def _free(self, at: Points, slope: Points) -> Points:
        if self._box is None:
            return torch.ones_like(at)
        low, high = self._box
        return (~(((at <= low) & (slope > 0)) | ((at >= high) & (slope < 0)))).to(at)

    def _cut(self, at: Points) -> tuple[Points, Points]:
        there = into_box(at + self._step.to(at)[:, None] * self._course, self._box)
        return there, there - at

    def _again(self, chosen: Mask) -> None:
        """Whole steps, for another direction."""
        self._step = torch.where(chosen, 1.0, self._step)
        self._repeats = torch.where(chosen, 0, self._repeats)


def _where(chosen: Mask, these: Tensor, those: Tensor | float) -> Tensor:
    """Rows of these where chosen, of those elsewhere."""
    wide = chosen.reshape(-1, *[1] * (these.ndim - 1))
    return torch.where(wide, these, torch.as_tensor(those, dtype=these.dtype, device=these.device))
