"""apgd-restarts, FAB and Square beside the reference AutoAttack, where that is installed."""

from functools import cache

import pytest
import torch

from attacks import ATTACKS
from attacks.classifiers import CLASSIFIERS
from attacks.engine import frozen, run
from attacks.fab import Fab
from attacks.norms import size
from bench.core.randomness import forked
from bench.datasets.digits import mnist5k

IMAGES = 150
SLACK = 3
RADII = {"l2": 2.0, "l1": 12.0}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore"),
]


def _digits(images, labels, count=None):
    return torch.from_numpy(images[:count]).float()[:, None] / 255, torch.tensor(labels[:count])


@cache
def _trained():
    """The CNN that is trained against PGD at .3 in linf, on the 4,000 digits."""
    data, part = mnist5k(), CLASSIFIERS["cnn-pgd"].part
    with forked(0):
        network = part.build((1, 28, 28), 10)
        part.train(network, *_digits(data.images, data.labels))
    return network.requires_grad_(False)


def _right(network, images, labels):
    with torch.no_grad():
        return network(images).argmax(1) == labels


@pytest.mark.parametrize("norm", RADII)
def test_the_strongest_white_box_leaves_what_autoattack_leaves(norm):
    """Robust images of the standard version, within 3 of 150; fewer are welcome."""
    reference = pytest.importorskip("autoattack")
    data, network, radius = mnist5k(), _trained(), RADII[norm]
    images, labels = _digits(data.held_images, data.held_labels, IMAGES)
    given = {"norm": norm.upper(), "eps": radius, "version": "standard", "device": "cpu"}
    theirs = reference.AutoAttack(network, seed=0, verbose=False, **given)
    left = _right(network, theirs.run_standard_evaluation(images, labels, bs=IMAGES), labels)
    ours = {"seeds": torch.arange(IMAGES), "box": (0.0, 1.0), "norm": norm, "radii": [radius]}
    with frozen(network):
        attack = ATTACKS["apgd-restarts"].part
        (found,) = run(attack, network, images, labels, stop="first_success", **ours)
    kept = _right(network, found, labels) & _right(network, images, labels)
    assert int(kept.sum()) <= int(left.sum()) + SLACK


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fab_finds_what_the_reference_finds(norm):
    """As near, within the same radius, for the same number of images of 40, give or take two."""
    fab_pt = pytest.importorskip("autoattack.fab_pt")
    data, network, radius = mnist5k(), _trained(), {**RADII, "linf": 0.3}[norm]
    images, labels = _digits(data.held_images, data.held_labels, 40)
    right = _right(network, images, labels)
    images, labels = images[right], labels[right]
    name = {"linf": "Linf", "l2": "L2", "l1": "L1"}[norm]
    given = {"n_restarts": 1, "n_iter": 100, "eps": radius, "seed": 0, "norm": name}
    theirs = fab_pt.FABAttack_PT(network, verbose=False, device="cpu", **given)
    theirs.targeted = True
    robust = _right(network, theirs.perturb(images, labels), labels).sum()
    attack, seeds = Fab(steps=100, classes=9), torch.arange(len(images))
    found = attack(network, images, labels, norm=norm, seeds=seeds)
    won = ~_right(network, found, labels) & (size(found - images, norm) <= radius)
    assert abs(int((~won).sum()) - int(robust)) <= 2
