"""How a network is read: every layer against what it computes, and what is refused."""

import math
import re
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from attacks import UNIT
from attacks.certificates import CERTIFICATES
from attacks.certificates.chain import read
from attacks.certificates.contracts import region_of
from attacks.certificates.crown import layered
from attacks.certificates.intervals import intervals
from attacks.certificates.layers import pull
from attacks.objectives import lead
from attacks.pgd import Pgd
from bench.core.errors import UsageError
from bench.core.randomness import forked

SHAPE = (2, 7, 6)


def _moved(norm):
    """A batch norm with statistics and weights of its own."""
    for values in (norm.running_mean, norm.weight.data, norm.bias.data):
        values.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


def _layers():
    with forked(0):
        return {
            "flat": [nn.Flatten(), nn.Linear(84, 5)],
            "without bias": [nn.Flatten(), nn.Linear(84, 5, bias=False)],
            "stride": [nn.Conv2d(2, 3, 3, stride=(2, 3), padding=(1, 2))],
            "groups": [nn.Conv2d(2, 4, (2, 3), groups=2, bias=False)],
            "dilation": [nn.Conv2d(2, 3, 2, dilation=(2, 3), stride=2, padding=1)],
            "average": [nn.AvgPool2d(3, stride=2, padding=1)],
            "window": [nn.AvgPool2d((2, 3))],
            "all": [nn.AdaptiveAvgPool2d(1)],
            "batch norm": [_moved(nn.BatchNorm2d(2))],
            "plain batch norm": [nn.BatchNorm2d(2, affine=False)],
            "flat batch norm": [nn.Flatten(), _moved(nn.BatchNorm1d(84))],
            "dropout": [nn.Dropout(), nn.Identity(), nn.Dropout2d()],
            "nested": [nn.Sequential(nn.Conv2d(2, 2, 3), nn.Sequential(nn.AvgPool2d(2)))],
        }


@pytest.mark.parametrize("name", _layers())
def test_a_layer_is_what_it_computes(name):
    """Its values, the sizes of its slopes, and its transpose."""
    network = nn.Sequential(*_layers()[name]).double().eval()
    x = torch.randn(3, *SHAPE, dtype=torch.float64)
    ends = nn.Sequential(network, nn.Flatten()).eval()
    chain = read(ends, x)
    (segment,) = chain.segments
    torch.testing.assert_close(chain(x), ends(x))
    slopes = jacobian(lambda one: ends(one[None])[0], x[0])
    assert isinstance(slopes, torch.Tensor)
    rows, constant = pull(segment, torch.eye(len(slopes)).double())
    torch.testing.assert_close(rows, slopes)
    torch.testing.assert_close(rows.flatten(1) @ x[1].flatten() + constant, ends(x[1:2])[0])
    for norm, order in (("linf", 1), ("l2", 2), ("l1", math.inf)):
        low, high = region_of(x, 0.3, norm, None).through(segment)
        reach = 0.3 * torch.linalg.vector_norm(slopes.flatten(1), order, dim=1)
        if norm == "linf" and name in ("nested", "flat batch norm"):
            assert (high - ends(x) >= reach - 1e-12).all()
            continue
        torch.testing.assert_close(high - ends(x), reach.expand(3, -1))
        torch.testing.assert_close(ends(x) - low, reach.expand(3, -1))


def _network(activation):
    with forked(1):
        layers = [nn.Conv2d(2, 4, 3, stride=2, padding=1), _moved(nn.BatchNorm2d(4)), activation]
        layers += [nn.Conv2d(4, 6, 2), activation, nn.AvgPool2d(2, 1), nn.Dropout(), nn.Flatten()]
        layers += [nn.Linear(12, 5), activation, nn.Linear(5, 4)]
    return nn.Sequential(*layers).double().eval()


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Sigmoid(), nn.Tanh()])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_points_of_a_ball_are_between_the_bounds(activation, norm):
    """What goes into each activation, by both kinds of bounds, of which the linear are inside."""
    network, radius = _network(activation), {"linf": 0.1, "l2": 0.6, "l1": 1.5}[norm]
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(4, *SHAPE, generator=rng, dtype=torch.float64)
    chain, region = read(network, x), region_of(x, radius, norm, UNIT)
    wide, narrow = intervals(chain, region), layered(chain, region)
    seen = []
    hook = activation.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for _ in range(60):
        way = torch.randn(x.shape, generator=rng, dtype=torch.float64)
        way = way.sign() if norm == "linf" else way ** (1 if norm == "l2" else 5)
        order = {"linf": math.inf, "l2": 2, "l1": 1}[norm]
        size = torch.linalg.vector_norm(way.flatten(1), order, dim=1)
        points = (x + radius * way / size[:, None, None, None]).clamp(0, 1)
        seen.clear()
        network(points)
        assert len(seen) == 3
        for found, (low, high), (least, most) in zip(seen, wide, narrow, strict=True):
            assert (found >= least - 1e-9).all()
            assert (found <= most + 1e-9).all()
            assert (least >= low - 1e-9).all()
            assert (most <= high + 1e-9).all()
    hook.remove()
    sizes = [[float((b - a).mean()) for a, b in bounds] for bounds in (wide, narrow)]
    assert sizes[1][2] < 0.99 * sizes[0][2]


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Sigmoid(), nn.Tanh()])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_no_attack_is_below_the_bounds(activation, norm):
    """Of networks of any activation; optimised slopes lose nothing."""
    network, radius = _network(activation), {"linf": 0.2, "l2": 1.0, "l1": 3.0}[norm]
    x = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels, given = network(x).argmax(1), {"radius": radius, "norm": norm}
    attacked = Pgd()(network, x, labels, seeds=torch.arange(4), **given)
    left = -lead(network(attacked), labels).detach()
    found = {
        name: CERTIFICATES[name].part.margins(network, x, labels, **given)
        for name in ("ibp", "crown-ibp", "crown", "alpha-crown")
    }
    assert all((bound <= left + 1e-9).all() for bound in found.values())
    for near, far in pairwise(reversed(found.values())):
        assert (near >= far - 1e-9).all()


