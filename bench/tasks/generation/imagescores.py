"""Everything that looks at samples of images: features of them, and what a judge reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.labelled import Labelled, LabelledSource
from bench.datasets.named import images_named
from bench.datasets.pixels import to_bytes, to_unit
from bench.extractors import EXTRACTORS, Extractor, Loading
from bench.extractors.pixels import usual_size
from bench.extractors.users import extractor as extractor_named
from bench.models.generators import Trained
from bench.tasks.base import Value
from bench.tasks.generation.featurescores import OF_FEATURES, feature_scores
from bench.tasks.values import scored_by, value_of
from generative import ConditionalSampler, Sampler
from metrics import JUDGES, METRICS, Judge, Reading, Score, StackTally, tally_stacks, truth_of
from metrics.classes import Asked
from metrics.copying import cells_of, nearest
from metrics.features import Features
from metrics.judges.network import CLASSES

TAKES = (*OF_FEATURES, "classes", "asked", "nearest", "latent")
CURVE = "frechet"
READ = 500
COMPARED = 10_000
"""The most training images that samples are compared with."""

Named = tuple[str, Score | float, str]
"""A metric's name, its score, and what stands behind the @."""


def usual_extractor(data: Labelled, asked: str) -> str:
    """The name of an extractor: the one asked for, the judge of the data, the best there is."""
    if asked or data.judge:
        return asked or data.judge
    return "pixels" if EXTRACTORS["lite0"].part.missing else "lite0"


def name_of(tag: str) -> str:
    """The name of the extractor with a tag; a user's is its own tag."""
    return next((entry.name for entry in EXTRACTORS.entries() if entry.part.tag == tag), tag)


def features_of(part: Extractor, images: Tensor, device: str) -> np.ndarray:
    """Features [n, d] of images uint8 [n, c, h, w], brought to the extractor's size and channels.

    Raises UsageError for images in colour where it reads grey ones.
    """
    read, found = part.load(Loading(device)), []
    with torch.inference_mode():
        for chunk in images.split(READ):
            seen = to_unit(chunk.to(device))
            if part.channels == 3 and seen.shape[1] == 1:
                seen = seen.expand(-1, 3, -1, -1)
            refuse_colour(part, seen.shape[1])
            size = usual_size(part, [(seen.shape[2], seen.shape[3])])
            found.append(read(seen if size is None else part.resized(seen, size)).features.cpu())
    return torch.cat(found).numpy()


def refuse_colour(part: Extractor, channels: int) -> None:
    """Raise UsageError for images in colour where an extractor reads grey ones."""
    if part.channels == 1 and channels == 3:
        raise UsageError(
            f"features '{part.tag}' are of grey images, and these are in colour: ask for others "
            "(--set features=lite0)"
        )


@dataclass(frozen=True, eq=False)
class Looked:
    """What was seen in n images: their features [n, d], and what the judge of such images reads in
    them, where the scores rest on it.
    """

    features: np.ndarray
    reading: Reading | None = None

    @property
    def counts(self) -> StackTally | None:
        """How often each class is read, and what can't be."""
        if self.reading is None:
            return None
        return tally_stacks(self.reading.labels[:, None], self.reading.passed[:, None], CLASSES)


@dataclass(frozen=True, eq=False)
class ImageScores:
    """The scores of one cell's samples: the images' name and side, the extractor's name, the seed
    of the source.
    """

    name: str
    size: int | None
    extractor: str
    seed: int
    device: str

    @cached_property
    def _data(self) -> Labelled:
        return images_named(self.name, self.size)

    @cached_property
    def _source(self) -> LabelledSource:
        return self._data.source(self.seed, self.device)

    @cached_property
    def _part(self) -> Extractor:
        return extractor_named(self.extractor)

    @property
    def _suffix(self) -> str:
        return f"@{self._part.tag}"

    @property
    def _judge(self) -> Judge | None:
        """The judge of such images, where the scores rest on it."""
        return JUDGES[self.extractor].part if self.extractor == self._data.judge else None

    @cached_property
    def _real(self) -> np.ndarray:
        return _training_features(self.name, self.size, self.extractor, self.seed, self.device)

    def _features(self, images: Tensor) -> np.ndarray:
        return features_of(self._part, images, self.device)

    def look(self, images: Tensor) -> Looked:
        """At images uint8 [n, c, h, w], once for all scores of them."""
        if self._judge is None:
            return Looked(self._features(images))
        size = JUDGES[self.extractor].facts.size
        seen = self._part.resized(to_unit(images.to(self.device)), size)
        reading = self._judge.read(seen)
        return Looked(reading.features, reading)

    def of(self, looked: Looked, fitted: Sampler) -> Iterator[Named]:
        """Of the final samples."""
        for name, score in feature_scores(self._real, looked.features):
            yield name, score, self._suffix
        yield from self._read(looked, fitted)
        yield from self._copied(looked.features)

    def _read(self, looked: Looked, fitted: Sampler) -> Iterator[Named]:
        """What the judge reads in them, where there is one."""
        judge, reading = self._judge, looked.reading
        if judge is None or reading is None:
            return
        for entry in scored_by(("classes",)):
            yield entry.name, entry.part(truth_of(judge.card, 1), looked.counts), self._suffix
        if isinstance(fitted, ConditionalSampler):
            wanted = np.arange(len(reading.labels)) % fitted.classes
            told = Asked(wanted, reading.labels, reading.passed)
            for entry in scored_by(("asked",)):
                yield entry.name, entry.part(None, told), self._suffix

    def _copied(self, fake: np.ndarray) -> Iterator[Named]:
        """Against the training images, with the held-out ones as new reals."""
        held = self._features(to_bytes(self._source.held_out[:COMPARED]))
        seen = np.unique(self._real, axis=0).astype(np.float64)
        cells = cells_of(seen)
        both = [nearest([part.astype(np.float64)], seen, cells) for part in (held, fake)]
        for entry in scored_by(("nearest",)):
            try:
                yield entry.name, entry.part(*both), self._suffix
            except UsageError:
                continue

    def curve(self, trained: Trained) -> Iterator[Value]:
        """The Frechet distance on the way; none for a model trained in one step."""
        if trained.total_steps == 1:
            return
        real = Features(self._real)
        for step, snapshot in zip(trained.steps, trained.snapshots, strict=True):
            fake = Features(self._features(torch.from_numpy(snapshot)))
            yield value_of(CURVE, METRICS[CURVE].part(real, fake), step, False, self._suffix)


@lru_cache(maxsize=4)
def _training_features(
    name: str, size: int | None, extractor: str, seed: int, device: str
) -> np.ndarray:
    """Of what samples are compared with: training images, 10,000 at most."""
    source = images_named(name, size).source(seed, device)
    return features_of(extractor_named(extractor), source.training_bytes[:COMPARED], device)
