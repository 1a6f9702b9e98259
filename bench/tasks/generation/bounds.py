"""A model with latent variables as metrics see one: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from bench.core.randomness import stream
from bench.datasets import Source
from bench.suites.cell import Cell
from bench.tasks.generation.featurescores import Named
from bench.tasks.values import scored_by
from generative import Fitted, LatentSampler

CHUNK = 500
EXAMPLES = 1_000


def bounds(held_out: np.ndarray, fitted: Fitted, cell: Cell, device: str) -> Iterator[Named]:
    """What a model with a bound says of the first held-out examples; nothing of others."""
    if not isinstance(fitted, LatentSampler):
        return
    bound = Bound(fitted, device, (cell.cell_id, cell.seed))
    for entry in scored_by(("latent",)):
        yield entry.name, entry.part(held_out[:EXAMPLES], bound), ""


def held_out_of(source: Source, cell: Cell, device: str, n: int = EXAMPLES) -> np.ndarray:
    """Examples that no model of a cell's seed trained on; device: that they are drawn on."""
    rng = stream("data", cell.fingerprint, cell.seed, "held-out", device=device)
    return source.fresh(n, rng).cpu().numpy()


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