@pytest.mark.parametrize("name", ["ibp", "crown", "crown-ibp", "alpha-crown"])
def test_what_float32_loses_is_taken_off(name):
    """At a radius of 0 the bound is under the margin, and under that of float64, by little."""
    network = _network(nn.ReLU())
    x = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(2))
    logits = network(x.double()).detach()
    labels = logits.argmax(1)
    rest = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    truth = logits.gather(1, labels[:, None])[:, 0] - rest
    given = {"radius": 0.0, "norm": "linf"}
    exact = CERTIFICATES[name].part.margins(network, x.double(), labels, **given)
    found = CERTIFICATES[name].part.margins(network.float(), x, labels, **given)
    own = network(x).double().detach()
    lost = (own - logits).abs().amax(1)
    assert (truth - exact <= 1e-10).all()
    assert (exact < truth).all()
    assert (lost > 0).any()
    assert (found <= truth - 2 * lost).all()
    assert (truth - found).max() < 2e-5


class _Branched(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return x + self.inner(x)


class _Louder(nn.Sequential):
    def forward(self, input):
        return 2 * super().forward(input)


REFUSED = {
    "branches": (nn.Sequential(_Branched(), nn.Flatten()), "layer '0' (_Branched) is none that"),
    "a maximum": (
        nn.Sequential(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), nn.Flatten()),
        "layer '0.1' (MaxPool2d) is none that bounds go through: use the certificate 'smoothing'",
    ),
    "reflections": (
        nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.Flatten()),
        "layer '0' (Conv2d) expected zero padding by numbers, got padding=(1, 1), padding_mode='",
    ),
    "words": (
        nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.Flatten()),
        "got padding='same'",
    ),
    "ceilings": (
        nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Flatten()),
        "layer '0' (AvgPool2d) must average as many values everywhere",
    ),
    "borders": (
        nn.Sequential(nn.AvgPool2d(3, padding=1, count_include_pad=False), nn.Flatten()),
        "layer '0' (AvgPool2d) must average as many",
    ),
    "parts": (
        nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()),
        "layer '0' (AdaptiveAvgPool2d) must average whole channels",
    ),
    "no statistics": (
        nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), nn.Flatten()),
        "layer '0' (BatchNorm2d) must have kept its statistics",
    ),
    "half flat": (
        nn.Sequential(nn.Flatten(2), nn.Flatten()),
        "layer '0' (Flatten) must flatten whole images",
    ),
    "not flat": (nn.Sequential(nn.Linear(6, 3)), "layer '0' (Linear) expected (6,) an image, got"),
    "colours": (
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()),
        "layer '0' (Conv2d) expected (3, h, w) an image, got (2, 7, 6)",
    ),
    "images": (
        nn.Sequential(nn.Conv2d(2, 2, 3)),
        "one logit a class, got outputs of shape (2, 5, 4)",
    ),
    "another sum": (
        _Louder(nn.Flatten(), nn.Linear(84, 3)),
        "the network (_Louder) computes something else than its layers in turn",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    """In one line, with the layer and what to do."""
    network, text = REFUSED[name]
    x = torch.rand(2, *SHAPE)
    labels = torch.zeros(2).long()
    with pytest.raises(UsageError, match=re.escape(text)) as caught:
        CERTIFICATES["ibp"].part(
            network.eval(), x, labels, radius=0.1, norm="linf", seeds=torch.arange(2)
        )
    assert "\n" not in str(caught.value)


def test_exact_is_for_linear_classifiers():
    network = nn.Sequential(nn.Flatten(), nn.Linear(84, 3), nn.ReLU()).eval()
    with pytest.raises(UsageError, match=r"for linear classifiers, got one with .*use 'crown'"):
        CERTIFICATES["exact"].part.reach(
            network, torch.rand(1, *SHAPE), norm="l2", seeds=torch.arange(1)
        )
