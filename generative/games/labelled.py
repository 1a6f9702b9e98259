"""Encoders and decoders that are told the class: conditional variational autoencoders
(Kingma et al. 2014, arXiv:1406.5298, model M2 where every label is known).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bench.core.errors import UsageError
from generative.conditioning import LabelledCode
from generative.contracts import Codes, Data, Editor, LabelledBatches, Labels
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.encoding import CODER, Coder, Objective
from generative.measured import Measured
from generative.protocols.base import Protocol
from generative.samplers import drawn_in_parts, labels_for, load_weights, part_of


class LabelledExample(nn.Module):
    """An encoder whose images carry the label in channels of their own, its points in values."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, x: Tensor, labels: Labels) -> Tensor:
        units = one_hot(labels, self.classes).to(x.dtype)
        maps = units.reshape(*units.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
        return self.network(torch.cat([x, maps], 1))


class Reminded(nn.Module):
    """A network that is told labels, and those of the batch that it is about to see."""

    def __init__(self, network: nn.Module, labels: Labels) -> None:
        super().__init__()
        self.network, self.labels = network, labels

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x, self.labels)


def labelled_coder(
    encoder: Any, decoder: Any, shape: tuple[int, ...], classes: int, latent: int, outputs: int
) -> Coder:
    """Of the layers of both, as PyTorch initialises them. A single class says nothing, and is not
    told. Raises UsageError for layers that are in units of the examples, which labels have not.
    """
    if classes == 1:
        plain = encoder.encoder(shape, latent * outputs), decoder.generator(latent, shape)
        return Coder(*plain, latent)
    seen = (shape[0] + classes, *shape[1:])
    told = LabelledExample(encoder.encoder(seen, latent * outputs), classes)
    if any(isinstance(layer, Measured) for layer in told.modules()):
        raise UsageError(
            "an encoder that is told the class: expected layers that see pixels as they are, and "
            "these are in units of the training images: choose another protocol, such as dcgan-32"
        )
    return Coder(told, LabelledCode(decoder.generator(latent + classes, shape), classes), latent)


def refuse_layers(encoder: Any, decoder: Any, shape: tuple[int, ...], latent: int) -> None:
    """Raise UsageError for layers that can't be told a class, before anything is trained."""
    with torch.device("meta"):
        labelled_coder(encoder, decoder, shape, 2, latent, 1)


def reminded(coder: Coder, labels: Labels) -> Coder:
    """A coder that sees a batch of these labels; its weights, and its variance, are the coder's."""
    if not isinstance(coder.encoder, LabelledExample):
        return coder
    encoder, decoder = (Reminded(part, labels) for part in (coder.encoder, coder.decoder))
    found = Coder(encoder, decoder, coder.latent)
    found.variance = coder.variance
    return found


class LabelledSampler(Editor):
    """Samples are decoded draws of N(0, I) and a class: the decoder's means. An example's code is
    the mean of what the encoder says of it, which is told its class.
    """

    def __init__(self, coder: Coder, shape: tuple[int, ...], classes: int) -> None:
        self._coder, self._shape, self.classes = coder, shape, classes

    def sample(self, n: int, rng: torch.Generator, condition: Labels | None = None) -> Tensor:
        labels = labels_for(n, condition, self.classes, rng.device)
        parts = iter(labels.split(part_of(self._shape)))

        def draw(size: int) -> Tensor:
            return self.decode(self.codes(size, rng), next(parts))

        return drawn_in_parts(n, self._shape, draw)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self._coder.draw_codes(n, rng)

    def decode(self, z: Codes, condition: Labels | None = None) -> Tensor:
        labels = labels_for(len(z), condition, self.classes, z.device)
        with torch.set_grad_enabled(z.requires_grad):
            return reminded(self._coder, labels).decoder(z)

    def encode(self, x: Tensor, labels: Labels) -> Codes:
        with torch.inference_mode():
            told = labels_for(len(x), labels, self.classes, x.device)
            return reminded(self._coder, told).encoder(x)[:, : self._coder.latent].clone()

    def tensors(self) -> dict[str, Tensor]:
        return {key: value.detach() for key, value in self._coder.state_dict().items()}


@dataclass(frozen=True)
class LabelledEncoding(Game):
    """`Encoding`'s game with the class beside what either half sees; with one class it is that
    game, bit for bit. What the objective estimates once the weights stand is left out: samples are
    means, and codes are drawn from the prior.
    """

    objective: Objective
    protocol: Protocol
    shape: tuple[int, ...]

    @property
    def moves(self) -> tuple[Move, ...]:
        return (Move(CODER, self._loss, self.protocol.generator_adam, decay=0.5),)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        layers = self.protocol.critic, self.protocol.generator
        told = self.shape, data.classes, self.protocol.latent, self.objective.outputs
        coder = labelled_coder(*layers, *told).to(data.device)
        if rng is not None:
            self.protocol.initialisation.apply(coder, rng)
        return {CODER: coder}

    def batches(self, data: Data) -> LabelledBatches:
        return data.labelled_batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _loss(self, table: Table) -> list[Summand]:
        x, labels = table.batches.next(self.protocol.batch)
        coder: Any = table.players[CODER]
        with table.passes():
            seen = reminded(coder, labels)
            return [Summand(self.objective.loss(seen, x, table.rng, table.progress))]

    def fitted(self, players: Players, data: Data) -> LabelledSampler:
        coder = players[CODER].eval()
        assert isinstance(coder, Coder)
        return LabelledSampler(coder, self.shape, data.classes)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> LabelledSampler:
        players = self.players(data, None)
        load_weights(players[CODER], dict(tensors), "model")
        return self.fitted(players, data)
