"""Editors whose answers are known, and what of the data each score looks at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from swapped import digits, permuted, usual  # noqa: F401
from tasks.byhand import Given, by_hand, cell_of, experiment_of
from torch.nn.functional import one_hot

from bench.core.errors import UsageError
from bench.models.store import ArtifactStore
from bench.tasks import TASKS, Bench
from generative import RECIPES, Editor, Labeller
from metrics import METRICS
from metrics.edited import Drawn, correlation, within
from metrics.strokes import slant, thickness

ME, CLASSES, LATENT = __name__, 10, 64


class By(Editor):
    """Functions of examples and labels to codes, and of codes and labels to examples."""

    classes = CLASSES

    def __init__(self, encode, decode):
        self._encode, self._decode = encode, decode

    def sample(self, n, rng, condition=None):
        return self.decode(self.codes(n, rng), condition)

    def codes(self, n, rng):
        return torch.randn(n, LATENT, generator=rng)

    def encode(self, x, labels):
        return self._encode(x, labels)

    def decode(self, z, condition=None):
        labels = torch.arange(len(z)) % CLASSES if condition is None else condition
        return self._decode(z, labels)

    def tensors(self):
        return {}


class Reading(By, Labeller):
    """One that says the class of an example: a function of the place in a batch."""

    def __init__(self, encode, decode, classify):
        super().__init__(encode, decode)
        self._classify = classify

    def classify(self, x):
        return self._classify(x)


def image(z):
    return z.unflatten(1, (1, 8, 8))


def flat(x, labels):
    return x.flatten(1)


def painted(labels, right):
    """White where a label is right, else black."""
    return (labels == right).float()[:, None, None, None].expand(-1, 1, 8, 8)


def first_of_each(data):
    """A training image of each class."""
    labels = data.training_labels[: len(data.training)]
    return torch.stack([data.training[labels == c][0] for c in range(CLASSES)])


still = by_hand(lambda data: By(flat, lambda z, labels: image(z)))
shown = by_hand(lambda data: By(flat, lambda z, labels: first_of_each(data)[labels]))
told = by_hand(
    lambda data: By(
        lambda x, labels: one_hot(labels, LATENT).float(),
        lambda z, labels: painted(labels, z.argmax(1)),
    )
)
blind = by_hand(
    lambda data: By(lambda x, labels: x.flatten(1) * 0, lambda z, labels: image(z.sigmoid()))
)
plain = by_hand(lambda data: Given(data.training[:5]))


def known(data, ahead):
    """The class of held-out images is read off as it is, or one ahead; they are rebuilt where the
    class that they are decoded with is the true one, and white elsewhere.
    """

    def classify(x):
        near = torch.cdist(x.flatten(1), data.held_out.flatten(1)).argmin(1)
        return one_hot((data.held_out_labels[near] + ahead) % CLASSES, CLASSES).float()

    def encode(x, labels):
        return x.flatten(1) / 2 + one_hot(labels, LATENT).float()

    def decode(z, labels):
        near = torch.cdist(z, encode(data.held_out, data.held_out_labels)).argmin(1)
        right = (labels == data.held_out_labels[near])[:, None, None, None]
        return torch.where(right, data.held_out[near], torch.ones(1, 1, 8, 8))

    return Reading(encode, decode, classify)


well_read = by_hand(lambda data: known(data, 0))
misread = by_hand(lambda data: known(data, 1))


def marked(z, labels):
    """A code, and the class that it was decoded with, in the last row."""
    rows = one_hot(labels, 16).float().unflatten(1, (2, 8))
    return torch.cat([image(z)[:, 0, :6], rows], 1)[:, None]


def trusting(x, labels):
    """The code of an image that shows the class which it is said to be of; others have none."""
    right = x[:, 0, 6:].flatten(1).argmax(1) == labels
    return torch.where(right[:, None], x.flatten(1), torch.zeros(1, LATENT))


checked = by_hand(lambda data: By(trusting, marked))
darker = digits("darker", images=lambda s: s.images // 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("edited"))


def measured(store, model, dataset=f"{ME}:usual", seed=0, **settings):
    """Final values by metric, the arrays, and the cell."""
    named = model if model in RECIPES else f"{ME}:{model}"
    cell = cell_of("editing", dataset=dataset, model=named, seed=seed, settings=settings)
    found = TASKS["editing"].part.measure(cell, Bench(store))
    assert (found.diverged, found.invalid) == ("", "")
    return {v.metric: v.value for v in found.values if v.final}, found.arrays, cell


def test_an_image_that_stays_as_it_is_keeps_all_but_its_class(store):
    """Each is asked for another class, which it is not; and it is rebuilt."""
    found, arrays, cell = measured(store, "still", "optdigits")
    assert found["label_accuracy@optdigits-cnn:684c"] < 0.03
    assert 0.6 < found["slant_kept"] < 0.9, "means are those of the classes that are asked for"
    assert found["thickness_kept"] > 0.3
    assert found["error_share"] == pytest.approx(0, abs=1e-9)
    assert found["code_error_share"] == pytest.approx(0, abs=1e-9)
    assert "test_error" not in found
    at_work = experiment_of(cell)
    assert (at_work.wanted != at_work.source.held_out_labels).all()
    assert len(set(at_work.wanted.tolist())) == CLASSES
    for name in ("originals", "samples", "rebuilt"):
        np.testing.assert_array_equal(arrays[name], arrays["originals"])


def test_one_image_of_each_class_keeps_nothing_but_what_is_asked_for(store):
    found, _, cell = measured(store, "shown", "optdigits")
    at_work = experiment_of(cell)
    prototypes = first_of_each(at_work.source)
    rebuilt = prototypes[at_work.source.held_out_labels]
    mean = at_work.source.training.mean(0)
    lost, there = ((at_work.source.held_out - x).double().square().sum() for x in (rebuilt, mean))
    assert found["error_share"] == pytest.approx(float(lost / there), rel=1e-4)
    assert found["label_accuracy@optdigits-cnn:684c"] > 0.85
    assert found["slant_kept"] == found["thickness_kept"] == 0


def test_codes_are_told_the_class_of_the_image_and_decoded_with_another(store):
    """White where both are the same."""
    _, arrays, _ = measured(store, "told")
    assert (arrays["rebuilt"] == 255).all()
    assert (arrays["samples"] == 0).all()


def test_codes_that_are_drawn_know_no_image(store):
    found, arrays, _ = measured(store, "blind", codes="drawn", dataset="optdigits")
    assert abs(found["slant_kept"]) < 0.2
    assert len(np.unique(arrays["samples"], axis=0)) == 16
    assert len(np.unique(measured(store, "blind")[1]["samples"], axis=0)) == 1


@pytest.mark.parametrize(("model", "wrong"), [("well_read", 0.0), ("misread", 1.0)])
def test_an_image_is_rebuilt_under_the_class_that_is_read(store, model, wrong):
    """And, told the true one, whatever is read."""
    found, *_ = measured(store, model)
    assert found["test_error"] == wrong
    assert found["error_share@true"] == found["squared_error@true"] == pytest.approx(0, abs=1e-9)
    assert (found["error_share"] > 1) if wrong else found["error_share"] == pytest.approx(0)


def test_codes_of_samples_are_inferred_under_the_class_that_they_were_made_of(store):
    """Else nothing of a code would be left; of its 64 numbers the last 16 are lost."""
    found, *_ = measured(store, "checked")
    assert 0.2 < found["code_error_share"] < 0.4


def test_training_images_are_the_measure(store):
    """Of distances of features and of errors; what is scored is the same."""
    first, other = (measured(store, "still", f"{ME}:{name}")[0] for name in ("usual", "darker"))
    assert first["frechet@pixels"] != other["frechet@pixels"]
    first, other = (measured(store, "told", f"{ME}:{name}")[0] for name in ("usual", "darker"))
    assert first["error_share"] != other["error_share"]
    assert first["squared_error"] == other["squared_error"]


def test_the_oracle_shows_other_images_of_the_class_that_is_asked_for(store):
    found, _, cell = measured(store, "oracle", "optdigits")
    at_work = experiment_of(cell)
    held, known = at_work.source.held_out, at_work.source.held_out_labels
    made = at_work.make(
        RECIPES["oracle"]
        .part.trainer(at_work.order.training, at_work.source.shape)
        .fit(at_work.source, 0)
    ).values
    same = torch.cdist(made.flatten(1), held.flatten(1)).argmin(1)
    assert torch.equal(known[same], at_work.wanted)
    assert len(same.unique()) > 0.5 * len(held)
    assert found["label_accuracy@optdigits-cnn:684c"] > 0.95
    assert abs(found["slant_kept"]) < 0.2
    assert found["error_share"] == 0


def test_the_mean_of_each_class_is_a_bound(store):
    found, *_ = measured(store, "class-mean", "optdigits")
    assert found["slant_kept"] == 0
    assert 0.3 < found["error_share"] < 1
    assert {"code_error_share", "test_error", "error_share@true"}.isdisjoint(found)


def test_held_out_labels_are_looked_at_and_seeds_ask_for_other_classes(store):
    asked = [
        experiment_of(measured(store, "told", dataset, seed)[2]).wanted
        for dataset, seed in ((f"{ME}:usual", 0), (f"{ME}:permuted", 0), (f"{ME}:usual", 1))
    ]
    assert not torch.equal(asked[0], asked[1])
    assert not torch.equal(asked[0], asked[2])


def test_what_can_not_be_edited_is_refused(store):
    parts = {"dataset": "optdigits", "model": "cgan"}
    found = TASKS["editing"].part.resolve(parts, {}, None)
    assert found.skip == "model 'cgan' exchanges no classes: choose icgan or cvae"
    with pytest.raises(UsageError, match="a Given exchanges no classes: task editing needs an Ed"):
        measured(store, "plain")
    with pytest.raises(UsageError, match="this task"):
        TASKS["editing"].part.metric_facts("probe_accuracy")


def test_a_score_of_images_that_are_told_their_class_says_so():
    facts = TASKS["editing"].part.metric_facts
    assert facts("error_share@true")["title"] == "error share, told"
    assert facts("error_share")["name"] == "error_share"


def test_what_is_kept_is_a_correlation_inside_classes():
    """As NumPy has it; a shift of every class changes nothing."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, 200)
    first, second = rng.normal(size=(2, 200))
    second = first + second
    shifted = second + 10 * classes
    inside = [within(values, classes) for values in (first, second, shifted)]
    np.testing.assert_allclose(inside[1], inside[2], atol=1e-12)
    assert all(abs(inside[0][classes == c].mean()) < 1e-12 for c in range(4))
    found = correlation(inside[0], inside[1])
    assert found.value == pytest.approx(np.corrcoef(inside[0], inside[1])[0, 1])
    assert found.std_error == pytest.approx((1 - found.value**2) / np.sqrt(199))
    assert correlation(inside[0], 0 * inside[0]).value == 0
    assert correlation(inside[0], -inside[0]).value == pytest.approx(-1)


@pytest.mark.parametrize("measure", [slant, thickness])
def test_what_is_kept_is_what_it_is_called(measure):
    """Of either picture, less the mean of the class that it is to be of."""
    rng = np.random.default_rng(1)
    pictures = [np.kron(rng.random((60, 4, 4)) > 0.4, np.ones((1, 3, 3))) for _ in range(2)]
    pictures[1][:40] = pictures[0][:40]
    classes = rng.integers(0, 3, (2, 60))
    found = METRICS[f"{measure.__name__}_kept"].part(*map(Drawn, pictures, classes))
    values = (within(measure(x), of) for x, of in zip(pictures, classes, strict=True))
    assert found.value == pytest.approx(correlation(*values).value)
    assert abs(found.value) < 0.95
