"""Context encoders: what is hidden of a picture, by way of a code of what is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from generative.contracts import Completer, Data
from generative.holes import drawn
from generative.networks import Network, Shape
from generative.protocols.base import Protocol
from generative.samplers import drawn_in_parts
from generative.training import ANY, Bounds

GENERATOR = "generator"
GREY = 0.5
"""What stands where pixels are hidden: the middle of their range."""
CHUNK = 256


@dataclass(frozen=True)
class Context:
    """What is hidden in training, `centre` or `blocks`, and how many numbers the code has that all
    of a picture has to pass. Deviation: the paper's have 4,000, of pictures of 128 x 128.
    """

    hole: Annotated[str, ANY] = "centre"
    bottleneck: Annotated[int, Bounds(1, 100_000)] = 128

    def build(self, protocol: Protocol, shape: Shape) -> nn.Module:
        """Pictures [n, *shape] with grey holes to whole ones, of a protocol's layers: an encoder of
        its critic's, a decoder of its generator's. Raises UsageError for a shape that they can't
        take.
        """
        encoder: Network = protocol.critic
        return nn.Sequential(
            encoder.encoder(shape, self.bottleneck),
            nn.ReLU(),
            protocol.generator.generator(self.bottleneck, shape),
        )


def hidden(x: Tensor, known: Tensor) -> Tensor:
    """Pictures [n, c, h, w] with grey where pixels are not known, known [h, w] or [n, 1, h, w]."""
    return torch.where(known, x, torch.full_like(x, GREY))


class Completing(Completer):
    """A trained context encoder. What it samples are training pictures with a hole like those that
    it was trained on, completed.
    """

    def __init__(self, network: nn.Module, hole: str, data: Data) -> None:
        self._network, self._hole, self._data = network.eval(), hole, data

    def complete(self, x: Tensor, known: Tensor) -> Tensor:
        with torch.inference_mode():
            masks = known.expand(len(x), 1, *x.shape[2:])
            parts = zip(x.split(CHUNK), masks.split(CHUNK), strict=True)
            made = [torch.where(m, p, self._network(hidden(p, m)).float()) for p, m in parts]
            return torch.cat(made).clone()

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return drawn_in_parts(n, self._data.shape, lambda size: self._drawn(size, rng))

    def _drawn(self, n: int, rng: torch.Generator) -> Tensor:
        training = self._data.training
        chosen = torch.randint(len(training), (n,), generator=rng, device=rng.device)
        known = drawn(self._hole, n, self._data.shape[1:], rng)[:, None]
        return self.complete(training[chosen.to(training.device)], known)

    def tensors(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self._network.state_dict().items()}
