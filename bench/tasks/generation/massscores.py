"""What a model says of images by itself: how probable they are, and what a sample of it takes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bench.tasks.generation.featurescores import Named
from bench.tasks.values import scored_by
from generative import MassSampler, Sampler

PASSES, MASSES = "sampled", "masses"


def scored_masses(fitted: Sampler, held_out: Tensor, rng: torch.Generator) -> Iterator[Named]:
    """Of any model its passes for a sample; of one that has probabilities those of images
    [n, c, h, w].
    """
    for entry in scored_by((PASSES,)):
        yield entry.name, entry.part(None, fitted.passes), ""
    if isinstance(fitted, MassSampler):
        masses = fitted.log_mass(held_out, rng).cpu().double().numpy()
        for entry in scored_by((MASSES,)):
            yield entry.name, entry.part(held_out.cpu().numpy(), masses), ""
