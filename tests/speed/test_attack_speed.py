"""Attacks against the passes they need and against foolbox and torchattacks.

Ratios of processor time in one process with one thread: the median over interleaved rounds.
"""

import importlib.util
import statistics
import sys
from functools import cache
from types import ModuleType

import pytest
import torch
from speed.conftest import seconds

from attacks.engine import run
from attacks.fgsm import Fgsm
from attacks.foolbox_adapter import _library
from attacks.gradients import misled
from attacks.pgd import Pgd
from bench.core.randomness import forked
from bench.datasets import DATASETS
from bench.models.classifiers import ClassifierOrder, victim
from bench.models.store import ArtifactStore

IMAGES, ROUNDS = 500, 7
RADII = (0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3)
STEPS, LENGTH = 40, 0.0625
SEARCHED = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


def trainer(folder):
    """The project's classifiers by name, trained once; their weights ask for no gradients, which
    spares foolbox those that it would take and leave there.
    """
    store = ArtifactStore(folder)

    @cache
    def get(name):
        return victim(ClassifierOrder(name, "mnist5k", 0), store, "cpu").model.requires_grad_(False)

    return get


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The project's classifiers by name."""
    return trainer(tmp_path_factory.mktemp("classifiers"))


@cache
def digits(count=IMAGES):
    """Held-out digits and their labels."""
    source = DATASETS["mnist5k"].part.source(0)
    return source.held_out[:count], source.held_out_labels[:count]


def peer(name):
    """A library to compare with, or a skip."""
    if not importlib.util.find_spec(name):
        pytest.skip(f"{name} is not installed (`make bench-speed` installs it)")
    _library()
    sys.modules.setdefault("visdom", ModuleType("visdom"))  # adv_lib's logger, which nobody calls
    return __import__(name)


def ratio(ours, theirs, rounds=ROUNDS):
    """The median of our time over theirs."""
    ours(), theirs()
    return statistics.median(seconds(ours) / seconds(theirs) for _ in range(rounds))


def curve(model, images, labels):
    """Our FGSM at every radius, with its success."""
    found = run(
        Fgsm(), model, images, labels, radii=RADII, norm="linf",
        seeds=torch.arange(len(images)), box=(0.0, 1.0),
    )  # fmt: skip
    with torch.no_grad():
        return [misled(model(attacked), labels) for attacked in found]


def passes(model, images, labels):
    """One forward and backward pass and eight forward ones, as anyone writes them."""
    points = images.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(model(points), labels, reduction="sum")
    torch.autograd.grad(loss, points)
    with torch.no_grad():
        return [model(images).argmax(1) != labels for _ in RADII]


def test_a_curve_of_fgsm(benchmark, trained):
    """Eight radii for 100 digits."""
    model, (images, labels) = trained("softmax"), digits(100)
    found = benchmark(curve, model, images, labels)
    assert found[-1].all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "maxout"])
def test_a_curve_costs_its_passes(trained, hold, name):
    """One gradient serves all radii, and what lies between the passes costs little."""
    model, (images, labels) = trained(name), digits()
    found = ratio(lambda: curve(model, images, labels), lambda: passes(model, images, labels), 15)
    hold(f"FGSM, 8 radii, {name}: time over 1 forward-backward + 8 forwards", found, "at most", 1.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "maxout"])
def test_a_curve_costs_half_of_foolboxs(trained, hold, name):
    """Which takes a gradient for each radius."""
    model, (images, labels) = trained(name), digits()
    theirs = peer("foolbox").PyTorchModel(model, (0, 1), device="cpu")
    attack = _library().LinfFastGradientAttack()
    found = ratio(
        lambda: curve(model, images, labels),
        lambda: attack(theirs, images, labels, epsilons=RADII),
    )
    hold(f"FGSM, 8 radii, {name}: time over foolbox's", found, "at most", 0.5)


def pgd(model, images, labels, radius, steps=STEPS, stop="first_success"):
    """What our PGD misleads."""
    attack = Pgd(steps=steps, step_size=LENGTH)
    (found,) = run(
        attack, model, images, labels, radii=[radius], norm="linf",
        seeds=torch.arange(len(images)), box=(0.0, 1.0), stop=stop,
    )  # fmt: skip
    with torch.no_grad():
        return misled(model(found), labels)


def pgd_of(name, model, images, labels, radius):
    """The same of a peer, as its users call it."""
    if name == "foolbox":
        theirs = peer(name).PyTorchModel(model, (0, 1), device="cpu")
        attack = _library().LinfProjectedGradientDescentAttack(
            abs_stepsize=LENGTH * radius, steps=STEPS, random_start=True
        )
        return attack(theirs, images, labels, epsilons=radius)[2]
    attack = peer(name).PGD(model, radius, LENGTH * radius, STEPS, random_start=True)
    found = attack(images, labels)
    with torch.no_grad():
        return misled(model(found), labels)


def telling(model, images, labels):
    """The first radius at which PGD-10 succeeds on 90 to 99 %."""
    for radius in SEARCHED:
        share = float(pgd(model, images, labels, radius, steps=10).double().mean())
        if 0.9 <= share <= 0.99:
            return radius
    raise AssertionError("no radius at which PGD-10 succeeds on 90 to 99 %")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["foolbox", "torchattacks"])
@pytest.mark.parametrize(("victim", "bar"), [("cnn", 0.35), ("cnn-pgd", 0.95)])
def test_robust_accuracy_by_pgd_40(trained, hold, victim, bar, name):
    """Where an image leaves with its first success; the peers take every step for every image."""
    peer(name)
    model, (images, labels) = trained(victim), digits()
    radius = telling(model, images, labels)
    with forked(0):
        ours = pgd(model, images, labels, radius)
        theirs = pgd_of(name, model, images, labels, radius)
        assert int(ours.sum()) >= int(theirs.sum())
        found = ratio(
            lambda: pgd(model, images, labels, radius),
            lambda: pgd_of(name, model, images, labels, radius),
            5,
        )
    hold(f"PGD-40 at {radius:g}, {victim}: time over {name}'s", found, "at most", bar)
