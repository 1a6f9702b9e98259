"""Training a generative model as an artifact: trained once, watched on the way, resumable."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from bench.artifacts import ArtifactStore, Checkpoint, artifact_key
from bench.datasets import Source
from bench.randomness import forked, stream, stream_seed
from bench.sources import digest_of
from generative import RECIPES, Diverged, Sampler, Trainer, Training

KIND = "generator"
SNAPSHOT_SAMPLES = 2_000
SNAPSHOT_VALUES = 2**19


@dataclass(frozen=True)
class Trained:
    """A trained model and the samples it gave on the way.

    fitted is None where the training diverged; snapshots: [times, n, ...] at `steps`.
    """

    key: str
    fitted: Sampler | None
    snapshots: np.ndarray
    steps: list[int]
    total_steps: int
    diverged: str


@dataclass(frozen=True)
class Order:
    """Everything that decides what is trained."""

    recipe: str
    training: Training
    fingerprint: str
    seed: int
    evaluations: int

    def identity(self, device: str) -> dict[str, Any]:
        recipe = RECIPES[self.recipe]
        return {
            "recipe": self.recipe,
            "settings": recipe.part.relevant(self.training),
            "dataset": self.fingerprint,
            "seed": self.seed,
            "evaluations": self.evaluations,
            "device": device,
            "code": digest_of((__name__, recipe.origin, *recipe.part.modules(self.training))),
        }

    def key(self, device: str) -> str:
        """The artifact's key."""
        return artifact_key(KIND, self.identity(device))

    def purpose(self) -> tuple[str | int, ...]:
        """What its random streams derive from: the recipe, the protocol, the settings that differ
        from it, the seed. A new setting with a default changes no stream.
        """
        recipe = RECIPES[self.recipe].part
        usual = recipe.relevant(Training(self.training.protocol))
        chosen = recipe.relevant(self.training)
        differing = sorted((k, v) for k, v in chosen.items() if usual.get(k) != v)
        protocol = self.training.protocol if chosen else ""
        return ("artifact", self.recipe, protocol, str(differing), self.seed)


def train(order: Order, source: Source, store: ArtifactStore) -> Trained:
    """The trained model of an order, from the store or trained now."""
    recipe = RECIPES[order.recipe].part
    trainer = recipe.trainer(order.training, source.shape)
    key = order.key(source.device)

    def make(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
        rng = stream(*order.purpose(), device=source.device)
        with forked(stream_seed(*order.purpose(), "initialisation")):
            return _run(trainer, order, source, rng, checkpoint)

    artifact = store.get_or_make(KIND, key, make)
    tree = artifact.tree
    return Trained(
        key,
        None if tree["fitted"] is None else trainer.restore(source, tree["fitted"]),
        tree["snapshots"].cpu().numpy(),
        list(tree["steps"]),
        trainer.steps,
        artifact.facts["diverged"],
    )


def _run(
    trainer: Trainer, order: Order, source: Source, rng: torch.Generator, saved: Checkpoint
) -> tuple[Any, dict[str, Any]]:
    """Train, stopping at each evaluation to sample, to check and to save the state."""
    begun = saved.load()
    if begun is None:
        state, steps, snapshots = trainer.start(source, rng), [], []
    else:
        state = trainer.unpack(source, begun["state"])
        steps, snapshots = list(begun["steps"]), list(begun["snapshots"])
    diverged = ""
    for stop in _stops(trainer.steps, order.evaluations)[len(steps) :]:
        try:
            state = trainer.advance(state, stop - (steps[-1] if steps else 0))
        except Diverged as error:
            diverged = str(error)
            break
        snapshot = _snapshot(trainer.finish(state), source, order, stop)
        if not bool(torch.isfinite(snapshot).all()):
            diverged = f"samples are not finite at step {stop}"
            break
        steps.append(stop)
        snapshots.append(snapshot)
        saved.offer(
            lambda: {"state": trainer.pack(state), "steps": steps, "snapshots": snapshots}  # noqa: B023
        )
    fitted = None if diverged else trainer.finish(state).tensors()
    stacked = torch.stack(snapshots) if snapshots else torch.empty(0)
    facts = {"diverged": diverged, "order": asdict(order), **order.identity(source.device)}
    return {"fitted": fitted, "snapshots": stacked, "steps": steps}, facts


def _stops(total: int, evaluations: int) -> list[int]:
    """Where to look: `evaluations` equal parts, the end among them."""
    count = min(total, max(evaluations, 1))
    return sorted({math.ceil(total * (i + 1) / count) for i in range(count)})


def _snapshot(fitted: Sampler, source: Source, order: Order, step: int) -> torch.Tensor:
    size = max(1, math.prod(source.shape))
    n = min(SNAPSHOT_SAMPLES, max(64, SNAPSHOT_VALUES // size))
    return fitted.sample(n, stream(*order.purpose(), "snapshot", step, device=source.device)).cpu()
