"""A cell whose task trains a model, at its place of work: what is trained, made and scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.datasets import DatasetFacts, Source
from bench.datasets.pixels import outside, to_bytes
from bench.models.generators import Trained, ready_in, restored, train
from bench.models.orders import KIND, TrainingOrder
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks.base import Bench, Measurement, SamplingTask, Task, Value
from bench.tasks.generation.facts import describe_model, modules_of
from bench.tasks.generation.featurescores import Named
from bench.tasks.generation.journeys import (
    journey_of,
    of_journey,
    of_signature,
    tell_collapse,
    way_shown,
)
from bench.tasks.generation.settings import (
    DrawingSettings,
    TrainedSettings,
    recipe_of,
    settings_of_parts,
)
from bench.tasks.values import value_of
from generative import Fitted, Sampler
from metrics.trajectories import Sight, Trajectory

WATCHED = 16
"""How many of what is kept on the way are shown."""

Arrays = Mapping[str, np.ndarray]
"""What pictures need, by name."""

F = TypeVar("F", bound=Fitted)
D = TypeVar("D", bound=Source)
S = TypeVar("S", bound=TrainedSettings)
A = TypeVar("A", bound=DrawingSettings)
E = TypeVar("E", bound="Experiment[Any, Any, Any]")


@dataclass(frozen=True, eq=False)
class Made:
    """What a trained model made of a cell: what has to be finite, and in the data's box where they
    have one. drawn: what the model itself drew, where known parts were put back. way: images that
    they were made by way of, as they were.
    """

    values: Tensor
    drawn: Tensor | None = None
    way: tuple[Tensor, ...] = ()


class Glimpse(NamedTuple):
    """What a look at a training saw: scores, and the modes where they are known. suffix: of what is
    said of modes, @ and what it rests on.
    """

    scores: Iterable[Named] = ()
    sight: Sight | None = None
    suffix: str = ""


@dataclass(frozen=True, eq=False)
class Experiment(ABC, Generic[F, D, S]):
    """One cell on one device.

    kind: of its settings. played: whether the game itself is scored. fixed_noise: the
    same of the model's noise at every look on the way.
    outcome: what its model makes, in words. boxed: whether that has to lie in the data's box.
    """

    cell: Cell
    device: str
    kind: ClassVar[type[TrainedSettings]]
    fixed_noise: ClassVar[bool] = False
    played: ClassVar[bool] = False
    outcome: ClassVar[str] = "final samples"
    boxed: ClassVar[bool] = True

    @abstractmethod
    def open_entry(self) -> Entry[Any, DatasetFacts]:
        """The data set of the cell, and what is known about it."""

    @abstractmethod
    def train(self, store: ArtifactStore) -> Trained[F]:
        """The model, from the store or trained now."""

    @abstractmethod
    def glance(self, snapshot: np.ndarray) -> Glimpse:
        """What is seen in what was kept on the way."""

    @abstractmethod
    def shown(self, trained: Trained[F]) -> Arrays:
        """What is shown whether a training diverges or not."""

    @abstractmethod
    def make(self, fitted: F) -> Made:
        """What is scored."""

    @abstractmethod
    def score(self, fitted: F, made: Made) -> tuple[Iterable[Named], Arrays]:
        """The scores, and what is shown of them."""

    @cached_property
    def asked(self) -> S:
        """Its task's settings; a recipe may have resolved others of its own."""
        recipe_of(self.cell.part("model"))  # a user's own brings settings of its own
        kind, known = self.kind, {*self.kind.model_fields, *settings_of_parts(self.kind.family)}
        found: Any = kind(**{k: value for k, value in self.cell.settings.items() if k in known})
        return found

    @cached_property
    def entry(self) -> Entry[Any, DatasetFacts]:
        """The data set."""
        return self.open_entry()

    @cached_property
    def source(self) -> D:
        """The data of the cell's seed."""
        return self.entry.part.source(self.cell.seed, self.device)

    @property
    def order(self) -> TrainingOrder:
        """What is trained."""
        cell, asked, model = self.cell, self.asked, self.cell.part("model")
        told = (asked.training(), cell.fingerprint, cell.seed, asked.evaluations)
        looked = (modules_of(self.entry), self.fixed_noise, asked.film)
        return TrainingOrder(model, *told, *looked, self.beside)

    @property
    def beside(self) -> tuple[int, ...]:
        """The seeds that are trained side by side, its own among them; none for one by itself."""
        return ()

    def others(self, seed: int) -> D:
        """The data of another seed."""
        return self.entry.part.source(seed, self.device)

    @cached_property
    def drawn_as(self) -> str:
        """The cell whose randomness it has: of a model that was saved from one, that one."""
        ready = ready_in(self.cell.part("model"))
        return (ready and ready.drawn_as(self.cell.seed)) or self.cell.cell_id

    def stream(self, *purpose: str | int) -> torch.Generator:
        """The cell's randomness for a purpose."""
        return stream(self.drawn_as, self.cell.seed, *purpose, device=self.device)

    def measure(self, store: ArtifactStore) -> Measurement:
        """Train it, look at the way there, and score what it makes where that can be scored."""
        self.refuse_changed()
        trained = self.train(store)
        glimpses = self._glimpses(trained)
        journey = journey_of(trained.steps, [each.sight for each in glimpses])
        curve = list(self._curve(trained, glimpses))
        arrays = {**self.shown(trained), **way_shown(journey), **trained.trace.arrays()}
        if trained.fitted is None:
            return Measurement(curve, trained.diverged, trained.key, arrays)
        made = self.make(trained.fitted)
        if not bool(torch.isfinite(made.values).all()):
            return Measurement(curve, f"the {self.outcome} are not finite", trained.key, arrays)
        boxed = self.boxed and self.source.box is not None
        if boxed and (wrong := outside(made.values)):
            return Measurement([], artifact_key=trained.key, invalid=wrong)
        scores, pictures = self.score(trained.fitted, made)
        known = [*scores, *self._of_the_way(trained, glimpses, journey)]
        final = [value_of(n, s, trained.total_steps, True, suffix) for n, s, suffix in known]
        tell_collapse(journey)
        return Measurement([*curve, *final], "", trained.key, {**arrays, **pictures})

    def refuse_changed(self) -> None:
        """Raise UsageError where a model of the user's is not what the cell is of."""
        name = self.cell.part("model")
        ready = ready_in(name)
        if ready is None:
            return
        if self.cell.brought != ready.contents(recipe_of(name).origin).of(self.cell.seed):
            raise UsageError(
                f"model '{name}' has changed since the run was planned: `bench run` measures it "
                "anew"
            )

    def _glimpses(self, trained: Trained[F]) -> list[Glimpse]:
        """Of each look on the way; none for a model trained in one step."""
        if trained.total_steps == 1:
            return []
        return [self.glance(snapshot) for snapshot in trained.snapshots]

    def _curve(self, trained: Trained[F], glimpses: Sequence[Glimpse]) -> Iterator[Value]:
        """The scores on the way."""
        for at, seen in enumerate(glimpses):
            played = of_signature(trained.signatures[at]) if self.played else ()
            for name, score, suffix in (*seen.scores, *played):
                yield value_of(name, score, trained.steps[at], False, suffix)

    def _of_the_way(
        self, trained: Trained[F], glimpses: Sequence[Glimpse], journey: Trajectory | None
    ) -> Iterator[Named]:
        """The scores of the whole way, and of the game at its end."""
        if glimpses:
            yield from of_journey(journey, glimpses[-1].suffix)
        if glimpses and self.played:
            yield from of_signature(trained.signatures[-1])


