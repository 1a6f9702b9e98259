"""Tasks that attack a classifier, from end to end, with linear ones of two classes, whose answers
are known in closed form: at a radius r a margin m falls by r |w|, in the norm that is dual to the
attack's.
"""

from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
import torch
from tasks.byhand import cell_of
from torch import nn

from attacks import UNIT, FixedBudget, MinimalNorm
from attacks.classifiers import CLASSIFIERS, Classifier, Ready
from attacks.classifiers.maxout import Vote
from bench.core.randomness import forked, stream, stream_seed
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled
from bench.models.classifiers import KIND, ClassifierOrder, victim
from bench.models.store import ArtifactStore
from bench.tasks import TASKS, Bench
from bench.tasks.robustness import base

ME = __name__
N, SHAPE = 60, (1, 4, 4)
RNG = np.random.default_rng(0)
FIRST, SECOND = (RNG.normal(size=16).astype(np.float32) for _ in range(2))
"""The weights of two classifiers."""


def _images(n, seed):
    """Greys that stay inside of [0, 1] when they are moved by .2, and labels of which the first
    classifier has some wrong.
    """
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 196, (n, 4, 4)).astype(np.uint8)
    own = (images.reshape(n, 16) / 255 - 0.5) @ FIRST
    return images, ((own + 0.4 * rng.normal(size=n)) > 0).astype(np.int64)


HELD, TRAIN = _images(N, 1), _images(40, 2)
greys = Labelled("greys", lambda: Split(*TRAIN, *HELD), classes=2)
others = Labelled("others", lambda: Split(TRAIN[0][::-1], TRAIN[1][::-1], *HELD), classes=2)
X, Y = HELD[0].reshape(N, 16) / 255.0, HELD[1]


class Linear(Ready):
    """Logits (-m, m) / 2 for m = w (x - 1/2)."""

    missing = ""

    def __init__(self, weight):
        self._weight = weight

    def load(self):
        layer = nn.Linear(16, 2)
        half = torch.tensor(self._weight)[None] / 2
        layer.weight.data = torch.cat([-half, half])
        layer.bias.data = -layer.weight.data.sum(1) / 2
        return nn.Sequential(nn.Flatten(), layer).eval()


first, second = Linear(FIRST), Linear(SECOND)


def margins(weight, x=X, y=Y):
    """How sure of its label each image is: the difference of its two logits."""
    return (2 * y - 1) * ((x - 0.5) @ weight.astype(np.float64))


class Known(FixedBudget):
    """It remembers what it was asked for. fails_above: the radius from which on it does nothing."""

    norms = ("linf", "l2")

    def __init__(self, fails_above=9.0):
        self.fails_above, self.asked = fails_above, []

    def __call__(self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"):
        self.asked.append(
            {"radius": radius, "norm": norm, "seeds": seeds, "box": box, "stop": stop}
        )
        if radius > self.fails_above:
            return images.clone()
        way = torch.tensor(FIRST).sign().reshape(SHAPE) / (4 if norm == "l2" else 1)
        return images - radius * way * (2 * labels - 1)[:, None, None, None]


class Search(MinimalNorm):
    """It remembers what it was asked for, and goes to the boundary of the first classifier."""

    norms = ("l2",)

    def __init__(self):
        self.asked = []

    def __call__(self, model, images, labels, *, norm, seeds, box=UNIT, targets=None):
        self.asked.append({"norm": norm, "seeds": seeds, "box": box, "targets": targets})
        weight = torch.tensor(FIRST)
        margin = (images.flatten(1) - 0.5) @ weight * (2 * labels - 1)
        step = -1.001 * (margin / weight.square().sum())[:, None] * weight
        moved = images + ((2 * labels - 1)[:, None] * step).reshape(images.shape)
        return torch.where((margin > 0)[:, None, None, None], moved, images)


known, odd, search = Known(), Known(0.1), Search()


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path, "cpu")


