"""A protocol: networks, initialisation, optimisers, batch and steps, as one paper fixed them."""

from __future__ import annotations

from dataclasses import dataclass

from bench.registry import NoFacts, Registry
from generative.networks import Initialisation, Mlp


@dataclass(frozen=True)
class Adam:
    """The settings of Adam (Kingma & Ba 2015)."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8


@dataclass(frozen=True)
class Protocol:
    """Everything about a GAN's training but its loss.

    latent: dimensions of z, from N(0, I). batch: real examples per step. steps: generator
    steps of a full training. critic_steps: critic steps before each generator step.
    milliseconds: what one generator step took on one core of 2025; only a forecast.
    deviations: where this differs from its source.
    """

    generator: Mlp
    critic: Mlp
    initialisation: Initialisation
    generator_adam: Adam
    critic_adam: Adam
    latent: int
    batch: int
    steps: int
    critic_steps: int = 1
    milliseconds: float = 5.0
    deviations: str = ""


PROTOCOLS: Registry[Protocol, NoFacts] = Registry("protocol", NoFacts, listed_as="protocols")
