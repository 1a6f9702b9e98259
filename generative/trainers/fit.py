"""Training in one step: estimators that see the whole training set at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generative.contracts import Data, Fitted, Trainer, Tree


@dataclass
class FitState:
    """Before the one step `fitted` is None."""

    data: Data
    seed: int
    fitted: Fitted | None = None


class FitTrainer(Trainer):
    """A trainer whose one step is `fit`."""

    @abstractmethod
    def fit(self, data: Data, seed: int) -> Fitted:
        """The estimator on the training set; `seed` decides its random starts."""

    @property
    def steps(self) -> int:
        return 1

    def start(self, data: Data, rng: torch.Generator) -> FitState:
        return FitState(data, int(rng.initial_seed() % 2**31))

    def advance(self, state: FitState, steps: int) -> FitState:
        if steps and state.fitted is None:
            state.fitted = self.fit(state.data, state.seed)
        return state

    def finish(self, state: FitState) -> Fitted:
        return state.fitted or self.advance(state, 1).fitted  # type: ignore[return-value]

    def pack(self, state: FitState) -> Tree:
        fitted = None if state.fitted is None else state.fitted.tensors()
        return {"seed": state.seed, "fitted": fitted}

    def unpack(self, data: Data, tree: Tree) -> FitState:
        fitted: Mapping[str, Tensor] | None = tree["fitted"]
        restored = None if fitted is None else self.restore(data, fitted)
        return FitState(data, tree["seed"], restored)
