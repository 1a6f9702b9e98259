"""A run's trained model looked at through its codes: sheets of images, quality by truncation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.core.threads import with_threads
from bench.datasets.pixels import to_bytes
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench, SamplingTask
from bench.tasks.generation.image import entry_of, scores_of
from bench.tasks.generation.imagescores import reading_of
from generative import CodeReader, ConditionalSampler, Decoder
from generative.coarsetofine import CoarseToFine, at_level
from generative.latentspace import (
    TRAVERSED,
    Read,
    arithmetic,
    decoder_of,
    interpolation,
    plane,
    read_sum,
    traversal,
    truncated,
)
from generative.styles.sampler import StyleSampler
from generative.styles.sheets import mixing_sheet
from metrics import Score

COLUMNS = 8
SHOWN = (
    "frechet",
    "precision",
    "recall",
    "density",
    "coverage",
    "class_coverage",
    "label_accuracy",
)


@dataclass(frozen=True)
class Exploration:
    """How a model is looked at; in one way at most. label: the class that is asked for, in any way
    but arithmetic, level, mixing, caption and traverse. level: of a model that draws coarse to
    fine; with a caption, of one of two stages. mixing: the layer from which styles are another's.
    truncation: the bounds, empty for none. caption: what is asked for in words, to: and where a way
    from it leads. traverse: which number of the codes goes from -1 to 1.
    """

    label: int | None = None
    interpolate: bool = False
    arithmetic: str | None = None
    codes: bool = False
    level: int | None = None
    mixing: int | None = None
    truncation: tuple[float, ...] = ()
    caption: str | None = None
    to: str | None = None
    traverse: int | None = None

    @property
    def asked(self) -> bool:
        """Whether any is. Raises UsageError where several are."""
        chosen = [
            name
            for name, given in (
                ("`interpolate`", self.interpolate),
                ("`arithmetic`", self.arithmetic is not None),
                ("`codes`", self.codes),
                ("`level`", self.level is not None and (self.caption is None or self.to)),
                ("`mixing`", self.mixing is not None),
                ("`truncation`", bool(self.truncation)),
                ("`caption`", self.caption is not None),
                ("`traverse`", self.traverse is not None),
            )
            if given
        ]
        unlabelled = (self.arithmetic, self.level, self.mixing, self.caption, self.traverse)
        if self.label is not None and any(given is not None for given in unlabelled):
            chosen.append("`label`")
        if self.to is not None and self.caption is None:
            raise UsageError("`to`: from which caption? expected `caption`, where the way begins")
        if len(chosen) > 1:
            raise UsageError(f"expected one of {', '.join(chosen)}, got {len(chosen)}")
        return bool(chosen) or self.label is not None


def explored(
    cell: Cell, n: int, store: ArtifactStore, chosen: Exploration
) -> tuple[np.ndarray, int]:
    """Images uint8 [n, c, h, w], and how many make a row of the sheet, 0 for any number."""
    model, rng = _decoder(cell, store), stream(cell.cell_id, cell.seed, "codes", device=cell.device)
    if chosen.label is not None:
        _refuse_class(model, cell, chosen.label)
    with with_threads(), torch.no_grad():
        if chosen.interpolate:
            rows = max(1, n // COLUMNS)
            return _bytes(interpolation(model, rng, rows, COLUMNS, chosen.label)), COLUMNS
        if chosen.arithmetic is not None:
            images, columns = arithmetic(model, _reader(cell), read_sum(chosen.arithmetic), rng)
            return _bytes(images), columns
        if chosen.codes:
            images = plane(model, rng, chosen.label)
            return _bytes(images), round(len(images) ** 0.5)
        if chosen.level is not None:
            images, columns = at_level(_levelled(model, cell, chosen.level), n, rng, chosen.level)
            return _bytes(images), columns
        if chosen.mixing is not None:
            images, columns = mixing_sheet(_styled(model, cell), n, rng, chosen.mixing)
            return _bytes(images), columns
        if chosen.traverse is not None:
            images = traversal(_telling(model, cell, chosen.traverse), rng, chosen.traverse)
            return _bytes(images), TRAVERSED
        if chosen.truncation:
            return _bytes(truncated(model, n, rng, chosen.truncation[0], chosen.label)), 0
        assert isinstance(model, ConditionalSampler)
        labels = torch.full((n,), chosen.label or 0, device=rng.device)
        return _bytes(model.sample(n, rng, labels)), 0


def _refuse_class(model: Decoder, cell: Cell, label: int) -> None:
    if not isinstance(model, ConditionalSampler):
        raise UsageError(f"`label`: model '{cell.part('model')}' can't be asked for one: cgan can")
    if not 0 <= label < model.classes:
        raise UsageError(f"label {label} is outside the classes: expected 0 to {model.classes - 1}")


def _levelled(model: Decoder, cell: Cell, level: int) -> CoarseToFine:
    if not isinstance(model, CoarseToFine):
        raise UsageError(f"`level`: model '{cell.part('model')}' draws no levels: lapgan does")
    if not 0 <= level < model.trained:
        sides = ", ".join(f"{at} ({each.shape[1]} pixels)" for at, each in enumerate(model.levels))
        raise UsageError(f"level {level} was not trained: expected one of {sides}")
    return model


def _styled(model: Decoder, cell: Cell) -> StyleSampler:
    if not isinstance(model, StyleSampler):
        raise UsageError(f"`mixing`: model '{cell.part('model')}' has no styles: style does")
    return model


def _telling(model: Decoder, cell: Cell, number: int) -> CodeReader:
    if not isinstance(model, CodeReader):
        raise UsageError(
            f"`traverse`: the codes of model '{cell.part('model')}' say nothing that could be "
            "read: those of infogan do"
        )
    if not 0 <= number < model.numbers:
        known = f"0 to {model.numbers - 1}" if model.numbers else "none, it was trained with none"
        raise UsageError(f"`traverse`: number {number} of a code: expected {known}")
    return model


def truncation_curve(
    cell: Cell, n: int, store: ArtifactStore, bounds: Sequence[float]
) -> pd.DataFrame:
    """Quality against diversity: a row for each bound and score, and for no bound (infinite)."""
    if cell.task != "image":
        raise UsageError("`truncation`: a curve is drawn for models of task image alone")
    model, rows = _decoder(cell, store), []
    scores = scores_of(cell, cell.device)
    for bound in (*bounds, float("inf")):
        rng = stream(cell.cell_id, cell.seed, "truncation", device=cell.device)
        with with_threads(), torch.no_grad():
            images = to_bytes(truncated(model, n, rng, bound))
            for name, score, suffix in scores.of(scores.look(images), model):
                if name in SHOWN:
                    value, error, _ = score if isinstance(score, Score) else (score, None, n)
                    rows.append(
                        {
                            "truncation": bound,
                            "metric": name + suffix,
                            "value": value,
                            "std_error": error,
                            "n": n,
                        }
                    )
    return pd.DataFrame(rows)


def _decoder(cell: Cell, store: ArtifactStore) -> Decoder:
    task = TASKS[cell.task].part
    if cell.skip:
        raise UsageError(f"model '{cell.part('model')}' was skipped: {cell.skip}")
    if not isinstance(task, SamplingTask) or cell.task != "image":
        raise UsageError(f"codes are looked at for models of task image, this is task {cell.task}")
    with with_threads():
        return decoder_of(task.fitted(cell, Bench(store, cell.device)), cell.part("model"))


def _reader(cell: Cell) -> Read:
    name = entry_of(cell).part.judge
    if not name:
        raise UsageError("`arithmetic`: no judge reads such images, so that concepts have no names")

    def read(images: Tensor) -> np.ndarray:
        reading = reading_of(name, images)
        return np.where(reading.passed, reading.labels, -1)

    return read


def _bytes(images: Tensor) -> np.ndarray:
    return to_bytes(images).cpu().numpy()
