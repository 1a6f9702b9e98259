"""Training by interval bounds: its loss by hand, its schedule, and what it comes to."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from attacks.certificates import CERTIFICATES
from attacks.classifiers import CLASSIFIERS
from attacks.classifiers.interval import Interval
from bench.core.randomness import forked
from bench.datasets.pixels import to_unit
from bench.models.classifiers import labelled


def _scene():
    with forked(0):
        layers = [nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)]
        network = nn.Sequential(nn.Flatten(), *layers)
        images, labels = torch.rand(8, 1, 3, 3), torch.randint(3, (8,))
    return network, images, labels


def _worst(network, images, labels, radius):
    """Upper bounds of each logit minus the label's, layer by layer with signs of weights."""
    low, high = (images - radius).clamp(0, 1).flatten(1), (images + radius).clamp(0, 1).flatten(1)
    layers = [m for m in network if isinstance(m, nn.Linear)]
    for layer in layers[:-1]:
        up, down = layer.weight.clamp_min(0), layer.weight.clamp_max(0)
        low, high = low @ up.T + high @ down.T, high @ up.T + low @ down.T
        low, high = (low + layer.bias).relu(), (high + layer.bias).relu()
    rows = []
    for i, y in enumerate(labels.tolist()):
        w, b = layers[-1].weight - layers[-1].weight[y], layers[-1].bias - layers[-1].bias[y]
        rows.append(w.clamp_min(0) @ high[i] + w.clamp_max(0) @ low[i] + b)
    return torch.stack(rows)


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0), (0.05, 0), (0.3, 0.5), (0.8, 1)])
def test_the_loss_by_hand(progress, share):
    """The radius grows as kappa falls; and its slope reaches the weights."""
    network, images, labels = _scene()
    objective = Interval(0.1, kappa=0.4, warm=0.05, ramp=0.5)
    found = objective(network, images, labels, progress)
    kappa = 1 - 0.6 * share
    clean = cross_entropy(network(images), labels)
    worst = cross_entropy(_worst(network, images, labels, 0.1 * share), labels)
    wanted = kappa * clean + (1 - kappa) * worst
    torch.testing.assert_close(found, wanted)
    slopes = (
        torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
        for loss in (found, wanted)
    )
    for got, known in zip(*slopes, strict=True):
        torch.testing.assert_close(got, known, rtol=1e-4, atol=1e-6)


def test_the_worst_is_no_better_than_the_images():
    """At any radius the loss of the bounds is at least that of the images, and grows with it."""
    network, images, labels = _scene()
    losses = [
        float(Interval(radius, kappa=0.0, warm=0.0)(network, images, labels, 1.0).detach())
        for radius in (0.0, 0.05, 0.1, 0.3)
    ]
    assert losses[0] == pytest.approx(float(cross_entropy(network(images), labels).detach()))
    assert losses == sorted(losses)


def test_the_network_is_left_in_its_mode():
    network, images, labels = _scene()
    before = copy.deepcopy(network.state_dict())
    Interval(0.1)(network.train(), images, labels, 0.9)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_what_interval_training_certifies(seed):
    """80 % of held-out digits at linf .1, and no clean accuracy below 93 %."""
    source, part = labelled("mnist5k").source(0), CLASSIFIERS["cnn-ibp"].part
    with forked(seed):
        network = part.build(source.shape, 10)
        part.train(network, to_unit(source.training_bytes), source.training_labels)
    images, labels = source.held_out, source.held_out_labels
    given = {"norm": "linf", "seeds": torch.arange(len(images))}
    sure = CERTIFICATES["ibp"].part(network, images, labels, radius=0.1, **given)
    assert float(sure.float().mean()) >= 0.8
    assert float((network(images).argmax(1) == labels).float().mean()) >= 0.93
