"""What can be said of a model with an encoder: both ways round, and its codes beside the prior."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.tasks.generation.featurescores import Named
from bench.tasks.values import scored_by
from generative import Autoencoder, Sampler
from generative.recipes.bounds import OneImage
from generative.recipes.projections import Principal
from generative.recipes.references import Reals
from metrics import METRICS
from metrics.features import Features
from metrics.inference import nearest_labels
from metrics.reconstruction import Rebuilt

DATA, CODES, LABELS = "decoded", "recoded", "nearby"
ERRORS = ("squared_error", "error_share")
"""Of what is rebuilt, those that mean something of points, too."""
AGGREGATE = "mmd"
OF_CODES = f"{AGGREGATE}@codes"
BOUNDS = ("oracle", "one-image")
"""Models that infer nothing: the examples themselves, and the mean training image."""
CHUNK, COMPARED = 1_000, 2_000


@dataclass(frozen=True, eq=False)
class Examples:
    """training, held_out: [n, ...]; labels: of both, where classes are known."""

    training: Tensor
    held_out: Tensor
    labels: tuple[Tensor, Tensor] | None = None

    @cached_property
    def units(self) -> tuple[np.ndarray, float]:
        """The mean training example, and the variance about it, the mean over values."""
        training = self.training.double()
        mean = training.mean(0)
        return mean.cpu().numpy(), float((training - mean).square().mean())


def encoder_of(model: Sampler, task: str = "inference") -> Autoencoder:
    """A model that infers. task: who asks. Raises UsageError for a model that has no encoder."""
    if not isinstance(model, Autoencoder):
        kind = type(model).__name__
        raise UsageError(
            f"a {kind} does not encode: task {task} needs an Autoencoder; choose a model that "
            "encodes"
        )
    return model


def decoded(model: Autoencoder, z: Tensor) -> Tensor:
    """Examples of codes, a thousand at once."""
    return torch.cat([model.decode(part) for part in z.split(CHUNK)])


def encoded(model: Autoencoder, x: Tensor) -> Tensor:
    """Codes of examples, a thousand at once."""
    return torch.cat([model.encode(part) for part in x.split(CHUNK)])


def rebuilt(model: Sampler, x: Tensor, task: str = "inference") -> Tensor:
    """What a model makes of examples by way of their codes; a bound says what is best or worst.
    Raises UsageError for a model that has no encoder.
    """
    if isinstance(model, Reals):
        return x
    if isinstance(model, OneImage):
        return model.complete(x, torch.zeros_like(x[0], dtype=torch.bool))
    encoder = encoder_of(model, task)
    return torch.cat([encoder.decode(encoder.encode(part)) for part in x.split(CHUNK)])


def read_off(model: Sampler, x: Tensor) -> Tensor:
    """What neighbours are looked for in, [n, d]: codes, and the examples where nothing infers.
    Principal components are as long as they are, not whitened.
    """
    if isinstance(model, Reals):
        return x.flatten(1)
    if isinstance(model, OneImage):
        return rebuilt(model, x).flatten(1)
    codes = encoded(encoder_of(model), x)
    return codes * model.lengths if isinstance(model, Principal) else codes


def infers(model: Sampler) -> bool:
    """Whether there are codes to speak of."""
    return not isinstance(model, Reals | OneImage)


def scores_of_inference(
    model: Sampler, examples: Examples, made: Tensor, rng: torch.Generator
) -> Iterator[Named]:
    """Of held-out examples and what was made of them: G(E(x)) beside x; E(G(z)) beside z, as many;
    codes of held-out examples beside draws of the prior, the first 2,000; and classes by the
    nearest code of a training example. A bound has no codes.
    """
    mean, variance = examples.units
    found = Rebuilt(_array(made), mean, variance)
    for entry in scored_by((DATA,)):
        if entry.name in ERRORS:
            yield entry.name, entry.part(_array(examples.held_out), found), ""
    if infers(model):
        yield from _of_codes(encoder_of(model), examples.held_out, rng)
    if examples.labels is not None:
        known, truth = (labels.cpu().numpy() for labels in examples.labels)
        sets = (_array(read_off(model, x)) for x in (examples.training, examples.held_out))
        training, held_out = sets
        read = nearest_labels(training, known, held_out)
        for entry in scored_by((LABELS,)):
            yield entry.name, entry.part(truth, read), ""


def _of_codes(model: Autoencoder, held_out: Tensor, rng: torch.Generator) -> Iterator[Named]:
    drawn = model.codes(len(held_out), rng)
    again = encoded(model, decoded(model, drawn))
    for entry in scored_by((CODES,)):
        yield entry.name, entry.part(_array(drawn), _array(again)), ""
    prior, codes = (_array(z[:COMPARED]) for z in (drawn, encoded(model, held_out)))
    yield AGGREGATE, METRICS[AGGREGATE].part(Features(prior), Features(codes)), "@codes"


def names_of_inference(bound: bool, labelled: bool) -> Iterator[str]:
    """The metrics that such a cell can have."""
    yield from ERRORS
    if not bound:
        yield from (entry.name for entry in scored_by((CODES,)))
        yield OF_CODES
    if labelled:
        yield from (entry.name for entry in scored_by((LABELS,)))


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().double().numpy()
