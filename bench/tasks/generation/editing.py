"""Editing: held-out images with their class exchanged for another, their codes kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets import DATASETS
from bench.datasets.named import names_with
from bench.datasets.pixels import to_bytes, to_unit
from bench.extractors.users import extractor as extractor_named
from bench.suites.cell import Cell
from bench.tasks.base import TASKS, Resolved
from bench.tasks.generation import encoded, inferring
from bench.tasks.generation.encoded import EncodedExperiment
from bench.tasks.generation.experiment import Arrays, GenerationTask, Made
from bench.tasks.generation.facts import facts_by_what
from bench.tasks.generation.featurescores import OF_FEATURES, Named, feature_scores, names_given
from bench.tasks.generation.image import ImageSettings, resolve_images, scores_of
from bench.tasks.generation.imagescores import COMPARED, features_of, name_of
from bench.tasks.generation.inferring import CODES, DATA, ERRORS, Examples
from bench.tasks.generation.settings import recipe_of
from bench.tasks.generation.sheets import sheet
from bench.tasks.values import facts_of, scored_by
from generative import RECIPES, ConditionalSampler, Editor, Labeller, Sampler
from generative.games.mislabelled import other_classes
from generative.recipes.classmeans import ClassMeans
from generative.recipes.inverting import Inverted
from generative.recipes.references import Reals
from metrics.classes import Asked
from metrics.edited import Drawn
from metrics.reconstruction import Rebuilt

CLASSES = frozenset({"images", "classes"})
ASKED, SAID, STROKES = "asked", "labelled", "edited"
TAKES = (*OF_FEATURES, ASKED, SAID, STROKES, DATA, CODES)
TRUE = "@true"
"""What the name of a score ends with that is of images rebuilt under their true class."""
BOUNDS = ("oracle", "class-mean")
"""Models that infer nothing: held-out images themselves, and the mean image of each class."""
PICTURED, CHUNK = 16, 1_000


class EditingSettings(ImageSettings):
    """codes: those that are inferred of an image, or draws of the prior, which keep nothing of
    it.
    """

    protocol: str = "small-dcgan"
    codes: Literal["inferred", "drawn"] = "inferred"


OWN = ("codes",)


class EditingExperiment(EncodedExperiment[EditingSettings]):
    """All held-out images, each for one other class that its cell's randomness decides."""

    kind = EditingSettings
    outcome: ClassVar[str] = "edited images"

    @cached_property
    def wanted(self) -> Tensor:
        """The class that is asked for in the place of each image's own."""
        known, rng = self.source.held_out_labels, self.stream("exchanged")
        return other_classes(known, self.source.classes, rng)

    def codes(self, fitted: Editor) -> Tensor:
        """Of held-out images, a thousand at once."""
        if self.asked.codes == "drawn":
            return fitted.codes(len(self.source.held_out), self.stream("codes"))
        return _encoded(fitted, self.source.held_out, self.source.held_out_labels)

    def read(self, fitted: Sampler) -> Tensor:
        """The classes of held-out images as the model reads them; the truth where it does not."""
        if not isinstance(fitted, Labeller):
            return self.source.held_out_labels
        parts = (fitted.classify(x).argmax(1) for x in self.source.held_out.split(CHUNK))
        return torch.cat([*parts])

    def decoded(self, fitted: Sampler, labels: Tensor) -> Tensor:
        """Held-out images with these classes for theirs. Raises UsageError for a model that can't
        do that.
        """
        if isinstance(fitted, ClassMeans):
            return fitted.decode(torch.empty(len(labels), 1, device=labels.device), labels)
        editor = editor_of(fitted)
        return _decoded(editor, self.codes(editor), labels)

    def make(self, fitted: Sampler) -> Made:
        if isinstance(fitted, Reals):
            return Made(self._others())
        return Made(self.decoded(fitted, self.wanted))

    def _others(self) -> Tensor:
        """A held-out image of the class that is asked for, in the place of each."""
        held, known = self.source.held_out, self.source.held_out_labels
        rng, found = self.stream("others"), torch.empty_like(held)
        for label in range(self.source.classes):
            places, own = self.wanted == label, held[known == label]
            pool = own if len(own) else held
            n = int(places.sum())
            found[places] = pool[torch.randint(len(pool), (n,), generator=rng, device=rng.device)]
        return found

    def score(self, fitted: Sampler, made: Made) -> tuple[Iterable[Named], Arrays]:
        held, images = self.source.held_out, to_bytes(made.values)
        again = held if isinstance(fitted, Reals) else self.decoded(fitted, self.read(fitted))
        scores = [*self._looked(images), *self._strokes(to_unit(images)), *self._rebuilt(again)]
        if isinstance(fitted, Labeller):
            told = self.decoded(fitted, self.source.held_out_labels)
            scores += [*self._rebuilt(told, TRUE), *self._said(fitted)]
        if isinstance(fitted, Editor):
            scores += [*self._recoded(fitted)]
        shown = {"originals": held, "samples": made.values, "rebuilt": again}
        return scores, sheet(PICTURED, **{k: x.clamp(0, 1) for k, x in shown.items()})

    def _looked(self, images: Tensor) -> Iterator[Named]:
        """Against the training images, and as the judge reads them."""
        scores = scores_of(self.cell, self.device)
        looked, part = scores.look(images), extractor_named(scores.extractor)
        real = features_of(part, self.source.training_bytes[:COMPARED], self.device)
        yield from feature_scores(real, looked.features, part.tag)
        if looked.reading is not None:
            wanted = self.wanted.cpu().numpy()
            told = Asked(wanted, looked.reading.labels, looked.reading.passed)
            for entry in scored_by((ASKED,)):
                yield entry.name, entry.part(None, told), f"@{part.tag}"

    def _strokes(self, images: Tensor) -> Iterator[Named]:
        """Of grey pictures, what their class does not say."""
        held = self.source.held_out
        if held.shape[1] == 1:
            real = Drawn(_grey(held), self.source.held_out_labels.cpu().numpy())
            fake = Drawn(_grey(images), self.wanted.cpu().numpy())
            for entry in scored_by((STROKES,)):
                yield entry.name, entry.part(real, fake), ""

    def _rebuilt(self, again: Tensor, suffix: str = "") -> Iterator[Named]:
        """Beside the images, whatever class they were decoded with."""
        mean, variance = Examples(self.source.training, self.source.held_out).units
        found = Rebuilt(again.cpu().double().numpy(), mean, variance)
        real = self.source.held_out.cpu().double().numpy()
        for entry in scored_by((DATA,)):
            if entry.name in ERRORS:
                yield entry.name, entry.part(real, found), suffix

    def _said(self, fitted: Sampler) -> Iterator[Named]:
        """The classes that the model itself reads."""
        truth, said = self.source.held_out_labels, self.read(fitted)
        for entry in scored_by((SAID,)):
            yield entry.name, entry.part(truth.cpu().numpy(), said.cpu().numpy()), ""

    def _recoded(self, fitted: Editor) -> Iterator[Named]:
        """Codes of the prior beside those of what they decode to, of every class in turn."""
        n = len(self.source.held_out)
        drawn = fitted.codes(n, self.stream("prior"))
        labels = torch.arange(n, device=drawn.device) % fitted.classes
        again = _encoded(fitted, _decoded(fitted, drawn, labels), labels)
        for entry in scored_by((CODES,)):
            values = (z.cpu().double().numpy() for z in (drawn, again))
            yield entry.name, entry.part(*values), ""


