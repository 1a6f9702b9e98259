"""CVAE-GAN (Bao et al. 2017, arXiv:1703.10155): an encoder, a decoder that is told the class, a
critic and a classifier, of which the decoder matches features and never deceives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from generative.contracts import Data, LabelledBatches, Labels, Loss
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.encoding import CODER, Coder
from generative.games.labelled import LabelledSampler, labelled_coder, reminded
from generative.networks import Network, Shape, layers_of
from generative.protocols.base import Protocol
from generative.recipes.vae import divergence, posterior
from generative.samplers import load_weights
from generative.training import WEIGHT

CRITIC, CLASSIFIER = "critic", "classifier"
CENTRES, MET = "centres", "met"
KEPT = 0.9
"""Of the centre of a class, at each batch that has some of it."""
Features = Float[Tensor, "n d"]
Centres = Float[Tensor, "classes d"]


class Seeing(nn.Module):
    """Examples to what a network says of them, [n, outputs], and to what its last layer sees."""

    def __init__(self, network: Network, shape: Shape, outputs: int) -> None:
        super().__init__()
        *body, head = layers_of(network.encoder(shape, outputs))
        self.body, self.head = nn.Sequential(*body), head

    def forward(self, x: Tensor) -> tuple[Tensor, Features]:
        seen = self.body(x).flatten(1)
        return self.head(seen).float(), seen.float()


class Made(NamedTuple):
    """What the decoder made of a batch: of its codes, whose posterior is N(mean, variance); and of
    codes of the prior, of the classes `asked`.
    """

    mean: Tensor
    log_variance: Tensor
    rebuilt: Tensor
    drawn: Tensor
    asked: Labels


@dataclass(frozen=True)
class Weights:
    """Of the decoder's and encoder's summands: the divergence, pairs of an image and what is made
    of its code, mean features of the critic, those of each class of the classifier.
    """

    divergence_weight: Annotated[float, WEIGHT] = 3.0
    pair_weight: Annotated[float, WEIGHT] = 1.0
    mean_weight: Annotated[float, WEIGHT] = 1e-3
    class_mean_weight: Annotated[float, WEIGHT] = 1e-3


def far(x: Tensor, other: Tensor) -> Float[Tensor, " n"]:
    """Half the squared distance of each, summed over its values."""
    return (x - other).flatten(1).square().sum(1) / 2


def means_apart(real: Features, made: Features) -> Tensor:
    """Half the squared distance of two means (the paper's L_GD)."""
    return (real.mean(0) - made.mean(0)).square().sum() / 2


def classes_apart(centres: Centres, met: Tensor, made: Features, asked: Labels) -> Tensor:
    """Half the squared distance of the centre of each class to the mean of what was made of it,
    summed over the classes that were met and asked for (the paper's L_GC).
    """
    total = made.new_zeros(())
    for label in asked.unique().tolist():
        if bool(met[label]):
            total = total + (centres[label] - made[asked == label].mean(0)).square().sum() / 2
    return total


@dataclass(frozen=True)
class Asymmetric(Game):
    """The classifier learns the classes of reals, the critic to tell reals from what is made of
    codes and from what is drawn; then both halves of the coder, as one player. Their summands are

        divergence KL(q(z|x, c) || N(0, I)), summed over dimensions,
        pairs |x - x'|^2 / 2 + |f_D(x) - f_D(x')|^2 / 2 + |f_C(x) - f_C(x')|^2 / 2,
        means and class means, of what is drawn alone;

    of which the first does not depend on the decoder, nor the last two on the encoder: the sum has
    for either the gradient that the paper's Algorithm 1 gives it. f: what a network's last layer
    sees. Deviations: of what the critic takes for fake either kind counts half, in the paper all;
    centres of classes are moving averages of reals alone, fakes count by their batch; rates are the
    protocol's, falling to 0 over the second half of the training.
    """

    loss: Loss
    weights: Weights
    protocol: Protocol
    shape: Shape

    @property
    def moves(self) -> tuple[Move, ...]:
        judging, making = self.protocol.critic_adam, self.protocol.generator_adam
        classes = Move(CLASSIFIER, self._classifier_loss, judging, decay=0.5, after=_follow)
        critic = Move(CRITIC, self._critic_loss, judging, fresh=False, decay=0.5)
        return (
            classes,
            critic,
            Move(CODER, self._coder_loss, making, fresh=False, decay=0.5),
        )

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules, classes = self.protocol, data.classes
        plain = rules.critic.unmixed(), rules.generator.unmixed()
        coder = labelled_coder(*plain, self.shape, classes, rules.latent, 2)
        judges = {
            CRITIC: Seeing(rules.critic, self.shape, 1),
            CLASSIFIER: Seeing(rules.critic, self.shape, classes),
        }
        if rng is not None:
            for judge in judges.values():
                rules.initialisation.apply(judge, rng)
        return {role: net.to(data.device) for role, net in {CODER: coder, **judges}.items()}

    def batches(self, data: Data) -> LabelledBatches:
        return data.labelled_batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        return Memory(data.device)

    def _reals(self, table: Table) -> tuple[Tensor, Labels]:
        return table.once("reals", lambda: table.batches.next(self.protocol.batch))

    def _made(self, table: Table) -> Made:
        """What the critic sees, with the graph that the coder will need."""

        def draw() -> Made:
            x, labels = self._reals(table)
            own: Any = table.players[CODER]
            shape, rng = (len(x), own.latent), table.rng
            noise, codes = (torch.randn(shape, generator=rng, device=rng.device) for _ in range(2))
            asked = torch.randint(table.data.classes, (len(x),), generator=rng, device=rng.device)
            with torch.enable_grad(), table.passes():
                coder = reminded(own, labels)
                mean, log_variance = posterior(coder, x)
                rebuilt = coder.decoder(mean + (log_variance / 2).exp() * noise)
                drawn = reminded(own, asked).decoder(codes)
            return Made(mean, log_variance, rebuilt.float(), drawn.float(), asked)

        return table.once("made", draw)

    def _seen(self, table: Table, judge: str, x: Tensor) -> tuple[Tensor, Features]:
        with table.passes():
            return table.players[judge](x)

    def _classifier_loss(self, table: Table) -> Iterator[Summand]:
        x, labels = self._reals(table)
        logits, seen = self._seen(table, CLASSIFIER, x)
        table.leave(CENTRES, (seen.detach(), labels))
        yield Summand(cross_entropy(logits, labels, reduction="none"))

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        """Fakes of either kind count half: as many reals as fakes."""
        made = self._made(table)
        real, *fakes = (
            self._seen(table, CRITIC, x)[0].flatten(0)
            for x in (self._reals(table)[0], made.rebuilt.detach(), made.drawn.detach())
        )
        for fake in fakes:
            yield Summand(self.loss.critic(real, fake), 0.5)

    def _coder_loss(self, table: Table) -> Iterator[Summand]:
        (x, _), made, weights = self._reals(table), self._made(table), self.weights
        yield Summand(divergence(made.mean, made.log_variance), weights.divergence_weight)
        pairs = far(x, made.rebuilt)
        drawn: dict[str, Features] = {}
        for judge in (CRITIC, CLASSIFIER):
            with torch.no_grad():
                real = self._seen(table, judge, x)[1]
            pairs = pairs + far(real, self._seen(table, judge, made.rebuilt)[1])
            drawn[judge] = self._seen(table, judge, made.drawn)[1]
            if judge == CRITIC:
                yield Summand(means_apart(real, drawn[judge]), weights.mean_weight)
        yield Summand(pairs, weights.pair_weight)
        centres, met = (table.memory[name] for name in (CENTRES, MET))
        apart = classes_apart(centres, met, drawn[CLASSIFIER], made.asked)
        yield Summand(apart, weights.class_mean_weight)

    def fitted(self, players: Players, data: Data) -> LabelledSampler:
        coder = players[CODER].eval()
        assert isinstance(coder, Coder)
        return LabelledSampler(coder, self.shape, data.classes)

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> LabelledSampler:
        players = self.players(data, None)
        load_weights(players[CODER], dict(tensors), "model")
        return self.fitted(players, data)


@torch.no_grad()
def _follow(table: Table) -> None:
    """The centre of the classifier's features of each class of the batch: the first mean, then a
    moving average.
    """
    seen, labels = table.once(CENTRES, tuple)
    memory, classes = table.memory, table.data.classes
    if CENTRES not in memory:
        memory[CENTRES] = seen.new_zeros(classes, seen.shape[1])
        memory[MET] = torch.zeros(classes, dtype=torch.bool, device=seen.device)
    centres, met = memory[CENTRES].clone(), memory[MET].clone()
    for label in labels.unique().tolist():
        mean = seen[labels == label].mean(0)
        centres[label] = mean.lerp(centres[label], KEPT) if bool(met[label]) else mean
        met[label] = True
    memory[CENTRES], memory[MET] = centres, met
