"""Data sets of torchvision's, on local files: what is here is read, what is not is said, nothing is
fetched unasked.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torchvision.datasets
from harness import bench
from PIL import Image
from small import images_named, mnist_files

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import torchvisions

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (30, 28, 28), dtype=np.uint8)
LABELS = np.arange(30) % 10


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path))
    torchvisions._looked_for.cache_clear()
    yield tmp_path
    torchvisions._looked_for.cache_clear()


def test_mnist_by_torchvision(data):
    mnist_files(data / "MNIST" / "raw", IMAGES, LABELS)
    found = images_named("torchvision:MNIST")
    assert not found.missing
    np.testing.assert_array_equal(found.split.images, IMAGES[:20])
    np.testing.assert_array_equal(found.split.held_labels, LABELS[20:])
    assert found.source(0).shape == (1, 28, 28)
    small = images_named("torchvision:MNIST", 16)
    assert small.source(0).shape == (1, 16, 16)
    assert small.fingerprint != found.fingerprint


def forged(data, folder, labels):
    """Files in the form of MNIST's: 30 images with these labels, 10 of them to test."""
    mnist_files(data / folder / "raw", IMAGES, labels)


def test_classes_are_those_of_the_labels(data):
    """The oracle draws from all of them, and a conditional model is told as many."""
    forged(data, "KMNIST", np.arange(30) % 15)
    source = images_named("torchvision:KMNIST").source(0)
    assert source.classes == 15
    drawn = source.fresh(10, stream("x"))
    assert {x.numpy().tobytes() for x in drawn} == {x.numpy().tobytes() for x in source.held_out}


def test_a_resized_data_set_is_kept_once(data):
    forged(data, "KMNIST", LABELS)
    first, second = (images_named("torchvision:KMNIST", 16).split for _ in range(2))
    assert first is second


def test_images_of_several_sizes_need_one(data, monkeypatch):
    class Several:
        """Pictures of 20 x 30 and 30 x 20."""

        def __init__(self, root, split, download):
            self.sizes = [(20, 30), (30, 20)] * 6

        def __iter__(self):
            return (
                (Image.new("RGB", size, (at, 0, 0)), at % 3) for at, size in enumerate(self.sizes)
            )

    monkeypatch.setattr(torchvision.datasets, "Food101", Several)
    with pytest.raises(
        UsageError, match="several sizes: bring them to one with the setting size=64"
    ):
        images_named("torchvision:Food101")
    found = images_named("torchvision:Food101", 16)
    assert found.source(0).shape == (3, 16, 16)
    assert found.classes == 3


@pytest.mark.parametrize("name", ["ImageFolder", "VisionDataset", "CelebA", "Omniglot"])
def test_what_is_no_data_set_of_classified_images_is_refused_by_name(data, name):
    with pytest.raises(UsageError, match="unknown data set of torchvision"):
        images_named(f"torchvision:{name}")


@pytest.mark.parametrize("name", torchvisions.KNOWN)
def test_every_known_data_set_takes_what_it_is_asked(data, name):
    """Absent ones say that they are absent, and not that an argument is unknown."""
    missing = images_named(f"torchvision:{name}").missing
    assert "`download` fetches it" in missing
    assert "argument" not in missing


def test_cifar_from_its_files(data, monkeypatch):
    """In colour, as torchvision reads the pickled batches; their checksums are not ours."""
    folder = data / "cifar-10-batches-py"
    folder.mkdir()
    colour = RNG.integers(0, 255, (4, 3072), dtype=np.uint8)
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5",
                 "test_batch"):  # fmt: skip
        with (folder / name).open("wb") as file:
            pickle.dump({"data": colour, "labels": [0, 1, 2, 3]}, file)
    names = torchvision.datasets.CIFAR10.meta["key"], [f"class {i}" for i in range(10)]
    with (folder / "batches.meta").open("wb") as file:
        pickle.dump({names[0]: names[1]}, file)
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *args: True)
    found = images_named("cifar10")
    assert found.missing == ""
    assert found.split.images.shape == (20, 32, 32, 3)
    assert found.source(0).shape == (3, 32, 32)
    first = colour[0].reshape(3, 32, 32).transpose(1, 2, 0)
    np.testing.assert_array_equal(found.split.held_images[0], first)


def test_what_is_not_here_says_how_to_get_it(data):
    for name in ("cifar10", "torchvision:CIFAR10"):
        missing = images_named(name).missing
        assert "`download` fetches it" in missing
        assert str(data) in missing
    assert list(data.iterdir()) == []


def test_names_that_are_none(data):
    with pytest.raises(UsageError, match="unknown data set of torchvision 'CIFAR11': did you mean"):
        images_named("torchvision:CIFAR11")
    with pytest.raises(UsageError, match="nothing that torchvision can fetch"):
        torchvisions.fetch("mnist5k")
    assert torchvisions.source_of("edges@shoes") == "FashionMNIST"
    assert torchvisions.source_of("stack2@mnist") == "MNIST"
    assert torchvisions.source_of("ring8@pacgan") == ""


def test_a_download_is_made_when_it_is_asked_for(data, monkeypatch, tmp_path, capsys):
    """And for what is absent alone; one that fails ends the command with a line."""
    asked = []

    def refuse(root, train, download):
        asked.append(download)
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", refuse)
    suite = tmp_path / "own.toml"
    suite.write_text(
        'name = "own"\n[[block]]\nname = "b"\ntask = "image"\ngrid.dataset = ["cifar10"]\n'
        'grid.model = ["noise"]\nsettings = { features = "pixels" }\n'
    )
    out = str(tmp_path / "run")
    assert bench("run", "--suite", suite, "--executor", "inline", "--out", out) == 4
    assert not any(asked)
    torchvisions._looked_for.cache_clear()
    assert bench("run", "--suite", suite, "--download", "--out", out + "2") == 2
    assert any(asked)
    assert "no network" in capsys.readouterr().err
