"""A critic that tells generators apart (MAD-GAN, Ghosh et al. 2018): which one drew a fake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from torch import Tensor, nn

from generative.contracts import RECIPES
from generative.generators.several import shares
from generative.networks import Network, Shape
from generative.parts import CRITICS, TERMS, CriticForm, Prior, Priored, Sight, Switchable, Term
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT, Bounds


class Classes(nn.Module):
    """Of k + 1 outputs, one for each generator and one for the data: as a logit the log-odds of the
    data against all generators, as features the outputs of the generators, [n, k].
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor, features: bool = False) -> Any:
        outputs = self.body(x).flatten(1)
        told, data = outputs[:, :-1], outputs[:, -1]
        logits = data - told.logsumexp(1)
        return (logits, told) if features else logits


@dataclass(frozen=True)
class TellingCritic(CriticForm, Switchable):
    """The layers of the protocol's critic with an output for each of `generators` more."""

    generators: Annotated[int, Bounds(1, 64)] = 4

    @property
    def off(self) -> bool:
        return self.generators == 1

    def build(self, critic: Network, generator: Network, shape: Shape) -> nn.Module:
        return Classes(critic.encoder(shape, self.generators + 1))


@dataclass(frozen=True)
class Telling(Term, Priored):
    """The cross-entropy of the generator that drew a fake, among the generators: with the critic's
    own loss the cross-entropy over all classes. Deviation: fakes of all generators together are as
    many as reals, not each generator's.
    """

    telling_weight: Annotated[float, WEIGHT] = 1.0
    generators: Annotated[int, Bounds(1, 64)] = 4
    prior: Prior = "normal"

    def of_prior(self, prior: Prior) -> Telling:
        return replace(self, prior=prior)

    @property
    def weight(self) -> float:
        return self.telling_weight if self.generators > 1 else 0.0

    def __call__(self, sight: Sight) -> Tensor:
        told = sight.of_fake[1].log_softmax(1)
        place, _ = shares(sight.codes, self.generators, self.prior)
        return -told.gather(1, place.to(told.device)[:, None])[:, 0]


CRITICS.register(
    "generator-classes",
    paper="arXiv:1704.02906",
    summary="Classes: the data, and each of several generators",
)(TellingCritic())

TERMS.register(
    "telling",
    paper="arXiv:1704.02906",
    summary="Which generator drew a fake is told from it (MAD-GAN)",
    player="critic",
    features=True,
)(Telling())

RECIPES.register(
    "mad-gan",
    paper="arXiv:1704.02906",
    summary="Several generators, told apart by the critic (Ghosh et al. 2018)",
    parts=("minimax", "several", "generator-classes", "telling"),
)(Adversarial("minimax", generator="several", critic="generator-classes", terms="telling"))
