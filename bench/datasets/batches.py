"""Batches: a fixed training set in shuffled epochs, or fresh draws for ever."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.datasets.base import Batches, LabelledBatches


class Epochs:
    """The numbers 0 to n - 1, every one once an epoch, in an order of its own each epoch.

    A batch that the end of an epoch would cut is filled from the next epoch.
    """

    def __init__(self, n: int, rng: torch.Generator) -> None:
        self._n, self._rng = n, rng
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._epoch_state = self._rng.get_state()
        self._order = torch.randperm(self._n, generator=self._rng, device=self._rng.device)
        self._at = 0

    def draw(self, n: int) -> Tensor:
        """The next `n` of them, int64 [n]."""
        chosen = self._order[self._at : self._at + n]
        self._at += len(chosen)
        parts = [chosen]
        while (short := n - sum(map(len, parts))) > 0:
            self._begin_epoch()
            parts.append(self._order[:short])
            self._at = len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def position(self) -> dict[str, Tensor]:
        return {"epoch": self._epoch_state.clone(), "at": torch.tensor(self._at)}

    def seek(self, position: dict[str, Tensor]) -> None:
        self._rng.set_state(position["epoch"])
        self._begin_epoch()
        self._at = int(position["at"])


class ShuffledEpochs(Epochs, Batches):
    """A fixed training set in epochs. prepare: what is done to a batch, such as bytes to floats."""

    def __init__(
        self,
        points: Tensor,
        rng: torch.Generator,
        prepare: Callable[[Tensor], Tensor] = lambda batch: batch,
    ) -> None:
        super().__init__(len(points), rng)
        self._points, self._prepare = points, prepare

    def next(self, n: int) -> Tensor:
        return self._prepare(self._points[self.draw(n)])


class LabelledEpochs(Epochs, LabelledBatches):
    """The same with the label of each example."""

    def __init__(
        self,
        points: Tensor,
        labels: Tensor,
        rng: torch.Generator,
        prepare: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__(len(points), rng)
        self._points, self._labels, self._prepare = points, labels, prepare

    def next(self, n: int) -> tuple[Tensor, Tensor]:
        chosen = self.draw(n)
        return self._prepare(self._points[chosen]), self._labels[chosen]


class FreshDraws(Batches):
    """New draws for every batch."""

    def __init__(
        self, draw: Callable[[int, torch.Generator], Tensor], rng: torch.Generator
    ) -> None:
        self._draw, self._rng = draw, rng

    def next(self, n: int) -> Tensor:
        return self._draw(n, self._rng)

    def position(self) -> dict[str, Tensor]:
        return {"rng": self._rng.get_state()}

    def seek(self, position: dict[str, Tensor]) -> None:
        self._rng.set_state(position["rng"])