def watched(trained: Trained, most: int = WATCHED) -> Arrays:
    """The first of what was kept at each look on the way, [times, n, ...], and its step."""
    if trained.total_steps == 1 or not len(trained.steps):
        return {}
    steps = np.array(trained.steps, dtype=np.int64)
    return {"training": trained.snapshots[:, :most], "training_steps": steps}


class DrawingExperiment(Experiment[Sampler, D, A]):
    """One whose model draws samples."""

    played = True

    def train(self, store: ArtifactStore) -> Trained[Sampler]:
        return train(self.order, self.source, store, self.others)

    def make(self, fitted: Sampler) -> Made:
        return Made(fitted.sample(self.asked.samples, self.stream("samples")))

    def sample(self, fitted: Sampler, n: int) -> np.ndarray:
        """The first of those that are scored, and more where more are asked for."""
        drawn = fitted.sample(max(n, self.asked.samples), self.stream("samples"))[:n]
        return (drawn if self.source.box is None else to_bytes(drawn)).cpu().numpy()


class GenerationTask(Task, Generic[E]):
    """A task whose cells train a generative model. Axes: dataset and model."""

    axes = ("dataset", "model")
    experiment: type[E]

    @abstractmethod
    def describe_data(self, cell: Cell) -> dict[str, Any]:
        """What tables, pictures and citations need to know of a cell's data."""

    def measure(self, cell: Cell, bench: Bench) -> Measurement:
        return self.experiment(cell, bench.device).measure(bench.artifacts)

    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        if cell.skip or ready_in(cell.part("model")) is not None:
            return None
        return KIND, self.experiment(cell, cell.device).order.key(cell.device)

    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        return {"dataset": self.describe_data(cell), "model": describe_model(cell)}


class DrawingTask(GenerationTask[DrawingExperiment[Any, Any]], SamplingTask):
    """One whose models draw samples."""

    def fitted(self, cell: Cell, bench: Bench) -> Sampler:
        at_work = self.experiment(cell, bench.device)
        at_work.refuse_changed()
        return restored(Sampler, at_work.order, at_work.source, bench.artifacts)

    def sample(self, cell: Cell, n: int, bench: Bench) -> np.ndarray:
        return self.experiment(cell, bench.device).sample(self.fitted(cell, bench), n)
