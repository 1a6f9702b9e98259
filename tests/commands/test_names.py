"""What a name of data stands for is the same in every verb: one door, one grammar, one message."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from harness import bench
from PIL import Image
from small import mnist_files, noise

from bench.core.errors import UsageError
from bench.datasets import DATASETS, named, torchvisions
from bench.datasets.named import entry_named, names_with, read_name

OWN = """
import numpy as np
import torch
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, 8, 8), dtype=np.uint8)
LABELS = np.arange(30) % 2
DATA = Labelled(
    "own", lambda: Split(IMAGES[:20], LABELS[:20], IMAGES[20:], LABELS[20:]), classes=2
)


class Net(torch.nn.Module):
    def forward(self, images):
        flat = images.flatten(1)
        return torch.stack([flat.mean(1), 1 - flat.mean(1), *[flat[:, i] for i in range(8)]], 1)


def net():
    return Net()
"""

SUITE = """
name = "names"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "block"
task = "{task}"
grid = {grid}
settings = {settings}
metrics = ["{metric}"]
"""

IMAGE_SUITE = {
    "task": "image",
    "grid": '{ dataset = ["DATA"], model = ["oracle"] }',
    "settings": '{ samples = 100, features = "pixels" }',
    "metric": "frechet@pixels",
}
ATTACK_SUITE = {
    "task": "attack",
    "grid": '{ dataset = ["DATA"], model = ["softmax"], attack = ["fgsm"] }',
    "settings": '{ images = 4, radii = "0.1" }',
    "metric": "robust_accuracy",
}
FORMS = ("optdigits", "folder:pictures", "pictures", "torchvision:MNIST", "own:DATA", "some.npz")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a kind of data of each form."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own", raising=False)
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path / "data"))
    torchvisions._looked_for.cache_clear()
    images, labels = noise(1, 24, 8, 8), np.arange(24) % 2
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "pictures" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "pictures" / str(label) / f"{index:02d}.png")
    np.savez(tmp_path / "some.npz", images=images / np.float32(255), labels=labels)
    mnist_files(tmp_path / "data" / "MNIST" / "raw", noise(2, 30, 28, 28), np.arange(30) % 10)
    (tmp_path / "own.py").write_text(OWN)
    yield tmp_path
    torchvisions._looked_for.cache_clear()


def run(folder, suite, name):
    text = SUITE.format(**suite).replace("DATA", name, 1)
    (folder / "names.toml").write_text(text)
    return bench("run", "--suite", "names.toml", "--executor", "inline", "--out", "runs/names")


VERBS = {
    "run images": lambda here, name: run(here, IMAGE_SUITE, name),
    "run attack": lambda here, name: run(here, ATTACK_SUITE, name),
    "score": lambda here, name: bench(
        *(
            "score",
            name,
            name,
            "--features",
            "pixels",
            "--metrics",
            "energy_distance",
            "--workers",
            "1",
        )
    ),
    "attack": lambda here, name: bench("attack", "own:net", name, "-n", "4", "--no-audit"),
    "sample": lambda here, name: bench("sample", name, "-n", "4", "-o", "grid.png"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", FORMS)
def test_every_kind_of_name_in_every_verb(here, verb, name, capfd):
    """It works; what is not an image is no answer."""
    if verb == "score" and name == "some.npz":
        np.savez("some.npz", images=noise(1, 24, 8, 8) / np.float32(255))
    assert VERBS[verb](here, name) == 0, capfd.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere", "'nowhere' is not there: expected a registered data set"),
        ("mnst5k", "'mnst5k' is not there: did you mean 'mnist5k'?"),
        ("folder:nowhere", "nowhere is no folder: expected folder:PATH"),
        ("torchvision:Nothing", "unknown data set of torchvision 'Nothing'"),
        ("nomodule:DATA", "can't import 'nomodule'"),
        ("own:IMAGES", "'own:IMAGES' is a ndarray: expected a bench.datasets.Dataset"),
        ("ring8@pacgan", "'ring8@pacgan' offers points with modes that are known, and"),
        ("torchvision:SVHN", "torchvision:SVHN is not here"),
    ],
)
def test_the_same_line_in_every_verb(here, verb, name, told, capfd):
    """Exit code 2, or a skipped cell where the data only have to be fetched."""
    code, told_by = VERBS[verb](here, name), capfd.readouterr()
    absent = name == "torchvision:SVHN" and verb.startswith("run")
    assert code == (4 if absent else 2)
    assert told in " ".join((told_by.err + told_by.out).split())


@pytest.mark.parametrize("verb", ["score", "attack", "sample"])
@pytest.mark.parametrize("name", ["optdigits:train", "torchvision:MNIST:train"])
def test_the_part_to_train_on(here, verb, name):
    """Where images are taken as they are."""
    assert VERBS[verb](here, name) == 0


@pytest.mark.parametrize("verb", ["run images", "run attack"])
def test_a_suite_divides_a_data_set_itself(here, verb, capfd):
    """A part alone is no data set to train on."""
    assert VERBS[verb](here, "optdigits:train") == 2
    assert "divides a data set itself: expected 'optdigits'" in capfd.readouterr().err


def test_a_registered_name_that_a_folder_has_too(here, capfd):
    """Which one is meant decides every number: say so, and take both ways out."""
    (here / "pictures").rename(here / "optdigits")
    for verb in ("score", "attack", "sample"):
        assert VERBS[verb](here, "optdigits") == 2
        assert "./optdigits is the folder" in capfd.readouterr().err
        assert VERBS[verb](here, "./optdigits") == 0
        assert VERBS[verb](here, "optdigits:held-out") == 0


def test_which_images_a_name_gives(here):
    """The held-out ones in attack, score and sample; the first ones, as they stand."""
    from bench import api
    from bench.attack.pictures import pictures_named

    split = DATASETS["optdigits"].part.split
    for name, images, labels in (
        ("optdigits", split.held_images, split.held_labels),
        ("optdigits:held-out", split.held_images, split.held_labels),
    ):
        np.testing.assert_array_equal(api.sample(name, n=5)[:, 0], images[:5])
        found = pictures_named(name, None, 5)
        np.testing.assert_array_equal(found.labels, labels[:5])
        np.testing.assert_array_equal((found.images * 255).round()[:, 0], images[:5])
    np.testing.assert_array_equal(api.sample("optdigits:train", n=5)[:, 0], split.images[:5])
    every = pictures_named("torchvision:MNIST", None, 99)
    assert len(every.images) == 10
    train = pictures_named("torchvision:MNIST:train", None, 99)
    assert len(train.images) == 20
    assert not torch.equal(train.images[:10], every.images)


def test_labels_of_a_folder_are_the_same_in_every_verb(here):
    """Folders with numbers for names keep them, ten after nine; others count by name."""
    from bench.attack.pictures import pictures_named

    for old, new in (("0", "10"), ("1", "9")):
        (here / "pictures" / old).rename(here / "pictures" / new)
    attacked = pictures_named("pictures", None, 99)
    trained = entry_named("pictures", ("images", "classes"), "a test").part.split
    labels = {
        (image * 255).round().astype(np.uint8).tobytes(): int(label)
        for image, label in zip(attacked.images[:, 0].numpy(), attacked.labels, strict=True)
    }
    assert set(labels.values()) == {9, 10}
    for images, known in (
        (trained.images, trained.labels),
        (trained.held_images, trained.held_labels),
    ):
        assert [labels[image.tobytes()] for image in images] == known.tolist()


def test_what_a_file_of_arrays_holds_is_trained_on(here):
    """A sixth held out, labels with their images, floats to the last bit."""
    with np.load("some.npz") as file:
        images, labels = file["images"], file["labels"]
    split = entry_named("some.npz", ("images", "classes"), "a test").part.split
    assert (len(split.images), len(split.held_images)) == (20, 4)
    places = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    for some, known in ((split.images, split.labels), (split.held_images, split.held_labels)):
        assert [places[image.tobytes()] for image in some] == known.tolist()


def test_what_data_offer_is_what_tasks_need():
    """Names by need; a need that nothing has."""
    assert set(names_with(("points", "modes"))) == {
        name for name in DATASETS if DATASETS[name].part.offers == {"points", "modes"}
    }
    assert "mnist5k" in names_with(("images", "classes"))
    assert "scenes@digits" in names_with(("domains",))
    assert names_with(("captions",)) == ["captions@digits"]
    assert names_with(("captions", "stacks")) == []
    assert read_name("optdigits:train") == named.DataName("registered", "optdigits", "train")


MOONS = """
import hashlib
import torch
from sklearn.datasets import make_moons
from bench.core.randomness import stream
from bench.datasets import Dataset, Source
from bench.datasets.batches import FreshDraws


