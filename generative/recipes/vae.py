"""The variational autoencoder (Kingma & Welling 2014), with a Gaussian decoder."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from bench.core.randomness import stream
from generative.contracts import (
    RECIPES,
    Autoencoder,
    Data,
    LatentSampler,
    PerExample,
    Sampler,
)
from generative.games.encoding import CodedSampler, Coder, Objective
from generative.recipes.encoding import Encoding

VARIANCE_FLOOR = 1e-6
VARIANCE_PACE = 0.01
VARIANCE_EXAMPLES = 4_000
VARIANCE_CHUNK = 1_000
WARM_UP = 0.2
LOG_VARIANCE_BOUND = 20.0


def posterior(coder: Coder, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance of q(z|x), [n, latent] each."""
    mean, log_variance = coder.encoder(x).chunk(2, dim=1)
    return mean, log_variance.clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)


def divergence(mean: Tensor, log_variance: Tensor) -> PerExample:
    """KL(N(mean, variance) || N(0, I)) in nats, [n] (appendix B)."""
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2


def log_gaussian(x: Tensor, mean: Tensor, variance: Tensor) -> PerExample:
    """Log density of x under a Gaussian of one variance in every direction, in nats, [n]."""
    squares = (x - mean).flatten(1).square()
    constant = torch.log(variance) + log(2 * pi)
    return -(squares.sum(1) / variance + squares.shape[1] * constant) / 2


@dataclass(frozen=True)
class Elbo(Objective):
    """Minus the evidence lower bound, by one reparameterised draw (equation 10 with L = 1).

    The decoder is N(D(z), s^2 I). Deviation: s^2 is no network's output but one number for all
    pixels, kept at the value that maximises the bound, the mean squared error (Rybkin et al.
    2021), followed by a moving average over 100 steps. The divergence is weighed in over the
    first fifth of the training (Bowman et al. 2016), without which the codes of narrow modes
    collapse onto the prior and stay there. noisy: whether samples are drawn from the decoder,
    or are its means.
    """

    noisy: bool

    @property
    def outputs(self) -> int:
        return 2

    def loss(self, coder: Coder, x: Tensor, rng: torch.Generator, progress: float) -> PerExample:
        mean, log_variance = posterior(coder, x)
        noise = torch.randn(mean.shape, generator=rng, device=x.device)
        decoded = coder.decoder(mean + (log_variance / 2).exp() * noise)
        error = (x - decoded.detach()).square().mean().clamp(min=VARIANCE_FLOOR)
        first = coder.variance == 0
        coder.variance.lerp_(error, torch.where(first, 1.0, VARIANCE_PACE))
        weight = min(1.0, progress / WARM_UP)
        return weight * divergence(mean, log_variance) - log_gaussian(x, decoded, coder.variance)

    def settle(self, coder: Coder, data: Data) -> None:
        """Codes are drawn from the prior; the decoder's variance is estimated anew, over the first
        4,000 training examples and one draw of z for each.
        """
        rng, errors = stream("vae variance", device=data.device), []
        for x in data.training[:VARIANCE_EXAMPLES].split(VARIANCE_CHUNK):
            mean, log_variance = posterior(coder, x)
            noise = torch.randn(mean.shape, generator=rng, device=x.device)
            decoded = coder.decoder(mean + (log_variance / 2).exp() * noise)
            errors.append((x - decoded).flatten(1).square().mean(1))
        coder.variance.copy_(torch.cat(errors).mean().clamp(min=VARIANCE_FLOOR))

    def encode(self, coder: Coder, x: Tensor) -> Tensor:
        return posterior(coder, x)[0]

    def fitted(self, coder: Coder, box: tuple[float, float] | None) -> Sampler:
        means = CodedSampler(coder, self)
        return Vae(coder, means, box) if self.noisy else means


class Vae(LatentSampler, Autoencoder):
    """Samples are drawn from the decoder, and clipped to the data's box."""

    def __init__(self, coder: Coder, means: CodedSampler, box: tuple[float, float] | None) -> None:
        self._coder, self._means, self._box = coder, means, box

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        means = self._means.sample(n, rng)
        noise = torch.randn(means.shape, generator=rng, device=rng.device)
        samples = means + self._coder.variance.sqrt() * noise
        return samples if self._box is None else samples.clamp(*self._box)

    def codes(self, n: int, rng: torch.Generator) -> Tensor:
        return self._means.codes(n, rng)

    def encode(self, x: Tensor) -> Tensor:
        return self._means.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        return self._means.decode(z)

    def elbo(self, x: Tensor, rng: torch.Generator) -> tuple[PerExample, PerExample]:
        with torch.inference_mode():
            mean, log_variance = posterior(self._coder, x)
            noise = torch.randn(mean.shape, generator=rng, device=x.device)
            decoded = self._coder.decoder(mean + (log_variance / 2).exp() * noise)
            expected = log_gaussian(x, decoded, self._coder.variance)
            return expected.clone(), divergence(mean, log_variance).clone()

    def importance_log_prob(self, x: Tensor, rng: torch.Generator, samples: int) -> PerExample:
        with torch.inference_mode():
            mean, log_variance = posterior(self._coder, x)
            weights = []
            for _ in range(samples):
                noise = torch.randn(mean.shape, generator=rng, device=x.device)
                z = mean + (log_variance / 2).exp() * noise
                given_z = log_gaussian(x, self._coder.decoder(z), self._coder.variance)
                prior = -z.square().sum(1) / 2
                proposal = -(noise.square() + log_variance).sum(1) / 2
                weights.append((given_z + prior - proposal).double())
            return torch.stack(weights).logsumexp(0) - log(samples)

    def tensors(self) -> dict[str, Tensor]:
        return self._means.tensors()


RECIPES.register(
    "vae",
    paper="arXiv:1312.6114",
    summary="Variational autoencoder, samples with the decoder's noise (Kingma & Welling 2014)",
    role="baseline",
    encodes=True,
)(Encoding(Elbo(noisy=True)))

RECIPES.register(
    "vae-mean",
    paper="arXiv:1312.6114",
    summary="The same, samples without noise: the decoder's means",
    role="baseline",
    encodes=True,
)(Encoding(Elbo(noisy=False)))
