"""Scores of what a model of images is made of: how its codes lead to images, what its layers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from bench.tasks.generation.featurescores import Named
from bench.tasks.values import scored_by
from generative import CodeReader, ConditionalSampler, Decoder, Sampler
from generative.spectra import spectrum
from generative.styles.sampler import StyleSampler
from generative.ways import STEP, stretches, style_stretches
from metrics import METRICS
from metrics.path_length import Paths
from metrics.spectrum import Spectrum

PATHS, SPECTRUM = "paths", "spectrum"
WAYS = 1_000
"""Ways between codes; 50,000 in the paper."""
OF_CODES, OF_STYLES = "path_length", "style_path_length"
Features = Callable[[Tensor], np.ndarray]
"""Images in [0, 1] to features."""


def of_ways(
    fitted: Sampler, features: Features, rng: torch.Generator
) -> Iterator[tuple[str, object]]:
    """How far features move between codes of a normal prior, and between styles where a model has
    them; nothing of a model that is told the class, or whose codes say one.
    """
    if not isinstance(fitted, Decoder) or isinstance(fitted, ConditionalSampler | CodeReader):
        return
    with torch.no_grad():
        if fitted.prior == "normal" and fitted.codes(1, rng).shape[1] > 1:
            yield OF_CODES, _paths(stretches(fitted, WAYS, rng), features)
        if isinstance(fitted, StyleSampler):
            yield OF_STYLES, _paths(style_stretches(fitted, WAYS, rng), features)


def _paths(ends: tuple[Tensor, Tensor], features: Features) -> Paths:
    first, second = (features(images) for images in ends)
    return Paths(first, second, STEP)


def scored_ways(
    fitted: Sampler, features: Features, tag: str, rng: torch.Generator
) -> Iterator[Named]:
    """The scores of them."""
    for name, paths in of_ways(fitted, features, rng):
        yield name, METRICS[name].part(None, paths), f"@{tag}"


def scored_layers(fitted: Sampler) -> Iterator[Named]:
    """Of a model whose tensors have layers of several singular values."""
    if layers := spectrum(fitted.tensors()):
        for entry in scored_by((SPECTRUM,)):
            yield entry.name, entry.part(None, Spectrum(layers)), ""
