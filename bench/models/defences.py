"""What a defence has of its own, and the generative model that it rests on."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from attacks.classifiers import Decoder, Prior
from bench.models.store import ArtifactStore

PRIORS = "bench.models.priors"
"""Named and loaded where it is needed, not imported: the code of generative models is part of the
identity of what rests on one, and of no other classifier's.
"""


def own_state(network: nn.Module, others: Iterable[nn.Module]) -> dict[str, Tensor]:
    """The weights and buffers of a network that are none of other networks', by their names."""
    known = {id(value) for other in others for value in other.state_dict(keep_vars=True).values()}
    state = network.state_dict(keep_vars=True)
    return {name: value.detach() for name, value in state.items() if id(value) not in known}


def modules_of(prior: Prior | None) -> tuple[str, ...]:
    """The modules that make the generative model and find it; none where there is none."""
    return () if prior is None else (PRIORS, *_priors().modules_of(prior))


def prior_key(prior: Prior, dataset: str, seed: int, device: str) -> str:
    """The artifact's key of the generative model."""
    return _priors().order_of(prior, dataset, seed).key(device)


def prior_seconds(prior: Prior | None) -> float:
    """A forecast of its training on one core."""
    return 0.0 if prior is None else _priors().seconds_of(prior)


def decoder_of(prior: Prior, dataset: str, seed: int, store: ArtifactStore, device: str) -> Decoder:
    """The generator, from the store or trained now. Raises UsageError where it diverged, or is no
    generator of codes alone.
    """
    return _priors().decoder(prior, dataset, seed, store, device)


def _priors() -> Any:
    return importlib.import_module(PRIORS)