class Moons(Source):
    shape, modes, classes, density = (2,), 0, 0, None

    def __init__(self, seed, device):
        self.seed, self.device = seed, device

    def draw(self, n, rng):
        state = int(torch.randint(2**31, (1,), generator=rng))
        points, _ = make_moons(n, noise=0.05, random_state=state)
        return torch.from_numpy(points).float()

    @property
    def training(self):
        return self.draw(1000, stream("moons", self.seed, "training"))

    def batches(self):
        return FreshDraws(self.draw, stream("moons", self.seed, "batches"))

    def fresh(self, n, rng, classes=None):
        return self.draw(n, rng)


class TwoMoons(Dataset):
    name, offers = "moons", frozenset({"points"})
    fingerprint = hashlib.sha256(b"moons").hexdigest()

    def source(self, seed, device="cpu"):
        return Moons(seed, device)


MOONS = TwoMoons()
"""


def test_points_without_known_modes(tmp_path, monkeypatch):
    """A data set that fulfils the contract alone is trained on and scored, by the block whose task
    takes points, and by no other.
    """
    from bench import api

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "moons.py").write_text(MOONS)
    table = api.run(
        "mode-collapse",
        tier="quick",
        seeds=1,
        grid={"dataset": ["moons:MOONS"], "model": ["oracle", "gmm", "noise"]},
        set={"samples": 1000},
    )
    by_model = table.drop_duplicates("model").set_index("model")["status"].to_dict()
    assert by_model == {"oracle": "ok", "gmm": "skipped", "noise": "ok"}
    assert "needs to know the modes" in table.set_index("model").loc["gmm", "reason"]
    assert set(table["task"]) == {"mixture"}
    values = table.pivot(index="model", columns="metric", values="value")
    assert values.loc["oracle", "frechet"] < values.loc["noise", "frechet"]
    assert values.loc["oracle", "precision"] > values.loc["noise", "precision"]
    assert "modes_covered" not in values.columns


@pytest.mark.parametrize(
    ("offers", "kind"),
    [("images", "Labelled"), ("modes", "Mixture"), ("stacks", "Stack"), ("domains", "Pairs")],
)
def test_what_is_claimed_must_be_there(tmp_path, monkeypatch, offers, kind):
    """Tasks rely on it: one line, and no AttributeError in a cell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    (tmp_path / f"claims_{offers}.py").write_text(MOONS.replace('{"points"}', f'{{"{offers}"}}'))
    with pytest.raises(UsageError, match=rf"says that it offers .*an instance of .*{kind}"):
        entry_named(f"claims_{offers}:MOONS", (offers,), "a test")


def test_points_that_are_not_here_are_skipped(tmp_path, monkeypatch):
    """With their own reason, whatever the model."""
    from bench import api

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    absent = MOONS.replace("name, offers", 'missing = "bring the moon"\n    name, offers')
    (tmp_path / "far.py").write_text(
        absent.replace("return Moons(seed, device)", "raise AssertionError")
    )
    grid = {"dataset": ["far:MOONS"], "model": ["oracle", "gan"]}
    table = api.run("mode-collapse", tier="quick", seeds=1, grid=grid)
    assert set(table["status"]) == {"skipped"}
    assert set(table["reason"]) == {"bring the moon"}
