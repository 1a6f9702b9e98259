"""TRADES: its divergence by numbers, its attack by what it may look at, its loss by parts."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from attacks.classifiers.fitting import PLAIN, Fitted, Schedule
from attacks.classifiers.trades import Trades, divergence
from bench.core.randomness import forked


class Told(nn.Module):
    """A small network with dropout and batch norm that notes in which mode it is asked."""

    def __init__(self, dropout=0.5):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(9, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(12, 3),
        )  # fmt: skip
        self.modes = []

    def forward(self, x):
        self.modes.append(self.training)
        return self.layers(x)


def _scene(n=10, **given):
    with forked(0):
        network = Told(**given)
        nn.init.normal_(network.layers[-1].weight)
        return network, torch.rand(n, 1, 3, 3), torch.randint(3, (n,))


def test_the_divergence_of_two_coins():
    """KL of the first from the second, in nats, one number an image; not the other way round."""
    fair, biased = (
        torch.tensor([[0.5, 0.5]] * 2).log(),
        torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log(),
    )
    wanted = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    torch.testing.assert_close(divergence(fair + 7, biased), torch.tensor([wanted, 0.0]))
    other = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    torch.testing.assert_close(divergence(biased, fair - 3), torch.tensor([other, 0.0]))
    assert abs(wanted - other) > 0.1


def test_without_a_weight_it_is_plain_training():
    """The same weights bit for bit, dropout and the order of the images included."""
    found = []
    for objective in (PLAIN, Trades(0.3, beta=0.0)):
        network, images, labels = _scene(n=23)
        part = Fitted(lambda *_: network, Schedule(epochs=3, batch=5), objective)  # noqa: B023
        with forked(1):
            part.train(network, images, labels)
        found.append(network.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_loss_and_its_slopes_by_another_way():
    """Cross-entropy and PyTorch's own divergence, means over the batch; through both answers."""
    network, images, labels = _scene(dropout=0.0)
    objective = Trades(0.2, beta=4.0, ramp=0.5)
    with forked(2):
        moved = objective.attacked(network.eval(), images, labels, 0.1)
    with forked(2):
        found = objective(network.train(), images, labels, 0.25)
    natural, robust = network(images), network(moved)
    apart = kl_div(robust.log_softmax(1), natural.softmax(1), reduction="sum") / len(images)
    wanted = cross_entropy(natural, labels) + 4 * apart
    assert float(apart.detach()) > 0.01
    torch.testing.assert_close(found, wanted)
    slopes = (
        torch.autograd.grad(loss, [*network.parameters()], retain_graph=True)
        for loss in (found, wanted)
    )
    for got, known in zip(*slopes, strict=True):
        torch.testing.assert_close(got, known, rtol=1e-4, atol=1e-6)


def test_the_attack_looks_at_answers_alone():
    """Other labels, the same images; they raise the divergence above that of other points of the
    ball, and of those that raise cross-entropy.
    """
    network, images, labels = _scene(n=200)
    network.eval()
    objective = Trades(0.2, steps=20, step_size=0.1)
    found = []
    for asked in (labels, (labels + 1) % 3):
        with forked(3):
            found.append(objective.attacked(network, images, asked, 0.2))
    assert torch.equal(*found)

    def apart(points):
        with torch.no_grad():
            return divergence(network(images), network(points))

    with forked(4):
        corners = (images + 0.2 * torch.randn_like(images).sign()).clamp(0, 1)
    assert bool((apart(found[0]) > apart(corners)).float().mean() > 0.9)
    at = images.clone()
    for _ in range(20):
        at.requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(network(at), labels), at)
        at = (images + (at.detach() + 0.02 * slope.sign() - images).clamp(-0.2, 0.2)).clamp(0, 1)
    assert float(apart(found[0]).mean()) > 1.05 * float(apart(at).mean())


@pytest.mark.parametrize("radius", [0.0, 0.0005, 0.3])
def test_attacked_images_keep_to_ball_and_box(radius):
    network, images, labels = _scene()
    images = (2 * images - 0.5).clamp(0, 1)
    moved = Trades(0.3).attacked(network.eval(), images, labels, radius)
    assert float((moved - images).abs().max()) <= radius + 1e-7
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1
    assert bool((moved != images).any()) == (radius > 0)


def test_it_begins_near_the_images():
    """With normal noise of deviation .001, other noise each time: at the images the slope is 0."""
    network, images, labels = _scene(n=500)
    starts = [Trades(0.3, steps=0).attacked(network.eval(), images, labels, 0.3) for _ in "ab"]
    for start in starts:
        offset = start - images
        assert float(offset.std()) == pytest.approx(0.001, rel=0.05)
        assert float(offset.abs().max()) > 0.003
        assert abs(float(offset.mean())) < 1e-4
    assert not torch.equal(*starts)


def test_the_attack_is_on_the_network_as_it_will_answer():
    """Without dropout and batch statistics; then two passes of training, which move the statistics
    twice, and the network stays in training.
    """
    network, images, labels = _scene()
    Trades(0.2, steps=4)(network.train(), images, labels, 1.0)
    assert network.modes == [False] * 5 + [True] * 2
    assert network.training
    assert int(network.layers[2].num_batches_tracked) == 2
