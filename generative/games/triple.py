"""Triple-GAN (Li et al. 2017, arXiv:1703.02291): a classifier as a third player, and a critic of
pairs of an example and a class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.classcritics import ClassForm, log_classes
from generative.classheads import Grounded
from generative.conditioning import LabelledCode, Projected
from generative.contracts import (
    Batches,
    Codes,
    ConditionalSampler,
    Data,
    LabelledBatches,
    Labeller,
    Labels,
    Loss,
)
from generative.games.base import Game, Memory, Move, Players, Summand, Table
from generative.games.sorting import entropy
from generative.games.supervised import CLASSIFIER
from generative.games.taught import TOLD, Learning, labelled, missed
from generative.games.turns import CRITIC, GENERATOR
from generative.protocols.base import Protocol
from generative.samplers import ConditionalGeneratorSampler, load, load_weights
from generative.training import SHARE, WEIGHT

FEATURES = 128
"""Of the critic, on which a class projects."""
BEGUN = 0.3
"""The share of the training after which the classifier learns from what is drawn."""
ClassLogits = Float[Tensor, "n classes"]


class PairCritic(Projected):
    """Logits of pairs of an example and a class; with `every=True` of each example with each class,
    [n, classes].
    """

    def forward(self, x: Tensor, labels: Labels | None = None) -> Tensor:
        seen = self.activation(self.network(x))
        every = self.score(seen) + self.classes(seen)
        return every if labels is None else every.gather(1, labels[:, None]).flatten(0)


@dataclass(frozen=True)
class Weights:
    """Of what the classifier minimises beside the cross-entropy of labelled examples: the entropy
    of what it says of others, how far what it says of all is from every class alike, and the
    cross-entropy of drawn examples under the class that was asked for. pseudo_share: of what the
    critic takes for real, the share of examples under the class that the classifier says.
    """

    entropy_weight: Annotated[float, WEIGHT] = 0.3
    average_weight: Annotated[float, WEIGHT] = 1e-3
    drawn_weight: Annotated[float, WEIGHT] = 0.1
    pseudo_share: Annotated[float, SHARE] = 0.5


def deceiving(said: ClassLogits, costs: ClassLogits) -> Float[Tensor, " n"]:
    """sum_y p_c(y | x) cost(x, y) of examples without a class: less where the classifier puts its
    mass on classes with which the critic takes the example for real. said: its logits; costs: what
    a generator would pay for such a pair, -log D(x, y).
    """
    return (said.softmax(1) * costs).sum(1)


def unlike_all(said: ClassLogits) -> Float[Tensor, ""]:
    """The cross-entropy of every class alike under the mean of p_c(y | x) over the batch, in nats;
    least, log K, where every class is said as often.
    """
    mean = torch.log_softmax(said, 1).logsumexp(0) - torch.log(torch.tensor(float(len(said))))
    return -mean.mean()


class TripleSampler(ConditionalSampler, Labeller):
    """A generator that is told the class, and the classifier."""

    def __init__(self, own: ConditionalGeneratorSampler, classifier: nn.Module) -> None:
        self.own, self.prior, self.classes = own, own.prior, own.classes
        self._classifier = classifier.eval()

    def sample(self, n: int, rng: torch.Generator, condition: Labels | None = None) -> Tensor:
        return self.own.sample(n, rng, condition)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self.own.codes(n, rng)

    def decode(self, z: Codes, condition: Labels | None = None) -> Tensor:
        return self.own.decode(z, condition)

    def classify(self, x: Tensor) -> Tensor:
        return log_classes(self._classifier, x)

    def tensors(self) -> dict[str, Tensor]:
        own = self._classifier.state_dict().items()
        return {**self.own.tensors(), **{f"{CLASSIFIER}.{k}": v.detach() for k, v in own}}


@dataclass(frozen=True)
class Triple(Game):
    """Critic D, classifier C and generator G in turn. D minimises

        sum of w_r (-log D(real)) + 1/2 (-log(1 - D(x, y_c))) + 1/2 (-log(1 - D(G(z, y), y))),

    its reals labelled examples and, for `pseudo_share` of w, others under the class that C finds
    likeliest; y_c is drawn from p_c(y | x) of others again. C minimises the cross-entropy of
    labelled examples, and 1/2 sum_y p_c(y | x) (-log D(x, y)) of others beside the summands of
    `Weights`; G minimises 1/2 (-log D(G(z, y), y)) for classes drawn evenly.

    As the authors' code has it (its objective "integrate", and pseudo-labels that D takes for
    real), where the paper's Algorithm 1 has log(1 - D) for C and G. Deviations: the critic projects
    on the class (Miyato & Koyama 2018), theirs sees it in every layer, and noise; D's y_c is drawn,
    and not summed over; C learns from what is drawn after .3 of the training, theirs after epoch
    300 of 1,000; no pre-training of C, and no average of its weights; optimisers are the
    protocol's. dropout: of hidden values of C.
    """

    loss: Loss
    learning: Learning
    weights: Weights
    protocol: Protocol
    shape: tuple[int, ...]
    dropout: float = 0.0

    @property
    def moves(self) -> tuple[Move, ...]:
        rules = self.protocol
        return (
            Move(CRITIC, self._critic_loss, rules.critic_adam),
            Move(CLASSIFIER, self._classifier_loss, rules.critic_adam, fresh=False),
            Move(
                GENERATOR,
                self._generator_loss,
                rules.generator_adam,
                fresh=not rules.shared,
                average=rules.average,
            ),
        )

    def players(self, data: Data, rng: torch.Generator | None) -> Players:
        rules, classes = self.protocol, data.classes
        making = rules.generator.generator(rules.latent + classes, self.shape)
        judging = rules.critic.encoder(self.shape, FEATURES)
        form = ClassForm(classes, Grounded(), dropout=self.dropout)
        found = {
            GENERATOR: LabelledCode(making, classes),
            CRITIC: PairCritic(judging, FEATURES, classes),
            CLASSIFIER: form.build(rules.critic, rules.generator, self.shape),
        }
        if rng is not None:
            rules.initialise(found[GENERATOR], found[CRITIC], rng)
            rules.initialise(nn.Identity(), found[CLASSIFIER], rng)
        return {role: network.to(data.device) for role, network in found.items()}

    def batches(self, data: Data) -> Batches | LabelledBatches:
        return data.batches()

    def memory(self, data: Data, rng: torch.Generator) -> Memory:
        told: Any = data.labelled_batches()
        return Memory(data.device, **{TOLD: told})

    def _others(self, table: Table, name: str) -> Tensor:
        """A batch without classes."""
        return table.once(name, lambda: table.batches.next(self.protocol.batch))

    def _made(self, table: Table) -> tuple[Tensor, Labels]:
        """New examples, and the classes that were asked for."""

        def draw() -> tuple[Tensor, Labels]:
            n, rng = self.protocol.batch, table.rng
            codes = self.protocol.codes(n, rng)
            asked = torch.randint(table.data.classes, (n,), generator=rng, device=rng.device)
            kept = table.attached or table.keeps or table.mover == GENERATOR
            with torch.set_grad_enabled(kept), table.passes():
                return table.players[GENERATOR](codes, asked).float(), asked

        return table.once("made", draw)

    def _said(self, table: Table, x: Tensor) -> ClassLogits:
        with table.passes():
            return table.players[CLASSIFIER](x, classes=True).float()

    def _judged(self, table: Table, x: Tensor, labels: Labels | None = None) -> Tensor:
        with table.passes():
            return table.players[CRITIC](x, labels).float()

    def _critic_loss(self, table: Table) -> Iterator[Summand]:
        x, labels = labelled(table, self.protocol.batch)
        known, other = self._others(table, "pseudo"), self._others(table, "others")
        made, asked = self._made(table)
        with torch.no_grad():
            likeliest = self._said(table, known).argmax(1)
            shares = self._said(table, other).softmax(1)
        drawn = torch.multinomial(shares, 1, generator=table.rng).flatten(0)
        pseudo = self.weights.pseudo_share
        reals = ((x, labels, 1 - pseudo), (known, likeliest, pseudo))
        fakes = ((other, drawn), (made.detach(), asked))
        of_fakes = [self._judged(table, *pair) for pair in fakes]
        for *pair, share in reals:
            if share:
                of_real = self._judged(table, *pair)
                for of_fake in of_fakes:
                    yield Summand(self.loss.critic(of_real, of_fake), share / 2)

    def _classifier_loss(self, table: Table) -> Iterator[Summand]:
        x, labels = labelled(table, self.protocol.batch)
        if weight := self.learning.class_weight:
            yield Summand(missed(self._said(table, x), labels), weight)
        if weight := self.learning.unlabelled_weight:
            for value, own in self._of_others(table):
                yield Summand(value, weight * own)

    def _of_others(self, table: Table) -> Iterator[Summand]:
        """What the classifier learns from examples without a class, and from what is drawn."""
        other, weights = self._others(table, "others"), self.weights
        said = self._said(table, other)
        with torch.no_grad():
            judged = self._judged(table, other)
            costs = self.loss.generator(judged.flatten(), judged.flatten()).view_as(judged)
        yield Summand(deceiving(said, costs), 0.5)
        yield Summand(entropy(said), weights.entropy_weight)
        yield Summand(unlike_all(said), weights.average_weight)
        if weights.drawn_weight and table.progress >= BEGUN:
            made, asked = self._made(table)
            yield Summand(missed(self._said(table, made.detach()), asked), weights.drawn_weight)

    def _generator_loss(self, table: Table) -> Iterator[Summand]:
        judged = self._judged(table, *self._made(table))
        yield Summand(self.loss.generator(judged, judged), 0.5)

    def fitted(self, players: Players, data: Data) -> TripleSampler:
        own = ConditionalGeneratorSampler(
            players[GENERATOR], players[CRITIC], self.protocol, self.shape, data.classes
        )
        return TripleSampler(own, players[CLASSIFIER])

    def restored(self, data: Data, tensors: Mapping[str, Tensor]) -> TripleSampler:
        players, start = self.players(data, None), f"{CLASSIFIER}."
        own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        rest = {k: v for k, v in tensors.items() if not k.startswith(start)}
        load(rest, players[GENERATOR], players[CRITIC])
        load_weights(players[CLASSIFIER], own, CLASSIFIER)
        return self.fitted(players, data)
