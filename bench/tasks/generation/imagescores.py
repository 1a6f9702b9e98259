"""Everything that looks at samples of images: features of them, and what a judge reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.labelled import Labelled
from bench.datasets.named import dataset_named
from bench.datasets.pixels import to_bytes, to_unit
from bench.extractors import EXTRACTORS, Extractor, Loading
from bench.extractors.users import extractor as extractor_named
from bench.tasks.generation.codescores import INFORMED, MATCHED, SORTED
from bench.tasks.generation.featurescores import OF_FEATURES, Named, feature_scores
from bench.tasks.generation.insidescores import PATHS, SPECTRUM
from bench.tasks.generation.journeys import OF_PLAY, TRAJECTORY, sight_of_stacks
from bench.tasks.generation.massscores import MASSES, PASSES
from bench.tasks.values import scored_by
from generative import ConditionalSampler, Sampler
from metrics import JUDGES, METRICS, Reading, StackTally, tally_stacks, truth_of
from metrics.classes import Asked
from metrics.completion import Completion
from metrics.copying import cells_of, nearest
from metrics.features import Features
from metrics.judges.network import CLASSES
from metrics.trajectories import Sight
from metrics.within import Grouped

KEPT = "kept"
TAKES = (
    *OF_FEATURES,
    *("classes", "asked", "nearest", "latent", KEPT, PATHS, SPECTRUM, TRAJECTORY),
    *(PASSES, MASSES),
    *("within", INFORMED, MATCHED, SORTED),
    *OF_PLAY,
)
CURVE, COVERAGE = "frechet", "class_coverage"
READING, OF_MASKS = "same_reading", ("psnr_hidden", "psnr_known")
"""What a judge reads in what was made and in the truth; and scores that need a mask."""
READ = 500
COMPARED = 10_000
"""The most training images that samples are compared with."""


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
            size = part.usual_size([(seen.shape[2], seen.shape[3])])
            found.append(read(seen if size is None else part.resized(seen, size)).features.cpu())
    return torch.cat(found).numpy()


def refuse_colour(part: Extractor, channels: int) -> None:
    """Raise UsageError for images in colour where an extractor reads grey ones."""
    if part.channels == 1 and channels == 3:
        raise UsageError(
            f"features '{part.tag}' are of grey images, and these are in colour: ask for others "
            "(the setting features=lite0)"
        )


def reading_of(judge: str, images: Tensor) -> Reading:
    """What a judge by name reads in images [n, 1, h, w] in [0, 1], brought to its size."""
    size = JUDGES[judge].facts.size
    return JUDGES[judge].part.read(EXTRACTORS[judge].part.resized(images, size))


def read_alike(judge: str, truth: Tensor, made: Tensor) -> Named:
    """In how many of images [n, 1, h, w] a judge by name reads what it reads in their truths."""
    images, real = made.cpu().numpy(), truth.cpu().numpy()
    labels = [reading_of(judge, each).labels for each in (truth, made)]
    found = Completion(images, None, np.zeros(images.shape[2:], dtype=bool), *labels)
    return READING, METRICS[READING].part(real, found), f"@{JUDGES[judge].part.tag}"


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
        return dataset_named(self.name, ("images",), "task image", self.size)

    @property
    def judge(self) -> str:
        """The judge that reads such images, where the scores rest on it, else empty."""
        return self.extractor if self.extractor == self._data.judge else ""

    @cached_property
    def _part(self) -> Extractor:
        return extractor_named(self.extractor)

    @cached_property
    def _real(self) -> np.ndarray:
        where = (self.name, self.size, self.extractor, self.seed, self.device)
        return _training_features(*where)

    @cached_property
    def _held(self) -> np.ndarray:
        """Of held-out images, 10,000 at most."""
        held_out = self._data.source(self.seed, self.device).held_out[:COMPARED]
        return features_of(self._part, to_bytes(held_out), self.device)

    @cached_property
    def _trained_on(self) -> Features:
        return Features(self._real)

    def look(self, images: Tensor) -> Looked:
        """At images uint8 [n, c, h, w], once for all scores of them."""
        if self.extractor != self._data.judge:
            return Looked(features_of(self._part, images, self.device))
        reading = reading_of(self.extractor, to_unit(images.to(self.device)))
        return Looked(reading.features, reading)

    def glance(self, images: Tensor) -> tuple[list[Named], Sight | None, str]:
        """Scores of images on the way, uint8 [n, c, h, w], and their classes where a judge reads
        them.
        """
        looked, tag = self.look(images), f"@{self._part.tag}"
        scores: list[Named] = [
            (CURVE, METRICS[CURVE].part(self._trained_on, Features(looked.features)), tag)
        ]
        if looked.counts is None:
            return scores, None, ""
        real = truth_of(JUDGES[self.extractor].part.card, 1)
        scores.append((COVERAGE, METRICS[COVERAGE].part(real, looked.counts), tag))
        return scores, sight_of_stacks(real, looked.counts), tag

    def of(self, looked: Looked, fitted: Sampler) -> Iterator[Named]:
        """Of the final samples."""
        yield from feature_scores(self._real, looked.features, self._part.tag)
        yield from self._read(looked, fitted)
        yield from self._copied(looked.features)

    def _read(self, looked: Looked, fitted: Sampler) -> Iterator[Named]:
        """What the judge reads in them, where there is one."""
        reading, suffix = looked.reading, f"@{self._part.tag}"
        if reading is None:
            return
        truth = truth_of(JUDGES[self.extractor].part.card, 1)
        for entry in scored_by(("classes",)):
            yield entry.name, entry.part(truth, looked.counts), suffix
        if isinstance(fitted, ConditionalSampler):
            wanted = np.arange(len(reading.labels)) % fitted.classes
            told = Asked(wanted, reading.labels, reading.passed)
            for entry in scored_by(("asked",)):
                yield entry.name, entry.part(None, told), suffix
            yield from self._within(Grouped(looked.features, wanted))

    def _within(self, asked: Grouped) -> Iterator[Named]:
        """Inside each class, against the held-out images; nothing where a class has too few."""
        labels = self._data.source(self.seed, self.device).held_out_labels[:COMPARED]
        held = Grouped(self._held, labels.cpu().numpy())
        for entry in scored_by(("within",)):
            try:
                yield entry.name, entry.part(held, asked), f"@{self._part.tag}"
            except UsageError:
                continue

    def beside(self, looked: Looked, n: int) -> np.ndarray:
        """The training images, uint8 [n, c, h, w], whose features lie nearest to those of the first
        n that were looked at; of several as near, the first.
        """
        fake, real = torch.from_numpy(looked.features[:n]), torch.from_numpy(self._real)
        nearest = torch.cdist(fake.double(), real.double()).argmin(1)
        source = self._data.source(self.seed, self.device)
        return source.training_bytes[:COMPARED].cpu()[nearest].numpy()

    def _copied(self, fake: np.ndarray) -> Iterator[Named]:
        """Against the training images, with the held-out ones as new reals."""
        held = self._held
        seen = np.unique(self._real, axis=0).astype(np.float64)
        cells = cells_of(seen)
        both = [nearest([part.astype(np.float64)], seen, cells) for part in (held, fake)]
        for entry in scored_by(("nearest",)):
            try:
                yield entry.name, entry.part(*both), f"@{self._part.tag}"
            except UsageError:
                continue


def kept_by(fitted: Sampler) -> Iterator[Named]:
    """How many numbers a model keeps; nothing of one that keeps none."""
    if numbers := sum(kept.numel() for kept in fitted.tensors().values()):
        for entry in scored_by((KEPT,)):
            yield entry.name, entry.part(None, numbers), ""


@lru_cache(maxsize=4)
def _training_features(
    name: str, size: int | None, extractor: str, seed: int, device: str
) -> np.ndarray:
    """Of what samples are compared with: training images, 10,000 at most."""
    data = dataset_named(name, ("images",), "task image", size)
    source = data.source(seed, device)
    return features_of(extractor_named(extractor), source.training_bytes[:COMPARED], device)
