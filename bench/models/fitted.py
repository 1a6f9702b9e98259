"""A network that is drawn, trained on labelled images, and found again in the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.randomness import forked, stream_seed
from bench.datasets.labelled import LabelledSource
from bench.datasets.pixels import to_unit
from bench.models.store import ArtifactStore, Checkpoint


def made(
    named: tuple[str, str],
    purpose: tuple[str | int, ...],
    build: Callable[[], nn.Module],
    train: Callable[[nn.Module, Tensor, Tensor], None],
    found: Callable[[nn.Module], tuple[Any, dict[str, Any]]],
    source: LabelledSource,
    store: ArtifactStore,
) -> tuple[nn.Module, Any]:
    """A network as it is before training, and what training finds, from the store or found now.

    named: the artifact's kind and key. purpose: what both random streams derive from. found: what
    is kept of a trained network, and facts about it.
    """

    def start() -> nn.Module:
        with forked(stream_seed(*purpose, "initialisation")):
            return build().to(source.device)

    def make(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
        network = start()
        with forked(stream_seed(*purpose, "training")):
            train(network, to_unit(source.training_bytes), source.training_labels)
        return found(network)

    artifact = store.get_or_make(*named, make)
    return start(), artifact.tree


def errors_of(network: nn.Module, source: LabelledSource) -> dict[str, float]:
    """The shares that a trained network gets wrong."""
    sides = {
        "training": (to_unit(source.training_bytes), source.training_labels),
        "held_out": (source.held_out, source.held_out_labels),
    }
    with torch.no_grad():
        return {
            name: float((network(images).argmax(1) != labels).double().mean())
            for name, (images, labels) in sides.items()
        }