def editor_of(model: Sampler) -> Editor:
    """A model that edits. Raises UsageError for another one."""
    if not isinstance(model, Editor):
        raise UsageError(
            f"a {type(model).__name__} exchanges no classes: task editing needs an Editor; choose "
            "icgan or cvae"
        )
    return model


def _encoded(model: Editor, x: Tensor, labels: Tensor) -> Tensor:
    both = zip(x.split(CHUNK), labels.split(CHUNK), strict=True)
    return torch.cat([model.encode(*part) for part in both])


def _decoded(model: ConditionalSampler, z: Tensor, labels: Tensor) -> Tensor:
    both = zip(z.split(CHUNK), labels.split(CHUNK), strict=True)
    return torch.cat([model.decode(*part) for part in both])


def _grey(images: Tensor) -> np.ndarray:
    return images[:, 0].cpu().double().numpy()


class EditingTask(GenerationTask[EditingExperiment]):
    """The dataset is of images with classes; the model exchanges them, or is a bound of such."""

    needs = CLASSES
    experiment = EditingExperiment

    def every(self, axis: str) -> list[str]:
        if axis == "model":
            return [entry.name for entry in RECIPES.entries() if self.edits(entry)]
        return [name for name in names_with(self.needs) if DATASETS[name].facts.judge]

    def edits(self, recipe: Entry[Any, Any]) -> bool:
        """Whether a model can be asked."""
        return recipe.facts.edits or recipe.name in BOUNDS

    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        modules = (__name__, encoded.__name__, inferring.__name__)
        recipe = recipe_of(parts["model"])
        own = () if recipe.name in BOUNDS else OWN
        found = resolve_images(parts, settings, EditingSettings, own, TAKES, modules)
        if found.skip:
            return found
        if recipe.name in RECIPES and not self.edits(recipe):
            reason = f"model '{recipe.name}' exchanges no classes: choose icgan or cvae"
            return replace(found, skip=reason, unfit=True)
        return replace(found, gives=frozenset(_given(found, recipe)))

    def metric_facts(self, name: str) -> dict[str, Any]:
        """Those of a registered metric, under its name and what it rests on."""
        known, _, given = name.partition("@")
        if f"@{given}" == TRUE and known in ERRORS:
            facts = facts_of(known, TAKES)
            return {**facts, "name": name, "title": f"{facts['title']}, told"}
        needs, alone = "the features that it rests on@digits-cnn", (SAID, STROKES, DATA, CODES)
        return facts_by_what(name, TAKES, alone, needs, lambda e: extractor_named(e).tag)

    def describe_data(self, cell: Cell) -> dict[str, Any]:
        return TASKS["image"].part.describe(cell)["dataset"]


def _given(found: Resolved, recipe: Entry[Any, Any]) -> Iterator[str]:
    """The metrics that a cell can have."""
    tag = found.settings["features"]
    yield from names_given(OF_FEATURES, tag, extractor_named(name_of(tag)).dims or 0)
    yield from names_given((ASKED,), tag)
    yield from names_given((STROKES,))
    yield from ERRORS
    if recipe.name not in BOUNDS:
        yield from names_given((CODES,))
    if isinstance(recipe.part, Inverted):
        yield from names_given((SAID,))
        yield from (name + TRUE for name in ERRORS)


TASKS.register("editing")(EditingTask())
