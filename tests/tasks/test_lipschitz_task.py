"""How far classifiers stretch, against closed forms of linear ones; what the task reads."""

import numpy as np
import pytest
import torch
from swapped import nearest, others, permuted, retrained, usual
from torch import nn
from torch.autograd.functional import jacobian

from attacks import UNIT, MinimalNorm
from attacks.classifiers import Ready
from attacks.engine import logits_of
from attacks.lipschitz import layer_norms
from bench.core.errors import UsageError
from bench.core.randomness import forked, stream_seed
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench
from bench.tasks.robustness import gains
from bench.tasks.robustness.gains import between, noise_like, pairs, slopes
from metrics.lipschitz import Moves

__all__ = ["others", "permuted", "retrained"]
"""Asked for by name."""
TASK = TASKS["lipschitz"].part
ME = __name__
SETTINGS = {"images": 30, "steps": 20}


class Stretching(Ready):
    """The nearest mean, its logits low; through sigmoids where it is `bent`."""

    missing = ""

    def __init__(self, start=0, bent=False):
        self.start, self.bent = start, bent

    def load(self):
        layer = nearest(self.start)
        layer.bias.data -= 9
        rest = [nn.Sigmoid(), nn.Linear(10, 10, bias=False)] if self.bent else []
        for last in rest[1:]:
            last.weight.data = torch.eye(10)
        return nn.Sequential(nn.Flatten(), layer, *rest).eval()


class Unknown(Stretching):
    def load(self):
        return nn.Sequential(super().load(), nn.GELU()).eval()


class Towards(MinimalNorm):
    """To the middle of the range, half the way; it keeps what it was asked."""

    norms = ("l2",)

    def __init__(self):
        self.asked = []

    def __call__(self, model, images, labels, *, norm, seeds, box=UNIT, targets=None):
        self.asked.append((images, labels, norm, seeds, box))
        return images + 0.9 * (images.flip(0) - images)


one, other, bent = Stretching(), Stretching(1), Stretching(0, True)
unknown, towards = Unknown(), Towards()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("store"), "cpu")


@pytest.fixture
def measured(store):
    def found(attack="ddn", seed=0, settings=None, dataset="usual", model="bent"):
        parts = {"dataset": f"{ME}:{dataset}", "model": f"{ME}:{model}", "attack": attack}
        own = SETTINGS if attack == "ddn" else {"images": 30}
        known = TASK.resolve(parts, {**own, **(settings or {})}, None)
        named = (known.settings, seed, "/".join(parts.values()), "key", known.fingerprint)
        cell = Cell("block", "lipschitz", parts, *named, "code", skip=known.skip)
        return TASK.measure(cell, Bench(store))

    return found


@pytest.fixture
def rows(measured):
    def found(*given, **swapped):
        made = measured(*given, **swapped)
        assert made.invalid == ""
        return {v.metric: (v.value, v.n) for v in made.values}

    return found


def test_a_linear_classifier_in_closed_form(rows):
    """One layer, its singular value, which is the slope everywhere; nothing goes beyond."""
    weight = one.load()[1].weight.detach().double()
    largest = float(torch.linalg.svdvals(weight)[0])
    found = rows(model="one")
    for name in ("layer_norm@1", "lipschitz_bound", "gain@slope", "largest_gain"):
        assert found[name][0] == pytest.approx(largest, rel=1e-5), name
    assert "layer_norm@2" not in found
    assert found["gain@noise"][0] < found["gain@adversarial"][0] < largest
    spread = weight.square().sum().div(64).sqrt()
    assert found["gain@noise"][0] == pytest.approx(float(spread), rel=0.5)


def test_two_layers(rows):
    """A sigmoid is a quarter; the product is above all that is met."""
    network = bent.load()
    found = rows()
    first = float(torch.linalg.svdvals(network[1].weight.detach().double())[0])
    assert found["layer_norm@1"][0] == pytest.approx(first / 4, rel=1e-6)
    assert found["layer_norm@2"][0] == pytest.approx(1)
    assert found["lipschitz_bound"][0] == pytest.approx(first / 4, rel=1e-6)
    gained = [found[f"gain@{kind}"][0] for kind in ("adversarial", "noise", "pairs", "slope")]
    assert max(gained) <= found["largest_gain"][0] < found["lipschitz_bound"][0]
    assert gained[0] > 2 * gained[1]


