"""What is ranked along units and directions: closed forms, a rotation, and what the task reads."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from swapped import digits, means, permuted, retrained, usual
from torch import nn

from attacks.classifiers import Ready
from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench
from bench.tasks.robustness.directions import by_lot, directions, prepared, principal, tops
from bench.tasks.robustness.hidden import features

__all__ = ["permuted", "retrained"]
"""Asked for by name."""
TASK = TASKS["units"].part
ME = __name__
KINDS = ("units", "random", "pca", "chance")


class Means(Ready):
    """Linear units, each near the mean of one class of every fifth digit, rotated where `turn` is a
    seed; the logits undo the rotation.
    """

    missing = ""

    def __init__(self, start=0, turn=None):
        self.start, self.turn = start, turn

    def load(self):
        hidden, logits = nn.Linear(64, 10), nn.Linear(10, 10)
        turn = torch.eye(10) if self.turn is None else rotation(self.turn)
        weight = means(self.start) - means(self.start).mean(0)
        hidden.weight.data, hidden.bias.data = turn @ weight, torch.zeros(10)
        logits.weight.data, logits.bias.data = turn.T.contiguous(), torch.zeros(10)
        return nn.Sequential(nn.Flatten(), hidden, logits).eval()


def rotation(seed):
    """Orthogonal, uniformly so."""
    q, r = torch.linalg.qr(torch.randn(10, 10, generator=stream("turn", seed)))
    return q * r.diagonal().sign()


one, other = Means(), Means(1)


others = digits("others", held_images=lambda s: s.held_images[::-1])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("store"), "cpu")


@pytest.fixture
def measured(store):
    def found(seed=0, settings=None, dataset="usual", model="one"):
        parts = {"dataset": f"{ME}:{dataset}", "model": f"{ME}:{model}"}
        known = TASK.resolve(parts, settings or {}, None)
        named = (known.settings, seed, "/".join(parts.values()), "key", known.fingerprint)
        cell = Cell("block", "units", parts, *named, "code", skip=known.skip)
        return TASK.measure(cell, Bench(store))

    return found


@pytest.fixture
def rows(measured):
    return lambda *given, **swapped: _rows(measured(*given, **swapped))


def _rows(found):
    return {v.metric: (v.value, v.std_error, v.n) for v in found.values}


def _purity(labels):
    return np.mean([max(Counter(group).values()) / len(group) for group in labels.tolist()])


def _phi(network):
    """Features and labels of the held-out digits."""
    source = usual.source(0)
    with torch.no_grad():
        return network.load()[:2](source.held_out).double().numpy(), source.held_out_labels.numpy()


def test_units_and_axes_by_hand(rows):
    """The eight largest values of each, and their labels; the axes from a covariance."""
    phi, labels = _phi(one)
    found = rows()
    wanted = _purity(labels[np.argsort(-phi, axis=0)[:8].T])
    assert found["class_purity@units"][0] == pytest.approx(wanted)
    axes = np.linalg.eigh(np.cov(phi.T))[1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(10)])
    kept = axes[:, 1:]  # the centred means span one dimension less
    wanted = _purity(labels[np.argsort(-phi @ kept, axis=0)[:8].T])
    assert found["class_purity@pca"][0] == pytest.approx(wanted)
    assert [found[f"class_purity@{kind}"][2] for kind in KINDS] == [10, 100, 9, 2_000]


def test_random_directions_and_chance_by_another_simulation(rows):
    """Within four standard errors of many of another stream."""
    phi, labels = _phi(one)
    rng = np.random.default_rng(3)
    along = rng.standard_normal((10, 2_000))
    lots = np.array([rng.choice(len(labels), 8, replace=False) for _ in range(2_000)])
    found = rows(settings={"directions": 800})
    for kind, places in (("random", np.argsort(-phi @ along, axis=0)[:8].T), ("chance", lots)):
        value, error, _ = found[f"class_purity@{kind}"]
        assert abs(value - _purity(labels[places])) < 6 * error, kind


def test_a_rotation_makes_units_random_directions():
    """The same function, the same space; what the units score is what random directions did."""
    images, labels = usual.source(0).held_out, usual.source(0).held_out_labels
    rng = stream("test")

    def purity(values, along):
        return _purity(labels[tops(values, along, 8, rng)].numpy())

    phi = features(one.load(), images)
    random = purity(phi, directions(phi, 1_000, rng)["random"])
    own = purity(phi, directions(phi, 10, rng)["units"])
    turned = []
    for seed in range(30):
        network = Means(turn=seed).load()
        torch.testing.assert_close(network(images), one.load()(images), rtol=1e-4, atol=1e-4)
        values = features(network, images)
        torch.testing.assert_close(values, phi @ rotation(seed).double().T, rtol=0, atol=1e-5)
        turned.append(purity(values, directions(values, 10, rng)["units"]))
    error = np.std(turned, ddof=1) / np.sqrt(30)
    assert abs(np.mean(turned) - random) < 4 * error + 0.01
    assert own > random + 0.1


def test_centring_moves_no_rank():
    """Nor does the norm of a direction; the norm of an image does, unless features are cosines."""
    rng = stream("ranks")
    values = torch.rand(50, 6, generator=rng).double()
    along = torch.randn(20, 6, generator=rng).double()
    usual_ranks = tops(values, along, 8, rng)
    assert torch.equal(tops(values - values.mean(0), 3 * along, 8, rng), usual_ranks)
    loud = values.clone()
    loud[7] *= 100
    share = (tops(loud, along.abs(), 8, rng) == 7).any(1).double().mean()
    assert share == 1
    cosine = prepared(loud, "cosine")
    torch.testing.assert_close(cosine.norm(dim=1), torch.ones(50).double())
    white = prepared(values, "whitened")
    torch.testing.assert_close(white.T @ white / 49, torch.eye(6).double())


def test_whitening_turns_nothing():
    """It is symmetric: units that are uncorrelated are scaled alone; what is dead stays so."""
    signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]]).double()
    values = torch.cat([signs * torch.tensor([3.0, 0.5]), torch.full((4, 1), 7.0)], 1).double()
    wanted = torch.cat([signs * 0.75**0.5, torch.zeros(4, 1)], 1)
    torch.testing.assert_close(prepared(values, "whitened"), wanted.double())
    deviations, axes = principal(values)
    torch.testing.assert_close(deviations, torch.tensor([3.0, 0.5]).double() / 0.75**0.5)
    torch.testing.assert_close(axes, torch.eye(3).double()[:2])


def test_dead_units_are_left_out_and_ties_are_broken_by_lot():
    """Images that stand class by class are no class by that."""
    rng = stream("ties")
    labels = np.repeat(np.arange(10), 100)
    values = torch.zeros(1_000, 3).double()
    values[0, 0], values[500, 2] = 1, -1
    units = directions(values, 5, rng)["units"]
    assert sorted(units.argmax(1).tolist()) == [0, 2]
    lots = [_purity(labels[tops(values, units[:1], 8, rng).numpy()]) for _ in range(200)]
    chance = _purity(labels[by_lot(1_000, 2_000, 8, rng).numpy()])
    assert np.mean(lots) == pytest.approx(chance, abs=0.03)


def test_groups_by_lot_have_no_image_twice():
    places = by_lot(9, 200, 8, stream("lot"))
    assert all(len(set(group)) == 8 for group in places.tolist())
    assert set(places.flatten().tolist()) == set(range(9))


@pytest.mark.parametrize("swap", [{"dataset": "permuted"}, {"model": "other"}])
def test_what_is_read(rows, swap):
    """Held-out images and their labels, and the classifier; examples for training are not."""
    found = rows()
    assert rows(dataset="retrained") == found == rows()
    assert rows(dataset="others") != found
    assert all(
        rows(**swap)[f"class_purity@{kind}"] != found[f"class_purity@{kind}"] for kind in KINDS[:3]
    )


def test_the_seed_draws_directions_and_lots(rows):
    """All units are taken where there are no more than are asked for; axes are never drawn."""
    found = [rows(seed) for seed in (0, 1, 2)]
    for name in ("class_purity@random", "class_purity@chance"):
        assert all(a[name] != b[name] for a, b in pairwise(found))
    assert len({each["class_purity@units"] for each in found}) == 1
    assert len({each["class_purity@pca"] for each in found}) == 1
    few = [directions(torch.eye(10).double(), 4, stream(seed))["units"] for seed in range(3)]
    assert all(each.sum() == 4 and each.sum(0).max() == 1 for each in few)
    assert not torch.equal(few[0], few[1])


CHANGES = [
    {"layer": "pixels"},
    {"layer": "0"},
    {"top": 9},
    {"directions": 50},
    {"features": "cosine"},
    {"features": "whitened"},
    {"images": 200},
]


@pytest.mark.parametrize("setting", CHANGES, ids=str)
def test_every_setting_is_heeded(rows, setting):
    assert rows(settings=setting) != rows()


def test_what_a_picture_shows(measured):
    """The top images of the first units and random directions, as they are."""
    found = measured(settings={"directions": 10}).arrays
    assert {name: array.shape for name, array in found.items()} == {
        "top_units": (6, 8, 1, 8, 8),
        "top_random": (6, 8, 1, 8, 8),
    }
    phi, _ = _phi(one)
    source = usual.source(0)
    best = {source.held_out[i].mul(255).round().byte().numpy().tobytes() for i in phi.argmax(0)}
    assert {row[0].tobytes() for row in found["top_units"]} <= best
    assert len({row[0].tobytes() for row in found["top_random"]} - best) > 0
    assert found["top_units"].dtype == np.uint8


class Twice(nn.Module):
    """A layer that is passed twice, and logits that are not those of the last linear layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(self.layer(x.flatten(1)))