def cell(task, *, dataset="greys", model="first", source_model="first", attack="fgsm", **more):
    """A cell of parts of this file; attacks by their registered name, or of this file."""
    mine = ("known", "odd", "search")
    parts = {
        axis: f"{ME}:{x}" for axis, x in (("dataset", dataset), ("source_model", source_model))
    }
    parts["model"] = f"{ME}:{model}" if model in globals() else model
    parts["attack"] = f"{ME}:{attack}" if attack in mine else attack
    return cell_of(task, **parts, **more)


def values(cell, store):
    """By metric and radius."""
    found = TASKS[cell.task].part.measure(cell, Bench(store))
    assert found.invalid == ""
    return {(v.metric.partition("@")[0], v.epsilon): v for v in found.values}


def bits(value):
    packed = np.frombuffer(b64decode(value.outcomes), np.uint8)
    return np.unpackbits(packed)[: value.n].astype(bool)


def sigmoid(m):
    return 1 / (1 + np.exp(-m))


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_a_linear_classifier_under_fgsm(store, norm, dual):
    """Every number of a curve, and the bits of its shares."""
    radii = {"linf": (0.02, 0.05, 0.1), "l2": (0.1, 0.2, 0.3)}[norm]
    settings = {"radii": ",".join(map(str, radii)), "norm": norm}
    table = values(cell("attack", settings=settings), store)
    clean, reach = margins(FIRST), np.linalg.norm(FIRST, dual)
    right = clean > 0
    assert 0.5 < right.mean() < 1
    assert table["clean_error", None].value == pytest.approx(1 - right.mean())
    assert table["clean_error", None].n == N
    sure = sigmoid(np.abs(clean)).mean()
    assert table["clean_confidence", None].value == pytest.approx(sure, abs=1e-5)
    np.testing.assert_array_equal(bits(table["clean_error", None]), ~right)
    for radius in radii:
        after = clean - radius * reach
        at = {name: table[name, radius].value for name, r in table if r == radius}
        misled = right & (after < 0)
        assert 0 < misled.sum() < right.sum()
        assert at["adversarial_error"] == pytest.approx((after < 0).mean())
        assert at["robust_accuracy"] == pytest.approx((after > 0).mean())
        for name in ("attack_success", "attack_success_within"):
            assert at[name] == pytest.approx(misled.sum() / right.sum()), name
        sure = sigmoid(-after[after < 0]).mean()
        assert at["confidence_on_errors"] == pytest.approx(sure, abs=1e-5)
        assert at["distance"] == pytest.approx(radius, rel=1e-4)
        rms = radius if norm == "linf" else radius / 4
        assert at["distortion"] == pytest.approx(rms, rel=1e-4)
        np.testing.assert_array_equal(bits(table["adversarial_error", radius]), after < 0)
        np.testing.assert_array_equal(bits(table["attack_success", radius]), misled[right])


def test_what_a_curve_costs(store):
    """PGD of three steps that keeps the best asks four times at each of two radii."""
    settings = {"radii": "0.05,0.1", "steps": 3}
    table = values(cell("attack", attack="pgd", settings=settings), store)
    assert table["attack_forwards", None].value == 8
    assert table["attack_backwards", None].value == 6


def test_success_at_a_smaller_radius_counts_at_a_larger_one(store):
    """Of an attack that does nothing from .1 on."""
    table = values(cell("attack", attack="odd", settings={"radii": "0.1,0.2"}), store)
    clean = margins(FIRST)
    right, after = clean > 0, clean - 0.1 * np.abs(FIRST).sum()
    assert table["attack_success", 0.2].value == 0
    assert table["adversarial_error", 0.2].value == pytest.approx(1 - right.mean())
    within = (right & (after < 0)).sum() / right.sum()
    assert table["attack_success_within", 0.2].value == pytest.approx(within)
    assert table["robust_accuracy", 0.2].value == pytest.approx((right & (after > 0)).mean())


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("task", ["attack", "transfer", "audit"])
def test_what_an_attack_is_asked_for(store, monkeypatch, task, clip):
    """To its end, in the box, with a seed for each image by the run's seed and its place."""
    asked = []
    monkeypatch.setattr(known, "asked", asked)
    settings = {"radii": "0.05", "clip": clip, "norm": "l2" if task == "attack" else "linf"}
    if task == "audit":
        settings |= dict.fromkeys(("single", "iterative", "black_box", "noise"), f"{ME}:known")
    values(cell(task, attack="known", seed=3, settings=settings), store)
    seeds = torch.arange(N) + stream_seed(3, "attack")
    right = torch.from_numpy(margins(FIRST) > 0)
    for given in asked:
        assert given["box"] == (UNIT if clip else None)
        assert given["norm"] == settings["norm"]
        if task == "audit":  # the black box gets those alone that the white one leaves
            assert torch.isin(given["seeds"], seeds[right]).all()
        else:
            assert torch.equal(given["seeds"], seeds)
        assert task == "audit" or (given["radius"], given["stop"]) == (0.05, "never")
    assert len(asked) == 1 or task == "audit"
    assert task != "audit" or torch.equal(asked[0]["seeds"], seeds[right])


