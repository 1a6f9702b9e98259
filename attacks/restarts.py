"""Of several tries at each image the best: one after another, or together where images are few."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from attacks.contracts import Images, Model, Stop
from attacks.goals import Goal
from attacks.gradients import look

TOGETHER = 64
"""How many tries are made at once at most where images are fewer: so few cost what one does."""


class Best:
    """The best try of each image so far, by its lead; with `stop="first_success"` the first that
    reached the goal.
    """

    def __init__(self, model: Model, images: Images, goal: Goal, stop: Stop) -> None:
        self.images = images.clone()
        self._model, self._goal, self._stop = model, goal, stop
        self._leads = torch.full((len(images),), -torch.inf, device=images.device)
        self._reached = torch.zeros_like(goal.labels, dtype=torch.bool)

    def left(self) -> Tensor:
        """The images that another try may help."""
        done = self._reached & (self._stop == "first_success")
        return (~done).nonzero()[:, 0]

    def offer(self, chosen: Tensor, tries: list[Images]) -> None:
        """Take in tries at the chosen images, in their order."""
        every = look(self._model, torch.cat(tries)).split(len(chosen))
        goal = self._goal[chosen]
        for found, logits in zip(tries, every, strict=True):
            leads = goal.lead(logits).to(self._leads)
            better = leads > self._leads[chosen]
            if self._stop == "first_success":
                better &= ~self._reached[chosen]
            index = chosen[better]
            self.images[index], self._leads[index] = found[better], leads[better]
            self._reached[chosen] |= goal.reached(logits)


def tried(
    once: Callable[[list[int], Tensor], list[Images]],
    lots: list[list[int]],
    model: Model,
    images: Images,
    goal: Goal,
    stop: Stop,
) -> Images:
    """Each image's best of several tries. lots: tries, by number, that may be made together;
    `once(numbers, chosen)` makes some of a lot at the chosen images, one result for each number.
    One alone is the best, and is not looked at.
    """
    everyone = torch.arange(len(images), device=images.device)
    if sum(map(len, lots)) == 1:
        return once(next(filter(None, lots)), everyone)[0]
    best = Best(model, images, goal, stop)
    for lot in lots:
        for numbers in _parts(lot, best):
            chosen = best.left()
            best.offer(chosen, once(numbers, chosen))
    return best.images


def _parts(lot: list[int], best: Best) -> Iterator[list[int]]:
    """As many tries at once as are few for those images that are left."""
    while lot and len(left := best.left()):
        count = max(1, TOGETHER // len(left))
        yield lot[:count]
        lot = lot[count:]
