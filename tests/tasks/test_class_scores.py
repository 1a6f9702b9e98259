"""Scores inside classes and of codes: whose images, which labels, what a code said."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from swapped import digits
from tasks.byhand import by_hand, cell_of, experiment_of, row_of

from bench.core.randomness import stream
from bench.models.store import ArtifactStore
from generative import RECIPES, CodeReader, ConditionalSampler, Sorter, Training
from generative.samplers import labels_for

ME = __name__
JUDGE = "optdigits-cnn"


def judged(name, **arrays):
    return replace(digits(name, **arrays), judge=JUDGE)


usual = judged("usual")
misread = judged("misread", held_labels=lambda s: np.roll(s.held_labels, 1))
elsewhere = judged("elsewhere", held_images=lambda s: 255 - s.held_images)
shuffled = judged(
    "shuffled", held_labels=lambda s: np.random.default_rng(0).permutation(s.held_labels)
)
retold = judged("retold", labels=lambda s: np.roll(s.labels, 1))


class Drawing(ConditionalSampler):
    """Training images of the class that is asked for, in their order: nothing is drawn."""

    classes = 10

    def __init__(self, source, shift=0):
        images, labels = source.training, source.training_labels[: len(source.training)]
        self.images = [images[labels == (k + shift) % 10] for k in range(10)]

    def sample(self, n, rng, condition=None):
        asked, seen = labels_for(n, condition, 10, torch.device("cpu")), [0] * 10
        found = []
        for label in asked.tolist():
            found.append(self.images[label][seen[label] % len(self.images[label])])
            seen[label] += 1
        return torch.stack(found)

    def codes(self, n, rng):
        return torch.zeros(n, 1)

    def decode(self, z, condition=None):
        return self.sample(len(z), None, condition)

    def tensors(self):
        return {}


drawing = by_hand(Drawing)
astray = by_hand(lambda source: Drawing(source, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("classes"))


def row(store, dataset="usual", model="drawing", seed=0):
    cell = cell_of("image", dataset=f"{ME}:{dataset}", model=f"{ME}:{model}", seed=seed)
    return row_of(cell, store)


NAMES = ("class_recall", "class_diversity", "label_accuracy")


def within(store, *named):
    found = row(store, *named)
    return [found[name] for name in NAMES]


def test_real_images_of_the_class_that_is_asked_for(store):
    recall, diversity, accuracy = within(store)
    assert recall > 0.6
    assert diversity == pytest.approx(1, abs=0.1)
    assert accuracy > 0.95


def test_images_of_another_class_have_no_recall(store):
    recall, diversity, accuracy = within(store, "usual", "astray")
    assert recall < 0.1
    assert diversity == pytest.approx(1, abs=0.25)
    assert accuracy < 0.05


def test_a_class_is_compared_with_held_out_images_of_it(store):
    """Other labels of those, or other images, and no sample is near them; the model's training
    images, which it has all of, count for nothing.
    """
    assert within(store, "misread")[0] < 0.1
    assert within(store, "elsewhere")[0] < 0.1


class Saying(CodeReader):
    """The category is an image of a digit, some way off; the number says how bright it is, and is
    read to a tenth.
    """

    categories, numbers, prior = 10, 1, "normal"

    def __init__(self, source, shift=3):
        labels, self.shift = source.held_out_labels, shift
        self.images = torch.stack([source.held_out[labels == k][0] for k in range(10)])

    def codes(self, n, rng):
        return torch.randn(n, 11, generator=rng)

    def said(self, z):
        return z[:, 1:].argmax(1), torch.erf(z[:, :1] / 2**0.5)

    def saying(self, z, categories, numbers):
        raise NotImplementedError

    def decode(self, z):
        category, numbers = self.said(z)
        return self.images[(category + self.shift) % 10] * (
            0.95 + 0.05 * numbers[:, 0, None, None, None]
        )

    def read(self, x):
        apart = (x[:, None] - self.images).flatten(2).square().sum(2)
        category = (apart.argmin(1) - self.shift) % 10
        sure = torch.full((len(x), 10), 0.01)
        sure[torch.arange(len(x)), category] = 0.91
        near = self.images[(category + self.shift) % 10].flatten(1)
        size = (x.flatten(1) * near).sum(1) / near.square().sum(1)
        return sure.log(), ((size - 0.95) / 0.05)[:, None] * 0.9

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def logits(self, x):
        return x.flatten(1).sum(1)

    def tensors(self):
        return {}


saying = by_hand(Saying)


def test_what_codes_say_is_read_in_their_own_samples(store):
    found = row(store, model="saying")
    assert found["information"] == pytest.approx(np.log(10) + np.log(0.91), abs=1e-3)
    assert found["number_information"] > 1
    assert found["code_accuracy"] > 0.95
    assert not {"label_accuracy", "class_recall", "path_length"} & found.keys()


def test_categories_are_those_of_new_codes_of_the_seed(store):
    """As many as samples are scored; of another seed others."""
    at_work = experiment_of(cell_of("image", dataset=f"{ME}:usual", model=f"{ME}:saying"))
    model, seen = Saying(at_work.source), []
    own = model.codes
    model.codes = lambda n, rng: seen.append(own(n, rng)) or seen[-1]
    found = {name: suffix.partition(":")[0] for name, _, suffix in at_work._informed(model)}
    assert found == {
        "information": "",
        "number_information": "",
        "code_accuracy": f"@{JUDGE}",
    }
    (z,) = seen
    assert torch.equal(z, torch.randn(300, 11, generator=at_work.stream("said")))
    assert not torch.equal(z, torch.randn(300, 11, generator=at_work.stream("samples")))


def test_the_mean_of_each_class_is_what_is_asked_for_and_nothing_else(store):
    """The floor: every label is right, no class has two images. Told other labels it is wrong."""

    def found(dataset):
        values = row_of(cell_of("image", dataset=f"{ME}:{dataset}", model="class-mean"), store)
        return [values[name] for name in NAMES]

    recall, diversity, accuracy = found("usual")
    assert (recall, diversity) == (0, 0)
    assert accuracy >= 0.9
    assert found("retold")[2] < 0.5


def test_class_means_by_hand():
    at_work = experiment_of(cell_of("image", dataset=f"{ME}:usual", model="class-mean"))
    source = at_work.source
    trainer = RECIPES["class-mean"].part.trainer(Training(), source.shape)
    model = trainer.finish(trainer.advance(trainer.start(source, stream("x")), 1))
    labels = source.training_labels
    for label in (0, 7):
        wanted = source.training[labels == label].mean(0)
        asked = torch.full((2,), label)
        torch.testing.assert_close(model.sample(2, stream("x"), asked)[1], wanted)


class Putting(Sorter):
    """Every image into the category of the mean image it is nearest to, some way off."""

    categories, prior = 10, "normal"

    def __init__(self, source, shift=4):
        labels = source.training_labels
        means = [source.training[labels == (k + shift) % 10].mean(0) for k in range(10)]
        self.means = torch.stack(means)

    def sort(self, x):
        return (-(x[:, None] - self.means).flatten(2).square().sum(2)).log_softmax(1)

    def codes(self, n, rng):
        return torch.randn(n, 2, generator=rng)

    def decode(self, z):
        return self.means[z.argmax(1)]

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def logits(self, x):
        return x.flatten(1).sum(1)

    def tensors(self):
        return {}


putting = by_hand(Putting)


def test_categories_of_held_out_images_stand_for_their_classes(store):
    """In any order; by their own labels, not by those of others."""
    assert row(store, model="putting")["cluster_accuracy"] > 0.8
    mixed = row(store, "shuffled", "putting")["cluster_accuracy"]
    assert mixed < 0.3
    assert "cluster_accuracy" not in row(store, model="saying")