@pytest.mark.parametrize("clip", [True, False])
def test_a_search_for_the_nearest_image(store, monkeypatch, clip):
    """It is told the box and no target; its distances are those to the boundary."""
    asked = []
    monkeypatch.setattr(search, "asked", asked)
    table = values(
        cell("attack", attack="search", seed=2, settings={"norm": "l2", "clip": clip}), store
    )
    (given,) = asked
    assert given["box"] == (UNIT if clip else None)
    assert given["targets"] is None
    assert torch.equal(given["seeds"], torch.arange(N) + stream_seed(2, "attack"))
    clean = margins(FIRST)
    reach = clean[clean > 0] / np.linalg.norm(FIRST)
    assert table["attack_success", None].value == 1
    assert table["distance", None].value == pytest.approx(1.001 * np.median(reach), rel=1e-4)
    assert table["distortion", None].value == pytest.approx(1.001 * reach.mean() / 4, rel=1e-4)


@pytest.mark.parametrize("wanted", [0.0, 0.15])
def test_images_of_one_classifier_shown_to_another(store, wanted):
    """Made on the first, shown to the second; denominators, bits and how far they were moved."""
    settings = {"radii": "0.1", "amplify": wanted}
    table = values(cell("transfer", model="second", settings=settings), store)
    moved = X - (wanted or 0.1) * np.outer(2 * Y - 1, np.sign(FIRST))
    source, target = (margins(w, moved) < 0 for w in (FIRST, SECOND))
    counted = (margins(SECOND) > 0) & source
    assert 0 < (counted & target).sum() < counted.sum()
    assert table["transfer_error", None].value == pytest.approx(target.mean())
    assert table["transfer_error", None].n == N
    np.testing.assert_array_equal(bits(table["transfer_error", None]), target)
    success = (counted & target).sum() / counted.sum()
    assert table["transfer_success", None].value == pytest.approx(success)
    assert table["class_agreement", None].value == pytest.approx(target[source].mean())
    assert table["class_agreement_on_errors", None].value == 1
    sure = sigmoid(-margins(SECOND, moved)[target]).mean()
    assert table["transfer_confidence", None].value == pytest.approx(sure, abs=1e-5)
    assert table["transfer_distortion", None].value == pytest.approx(wanted or 0.1, rel=1e-4)


