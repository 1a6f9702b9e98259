"""What the tasks that train a model read, and what their rows rest on: each thing that is swapped
changes the rows that rest on it and no other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.datasets.labelled import LabelledSource
from bench.datasets.mixtures import MixtureSource
from bench.datasets.pairs import PairSource
from bench.datasets.stacks import StackSource
from bench.models.store import ArtifactStore
from bench.run.run import plan_of
from bench.tasks import TASKS, Bench
from bench.tasks.generation import imagescores, stack, translation
from bench.tasks.generation.experiment import Made
from generative import ConditionalSampler
from metrics import METRICS

BLOCKS = """
[[block]]
name = "points"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["vae", "nsgan", "gmm"]
settings = { steps = 4, batch = 16, samples = 200, evaluations = 2 }

[[block]]
name = "stacks"
task = "stack"
grid.dataset = ["stack2@optdigits"]
grid.model = ["vae", "nsgan"]
settings = { steps = 4, batch = 16, samples = 100, evaluations = 2 }

[[block]]
name = "images"
task = "image"
grid.dataset = ["optdigits"]
grid.model = ["oracle", "vae", "cgan", "nsgan"]
settings = { steps = 4, batch = 16, samples = 100, evaluations = 2, protocol = "small-dcgan" }

[[block]]
name = "holes"
task = "inpainting"
grid.dataset = ["optdigits"]
grid.model = ["vae", "nsgan", "noise"]
[block.settings]
steps = 4
batch = 16
evaluations = 2
protocol = "small-dcgan"
pictures = 20
descent_steps = 2
starts = 20

[[block]]
name = "translations"
task = "translation"
grid.dataset = ["scenes@digits"]
grid.model = ["truth", "identity", "pix2pix"]
settings = { steps = 1, batch = 2, evaluations = 1 }