def _by_hand(network, x, y):
    """Ratios of logits and images, one after another."""
    with torch.no_grad():
        return [
            float((network(a[None]) - network(b[None])).norm() / (a - b).norm())
            for a, b in zip(x, y, strict=True)
        ]


def test_the_rows_of_an_attack_by_hand(rows):
    """Those images alone that were right and are not any more, against where they came from; the
    noise has their lengths and the seeds of the run.
    """
    network, source = bent.load(), usual.source(0)
    images, labels = source.held_out[:30], source.held_out_labels[:30]
    moved = images + 0.9 * (images.flip(0) - images)
    kept = (network(images).argmax(1) == labels) & (network(moved).argmax(1) != labels)
    assert 0 < kept.sum() < 30
    found = rows(f"{ME}:towards", seed=4)
    ratios = _by_hand(network, images[kept], moved[kept])
    assert found["gain@adversarial"] == (pytest.approx(np.mean(ratios), rel=1e-4), len(ratios))
    seeds = torch.arange(30) + stream_seed(4, "attack")
    noisy = noise_like(images[kept], moved[kept], seeds[kept])
    ratios = _by_hand(network, images[kept], noisy)
    assert found["gain@noise"] == (pytest.approx(np.mean(ratios), rel=1e-3), len(ratios))
    every = [
        max(_by_hand(network, [a] * 29, [b for j, b in enumerate(images) if j != i]))
        for i, a in enumerate(images)
    ]
    assert found["gain@pairs"] == (pytest.approx(np.mean(every), rel=1e-3), 30)
    assert found["gain@slope"][1] == 30
    assert towards.asked[-1][2:5:2] == ("l2", UNIT)
    assert torch.equal(towards.asked[-1][3], seeds)


def test_noise_is_as_long_as_what_it_stands_beside():
    """Image by image, in directions of its own seed; other seeds, other noise."""
    with forked(1):
        images, moved = torch.rand(2, 40, 1, 6, 6)
    moved[3] = images[3]
    seeds = torch.arange(40)
    noisy = noise_like(images, moved, seeds)
    lengths, wanted = ((x - images).flatten(1).norm(dim=1) for x in (noisy, moved))
    torch.testing.assert_close(lengths, wanted, rtol=1e-5, atol=1e-6)
    assert torch.equal(noise_like(images[5:], moved[5:], seeds[5:]), noisy[5:])
    assert not torch.equal(noise_like(images, moved, seeds + 40), noisy)
    cosines = torch.cosine_similarity(
        (noisy - images)[4:].flatten(1), (moved - images)[4:].flatten(1)
    )
    assert float(cosines.mean().abs()) < 0.15


def test_changes_of_no_length_are_left_out():
    """And images that equal all others."""
    network = one.load()
    images = usual.source(0).held_out[:6].clone()
    moved = images.clone()
    moved[1] += 0.1
    assert len(between(network, images, moved).ratios) == 1
    assert len(pairs(network, images[:1].repeat(3, 1, 1, 1)).ratios) == 0
    images[1] = images[0]
    assert len(pairs(network, images).ratios) == 6


def test_slopes_are_the_largest_singular_values(monkeypatch):
    """Of each image's own Jacobian, in parts too."""
    network = bent.load()
    images = usual.source(0).held_out[:7]
    wanted = [
        float(torch.linalg.svdvals(jacobian(lambda x: network(x[None])[0], x).flatten(1))[0])  # pyright: ignore[reportAttributeAccessIssue]
        for x in images
    ]
    np.testing.assert_allclose(slopes(network, images).changes, wanted, rtol=1e-4)
    monkeypatch.setattr(gains, "VALUES", 2 * 640)
    np.testing.assert_allclose(slopes(network, images).changes, wanted, rtol=1e-4)
    assert set(slopes(network, images).lengths) == {1}


