"""Training a generative model as an artifact: trained once, watched on the way, resumable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream, stream_seed
from bench.datasets import Source
from bench.datasets.pixels import to_bytes
from bench.models import generatornames  # noqa: F401
from bench.models.filming import Film
from bench.models.orders import KIND, TrainingOrder
from bench.models.sidebyside import side_by_side
from bench.models.signature import Signature
from bench.models.store import Artifact, ArtifactStore, Checkpoint
from bench.models.tracing import Trace
from bench.models.trainings import Look, Work, going, run
from generative import RECIPES, Fitted, Sampler
from generative.recipes.ready import Ready

TRAININGS = "trainings"
"""In the tree and the facts of trainings that are kept together: each, by its seed."""
SNAPSHOT_SAMPLES = 2_000
SNAPSHOT_VALUES = 2**19


F = TypeVar("F", bound=Fitted)


@dataclass(frozen=True)
class Trained(Generic[F]):
    """A trained model and the samples it gave on the way.

    fitted is None where the training diverged; snapshots: [times, n, ...] at `steps`; signatures:
    of the game at as many. film: frames of one noise, where any were asked for. trace: of single
    steps.
    """

    key: str
    fitted: F | None
    snapshots: np.ndarray
    steps: list[int]
    total_steps: int
    diverged: str
    signatures: Sequence[Signature] = ()
    film: Film = field(default_factory=Film)
    trace: Trace = field(default_factory=Trace)


def film_of(order: TrainingOrder, source: Source, store: ArtifactStore) -> Film:
    """The film of a model that was trained before. Raises UsageError where it wasn't."""
    return Film.of(_own(order, _kept(order, source, store)).tree["film"])


def restored(kind: type[F], order: TrainingOrder, source: Source, store: ArtifactStore) -> F:
    """A model that was trained before. Raises UsageError where it wasn't."""
    if (ready := ready_in(order.recipe)) is not None:
        return _as(kind, ready.load(order.training, source, order.seed), order)
    own = _own(order, _kept(order, source, store))
    fitted = own.tree["fitted"]
    if fitted is None:
        reason = own.facts["diverged"]
        raise UsageError(f"model '{order.recipe}', seed {order.seed}, diverged: {reason}")
    trainer = RECIPES[order.recipe].part.trainer(order.training, source.shape)
    try:
        return _as(kind, trainer.restore(source, fitted), order)
    except KeyError as error:
        raise UsageError(
            f"the weights are not those of a model '{order.recipe}': they lack {error}"
        ) from error


def _kept(order: TrainingOrder, source: Source, store: ArtifactStore) -> Artifact:
    artifact = store.find(KIND, order.key(source.device))
    if artifact is None:
        raise UsageError(
            f"model '{order.recipe}', seed {order.seed}, is not in the cache of trained models "
            "(any more, or by this code): `bench run` trains it again"
        )
    return artifact


def _own(order: TrainingOrder, artifact: Artifact) -> Artifact:
    """What an order's seed has of trainings that are kept together; else all."""
    if not order.beside or TRAININGS not in artifact.tree:
        return artifact
    name = str(order.seed)
    return Artifact(artifact.key, artifact.tree[TRAININGS][name], artifact.facts[TRAININGS][name])


def ready_in(model: str) -> Ready | None:
    """A model that was made elsewhere; None for one that is trained."""
    part = RECIPES[model].part
    return part if isinstance(part, Ready) else None


def _as(kind: type[F], model: Fitted, order: TrainingOrder) -> F:
    if not isinstance(model, kind):
        raise UsageError(
            f"model '{order.recipe}' gives a {type(model).__name__}: this task needs a "
            f"{kind.__name__}"
        )
    return model


def train(
    order: TrainingOrder,
    source: Source,
    store: ArtifactStore,
    others: Callable[[int], Source] | None = None,
) -> Trained[Sampler]:
    """The trained sampler of an order, from the store or trained now; it keeps samples. others: the
    data of the seeds beside it.
    """

    def work(seed: int) -> Work:
        own = replace(order, seed=seed)
        assert others is not None
        theirs = source if seed == order.seed else others(seed)
        return Work(own, theirs, partial(_snapshot, theirs, own))

    look = partial(_snapshot, source, order)
    return trained_as(Sampler, order, source, store, look, work)


def trained_as(
    kind: type[F],
    order: TrainingOrder,
    source: Source,
    store: ArtifactStore,
    look: Look,
    work_of: Callable[[int], Work] | None = None,
) -> Trained[F]:
    """The trained model of an order, from the store or trained now, or made elsewhere. work_of: the
    training of a seed beside it, for orders that have any; asked for where they are trained.
    """
    if (ready := ready_in(order.recipe)) is not None:
        found = _as(kind, ready.load(order.training, source, order.seed), order)
        return Trained("", found, np.empty(0), [], 1, "")
    recipe = RECIPES[order.recipe].part
    trainer = recipe.trainer(order.training, source.shape)
    key = order.key(source.device)

    def make(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
        work = Work(order, source, look)
        with forked(stream_seed(*order.purpose(), "initialisation")):
            return run(trainer, going(trainer, work, checkpoint))

    def make_all(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
        assert work_of is not None
        parts = side_by_side(trainer, [*map(work_of, order.beside)], checkpoint)
        names = [str(seed) for seed in order.beside]
        trees = {name: tree for name, (tree, _) in zip(names, parts, strict=True)}
        facts = {name: told for name, (_, told) in zip(names, parts, strict=True)}
        return {TRAININGS: trees}, {TRAININGS: facts, **order.identity(source.device)}

    artifact = _own(order, store.get_or_make(KIND, key, make_all if order.beside else make))
    tree = artifact.tree
    found = None if tree["fitted"] is None else trainer.restore(source, tree["fitted"])
    return Trained(
        key,
        None if found is None else _as(kind, found, order),
        tree["snapshots"].cpu().numpy(),
        list(tree["steps"]),
        trainer.steps,
        artifact.facts["diverged"],
        [Signature.of(taken) for taken in tree["signatures"]],
        Film.of(tree["film"]),
        Trace.of(tree["trace"]),
    )


def _snapshot(source: Source, order: TrainingOrder, fitted: Sampler, step: int) -> torch.Tensor:
    """Samples on the way; images as bytes."""
    size = max(1, math.prod(source.shape))
    n = min(SNAPSHOT_SAMPLES, max(64, SNAPSHOT_VALUES // size))
    when = () if order.fixed_noise else (step,)
    rng = stream(*order.purpose(), "snapshot", *when, device=source.device)
    samples = fitted.sample(n, rng).cpu()
    if source.box is None or not bool(torch.isfinite(samples).all()):
        return samples
    return to_bytes(samples)