[[block]]
name = "back"
task = "translation"
grid.dataset = ["scenes@digits"]
grid.model = ["truth", "identity"]
settings = { direction = "backward" }
"""
LEARNERS = [
    ("points", "vae"),
    ("stacks", "vae"),
    ("images", "cgan"),
    ("holes", "vae"),
    ("translations", "pix2pix"),
]


class Cells(dict):
    """By block and model, seed 0; a block is planned when it is asked for."""

    def __init__(self, folder):
        self._folder = folder

    def __missing__(self, at):
        (block,) = (b for b in BLOCKS.split("[[block]]")[1:] if f'name = "{at[0]}"' in b)
        path = self._folder / f"{at[0]}.toml"
        path.write_text(f'name = "wires"\n[[block]]{block}')
        planned = plan_of(str(path), seeds=(0,)).cells
        self.update({(cell.block, cell.part("model")): cell for cell in planned})
        return self[at]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return Cells(tmp_path_factory.mktemp("wires"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def few_translations(monkeypatch):
    monkeypatch.setattr(translation, "MOST", 64)


def experiment(cell):
    return TASKS[cell.task].part.experiment(cell, "cpu")


def rows(cell, store):
    """The values of a cell by metric, without what is kept from one cell to the next."""
    imagescores._training_features.cache_clear()
    stack._reference.cache_clear()
    found = TASKS[cell.task].part.measure(cell, Bench(store))
    assert not found.diverged
    assert not found.invalid
    return {(v.metric.partition("@")[0], v.label, v.step): v.value for v in found.values}


def changed(before, after):
    """The metrics whose values differ."""
    assert before.keys() == after.keys()
    return {name[0] for name in before if before[name] != after[name]}


def taking(*kinds):
    return {entry.name for entry in METRICS.entries() if entry.facts.takes in kinds}


def swapped(monkeypatch, source, name, other):
    """Replace a property of a source by a function of what it was."""
    own = source.__dict__[name].func
    monkeypatch.setattr(source, name, property(lambda self: other(own(self))))


def drawn_elsewhere(monkeypatch, source):
    """Fresh examples of another distribution."""
    own = source.fresh
    monkeypatch.setattr(source, "fresh", lambda self, *given: own(self, *given) * 0.5 + 0.25)


@pytest.mark.parametrize(
    ("block", "model", "source", "resting"),
    [
        ("points", "vae", MixtureSource, ("latent",)),
        ("points", "gmm", MixtureSource, ("likelihood",)),
        ("points", "nsgan", MixtureSource, ()),
        ("stacks", "vae", StackSource, ("latent",)),
        ("stacks", "nsgan", StackSource, ()),
    ],
)
def test_held_out_points_and_stacks_change_what_is_said_of_them(
    cells, store, monkeypatch, block, model, source, resting
):
    """A bound that were computed on training examples would not change."""
    before = rows(cells[block, model], store)
    drawn_elsewhere(monkeypatch, source)
    assert changed(before, rows(cells[block, model], store)) == taking(*resting)


@pytest.mark.parametrize(
    ("block", "model", "resting"),
    [
        ("images", "vae", ("latent", "nearest")),
        ("images", "cgan", ("nearest", "within")),
        ("holes", "vae", ("completed",)),
    ],
)
def test_held_out_images_change_what_rests_on_them(
    cells, store, monkeypatch, block, model, resting
):
    """Samples are compared with training images; copies, bounds and scores inside a class need
    held-out ones; pictures to complete are held out. A model of a few steps recalls none.
    """
    before = rows(cells[block, model], store)
    swapped(monkeypatch, LabelledSource, "held_out", lambda images: (images * 0.5).flip(3))
    after = rows(cells[block, model], store)
    found = changed(before, after)
    assert found <= taking(*resting)
    assert found >= taking(*resting) & names_of(before) - {"same_reading", "copies", "class_recall"}
    assert found


def names_of(values):
    return {name for name, *_ in values}


def test_true_partners_change_what_is_compared_with_them_alone(cells, store, monkeypatch):
    before = rows(cells["translations", "pix2pix"], store)
    assert before["noise_spread", "", 1] > 0
    swapped(monkeypatch, PairSource, "held_second", lambda images: images.flip(3))
    found = changed(before, rows(cells["translations", "pix2pix"], store))
    assert found == (taking("translated") & names_of(before)) - {"noise_spread"}


@pytest.mark.parametrize("block", ["translations", "back"])
def test_translations_are_scored_against_the_truth(cells, store, block):
    """And by the features of the domain that they are translated into."""
    true, same = (rows(cells[block, model], store) for model in ("truth", "identity"))
    value = {name: (true[name], same[name]) for name in true}
    psnr, frechet = value["psnr", "", 1], value["frechet", "", 1]
    assert psnr[0] == 100 > 30 > psnr[1]
    assert frechet[0] < frechet[1]
    assert value["pixel_accuracy", "", 1][0] > 0.9


@pytest.mark.parametrize("model", ["vae", "cgan"])
def test_labels_are_for_those_that_are_told_them(cells, tmp_path, monkeypatch, model):
    """Trained on images with other labels a conditional model is another one, others the same."""
    cell = cells["images", model]
    before = rows(cell, ArtifactStore(tmp_path / "own"))
    swapped(monkeypatch, LabelledSource, "training_labels", lambda labels: (labels + 1) % 10)
    found = changed(before, rows(cell, ArtifactStore(tmp_path / "other")))
    assert bool(found) == (model == "cgan")


class Perfect(ConditionalSampler):
    """Real images of the class that is asked for, or of one some way off."""

    classes = 10

    def __init__(self, source, shift):
        self._images, self._labels = source.held_out, source.held_out_labels
        self._shift = shift

    def sample(self, n, rng, condition=None):
        wanted = torch.arange(n) % 10 if condition is None else condition
        return torch.stack(
            [self._images[self._labels == (c + self._shift) % 10][0] for c in wanted]
        )

    def codes(self, n, rng):
        raise NotImplementedError

    def decode(self, z, condition=None):
        raise NotImplementedError

    def tensors(self):
        return {}


@pytest.mark.parametrize(("shift", "low", "high"), [(0, 0.9, 1.0), (1, 0.0, 0.1), (-1, 0.0, 0.1)])
def test_asked_labels_are_those_that_were_asked_for(cells, shift, low, high):
    at_work = experiment(cells["images", "cgan"])
    model = Perfect(at_work.source, shift)
    scores = {name: score for name, score, _ in at_work.score(model, at_work.make(model))[0]}
    assert low <= scores["label_accuracy"].value <= high


@pytest.mark.parametrize(("block", "model"), [*LEARNERS, ("holes", "noise"), ("images", "oracle")])
def test_the_seed_decides_what_is_trained_and_what_is_made(cells, store, block, model):
    """Of one trained model other samples; the same again for the same seed."""
    cell = cells[block, model]
    trained, other = experiment(cell), experiment(replace(cell, seed=1))
    assert trained.order.key("cpu") != other.order.key("cpu")
    fitted = trained.train(store).fitted
    first, again, second = (x.make(fitted).values for x in (trained, experiment(cell), other))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("block", "model"), LEARNERS[:4])
def test_another_seed_changes_the_row(cells, store, block, model):
    cell = cells[block, model]
    assert changed(rows(cell, store), rows(replace(cell, seed=1), store))


@pytest.mark.parametrize(("block", "model"), [*LEARNERS[:3], LEARNERS[4]])
def test_what_is_looked_at_is_what_was_scored(cells, store, block, model):
    """`bench sample` shows the first of the samples that the row rests on."""
    cell = cells[block, model]
    at_work, task = experiment(cell), TASKS[cell.task].part
    made = at_work.make(at_work.train(store).fitted).values
    made = made[0] if block == "translations" else made
    if at_work.source.box is not None:
        made = (made * 255).round()
    np.testing.assert_array_equal(task.sample(cell, 5, Bench(store)), made[:5].numpy())


@pytest.mark.parametrize(
    ("block", "model", "words"),
    [
        ("points", "vae", "the final samples are not finite"),
        ("stacks", "vae", "the final samples are not finite"),
        ("images", "cgan", "the final samples are not finite"),
        ("holes", "vae", "the completed pictures are not finite"),
        ("translations", "pix2pix", "the final translations are not finite"),
    ],
)
def test_what_is_made_is_not_believed(cells, store, monkeypatch, block, model, words):
    """Not finite: diverged. Images out of their range: invalid, and nothing is scored."""
    task, cell = TASKS[cells[block, model].task].part, cells[block, model]
    own = task.experiment.make
    for value in (float("nan"), 1.5):

        def make(self, fitted, value=value):
            values = own(self, fitted).values.clone()
            values[-1] = value
            return Made(values)

        monkeypatch.setattr(task.experiment, "make", make)
        found = task.measure(cell, Bench(store))
        if np.isnan(value):
            assert (found.diverged, found.invalid) == (words, "")
            assert not any(v.final for v in found.values)
        elif block != "points":
            assert "expected images in [0, 1], got values from" in found.invalid
            assert not found.values