def test_layers_by_name():
    """A hidden layer, what comes out of any, and what there is not."""
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.BatchNorm1d(3), nn.Linear(3, 2)
    ).eval()
    x = torch.rand(6, 1, 2, 2)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    torch.testing.assert_close(features(network, x), network[:4](x).double(), rtol=0, atol=0)
    torch.testing.assert_close(features(network, x, "2"), network[:3](x).double(), rtol=0, atol=0)
    torch.testing.assert_close(features(network, x, "pixels"), x.flatten(1).double())
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    with pytest.raises(UsageError, match="unknown layer '7'"):
        features(network, x, "7")
    with pytest.raises(UsageError, match="no one value for each of 6 images: expected a layer"):
        features(Twice(), x, "layer")
    with pytest.raises(UsageError, match="no hidden layer: the logits are linear in the pixels"):
        features(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), x)
    for logits_elsewhere in (nn.Sequential(network, nn.Softplus()), nn.Flatten()):
        with pytest.raises(UsageError, match=r"don't come from the last nn\.Linear: name"):
            features(logits_elsewhere, x)


def _resolved(model, settings=None):
    return TASK.resolve({"dataset": "optdigits", "model": model}, settings or {}, None)


def test_a_point_is_resolved():
    """A linear classifier has no hidden layer and is skipped, in so many words."""
    plain = _resolved("fc100-100-10")
    assert (plain.differing, plain.skip) == ({}, "")
    assert {"bench.tasks.robustness.units", "metrics.purity"} <= {*plain.modules}
    assert _resolved("fc100-100-10", {"images": 50}).seconds < plain.seconds
    assert _resolved("softmax").skip.startswith("softmax: there is no hidden layer")
    assert _resolved("softmax", {"layer": "pixels"}).skip == ""
    assert "unknown layer 'x'" in _resolved("cnn", {"layer": "x"}).skip
    with pytest.raises(UsageError, match="unknown setting 'colour'"):
        _resolved("cnn", {"colour": 1})
    with pytest.raises(UsageError, match="metric 'class_purity': expected it with what is ranked"):
        TASK.metric_facts("class_purity")
    assert TASK.metric_facts("class_purity@pca")["title"] == "purity, PCA axes"


def test_more_images_a_direction_than_there_are(measured):
    with pytest.raises(UsageError, match="`top`: expected at most 5, as there are images, got 8"):
        measured(settings={"images": 5})
