"""What the task of certificates reads, and its rows against closed forms of linear classifiers."""

from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
import torch
from swapped import Nearest, others, permuted, retrained, usual
from torch import nn

from attacks import UNIT
from attacks.certificates import CERTIFICATES, Certificate
from attacks.classifiers import Ready
from bench.core.errors import UsageError
from bench.core.randomness import stream_seed
from bench.models.store import ArtifactStore
from bench.models.users import Preparation, prepare
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench

__all__ = ["others", "permuted", "retrained"]
"""Asked for by name."""
TASK = TASKS["certificate"].part
ME = __name__
SETTINGS = {"images": 40, "n": 300, "n0": 30}
RADII = {"linf": "0.02,0.05,0.1", "l2": "0.1,0.3,0.6"}


class Gone(Nearest):
    missing = "it is not here"


class Silent(Ready):
    """No number for an answer."""

    missing = ""

    def load(self):
        network = Nearest(0).load()
        network[1].bias.data[3] = float("nan")
        return network


class Rolled(nn.Module):
    """Another class where the first pixel is 0 to the bit, which it never is under noise."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        logits = self.network(images)
        return torch.where(images.flatten(1)[:, :1] == 0, logits.roll(1, 1), logits)


class Noisy(Nearest):
    def load(self):
        return Rolled(super().load()).eval()


class Told(Certificate):
    """It certifies what is bright, and keeps what it was asked."""

    norms = ("linf",)

    def __init__(self):
        self.asked = []

    def __call__(self, model, images, labels, *, radius, norm, seeds, box=UNIT):
        self.asked.append((images, labels, radius, norm, seeds, box))
        return images.flatten(1).mean(1) > 0.25 + radius


one, other, gone, noisy = Nearest(0), Nearest(1), Gone(0), Noisy(0)
silent, told = Silent(), Told()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("store"), "cpu")


def _cell(certificate="exact", seed=0, settings=None, dataset="usual", model="one"):
    norms = CERTIFICATES[certificate].part.norms if certificate in CERTIFICATES else told.norms
    parts = {"dataset": f"{ME}:{dataset}", "model": f"{ME}:{model}", "certificate": certificate}
    asked = {**SETTINGS, "radii": RADII[norms[0]], **(settings or {})}
    known = TASK.resolve(parts, asked, None)
    named = (known.settings, seed, "/".join(parts.values()), "key", known.fingerprint)
    return Cell("block", "certificate", parts, *named, "code", skip=known.skip)


@pytest.fixture
def rows(store):
    def measured(*given, **swapped):
        cell = _cell(*given, **swapped)
        found = TASK.measure(cell, Bench(store))
        assert (found.invalid, cell.skip) == ("", "")
        return {(v.metric, v.epsilon): v for v in found.values}

    return measured


def _table(values):
    return {key: (v.value, v.n, v.outcomes) for key, v in values.items()}


KINDS = ["exact", "ibp", "smoothing"]


@pytest.mark.parametrize("name", KINDS)
def test_what_is_read(rows, name):
    """Held-out images, their labels and the classifier; examples for training are not."""
    found = _table(rows(name))
    assert _table(rows(name)) == found
    assert _table(rows(name, dataset="retrained")) == found
    swapped = [{"dataset": "others"}, {"dataset": "permuted"}, {"model": "other"}]
    assert all(_table(rows(name, **swap)) != found for swap in swapped)


def test_the_seed_is_that_of_the_noise(rows):
    """And where nothing is drawn it is none."""
    drawn, still = ([_table(rows(name, seed=s)) for s in (0, 1)] for name in ("smoothing", "ibp"))
    assert drawn[0] != drawn[1]
    assert still[0] == still[1]


CHANGES = [
    ("ibp", {"radii": "0.02,0.07"}),
    ("ibp", {"images": 41}),
    ("ibp", {"clip": False}),
    ("ibp", {"norm": "l2"}),
    ("exact", {"clip": False}),
    ("smoothing", {"sigma": 0.5}),
    ("smoothing", {"n": 200}),
    ("smoothing", {"alpha": 0.2}),
]


@pytest.mark.parametrize(("name", "setting"), CHANGES)
def test_every_setting_is_heeded(rows, name, setting):
    """And part of what names the cell."""
    assert _table(rows(name, settings=setting)) != _table(rows(name))
    parts = {"dataset": "optdigits", "model": "softmax", "certificate": name}
    (key,) = setting
    assert TASK.resolve(parts, setting, None).differing.keys() >= {key}


def _known(norm, dataset=usual):
    """The margins over the dual norms, of images that are right; 0 of the others."""
    source, network = dataset.source(0), one.load()
    images, labels = source.held_out[:40], source.held_out_labels[:40]
    weight = network[1].weight.detach().double().numpy()
    logits = network.double()(images.double()).detach().numpy()
    dual = {"linf": 1, "l2": 2}[norm]
    return np.array(
        [
            min(
                (logits[i, y] - logits[i, j]) / np.linalg.norm(weight[y] - weight[j], dual)
                for j in range(10)
                if j != y
            )
            for i, y in enumerate(labels.tolist())
        ]
    ).clip(0)


@pytest.mark.parametrize("norm", RADII)
def test_the_rows_of_a_linear_classifier(rows, norm):
    """Shares, bits and the mean radius, without a box in closed form, by two certificates; the
    radius a little below it, by what the network's own rounding may cost on a machine.
    """
    settings, reach = {"norm": norm, "clip": False, "radii": RADII[norm]}, _known(norm)
    exact, ibp = rows("exact", settings=settings), rows("ibp", settings=settings)
    for radius in map(float, RADII[norm].split(",")):
        for found in (exact["certified_accuracy", radius], ibp["certified_accuracy", radius]):
            assert found.value == pytest.approx((reach > radius).mean())
            assert (found.norm, found.direction, found.n) == (norm, "higher", 40)
            bits = np.unpackbits(np.frombuffer(b64decode(found.outcomes), np.uint8))[:40]
            np.testing.assert_array_equal(bits, reach > radius)
    mean = exact["certified_radius", None]
    assert 0 < reach.mean() - mean.value < 1e-4 * reach.mean()
    assert "certified_radius" not in {metric for metric, _ in ibp}


def test_the_examples_are_those_of_attacks(rows, store):
    """So that what is certified and what is misled are bits of the same images."""
    parts = {"dataset": f"{ME}:usual", "model": f"{ME}:one", "attack": "pgd"}
    attack = TASKS["attack"].part
    known = attack.resolve(parts, {"images": 40, "radii": "0.05"}, None)
    cell = Cell("b", "attack", parts, known.settings, 0, "id", "key", known.fingerprint, "code")
    values = {v.metric: v for v in attack.measure(cell, Bench(store)).values}
    robust, sure = values["robust_accuracy"], rows("exact")["certified_accuracy", 0.05]
    assert robust.examples == sure.examples
    both = [
        np.unpackbits(np.frombuffer(b64decode(v.outcomes), np.uint8))[:40] for v in (sure, robust)
    ]
    assert (both[0] <= both[1]).all()
    assert 0 < both[0].sum() < 40


def test_smoothing_counts_what_it_abstains_from(rows):
    """All its rows are about the smoothed classifier, whatever the network says by itself; a radius
    is 0 where that is wrong or abstains.
    """
    found = rows("smoothing", model="noisy", settings={"n": 60, "sigma": 0.4})
    share = found["abstention", None]
    assert 0 < share.value < 1
    assert share.direction == "lower"
    source, network = usual.source(0), noisy.load()
    images, labels = source.held_out[:40], source.held_out_labels[:40]
    part = replace(CERTIFICATES["smoothing"].part, n=60, n0=30, sigma=0.4)
    seeds = torch.arange(40) + stream_seed(0, "attack")
    said, radii = part.reach(network, images, norm="l2", seeds=seeds)
    assert share.value == pytest.approx(float((said < 0).float().mean()))
    sure = (said == labels) & (radii > 0.3)
    assert found["certified_accuracy", 0.3].value == pytest.approx(float(sure.float().mean()))
    mean = torch.where(said == labels, radii, 0.0).mean()
    assert found["certified_radius", None].value == pytest.approx(float(mean))
    assert (network(images).argmax(1) != said)[said >= 0].any()


def test_what_a_certificate_is_asked_for(store):
    """From the largest radius down; what is certified is not asked again, and stays so."""
    told.asked.clear()
    cell = _cell(f"{ME}:told", seed=3, settings={"clip": False})
    values = TASK.measure(cell, Bench(store)).values
    source = usual.source(3)
    light = source.held_out[:40].flatten(1).mean(1)
    seeds = torch.arange(40) + stream_seed(3, "attack")
    assert [asked[2].unique().item() for asked in told.asked] == pytest.approx([0.1, 0.05, 0.02])
    rest = torch.ones(40, dtype=torch.bool)
    for value, radius, asked in zip(values[::-1], (0.1, 0.05, 0.02), told.asked, strict=True):
        images, labels, _, norm, drawn, box = asked
        assert torch.equal(images, source.held_out[:40][rest])
        assert torch.equal(labels, source.held_out_labels[:40][rest])
        assert torch.equal(drawn, seeds[rest])
        assert (norm, box) == ("linf", None)
        rest = ~(light > 0.25 + radius)
        assert value.value == pytest.approx(float((~rest).float().mean()))


def _resolved(model, certificate, settings=None):
    parts = {"dataset": "optdigits", "model": model, "certificate": certificate}
    return TASK.resolve(parts, settings or {}, None)


def test_a_point_is_resolved():
    """Usual settings name no cell; what can't be read is skipped, with the layer."""
    plain = _resolved("cnn", "crown")
    assert plain.differing == {}
    assert plain.skip == ""
    assert {"bench.tasks.robustness.certificate", "attacks.certificates.crown"} <= {*plain.modules}
    assert "metrics.certified" in plain.modules
    assert _resolved("cnn", "crown", {"images": 250}).seconds < plain.seconds
    assert "layer '2' (MaxoutLayer) is none" in _resolved("maxout", "ibp").skip
    assert _resolved("cnn", "exact").skip.startswith("exact is for linear classifiers, cnn has")
    assert _resolved("maxout", "smoothing").skip == ""
    assert _cell(model="gone").skip == "it is not here"


