"""`bench attack`: which images it reads, with which labels and seeds, and what becomes of each."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from attacks.audit import usual
from attacks.classifiers import CLASSIFIERS, Classifier
from bench.attack import evaluate as evaluating
from bench.attack import parts as parting
from bench.attack.attack import evaluate_attack
from bench.attack.pictures import pictures_named
from bench.core.randomness import stream_seed
from bench.datasets.digits import digits8
from bench.models.classifiers import ClassifierOrder

N = 12


class Remembers(nn.Module):
    """A linear network that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []
        rng = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(10, 64, generator=rng))

    def forward(self, images):
        self.shown.append(images.detach())
        return images.flatten(1) @ self.weight.T


SPLIT = digits8()
HELD = torch.from_numpy(SPLIT.held_images[:N])[:, None] / 255


@pytest.fixture
def trials(monkeypatch):
    """The trials of an evaluation, and of its audit, which is left out."""
    found = {"attacks": [], "audits": []}
    attack = parting.observe

    def attacked(chosen, trial, *more):
        found["attacks"].append(trial)
        return attack(chosen, trial, *more)

    def audited(trial, asked, radii, using, attacked, tell):
        found["audits"].append((trial, asked, list(radii), using, attacked))
        return []

    monkeypatch.setattr(parting, "observe", attacked)
    monkeypatch.setattr(evaluating, "audit_trial", audited)
    return found


@pytest.mark.parametrize("seed", [0, 3])
def test_the_images_of_a_data_set_are_held_out_and_have_seeds(trials, seed):
    network = Remembers()
    evaluate_attack(network, "optdigits", images=N, seed=seed, epsilons="0.1", audit=False)
    (trial,) = trials["attacks"]
    torch.testing.assert_close(trial.images, HELD)
    assert trial.labels.tolist() == SPLIT.held_labels[:N].tolist()
    assert torch.equal(trial.seeds, torch.arange(N) + stream_seed(seed, "attack"))


def test_the_images_to_train_on_are_asked_for_by_name():
    found = pictures_named("optdigits:train", None, N, 0)
    shown = {
        image.tobytes(): label for image, label in zip(SPLIT.images, SPLIT.labels, strict=True)
    }
    for image, label in zip(found.images, found.labels, strict=True):
        bytes_ = (image[0] * 255).round().to(torch.uint8).numpy().tobytes()
        assert shown[bytes_] == label


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_an_audit_is_of_the_same_images_and_of_every_radius(trials, norm):
    """But 0; with the tools that are usual in the norm."""
    options = {"images": 60, "epsilons": "0,0.1,0.2", "norm": norm, "seed": 2}
    made = evaluate_attack(Remembers(), "optdigits", **options).evaluation
    ((trial, asked, radii, using, attacked),) = trials["audits"]
    assert torch.equal(trial.images, trials["attacks"][0].images)
    assert torch.equal(trial.seeds, trials["attacks"][0].seeds)
    assert radii == [0.1, 0.2]
    assert asked.norm == norm
    assert vars(using) == vars(usual())
    assert torch.equal(attacked, made.attacked)


def test_answers_before_and_after_are_those_of_the_network(tmp_path):
    """And stand in the file beside the images that they are to."""
    network, path = Remembers(), tmp_path / "made.npz"
    options = {"images": N, "epsilons": "0.3", "audit": False, "save_adversarials": str(path)}
    made = evaluate_attack(network, "optdigits", **options).evaluation
    assert (made.attacked - HELD).abs().max() > 0.25
    with torch.no_grad():
        torch.testing.assert_close(made.before, network(HELD))
        torch.testing.assert_close(made.after, network(made.attacked))
    kept = np.load(path)
    np.testing.assert_allclose(kept["clean"], HELD.numpy())
    np.testing.assert_array_equal(kept["images"], made.attacked.numpy())
    assert kept["predictions"].tolist() == made.after.argmax(1).tolist()
    assert kept["clean_predictions"].tolist() == made.before.argmax(1).tolist()
    assert kept["labels"].tolist() == SPLIT.held_labels[:N].tolist()


def test_a_network_sees_images_as_it_expects_them():
    """In its range, less the mean, over the deviation."""
    network = Remembers()
    asked = {"range": (-1.0, 1.0), "mean": (0.2,), "std": (0.5,), "epsilons": "0", "audit": False}
    evaluate_attack(network, "optdigits", images=N, **asked)
    wanted = (2 * HELD - 1 - 0.2) / 0.5
    full = [x for x in network.shown if len(x) == N]
    assert full
    for shown in full:
        torch.testing.assert_close(shown, wanted)


class Drawn(Classifier):
    """Its weights are drawn once, and not trained."""

    def build(self, shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

    def train(self, network, images, labels):
        pass

    def settings(self):
        return {}

    def seconds(self, examples):
        return 0.0


@pytest.mark.parametrize("seed", [0, 3])
def test_a_registered_classifier_is_trained_with_the_seed(trials, monkeypatch, seed):
    entry = replace(CLASSIFIERS["softmax"], name="drawn", part=Drawn())
    monkeypatch.setitem(CLASSIFIERS._entries, "drawn", entry)
    options = {"images": N, "epsilons": "0.1", "audit": False, "seed": seed}
    evaluate_attack("drawn", "optdigits", **options)
    order = ClassifierOrder("drawn", "optdigits", seed)
    assert trials["attacks"][0].against.key == order.key("cpu")


def test_images_of_folders_have_their_folders_classes(tmp_path):
    """One of each in turn, told by its grey."""
    for label in (0, 1, 2):
        (tmp_path / str(label)).mkdir()
        for index in range(2):
            grey = np.full((4, 4), 50 * label + index, np.uint8)
            Image.fromarray(grey).save(tmp_path / str(label) / f"{index}.png")
    found = pictures_named(str(tmp_path), None, 5, 0)
    assert found.labels.tolist() == [0, 1, 2, 0, 1]
    greys = (found.images[:, 0, 0, 0] * 255).round().int()
    assert greys.tolist() == [0, 50, 100, 1, 51]
