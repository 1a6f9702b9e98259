"""Training a generative model as an artifact: trained once, watched on the way, resumable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from bench.core.digests import digest_of
from bench.core.errors import UsageError
from bench.core.randomness import forked, stream, stream_seed
from bench.core.underway import tell
from bench.datasets import Source
from bench.datasets.pixels import to_bytes
from bench.models import generatornames  # noqa: F401
from bench.models.filming import Film, shots
from bench.models.signature import Signature, take
from bench.models.store import Artifact, ArtifactStore, Checkpoint, artifact_key
from bench.models.tracing import Trace
from generative import RECIPES, Diverged, Fitted, Pulled, Sampler, Telling, Trainer, Training
from generative.recipes.ready import Ready

KIND = "generator"
SNAPSHOT_SAMPLES = 2_000
STRIDE, STRIDE_SECONDS = 250, 5.0
SNAPSHOT_VALUES = 2**19


F = TypeVar("F", bound=Fitted)

Look = Callable[[Any, int], torch.Tensor]
"""A model as trained so far, and the step, to what is kept of it on the way, [n, ...]."""


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


@dataclass(frozen=True)
class TrainingOrder:
    """Everything that decides what is trained. modules: whose source makes the data. fixed_noise:
    samples on the way are drawn with the same noise every time, so that they can be watched. film:
    how many frames of one noise are kept beside them; they change nothing else.
    """

    recipe: str
    training: Training
    fingerprint: str
    seed: int
    evaluations: int
    modules: tuple[str, ...] = ()
    fixed_noise: bool = False
    film: int = 0

    def identity(self, device: str) -> dict[str, Any]:
        recipe = RECIPES[self.recipe]
        return {
            **({"fixed_noise": True} if self.fixed_noise else {}),
            **({"film": self.film} if self.film else {}),
            "recipe": self.recipe,
            "settings": recipe.part.relevant(self.training),
            "dataset": self.fingerprint,
            "seed": self.seed,
            "evaluations": self.evaluations,
            "device": device,
            "code": digest_of(
                (
                    __name__,
                    Signature.__module__,
                    Trace.__module__,
                    *([Film.__module__] if self.film else []),
                    recipe.origin,
                    *recipe.part.modules(self.training),
                    *self.modules,
                )
            ),
        }

    def key(self, device: str) -> str:
        """The artifact's key."""
        return artifact_key(KIND, self.identity(device))

    def described(self, done: int, steps: int) -> dict[str, Any]:
        """What a checkpoint says of itself."""
        settings = RECIPES[self.recipe].part.relevant(self.training)
        return {
            "model": self.recipe,
            "settings": settings,
            "seed": self.seed,
            "dataset": self.fingerprint,
            "step": done,
            "steps": steps,
        }

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


def film_of(order: TrainingOrder, source: Source, store: ArtifactStore) -> Film:
    """The film of a model that was trained before. Raises UsageError where it wasn't."""
    return Film.of(_kept(order, source, store).tree["film"])


def restored(kind: type[F], order: TrainingOrder, source: Source, store: ArtifactStore) -> F:
    """A model that was trained before. Raises UsageError where it wasn't."""
    if (ready := ready_in(order.recipe)) is not None:
        return _as(kind, ready.load(order.training, source, order.seed), order)
    artifact = _kept(order, source, store)
    fitted = artifact.tree["fitted"]
    if fitted is None:
        reason = artifact.facts["diverged"]
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


def train(order: TrainingOrder, source: Source, store: ArtifactStore) -> Trained[Sampler]:
    """The trained sampler of an order, from the store or trained now; it keeps samples."""
    return trained_as(Sampler, order, source, store, partial(_snapshot, source, order))


