"""What the trainers of translators share: the fitted model, losses of patches, a schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.randomness import forked
from generative.contracts import Data, Direction, Loss, Translator, TwoDomains
from generative.protocols.base import Adam
from generative.protocols.translation import TranslationProtocol
from generative.samplers import load_weights
from generative.trainers.optimisers import optimiser

CHUNK = 64


class NetworkTranslator(Translator):
    """Generators by direction, in evaluation mode but for what is their noise."""

    def __init__(self, networks: Mapping[Direction, nn.Module]) -> None:
        self._networks = {direction: network.eval() for direction, network in networks.items()}
        self.directions: tuple[Direction, ...] = tuple(networks)

    def translate(
        self, x: Tensor, rng: torch.Generator, direction: Direction = "forward"
    ) -> Tensor:
        if direction not in self._networks:
            raise UsageError(
                f"this model translates {' and '.join(self._networks)} only, not {direction}"
            )
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        with torch.inference_mode(), forked(seed):
            parts = [self._networks[direction](part) for part in x.split(CHUNK)]
        return torch.cat(parts).clone()

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"{direction}.{name}": value.detach()
            for direction, network in self._networks.items()
            for name, value in network.state_dict().items()
        }


def restored(
    networks: Mapping[Direction, nn.Module], tensors: Mapping[str, Tensor]
) -> NetworkTranslator:
    """The translator that `tensors` described. Raises UsageError for another architecture."""
    for direction, network in networks.items():
        own = {
            name.removeprefix(f"{direction}."): value
            for name, value in tensors.items()
            if name.startswith(f"{direction}.")
        }
        load_weights(network, own, f"{direction} generator")
    return NetworkTranslator(networks)


def two_domains(data: Data) -> TwoDomains:
    """The data as two domains. Raises UsageError where they are one."""
    if not isinstance(data, TwoDomains):
        raise UsageError("a translator needs two domains of images, and these are one")
    return data


def critic_loss(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    """Half the mean over images and patches, as pix2pix and CycleGAN slow their critics."""
    return loss.critic(real.flatten().float(), fake.flatten().float()).mean() / 2


def generator_loss(loss: Loss, fake: Tensor) -> Tensor:
    """The mean over images and patches."""
    logits = fake.flatten().float()
    return loss.generator(logits, logits).mean()


def adam_of(networks: Sequence[nn.Module], adam: Adam) -> torch.optim.Optimizer:
    """One optimiser over the weights of several networks."""
    return optimiser(nn.ModuleList(networks), adam)


def slow_down(
    optimisers: Sequence[torch.optim.Optimizer],
    protocol: TranslationProtocol,
    rates: Sequence[float],
    progress: float,
) -> None:
    """Let the rates fall to 0 over the last part of the training."""
    left = 1.0 if not protocol.decay else min(1.0, max(0.0, (1 - progress) / protocol.decay))
    for one, rate in zip(optimisers, rates, strict=True):
        for group in one.param_groups:
            group["lr"] = rate * left
