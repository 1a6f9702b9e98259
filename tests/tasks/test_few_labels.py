"""Few labels from end to end: whose classes are said, of which images, and what can't be asked."""

import json

import numpy as np
import pytest
import torch
from harness import bench
from swapped import digits, usual
from tasks.byhand import by_hand, cell_of, experiment_of, row_of
from unrun import untraced

from bench.core.errors import UsageError
from bench.models.store import ArtifactStore
from bench.tasks import TASKS, Bench
from generative import RECIPES, Labeller, RecipeFacts
from metrics import METRICS

ME = __name__
SHORT = {"steps": 4, "batch": 8, "evaluations": 2}
misread = digits("misread", held_labels=lambda s: np.roll(s.held_labels, 1))
elsewhere = digits("elsewhere", held_images=lambda s: 255 - s.held_images)
retold = digits("retold", labels=lambda s: (s.labels + 1) % 10)


class Saying(Labeller):
    """The class of the nearest of the images that are told."""

    def __init__(self, images, labels):
        self.images, self.labels = images.flatten(1), labels

    def classify(self, x):
        near = torch.cdist(x.flatten(1), self.images).argmin(1)
        return torch.nn.functional.one_hot(self.labels[near], 10).float().log_softmax(1)

    def tensors(self):
        return {}


saying = by_hand(lambda data: Saying(*data.told))


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def _known():
    """A recipe by hand that is said to classify."""
    name = "saying-by-hand"
    RECIPES.register(name, classifies=True, draws=False, labelled=True, images_only="x")(saying)
    yield
    RECIPES._entries.pop(name)


def error(store, dataset="usual", model="saying-by-hand", seed=0, **settings):
    cell = cell_of(
        "few-labels", dataset=f"few@{ME}:{dataset}", model=model, seed=seed, settings=settings
    )
    return row_of(cell, store)["test_error"]


def byhand(labels, seed=0, base=usual, held=usual):
    """The nearest of the first labels of each class in the order of the seed."""
    source = base.source(seed)
    seen, kept = [0] * 10, []
    for at, label in enumerate(source.training_labels.tolist()):
        if seen[label] < labels // 10:
            kept.append(at)
            seen[label] += 1
    images, classes = source.training[kept].flatten(1), source.training_labels[kept]
    held_out = held.source(seed)
    near = torch.cdist(held_out.held_out.flatten(1), images).argmin(1)
    return float((classes[near] != held_out.held_out_labels).float().mean())


@pytest.mark.parametrize("labels", [20, 100])
def test_a_test_error_is_the_share_of_all_held_out_images_that_are_wrong(store, labels):
    assert error(store, labels=labels) == pytest.approx(byhand(labels))


def test_what_is_read_changes_the_row_and_nothing_else_does(store):
    """The classes of held-out images, those images, the labels that are told, their number, the
    seed.
    """
    own = error(store)
    assert own == error(store)
    assert own < 0.2
    for other in ("misread", "retold"):
        assert error(store, other) > 0.8
    assert error(store, "elsewhere") > own
    assert error(store, labels=10) > own
    assert error(store, seed=1) != own


def test_a_metric_counts_what_is_wrong():
    real, fake = np.array([0, 1, 2, 3]), np.array([0, 1, 2, 0])
    score = METRICS["test_error"].part(real, fake)
    assert score.value == 0.25
    assert score.n == 4
    assert METRICS["test_error"].facts.direction == "lower"


def measured(store, model, dataset="usual", **settings):
    cell = cell_of(
        "few-labels",
        dataset=f"few@{ME}:{dataset}",
        model=model,
        settings={**SHORT, "labels": 20, "samples": 100, **settings},
    )
    return cell, TASKS["few-labels"].part.measure(cell, Bench(store))


def test_a_model_that_draws_is_scored_in_both(store):
    """On the way by what it says of held-out images, at the end by its samples, too; its sheet is
    the first of those."""
    cell, found = measured(store, "improved-gan")
    on_the_way = [v for v in found.values if not v.final and v.metric == "test_error"]
    assert [v.step for v in on_the_way] == [2, 4]
    final = {v.metric.partition("@")[0]: v.value for v in found.values if v.final}
    assert final["test_error"] == on_the_way[-1].value
    assert {"frechet", "precision", "recall"} <= set(final)
    drawn = TASKS["few-labels"].part.sample(cell, 64, Bench(store))
    assert np.array_equal(found.arrays["samples"], drawn)


def test_the_model_that_says_classes_is_the_one_that_was_trained(store):
    cell, found = measured(store, "supervised")
    model, source = TASKS["few-labels"].part.fitted(cell, Bench(store)), experiment_of(cell).source
    wrong = model.classify(source.held_out).argmax(1) != source.held_out_labels
    (final,) = [v for v in found.values if v.final]
    assert final.value == pytest.approx(float(wrong.float().mean()))
    assert final.n == len(source.held_out)


def test_a_generator_of_classes_shows_ten_of_each(store):
    _, found = measured(store, "triple-gan")
    assert found.arrays["samples"].shape == (100, 1, 8, 8)
    assert untraced(found.arrays) == {"samples"}