def trained_as(
    kind: type[F], order: TrainingOrder, source: Source, store: ArtifactStore, look: Look
) -> Trained[F]:
    """The trained model of an order, from the store or trained now, or made elsewhere."""
    if (ready := ready_in(order.recipe)) is not None:
        found = _as(kind, ready.load(order.training, source, order.seed), order)
        return Trained("", found, np.empty(0), [], 1, "")
    recipe = RECIPES[order.recipe].part
    trainer = recipe.trainer(order.training, source.shape)
    key = order.key(source.device)

    def make(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
        rng = stream(*order.purpose(), device=source.device)
        with forked(stream_seed(*order.purpose(), "initialisation")):
            return _run(trainer, order, source, rng, checkpoint, look)

    artifact = store.get_or_make(KIND, key, make)
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


@dataclass
class _Progress:
    """A training on its way: the trainer's state, steps done, and what was seen so far."""

    state: Any
    done: int = 0
    steps: list[int] = field(default_factory=list)
    snapshots: list[torch.Tensor] = field(default_factory=list)
    signatures: list[dict[str, Any]] = field(default_factory=list)
    film: Film = field(default_factory=Film)
    trace: Trace = field(default_factory=Trace)

    def pack(self, trainer: Trainer) -> dict[str, Any]:
        seen = {"done": self.done, "steps": self.steps, "snapshots": self.snapshots}
        seen |= {"signatures": self.signatures, "film": self.film.tree()}
        seen |= {"trace": self.trace.tree()}
        return {"state": trainer.pack(self.state), **seen}


def _begin(trainer: Trainer, source: Source, rng: torch.Generator, saved: Checkpoint) -> _Progress:
    """Where a training was cut off, or its start."""
    begun = saved.load()
    if begun is not None:
        try:
            state = trainer.unpack(source, begun["state"])
            seen = [snapshot.cpu() for snapshot in begun["snapshots"]]
            taken, film = list(begun["signatures"]), Film.of(begun["film"])
            told = Trace.of(begun["trace"])
            return _Progress(state, begun["done"], list(begun["steps"]), seen, taken, film, told)
        except (KeyError, TypeError, ValueError, RuntimeError):
            saved.clear()
    return _Progress(trainer.start(source, rng))


def _run(
    trainer: Trainer,
    order: TrainingOrder,
    source: Source,
    rng: torch.Generator,
    saved: Checkpoint,
    look: Look,
) -> tuple[Any, dict[str, Any]]:
    """Train, stopping at each evaluation to sample and to check; the state is saved on the way."""
    at, diverged = _begin(trainer, source, rng, saved), ""
    stride = _stride(order, trainer.steps)
    looks, frames = _stops(trainer.steps, order.evaluations), shots(trainer.steps, order.film)
    try:
        for stop in sorted({*looks[len(at.steps) :], *frames[len(at.film.steps) :]}):
            while at.done < stop:
                steps = min(stop - at.done, stride)
                at.state = trainer.advance(at.state, steps)
                at.done += steps
                if isinstance(trainer, Telling):
                    at.trace.add(trainer.told(at.state))
                tell(at.done, trainer.steps)
                if at.done < stop:
                    saved.offer(partial(at.pack, trainer), order.described(at.done, trainer.steps))
            now = trainer.finish(at.state)
            if stop in frames[len(at.film.steps) :]:
                at.film.shoot(now, source, _noise_of_film(order, source), stop)
            if stop not in looks:
                continue
            snapshot = look(now, stop)
            if not bool(torch.isfinite(snapshot).all()):
                raise Diverged(f"samples are not finite at step {stop}")
            at.steps.append(stop)
            at.snapshots.append(snapshot)
            tell(stop, trainer.steps, snapshot)
            at.signatures.append(_signature(trainer, at.state, now, order, source, stop))
            saved.offer(partial(at.pack, trainer), order.described(at.done, trainer.steps))
    except Diverged as error:
        diverged = str(error)
    fitted = None if diverged else trainer.finish(at.state).tensors()
    stacked = torch.stack(at.snapshots) if at.snapshots else torch.empty(0)
    facts = {"diverged": diverged, "order": asdict(order), **order.identity(source.device)}
    seen = {"snapshots": stacked, "steps": at.steps, "signatures": at.signatures}
    seen |= {"film": at.film.tree(), "trace": at.trace.tree()}
    return {"fitted": fitted, **seen}, facts


def _noise_of_film(order: TrainingOrder, source: Source) -> torch.Generator:
    """The same at every frame, and another than that of looks."""
    return stream(*order.purpose(), "film", device=source.device)


def _signature(
    trainer: Trainer, state: Any, now: Fitted, order: TrainingOrder, source: Source, step: int
) -> dict[str, Any]:
    """What is taken of a game beside samples; nothing of a model made in one step."""
    if trainer.steps == 1:
        return {"pulls": {}}
    pulls = trainer.pulls(state) if isinstance(trainer, Pulled) else {}
    rng = stream(*order.purpose(), "signature", step, device=source.device)
    return take(now, source, rng, pulls)


def _stride(order: TrainingOrder, steps: int) -> int:
    """Steps between looks at the clock and at the weights: of a forecast of 5 seconds, 250 at most.
    A forecast, so that a training that diverges is seen to at the same step every time.
    """
    expected = RECIPES[order.recipe].part.seconds(order.training) / steps
    return max(1, min(STRIDE, int(STRIDE_SECONDS / max(expected, 1e-9))))


def _stops(total: int, evaluations: int) -> list[int]:
    """Where to look: `evaluations` equal parts, the end among them."""
    count = min(total, max(evaluations, 1))
    return sorted({math.ceil(total * (i + 1) / count) for i in range(count)})


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
