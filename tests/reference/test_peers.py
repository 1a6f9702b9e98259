"""FGSM and PGD succeed where foolbox's and torchattacks' do, image by image.

Cross-entropy underflows in float32 where a model is sure: there the peers' gradients are zero or
wrong, and ours are not. Those images are listed (`pytest -rP` prints them) and left out;
everywhere else the success bits are the same, or the test fails.
"""

import importlib.util
import sys
from functools import cache

import numpy as np
import pytest
import torch

from attacks.fgsm import Fgsm
from attacks.foolbox_adapter import _library
from attacks.goals import Goal
from attacks.gradients import misled
from attacks.iterative import Steps, climb
from attacks.objectives import entropy, margin
from bench.core.randomness import forked
from bench.datasets.digits import mnist5k

IMAGES = 300
RADII = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
LENGTH, COUNT = 0.05, 10
PEERS = ["foolbox", "torchattacks"]


@cache
def trained():
    """A CNN on 4,000 digits."""
    data = mnist5k()
    images = torch.tensor(data.images).float().reshape(-1, 1, 28, 28) / 255
    labels = torch.tensor(data.labels)
    with forked(0):
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 16, 4, stride=2, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 32, 4, stride=2, padding=1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(1568, 10),
        )
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(150):
            some = torch.randint(len(images), (100,))
            loss = torch.nn.functional.cross_entropy(model(images[some]), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return model.eval().requires_grad_(False)


class Scaled(torch.nn.Module):
    """A model whose logits are multiplied, which changes no answer."""

    def __init__(self, model, scale):
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, images):
        return self.model(images) * self.scale


@cache
def digits():
    """Held-out digits and their labels."""
    data = mnist5k()
    images = torch.tensor(data.held_images[:IMAGES]).reshape(-1, 1, 28, 28).float() / 255
    return images, torch.tensor(data.held_labels[:IMAGES])


def victim(model):
    """For foolbox, which needs parameters that ask for gradients no more than we do."""
    return sys.modules["foolbox"].PyTorchModel(model, (0, 1), device="cpu")


def peer_or_skip(name):
    """torchattacks is in the extra `peers`; foolbox always there."""
    if name == "torchattacks" and not importlib.util.find_spec("torchattacks"):
        pytest.skip("torchattacks is not installed (the extra `peers`)")


def fgsm_of(name, model, images, labels, radius):
    """The peer's images."""
    if name == "foolbox":
        attack = _library().LinfFastGradientAttack()
        return attack.run(victim(model), images, labels, epsilon=radius)
    import torchattacks

    return torchattacks.FGSM(model, eps=radius)(images, labels)


def pgd_of(name, model, images, labels, starts, radius):
    """The peer's images after its steps from the given starts."""
    if name == "foolbox":
        attack = _library().LinfProjectedGradientDescentAttack(
            abs_stepsize=LENGTH * radius, steps=COUNT, random_start=True
        )
        attack.get_random_start = lambda x0, epsilon: type(x0)(starts)
        return attack.run(victim(model), images, labels, epsilon=radius)
    import torchattacks

    attack = torchattacks.PGD(model, radius, LENGTH * radius, COUNT, random_start=True)
    with forked(7):
        return attack(images, labels)


def starts_of(images, radius):
    """The random starts that torchattacks draws from the same generator."""
    with forked(7):
        return (images + torch.empty_like(images).uniform_(-radius, radius)).clamp(0, 1)


def hidden(model, images, labels):
    """Images where the gradient of cross-entropy at the logits is not, in float32, what it is: the
    label's own part, p - 1, is exactly zero from p = 1 - 6e-8 on, and coarse before.
    """
    logits = model(images).detach()
    theirs = logits.clone().requires_grad_()
    entropy(theirs, labels).sum().backward()
    exact = logits.double().requires_grad_()
    margin(exact, labels).sum().backward()
    exact = exact.grad * margin(logits.double(), labels).sigmoid()[:, None]
    error = (theirs.grad.double() - exact).abs().amax(1)
    return error > 0.1 * exact.abs().amax(1)


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("name", PEERS)
def test_fgsm_succeeds_on_the_same_images(name, scale):
    """At every radius, where no gradient underflows; logits times 30 make many that do."""
    peer_or_skip(name)
    model, (images, labels) = Scaled(trained(), scale).eval(), digits()
    masked = hidden(model, images, labels)
    sys.stdout.write(f"underflow: {masked.nonzero()[:, 0].tolist()}\n")
    assert masked.any() if scale > 1 else masked.float().mean() < 0.1
    way = Fgsm().direction(model, images, labels, norm="linf", seeds=torch.arange(IMAGES))
    found = 0
    for radius in RADII:
        ours = misled(model(Fgsm().along(images, way, radius=radius, norm="linf")), labels)
        theirs = misled(model(fgsm_of(name, model, images, labels, radius)), labels)
        different = ours != theirs
        assert not (different & ~masked).any(), (radius, (different & ~masked).nonzero()[:, 0])
        found += int((different & ours).sum())
    assert found > 0 or scale == 1


@pytest.mark.parametrize(
    "radius",
    [
        pytest.param(0.05, marks=pytest.mark.slow),
        0.1,
        pytest.param(0.15, marks=pytest.mark.slow),
        0.3,
    ],
)
@pytest.mark.parametrize("name", PEERS)
def test_pgd_ends_on_the_same_images(name, radius):
    """The last of ten iterates, from the same random starts."""
    peer_or_skip(name)
    model, (images, labels) = trained(), digits()
    starts, masked = starts_of(images, radius), torch.zeros(IMAGES, dtype=torch.bool)
    for count in range(COUNT):
        steps = Steps(count, LENGTH, keep="last")
        at = climb(
            model, images, Goal(labels), starts, steps, radius=radius, norm="linf", box=(0, 1)
        )
        masked |= hidden(model, at, labels)
    sys.stdout.write(f"underflow: {masked.nonzero()[:, 0].tolist()}\n")
    assert masked.float().mean() < 0.2
    steps = Steps(COUNT, LENGTH, keep="last")
    ours = climb(model, images, Goal(labels), starts, steps, radius=radius, norm="linf", box=(0, 1))
    theirs = pgd_of(name, model, images, labels, starts, radius)
    different = misled(model(ours), labels) != misled(model(theirs), labels)
    assert not (different & ~masked).any(), (different & ~masked).nonzero()[:, 0]
    assert np.isclose((ours - theirs)[~masked].abs().mean(), 0, atol=1e-4)