@pytest.mark.parametrize(
    "swap", [{"dataset": "others"}, {"dataset": "permuted"}, {"model": "one"}, {"seed": 1}]
)
def test_what_is_read(rows, swap):
    """Held-out images, labels, the classifier and the seed; examples for training are not."""
    assert rows(dataset="retrained") == rows() != rows(**swap)


@pytest.mark.parametrize("setting", [{"images": 31}, {"steps": 5}, {"clip": False}])
def test_every_setting_is_heeded(rows, setting):
    assert rows(settings=setting) != rows()


def test_what_can_not_be_is_invalid(measured, monkeypatch):
    """A ratio above the product says that one of the two is wrong: there are no figures."""
    monkeypatch.setattr(
        "bench.tasks.robustness.lipschitz.layer_norms",
        lambda *given: [0.5 * norm for norm in layer_norms(*given)],
    )
    found = measured(model="one")
    assert found.values == []
    assert "expected at most the product of the layers" in found.invalid


def test_an_attack_that_misleads_nobody_has_no_gain(rows):
    found = rows(settings={"steps": 1})
    assert found["gain@adversarial"] == found["gain@noise"] == (0, 0)
    assert found["gain@slope"][1] == 30


def test_a_layer_that_is_not_known_is_named(measured):
    with pytest.raises(UsageError, match=r"layer '1' \(GELU\) is none that bounds go through$"):
        measured(model="unknown")


def _resolved(model, attack="ddn", settings=None):
    parts = {"dataset": "optdigits", "model": model, "attack": attack}
    return TASK.resolve(parts, settings or {}, None)


def test_a_point_is_resolved():
    """A row for each layer that there is; what can't be read is skipped, with the layer."""
    plain = _resolved("cnn")
    assert (plain.differing, plain.skip, plain.settings["norm"]) == ({}, "", "l2")
    assert plain.gives is not None
    assert {"layer_norm@4", "gain@noise"} <= plain.gives
    assert "layer_norm@5" not in plain.gives
    assert {"attacks.lipschitz", "attacks.ddn", "metrics.lipschitz"} <= {*plain.modules}
    assert _resolved("cnn", settings={"images": 250}).seconds < plain.seconds
    assert _resolved("maxout").skip.endswith(
        "layer '2' (MaxoutLayer) is none that bounds go through"
    )
    assert _resolved("cnn", "pgd").settings["norm"] == "l2"
    with pytest.raises(UsageError, match="bounded in l2: expected norm l2, got linf"):
        _resolved("cnn", "pgd", {"norm": "linf"})
    with pytest.raises(UsageError, match="unknown setting 'colour'"):
        _resolved("cnn", settings={"colour": 1})


def test_metrics_by_name():
    """Headed by the layer, or by what moves the images."""
    titles = {
        n: TASK.metric_facts(n)["title"] for n in ("layer_norm@3", "gain@noise", "largest_gain")
    }
    assert [*titles.values()] == ["layer 3", "noise gain", "largest gain"]
    for wrong in ("layer_norm", "layer_norm@0", "layer_norm@x", "gain@up", "lipschitz_bound@1"):
        with pytest.raises(
            UsageError, match=f"metric '{wrong}': expected layer_norm with a number"
        ):
            TASK.metric_facts(wrong)


def test_moves_are_counted_in_double():
    """Where an image is moved by a grain, the length is no rounding of float32."""
    network, images = one.load().double(), usual.source(0).held_out[:5].double()
    moved = images + 1e-9
    found = between(network, images, moved)
    assert isinstance(found, Moves)
    np.testing.assert_allclose(found.lengths, 8e-9, rtol=1e-6)
    wanted = (logits_of(network, moved) - logits_of(network, images)).norm(dim=1)
    np.testing.assert_allclose(found.changes, wanted.numpy(), rtol=1e-6)