def test_an_audit_of_a_linear_classifier(store):
    """Shares of the images that were right; all its radii count, the last most."""
    settings = {"radii": "0.05,0.15"}
    names = {"single": "known", "iterative": "odd", "black_box": "known", "noise": "odd"}
    settings |= {name: f"{ME}:{attack}" for name, attack in names.items()}
    found = values(cell("audit", settings=settings), store)
    clean = margins(FIRST)
    lost = [(clean[clean > 0] - r * np.abs(FIRST).sum() < 0).mean() for r in (0.05, 0.15)]
    shares = {
        name: found[f"audit_{name}", None].value for name in ("single_step_wins", "not_monotone")
    }
    assert shares == pytest.approx({"single_step_wins": lost[1], "not_monotone": lost[0]})
    assert found["audit_iterative_success", None].value == 0
    fires = [v for (name, _), v in found.items() if name != "audit_findings" and v.label == "fires"]
    assert found["audit_findings", None].value == len(fires) > 0


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("confidence", ["softmax", "exp"])
def test_rubbish_is_noise_of_the_shape_of_images(store, monkeypatch, seed, confidence):
    """N(0, 1) in every pixel by the seed; a class by itself has the probability exp(logit)."""
    entry = replace(
        CLASSIFIERS["rbf" if confidence == "exp" else "softmax"], name="here", part=first
    )
    monkeypatch.setitem(CLASSIFIERS._entries, "here", entry)
    found = values(cell("rubbish", model="here", seed=seed, settings={"inputs": 300}), store)
    x = torch.randn((300, *SHAPE), generator=stream("data", "rubbish", *SHAPE, seed))
    half = (x.flatten(1).double().numpy() - 0.5) @ FIRST / 2
    chances = np.exp(np.abs(half)) if confidence == "exp" else sigmoid(2 * np.abs(half))
    taken = chances > 0.5
    assert found["rubbish_rate", None].value == pytest.approx(taken.mean())
    sure = found["rubbish_confidence", None].value
    assert sure == pytest.approx(chances[taken].mean(), rel=1e-5)


class Drawn(Classifier):
    """Its first weights, and what its training draws and sees, are its weights."""

    def build(self, shape, classes):
        network = nn.Sequential(nn.Flatten(), nn.Linear(16, classes))
        network[1].weight.data = torch.rand(classes, 16)
        return network

    def train(self, network, images, labels):
        mean = images.flatten(1)[labels == 1].mean(0)
        network[1].weight.data[0] = mean
        network[1].bias.data = torch.rand(2)

    def settings(self):
        return {}

    def seconds(self, examples):
        return 0.0


drawn = Drawn()
drawn_votes = Vote(f"{ME}:drawn", 3)


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("task", ["attack", "audit", "rubbish", "transfer"])
def test_a_classifier_is_that_of_its_cells_seed(store, task, seed):
    """First weights and training of streams of their own, on the training images of the data."""
    name = f"{ME}:drawn"
    here = cell(task, model="drawn", seed=seed)
    found = base.victim_of(here, Bench(store))
    purpose = ("artifact", KIND, name, f"{ME}:greys", seed)
    with forked(stream_seed(*purpose, "initialisation")):
        weight = drawn.build(SHAPE, 2)[1].weight.data
    with forked(stream_seed(*purpose, "training")):
        bias = torch.rand(2)
    weight[0] = torch.tensor(TRAIN[0][TRAIN[1] == 1]).float().flatten(1).mean(0) / 255
    torch.testing.assert_close(found.model[1].weight.data, weight)
    torch.testing.assert_close(found.model[1].bias.data, bias)
    if task in ("attack", "audit", "rubbish"):
        assert TASKS[task].part.artifact(here) == (KIND, found.key)
    made = store.find(KIND, found.key).facts["errors"]
    for side, (images, labels) in (("training", TRAIN), ("held_out", HELD)):
        flat = torch.tensor(images).float().flatten(1) / 255
        wrong = (flat @ weight.T + bias).argmax(1).numpy() != labels
        assert made[side] == pytest.approx(wrong.mean())


def test_a_classifier_is_kept_under_all_that_decides_it(store):
    """Name, data, seed and device; an ensemble's members are three of seeds of their own."""
    order = ClassifierOrder(f"{ME}:drawn", f"{ME}:greys", 1)
    changed = [replace(order, seed=2), replace(order, dataset=f"{ME}:others")]
    keys = {x.key("cpu") for x in (order, *changed)} | {order.key("cuda")}
    assert len(keys) == 4
    votes = replace(order, name=f"{ME}:drawn_votes")
    assert [member.seed for member in votes.members()] == [3, 4, 5]
    found = victim(votes, store, "cpu").model
    weights = [victim(m, store, "cpu").model[1].weight for m in votes.members()]
    assert all(torch.equal(a[1].weight, b) for a, b in zip(found.members, weights, strict=True))
    assert len({float(w.detach()[1, 0]) for w in weights}) == 3
