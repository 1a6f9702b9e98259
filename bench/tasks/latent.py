"""A model with latent variables as metrics see one: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bench.randomness import stream
from generative import LatentSampler

CHUNK = 500


@dataclass(frozen=True)
class Bound:
    """The bounds of a model, with randomness that the cell's name and seed decide."""

    model: LatentSampler
    device: str
    purpose: tuple[str | int, ...]

    def _parts(self, x: np.ndarray) -> tuple[torch.Tensor, ...]:
        return torch.from_numpy(x).to(self.device).split(CHUNK)

    def elbo(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected log-likelihood and divergence of each example, [n] each, in nats."""
        rng = stream(*self.purpose, "elbo", device=self.device)
        terms = [self.model.elbo(part, rng) for part in self._parts(x)]
        expected, divergence = (
            torch.cat(t).cpu().double().numpy() for t in zip(*terms, strict=True)
        )
        return expected, divergence

    def importance_log_prob(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Importance-sampled log-likelihood of each example, [n], in nats."""
        rng = stream(*self.purpose, "importance", device=self.device)
        parts = [self.model.importance_log_prob(part, rng, samples) for part in self._parts(x)]
        return torch.cat(parts).cpu().double().numpy()
