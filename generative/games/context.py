"""CC-GAN (Denton et al. 2016, arXiv:1611.06430): a generator that fills holes in examples, against
a critic that classifies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from generative.classcritics import ClassForm, log_classes
from generative.classheads import Apart
from generative.contracts import Batches, Completer, Data, LabelledBatches, Labeller, Loss
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.taught import TOLD, Learning, labelled, missed
from generative.games.turns import CRITIC, GENERATOR, critic_first
from generative.networks import Network
from generative.protocols.base import Protocol
from generative.samplers import drawn_in_parts, load
from generative.training import Bounds

Images = Float[Tensor, "n c h w"]
Known = Bool[Tensor, "n 1 h w"]


@dataclass(frozen=True)
class Holes:
    """hole_share: the side of the square that is hidden, over that of the image."""

    hole_share: Annotated[float, Bounds(gt=0, le=1)] = 0.5


def known_outside(hole: float, shape: tuple[int, ...], n: int, rng: torch.Generator) -> Known:
    """What a square hole leaves of each of `n` images [c, h, w]. Its place is drawn, every one
    inside the image alike likely.
    """
    inside = []
    for side in shape[1:]:
        width = max(1, round(hole * side))
        first = torch.randint(side - width + 1, (n, 1), generator=rng, device=rng.device)
        at = torch.arange(side, device=rng.device)
        inside.append((at >= first) & (at < first + width))
    rows, columns = inside
    return ~(rows[:, :, None] & columns[:, None, :])[:, None]


def filled(x: Images, known: Tensor, made: Images) -> Images:
    """m x + (1 - m) G: what is known as it was, the rest as it was made."""
    return torch.where(known, x, made)


class Filling(nn.Module):
    """Images of which a part is hidden, as 0 beside a channel that says where, to a code; it and
    noise to images.
    """

    def __init__(self, critic: Network, generator: Network, shape: tuple[int, ...], latent: int):
        super().__init__()
        self.encoder = critic.encoder((shape[0] + 1, *shape[1:]), latent)
        self.decoder = generator.generator(2 * latent, shape)

    def forward(self, x: Images, known: Tensor, z: Float[Tensor, "n latent"]) -> Images:
        seen = torch.cat([x * known, known.to(x.dtype).expand(len(x), 1, *x.shape[2:])], 1)
        return self.decoder(torch.cat([self.encoder(seen), z], 1))


class ContextSampler(Completer, Labeller):
    """A generator that fills holes, and the critic that classifies. Its samples are training images
    with a hole filled in: most of each is real. data: those it was trained on.
    """

    def __init__(
        self, generator: nn.Module, critic: nn.Module, protocol: Protocol, hole: float, data: Data
    ) -> None:
        self._generator, self._critic = generator.eval(), critic.eval()
        self._protocol, self._hole, self._data = protocol, hole, data

    def sample(self, n: int, rng: torch.Generator) -> Images:
        pool, shape = self._data.training, self._data.shape

        def draw(size: int) -> Images:
            chosen = torch.randint(len(pool), (size,), generator=rng, device=rng.device)
            known = known_outside(self._hole, shape, size, rng)
            return self._made(pool[chosen], known, self._protocol.codes(size, rng))

        return drawn_in_parts(n, shape, draw)

    def complete(self, x: Images, known: Bool[Tensor, "h w"]) -> Images:
        """By the code 0 where others are drawn."""
        z = torch.zeros(len(x), self._protocol.latent, device=x.device)
        return self._made(x, known.to(x.device).expand(len(x), 1, *known.shape), z)

    def _made(self, x: Images, known: Known, z: Tensor) -> Images:
        with torch.no_grad():
            return filled(x, known, self._generator(x, known, z))

    def classify(self, x: Tensor) -> Tensor:
        return log_classes(self._critic, x)

    def tensors(self) -> dict[str, Tensor]:
        own = {key: value.detach() for key, value in self._generator.state_dict().items()}
        critic = self._critic.state_dict().items()
        return {**own, **{f"{CRITIC}.{key}": value.detach() for key, value in critic}}


@dataclass(frozen=True)
class Context(Game):
    """The critic minimises class_weight CE(labelled) and unlabelled_weight times its loss of reals
    without a class against images whose hole is filled, its logit beside those of classes; the
    generator, which sees what is around the hole and noise, its own loss of them. Deviations: one
    square hole of a fixed size; the protocol's layers, of which an encoder with batch norm sees the
    context (without it what is made stays grey) and a critic without it judges; what is filled are
    the reals of the same batch. dropout: of hidden values of the critic.
    """

    loss: Loss
    learning: Learning
    holes: Holes
    protocol: Protocol
    shape: tuple[int, ...]
    dropout: float = 0.0

    @property
    def moves(self) -> tuple[Move, ...]:
        return critic_first(self.protocol, self._critic_loss, self._generator_loss)

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules = self.protocol
        plain = replace(rules, critic=rules.critic.unmixed())
        form = ClassForm(data.classes, Apart(), more=1, dropout=self.dropout)
        generator = Filling(rules.critic, rules.generator, self.shape, rules.latent)
        critic = form.build(plain.critic, plain.generator, self.shape)
        if rng is not None:
            plain.initialise(generator, critic, rng)
        return {GENERATOR: generator.to(data.device), CRITIC: critic.to(data.device)}

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        told: Any = data.labelled_batches()
        return Memory(data.device, **{TOLD: told})

    def _reals(self, table: Table) -> Images:
        return table.once("reals", lambda: table.batches.next(self.protocol.batch))

    def _made(self, table: Table) -> Images:
        """The reals with their holes filled."""

        def draw() -> Images:
            x, rng = self._reals(table), table.rng
            known = known_outside(self.holes.hole_share, self.shape, len(x), rng)
            z = self.protocol.codes(len(x), rng)
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                return filled(x, known, table.players[GENERATOR](x, known, z).float())

        return table.once("made", draw)

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        if weight := self.learning.class_weight:
            x, labels = labelled(table, self.protocol.batch)
            with table.passes():
                said = table.players[CRITIC](x, classes=True)
            yield Summand(missed(said, labels), weight)
        if weight := self.learning.unlabelled_weight:
            made = self._made(table)
            made = made if table.attached else made.detach()
            of_real, of_made = (self._judged(table, x) for x in (self._reals(table), made))
            yield Summand(self.loss.critic(of_real, of_made), weight)

    def _judged(self, table: Table, x: Images) -> Tensor:
        with table.passes():
            return table.players[CRITIC](x).float()

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        of_made = self._judged(table, self._made(table))
        yield Summand(self.loss.generator(of_made, of_made))

    def fitted(self, players: Players, data: Data) -> ContextSampler:
        both = players[GENERATOR], players[CRITIC]
        return ContextSampler(*both, self.protocol, self.holes.hole_share, data)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> ContextSampler:
        players = self.players(data, None)
        load(dict(tensors), players[GENERATOR], players[CRITIC])
        return self.fitted(players, data)
