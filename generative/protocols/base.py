"""A protocol: networks, initialisation, optimisers, batch and steps, as one paper fixed them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.registry import Entry, NoFacts, Registry
from generative.networks import NETWORKS, Initialisation, Network
from generative.streams import Streams
from generative.training import ANY, RATE, STEPS, Bounds, Setting, Training, told


@dataclass(frozen=True)
class Adam:
    """The settings of Adam (Kingma & Ba 2015)."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


@dataclass(frozen=True)
class Momentum:
    """Stochastic gradient descent with momentum, as the 2014 paper has it: the momentum goes from
    `start` to `end` in a straight line over `over` steps, the rate falls by `decay` at each.
    """

    lr: float
    start: float = 0.5
    end: float = 0.7
    over: int = 1
    decay: float = 1.0


Optimiser = Adam | Momentum
RATES = {name: Setting(float, None, RATE) for name in ("generator_lr", "critic_lr")}
"""Settings of every protocol: the rates of its players."""
LAYERS = {f"{player}_network": Setting(str, None, ANY) for player in ("generator", "critic")}
"""Settings of trainings that draw samples: layers by name in the place of the protocol's."""
Prior = Literal["normal", "uniform"]


R = TypeVar("R", bound="Rated")


class Rated:
    """A protocol whose players have an optimiser each, and a training may say the rates of both."""

    generator_adam: Any
    critic_adam: Any

    @property
    def generator_lr(self) -> float:
        """The generator's rate."""
        return self.generator_adam.lr

    @property
    def critic_lr(self) -> float:
        """The critic's rate."""
        return self.critic_adam.lr

    def told(self: R, settings: Mapping[str, Any]) -> R:
        """With what a training says in the place of what it says itself."""
        record: Any = told(self, settings)
        for player in ("generator", "critic"):
            rate, adam = f"{player}_lr", f"{player}_adam"
            if rate in settings:
                lr = RATES[rate].checked(rate, settings[rate])
                record = replace(record, **{adam: replace(getattr(record, adam), lr=lr)})
        return record


@dataclass(frozen=True)
class Protocol(Rated):
    """Everything about a GAN's training but its loss.

    latent: dimensions of z. prior: of z, N(0, I) or uniform on [-1, 1]. batch: real examples per
    step. steps: generator steps of a full training. critic_steps: critic steps before each
    generator step. average: the model that samples is the exponential moving average of the
    generator's weights with this decay (Yazici et al. 2019, arXiv:1806.04498), begun afresh until 1
    / (1 - average) steps have been made; 0 is the generator itself. bare: how a critic that goes
    without batch norm starts, as the others where None. shared: the generator learns from the fakes
    that its critic has just seen, and not from new ones: one pass less. milliseconds: what one
    generator step took on one core of 2025; only a forecast. deviations: where this differs from
    its source.
    """

    generator: Network
    critic: Network
    initialisation: Initialisation
    generator_adam: Optimiser
    critic_adam: Optimiser
    latent: Annotated[int, Bounds(1, 10_000)]
    batch: Annotated[int, Bounds(2, 1_000_000)]
    steps: Annotated[int, STEPS]
    critic_steps: Annotated[int, Bounds(1, 1_000)] = 1
    average: float = 0.0
    milliseconds: float = 5.0
    deviations: str = ""
    prior: Prior = "normal"
    bare: Initialisation | None = None
    shared: bool = False

    def initialise(self, generator: nn.Module, critic: nn.Module, rng: torch.Generator) -> None:
        """Draw the weights of both."""
        self.initialisation.apply(generator, rng)
        self.initialise_critic(critic, rng)

    def initialise_critic(self, critic: nn.Module, rng: torch.Generator) -> None:
        """Draw the weights of a critic whose rival starts by itself."""
        bare = None if self.critic.mixes else self.bare
        (bare or self.initialisation).apply(critic, rng)

    def codes(self, n: int, rng: torch.Generator | Streams) -> Tensor:
        """`n` draws of z, [n, latent], on the generator's device; of several streams those of each,
        in turn, [n * streams, latent].
        """
        if isinstance(rng, Streams):
            return rng.beside(partial(self.codes, n))
        if self.prior == "uniform":
            return torch.rand(n, self.latent, generator=rng, device=rng.device) * 2 - 1
        return torch.randn(n, self.latent, generator=rng, device=rng.device)

    def refuse(self, shape: tuple[int, ...]) -> None:
        """Raise UsageError where its networks can't take examples of this shape."""
        with torch.device("meta"):
            self.generator.generator(self.latent, shape)
            self.critic.encoder(shape, 1)


PROTOCOLS: Registry[Protocol, NoFacts] = Registry("protocol", NoFacts, listed_as="protocols")


def protocol_of(training: Training, read: Collection[str] = tuple(LAYERS)) -> Entry[Protocol, Any]:
    """The protocol of a training, with the networks that it names. read: the settings that count.
    Raises UsageError for a name that stands for no network.
    """
    entry, networks = PROTOCOLS[training.protocol], _networks(training, read)
    changed = {name.removesuffix("_network"): each.part for name, each in networks.items()}
    return replace(entry, part=replace(entry.part, **changed)) if changed else entry


def layers_said(training: Training, read: Collection[str] = tuple(LAYERS)) -> dict[str, str]:
    """The networks that a training names: they stand on the rows."""
    said = training.settings
    return {name: said[name] for name in LAYERS if name in said and name in read}


def layer_modules(training: Training, read: Collection[str] = tuple(LAYERS)) -> tuple[str, ...]:
    """The modules of the networks that it names."""
    found = _networks(training, read).values()
    return tuple(dict.fromkeys(m for e in found for m in (e.origin, type(e.part).__module__)))


def _networks(training: Training, read: Collection[str]) -> dict[str, Entry[Network, NoFacts]]:
    found = {}
    for name, chosen in layers_said(training, read).items():
        entry = NETWORKS[chosen]
        if not isinstance(entry.part, Network):
            kind = type(entry.part).__name__
            raise UsageError(f"{name} '{chosen}' is a {kind}: expected a generative.Network")
        found[name] = entry
    return found