def test_settings_are_checked():
    """Of others they are left out, so that a grid shares them."""
    assert "sigma" not in _resolved("cnn", "ibp", {"sigma": 0.5}).settings
    with pytest.raises(UsageError, match="unknown setting 'colour'"):
        _resolved("cnn", "ibp", {"colour": 1})
    with pytest.raises(UsageError, match=r"unknown norm 'linf': .*certificate smoothing knows"):
        _resolved("cnn", "smoothing", {"norm": "linf"})
    with pytest.raises(UsageError, match=r"`alpha` between 0 and 0.5"):
        _resolved("cnn", "smoothing", {"alpha": 0.7})
    with pytest.raises(UsageError, match="unknown certificate 'crow': did you mean 'crown'"):
        _resolved("cnn", "crow")


def test_answers_that_are_not_finite_are_no_figure(store):
    measured = TASK.measure(_cell("ibp", model="silent"), Bench(store))
    assert measured.values == []
    assert measured.invalid.startswith("before the certificate the classifier answers 40 of 40")


def test_what_is_said_of_the_parts_of_a_cell():
    cell = _cell()
    cell = replace(cell, parts={**cell.parts, "dataset": "optdigits", "model": "cnn"})
    said = TASK.describe(replace(cell, parts={**cell.parts, "certificate": "crown"}))
    assert list(said) == ["dataset", "model", "certificate"]
    assert said["certificate"]["papers"] == ["arXiv:1811.00866"]


def test_a_network_of_the_users_is_read_with_its_preparation():
    """Range, mean and deviation of each channel."""
    images = usual.source(0).held_out[:6]
    prepared = prepare(one.load(), Preparation(-1, 1, (0.2,), (0.7,)), "mine")
    labels = prepared(images).argmax(1)
    part = CERTIFICATES["ibp"].part
    found = part.margins(prepared, images, labels, radius=0.0, norm="linf")
    logits = prepared(images).double()
    own = logits.gather(1, labels[:, None])[:, 0]
    rest = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    torch.testing.assert_close(found, (own - rest).detach(), rtol=0, atol=1e-3)
