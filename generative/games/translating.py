"""What the games of translators share: the fitted model, and data of two domains."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError
from bench.core.randomness import forked
from generative.contracts import Data, Direction, Translator, TwoDomains
from generative.samplers import load_weights

CHUNK = 64
SLOWED = 0.5
"""The weight of a critic's loss, by which pix2pix and CycleGAN slow their critics."""


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