def test_a_generator_that_fills_holes_shows_held_out_images_filled(store):
    cell, found = measured(store, "ccgan")
    arrays, source = found.arrays, experiment_of(cell).source
    assert untraced(arrays) == {"inputs", "samples", "truth"}
    truth = (source.held_out[:24] * 255).round().to(torch.uint8).numpy()
    assert np.array_equal(arrays["truth"], truth)
    outside = np.ones((8, 8), dtype=bool)
    outside[2:6, 2:6] = False
    assert np.array_equal(arrays["samples"][:, :, outside], truth[:, :, outside])
    assert (arrays["inputs"][:, :, ~outside] == 128).all()
    assert not any("frechet" in value.metric for value in found.values)


def test_a_generator_that_fills_holes_completes_pictures(store):
    """In the task of completions, too, where it needs no class of a picture; and draws nowhere."""
    task = TASKS["inpainting"].part
    assert "ccgan" in task.every("model")
    told = {**SHORT, "pictures": 5, "protocol": "small-dcgan", "samples": 100}
    cell = cell_of("inpainting", dataset=f"{ME}:usual", model="ccgan", settings=told)
    found = task.measure(cell, Bench(store))
    truth, samples = found.arrays["truth"], found.arrays["samples"]
    outside = np.ones((8, 8), dtype=bool)
    outside[2:6, 2:6] = False
    assert np.array_equal(samples[:, :, outside], truth[:, :, outside])
    assert (samples[:, :, ~outside] != truth[:, :, ~outside]).any()
    found = task.resolve({"dataset": "optdigits", "model": "acgan"}, {}, None)
    assert "would have to be told the class of each picture" in found.skip
    found = task.resolve({"dataset": "optdigits", "model": "supervised"}, {}, None)
    assert "draws nothing by itself" in found.skip


def test_floors_learn_from_what_they_are_told(store):
    """On digits that are easily told apart: far below chance, spreading below its neighbour."""
    errors = {
        name: error(store, model=name)
        for name in ("logistic-regression", "nearest-neighbour", "label-spreading")
    }
    assert max(errors.values()) < 0.2
    assert errors["nearest-neighbour"] == pytest.approx(byhand(100))
    assert errors["label-spreading"] < errors["nearest-neighbour"]


def test_every_model_that_classifies_stands_for_a_star():
    task = TASKS["few-labels"].part
    models = task.every("model")
    assert {"improved-gan", "supervised", "label-spreading", "ccgan"} <= set(models)
    assert "nsgan" not in models
    assert task.every("dataset") == ["few@mnist5k", "few@optdigits"]
    images = set(TASKS["image"].part.every("model"))
    assert {"improved-gan", "triple-gan"} <= images
    assert not images & {"supervised", "ccgan", "label-spreading"}
    assert RecipeFacts().draws
    assert not RecipeFacts().classifies


def test_a_model_is_asked_for_what_it_does():
    few, image = TASKS["few-labels"].part, TASKS["image"].part
    found = few.resolve({"dataset": "few@optdigits", "model": "nsgan"}, {}, None)
    assert found.skip == (
        "model 'nsgan' says no class: choose one that classifies, such as improved-gan"
    )
    assert found.unfit
    found = image.resolve({"dataset": "optdigits", "model": "supervised"}, {}, None)
    assert found.skip == "model 'supervised' draws nothing by itself: task few-labels"


def test_the_number_of_labels_names_a_cell_and_its_data():
    task = TASKS["few-labels"].part
    parts = {"dataset": "few@optdigits", "model": "supervised"}
    usually, other = (task.resolve(parts, given, None) for given in ({}, {"labels": 50}))
    assert usually.settings["labels"] == 100
    assert "labels" not in usually.differing
    assert other.differing["labels"] == 50
    assert usually.fingerprint != other.fingerprint
    assert "samples" not in usually.settings
    assert usually.gives == {"test_error"}


SUITE = """
name = "few"
default_tier = "quick"
[tiers.quick]
seeds = 1
[[block]]
name = "one"
task = "few-labels"
grid.dataset = ["few@optdigits"]
grid.model = ["supervised"]
settings = { steps = 4, batch = 8, evaluations = 1, samples = 100 }
metrics = ["test_error"]
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.toml").write_text(SUITE)
    return ["--suite", "few.toml", "--executor", "inline"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--grid", "dataset=few@stacked"], "dataset 'stacked' is not there"),
        (["--grid", "dataset=few@ring8@pacgan"], "needs images with classes"),
        (["--grid", "dataset=optdigits"], "needs images of which few have a class"),
        (["--set", "labels=15"], "expected a multiple of its 10 classes"),
        (["--set", "labels=100000"], "at most, as many of each class"),
        (["--set", "labels=0"], "setting 'labels': input should be greater than or equal to 1"),
        (["--grid", "model=nsgan"], "model 'nsgan' says no class"),
        (["--set", "unlabeled_weight=0"], "did you mean 'unlabelled_weight'?"),
    ],
)
def test_what_can_not_be_asked_is_one_line_and_exit_code_2(suite, capfd, given, said):
    assert bench("run", *suite, *given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line


def test_a_run_of_few_labels(suite, capfd):
    assert bench("run", *suite, "--grid", "model=supervised,nearest-neighbour") == 0
    capfd.readouterr()
    assert bench("show", "runs/few/quick", "--format", "json") == 0
    rows = json.loads(capfd.readouterr().out)
    assert {row["model"] for row in rows} == {"supervised", "nearest-neighbour"}


def test_a_model_on_points_has_no_labels():
    with pytest.raises(UsageError, match="needs images of which few have a class"):
        TASKS["few-labels"].part.resolve(
            {"dataset": "ring8@pacgan", "model": "supervised"}, {}, None
        )
