"""What each metric of a score is given, told by the samples themselves: which set, which one in it,
in which order.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench import api
from bench.datasets.digits import digits8
from bench.datasets.named import image_set
from bench.extractors import EXTRACTORS, Loading
from bench.tasks.values import scored_by
from metrics import METRICS

RNG = np.random.default_rng(0)
REAL, FAKE, TRAIN = (RNG.normal(size=(n, 3)) for n in (30, 24, 27))
IMAGES = {
    name: RNG.integers(0, 256, (n, 9, 9), np.uint8) for name, n in (("real", 21), ("fake", 17))
}
IMAGES["train"] = RNG.integers(0, 256, (19, 9, 9), np.uint8)
TAKES = ("features", "neighbours", "nearest", "identities", "probabilities")


@pytest.fixture
def given(monkeypatch):
    """What each kind of metric was called with; all of them say 0.5."""
    found = {}
    for entry in scored_by(TAKES):

        def spy(real, fake, takes=entry.facts.takes):
            found.setdefault(takes, []).append((real, fake))
            return 0.5

        monkeypatch.setitem(METRICS._entries, entry.name, replace(entry, part=spy))
    return found


def rows(x):
    return sorted(map(tuple, np.asarray(x).tolist()))


def closest(x, others, itself=False):
    """The distance of each to the nearest of others, in rising order."""
    found = np.linalg.norm(x[:, None] - others[None], axis=2)
    if itself:
        np.fill_diagonal(found, np.inf)
    return np.sort(found.min(1))


def test_every_metric_gets_the_reals_first(given):
    api.score(REAL, FAKE)
    for real, fake in given["features"]:
        assert (rows(real.points), rows(fake.points)) == (rows(REAL), rows(FAKE))
    real, fake = given["identities"][0]
    assert (len(real), len(fake)) == (30, 24)
    held, made = given["nearest"][0]
    np.testing.assert_allclose(np.sort(held.distances), closest(REAL, REAL, itself=True))
    np.testing.assert_allclose(np.sort(made.distances), closest(FAKE, REAL))


def test_copies_are_looked_for_in_what_was_trained_on(given):
    """New reals and samples alike."""
    api.score(REAL, FAKE, train=TRAIN)
    held, made = given["nearest"][0]
    np.testing.assert_allclose(np.sort(held.distances), closest(REAL, TRAIN))
    np.testing.assert_allclose(np.sort(made.distances), closest(FAKE, TRAIN))
    real, fake = given["features"][0]
    assert (rows(real.points), rows(fake.points)) == (rows(REAL), rows(FAKE))


def test_precision_is_about_samples_and_recall_about_reals():
    """Of a sampler that has collapsed to a part of the reals; half of it are copies."""
    real = np.concatenate([RNG.normal(size=(100, 2)), RNG.normal(size=(100, 2)) + 20])
    fake = np.concatenate([real[:40], RNG.normal(size=(40, 2))])
    table = api.score(real, fake)
    value = {
        name.partition("@")[0]: v for name, v in zip(table["metric"], table["value"], strict=True)
    }
    assert value["precision"] > 0.9 > 0.6 > value["recall"]
    assert value["exact_copies"] == 0.5


@pytest.mark.parametrize("batch", [4, 32])
def test_features_thumbnails_and_names_of_a_set_are_in_one_order(tmp_path, batch):
    """Of the reference, which is kept: each image's pixels beside its own small picture."""
    path = tmp_path / "kept.npz"
    options = {"features": "pixels", "batch": batch, "save_stats": str(path)}
    api.score(IMAGES["real"], IMAGES["fake"], **options)
    kept = np.load(path)
    small = kept["thumbnails"].reshape(21, 81)
    np.testing.assert_allclose(kept["points"], small / 255, atol=1e-6)
    assert rows(small) == rows(IMAGES["real"].reshape(21, 81))
    assert sorted(kept["ids"]) == kept["ids"].tolist()


@pytest.mark.parametrize("train", [True, False])
def test_shifted_copies_are_of_the_samples(given, train):
    """On small pictures, of what was trained on, moved by a pixel at most."""
    more = {"train": IMAGES["train"]} if train else {}
    api.score(IMAGES["real"], IMAGES["fake"], features="pixels", **more)
    calls = [given["nearest"][at] for at in (0, 1)]
    for held, made in calls:
        assert (len(held.distances), len(made.distances)) == (21, 17)
    plain, shifted = (made.distances for _, made in calls)
    seen = IMAGES["train" if train else "real"].astype(float)
    grown = np.pad(IMAGES["fake"].astype(float), ((0, 0), (1, 1), (1, 1)), mode="edge")
    every = [
        np.linalg.norm(grown[:, None, i : i + 9, j : j + 9] - seen[None], axis=(2, 3)).min(1)
        for i in range(3)
        for j in range(3)
    ]
    np.testing.assert_allclose(np.sort(shifted), np.sort(np.min(every, 0)))
    np.testing.assert_allclose(np.sort(plain) * 255, np.sort(every[4]), rtol=1e-4)


def test_class_probabilities_are_those_of_the_samples(given):
    """As the features' network gives them."""
    split = digits8()
    real, fake = split.images[:40], split.held_images[:30]
    api.score(real, fake, features="optdigits-cnn", metrics="is")
    none, found = given["probabilities"][0]
    assert none is None
    read = EXTRACTORS["optdigits-cnn"].part.load(Loading("cpu"))
    with torch.inference_mode():
        wanted = read(torch.from_numpy(fake)[:, None] / 255).probabilities
    np.testing.assert_allclose(sorted(found.max(1)), sorted(wanted.max(1).values), atol=1e-5)


@pytest.mark.parametrize("name", ["optdigits", "optdigits:held-out", "optdigits:train"])
def test_a_data_set_is_its_held_out_images_or_those_to_train_on(name):
    found, split = image_set(name, "a score"), digits8()
    wanted = split.images if name.endswith("train") else split.held_images
    assert len(found) == len(wanted)
    for at in (0, 7, len(wanted) - 1):
        np.testing.assert_allclose(found.read(at)[0], wanted[at] / np.float32(255))
