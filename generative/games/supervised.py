"""A classifier alone, told the classes of few examples or of all: what others are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generative.classcritics import ClassForm, log_classes
from generative.classheads import Grounded
from generative.contracts import Data, FewLabelled, LabelledBatches, Labeller
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.taught import missed
from generative.protocols.base import Protocol
from generative.samplers import load_weights

CLASSIFIER = "classifier"


class Classifier(Labeller):
    """A trained classifier, and nothing that draws."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval()

    def classify(self, x: Tensor) -> Tensor:
        return log_classes(self._network, x)

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._network.state_dict().items()}


@dataclass(frozen=True)
class Supervised(Game):
    """The cross-entropy of examples with a class. The network is that of a critic of K + 1 classes,
    its first weights drawn as a critic's. every: whether it is told the classes of all, which the
    data keep from the others. dropout: of its hidden values.
    """

    protocol: Protocol
    shape: tuple[int, ...]
    every: bool = False
    dropout: float = 0.0

    @property
    def moves(self) -> tuple[Move, ...]:
        return (Move(CLASSIFIER, self._loss, self.protocol.critic_adam),)

    def _loss(self, table: Table) -> list[Summand]:
        x, labels = table.batches.next(self.protocol.batch)
        with table.passes():
            said = table.players[CLASSIFIER](x, classes=True)
        return [Summand(missed(said, labels))]

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        layers = self.protocol.critic, self.protocol.generator
        form = ClassForm(data.classes, Grounded(), dropout=self.dropout)
        network = form.build(*layers, self.shape).to(data.device)
        if rng is not None:
            self.protocol.initialise(nn.Identity(), network, rng)
        return {CLASSIFIER: network}

    def batches(self, data: Data) -> LabelledBatches:
        if self.every and isinstance(data, FewLabelled):
            return data.every_label()
        return data.labelled_batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def fitted(self, players: Players, data: Data) -> Classifier:
        return Classifier(players[CLASSIFIER])

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> Classifier:
        players = self.players(data, None)
        load_weights(players[CLASSIFIER], dict(tensors), CLASSIFIER)
        return self.fitted(players, data)
