"""Networks that infer codes: what an encoder's outputs mean, and models that have one beside a
generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generative.contracts import Autoencoder, Codes, Contested, Logits, PerExample
from generative.networks import Network, Shape
from generative.samplers import GeneratorSampler, load, load_weights

ENCODER = "encoder"
LOG_VARIANCE_BOUND = 20.0


@dataclass(frozen=True)
class Inference:
    """What an encoder says of an example x.

    spread: whether it gives the mean and the log variance of a Gaussian q(z|x), independent in
    every direction; else its output is the code.
    """

    spread: bool

    def build(self, network: Network, shape: Shape, latent: int) -> nn.Module:
        """Examples [n, *shape] to [n, outputs], without batch norm, as PyTorch initialises it.
        Raises UsageError for a shape that these layers can't take.
        """
        return network.unmixed().encoder(shape, latent * (2 if self.spread else 1))

    def moments(self, outputs: Tensor) -> tuple[Codes, Codes]:
        """Mean and log variance of q(z|x), [n, latent] each, of a Gaussian encoder's outputs."""
        mean, log_variance = outputs.chunk(2, dim=1)
        return mean, log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)

    def mean(self, outputs: Tensor) -> Codes:
        """The code that stands for an example, [n, latent]."""
        return self.moments(outputs)[0] if self.spread else outputs

    def drawn(self, outputs: Tensor, rng: torch.Generator) -> Codes:
        """A draw from q(z|x) each, with a graph to the outputs; the code itself where there is no
        spread, which draws nothing.
        """
        if not self.spread:
            return outputs
        mean, log_variance = self.moments(outputs)
        noise = torch.randn(mean.shape, generator=rng, device=mean.device)
        return mean + (log_variance / 2).exp() * noise


def divergence(mean: Codes, log_variance: Codes) -> PerExample:
    """KL(N(mean, variance) || N(0, I)) in nats, [n]."""
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2


class InferringSampler(Autoencoder):
    """A trained generator, and the encoder that was trained beside it: samples are decoded draws of
    the generator's prior, a code is what the encoder expects. `decode` has a graph where its
    argument asks for one.
    """

    def __init__(self, own: GeneratorSampler, encoder: nn.Module, inference: Inference) -> None:
        self._own, self._encoder, self._inference = own, encoder.eval(), inference
        self.prior = own.prior

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._own.sample(n, rng)

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self._own.codes(n, rng)

    def decode(self, z: Codes) -> Tensor:
        return self._own.decode(z)

    def encode(self, x: Tensor) -> Codes:
        with torch.inference_mode():
            return self._inference.mean(self._encoder(x)).clone()

    def tensors(self) -> dict[str, Tensor]:
        encoder = self._encoder.state_dict()
        own = {f"{ENCODER}.{key}": value.detach() for key, value in encoder.items()}
        return {**self._own.tensors(), **own}


class ContestedInferrer(InferringSampler, Contested):
    """One whose generator was trained against a critic of examples alone."""

    def logits(self, x: Tensor) -> Logits:
        return self._own.logits(x)


def load_inferrer(
    tensors: dict[str, Tensor], generator: nn.Module, critic: nn.Module | None, encoder: nn.Module
) -> None:
    """Put back what `InferringSampler.tensors` gave. Raises UsageError for weights of another
    architecture, and for those of a model that has no encoder.
    """
    start = f"{ENCODER}."
    own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
    load({k: v for k, v in tensors.items() if not k.startswith(start)}, generator, critic)
    load_weights(encoder, own, ENCODER)
