"""What is fitted to some images of a classifier and shown with others: patches, universal ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, final

from pydantic import Field
from torch import Tensor

from attacks.engine import frozen
from bench.core.digests import digest_of
from bench.datasets.pixels import in_channels, to_unit
from bench.models.brought import is_brought
from bench.models.classifiers import labelled
from bench.models.store import Checkpoint, artifact_key
from bench.suites.cell import Cell
from bench.tasks.base import Bench
from bench.tasks.robustness.base import Trial, as_read, order_of, trial_on, victim_of
from bench.tasks.robustness.changed import Changed, ChangedSettings, ChangedTask

SOURCE = "source_model"


class FittingSettings(ChangedSettings):
    """fitted_on: how many of the training images it is fitted to; none of them is shown."""

    fitted_on: int = Field(default=1_000, ge=1, le=1_000_000)


class FittingTask(ChangedTask):
    """Axes: dataset, source_model (that it is fitted to), model (that it is shown to), and more.
    kind: of the artifacts that hold what was fitted.
    """

    kind: str
    only_shown = frozenset({"images"})
    """Settings that what is fitted does not depend on."""

    @abstractmethod
    def strengths(self, settings: Mapping[str, Any]) -> list[float]:
        """In rising order."""

    @abstractmethod
    def fit(self, cell: Cell, strength: float, training: Trial) -> Tensor:
        """What is fitted at a strength, to a trial of training images: [1, channels, height,
        width].
        """

    @abstractmethod
    def show(self, cell: Cell, strength: float, fitted: Tensor, trial: Trial) -> Changed:
        """A trial of held-out images with it."""

    @final
    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None if cell.skip else (self.kind, self._key(cell))

    @final
    def change(self, cell: Cell, bench: Bench, trial: Trial) -> Iterator[Changed]:
        def make(checkpoint: Checkpoint) -> tuple[Any, dict[str, Any]]:
            training = _training(cell, bench)
            with frozen(training.against.model):
                made = {
                    _named(strength): self.fit(cell, strength, training)
                    for strength in self.strengths(cell.settings)
                }
            return made, {"cell": cell.cell_id}

        found = bench.artifacts.get_or_make(self.kind, self._key(cell), make).tree
        for strength in self.strengths(cell.settings):
            fitted = in_channels(found[_named(strength)], trial.images.shape[1])
            yield self.show(cell, strength, fitted, trial)

    def _key(self, cell: Cell) -> str:
        """The same whatever classifier it is shown to, and with how many images."""
        facts = {
            "source": order_of(cell, SOURCE).key(cell.device),
            "parts": {k: v for k, v in cell.parts.items() if k not in ("dataset", "model")},
            "settings": {k: v for k, v in cell.settings.items() if k not in self.only_shown},
            "dataset": cell.fingerprint,
            "seed": cell.seed,
            "code": digest_of((__name__, type(self).__module__, *self.origins(cell.parts, {}))),
        }
        return artifact_key(self.kind, facts)


def _training(cell: Cell, bench: Bench) -> Trial:
    """The classifier that it is fitted to, and the first of its training images."""
    source = labelled(cell.part("dataset")).source(cell.seed, bench.device)
    n = cell.settings["fitted_on"]
    images, labels = to_unit(source.training_bytes[:n]), source.training_labels[:n]
    against = victim_of(cell, bench, SOURCE)
    if is_brought(cell.part(SOURCE)):
        images = as_read(against, images)
    return trial_on(against, images, labels, cell.seed, cell.fingerprint)


def _named(strength: float) -> str:
    return f"at {strength:g}"
