"""How far layers stretch: against matrices that are written out, and against what they do."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from attacks import lipschitz
from attacks.lipschitz import layer_norms
from bench.core.errors import UsageError
from bench.core.randomness import forked

SHAPE = (2, 7, 6)
IMAGES = torch.zeros(1, *SHAPE)


def _norm(norm):
    """A batch norm with statistics and weights of its own."""
    for values in (norm.running_mean, norm.weight.data, norm.bias.data):
        values.normal_()
    norm.running_var.uniform_(0.5, 2)
    return norm


def _affine():
    with forked(0):
        return {
            "dense": [nn.Flatten(), nn.Linear(84, 5)],
            "padding": [nn.Conv2d(2, 3, 3, padding=1)],
            "stride": [nn.Conv2d(2, 3, 4, stride=(2, 3), padding=(1, 2))],
            "dilation": [nn.Conv2d(2, 3, 2, dilation=(2, 3), stride=2, padding=1)],
            "groups": [nn.Conv2d(2, 4, (2, 3), groups=2, bias=False)],
            "average": [nn.AvgPool2d(3, stride=2, padding=1)],
            "together": [nn.Conv2d(2, 4, 3, padding=1), _norm(nn.BatchNorm2d(4)), nn.AvgPool2d(2)],
        }


@pytest.mark.parametrize("direct", [512, 40, 0])
@pytest.mark.parametrize("name", _affine())
def test_the_norm_of_what_is_affine(name, direct, monkeypatch):
    """The largest singular value of its Jacobian, whichever way it is come to; bias is none."""
    monkeypatch.setattr(lipschitz, "DIRECT", direct)
    network = nn.Sequential(*_affine()[name]).eval()
    slopes = jacobian(lambda x: network(x[None])[0].flatten(), IMAGES[0])
    assert isinstance(slopes, torch.Tensor)
    wanted = torch.linalg.svdvals(slopes.flatten(1).double())[0]
    (found,) = layer_norms(network, IMAGES)
    assert found == pytest.approx(float(wanted), rel=1e-6)


def test_a_convolution_with_a_border_is_below_one_without():
    """The paper's bound by frequencies, of stride 1; the two near one another."""
    with forked(3):
        conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    spectrum = torch.fft.fft2(conv.weight.detach().double(), s=(128, 128))
    without = float(torch.linalg.matrix_norm(spectrum.permute(2, 3, 0, 1), 2).max())
    (found,) = layer_norms(nn.Sequential(conv), IMAGES)
    assert 0.8 * without < found <= without


@pytest.mark.parametrize(
    ("activation", "factor"), [(nn.ReLU(), 1.0), (nn.Tanh(), 1.0), (nn.Sigmoid(), 0.25)]
)
def test_an_activation_counts_to_its_layer(activation, factor):
    """By its largest slope, which is reached."""
    layer = nn.Linear(84, 5)
    (before,) = layer_norms(nn.Sequential(nn.Flatten(), layer), IMAGES)
    found = layer_norms(nn.Sequential(nn.Flatten(), layer, activation), IMAGES)
    assert found == pytest.approx([factor * before])
    x = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    slopes = activation(x).diff() / x.diff()
    assert float(slopes.max()) == pytest.approx(factor, rel=1e-5)


WINDOWS = [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 0, 1), (2, 1, 0, 2), (3, 3, 1, 1), (2, 2, 0, 2)]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), WINDOWS)
def test_a_maximum_stretches_as_often_as_windows_share_a_value(kernel, stride, padding, dilation):
    """One value that rises alone reaches it somewhere, and nothing goes beyond."""
    pool = nn.MaxPool2d(kernel, stride, padding, dilation)
    conv = nn.Conv2d(2, 2, 1, bias=False)
    conv.weight.data = torch.eye(2)[:, :, None, None]
    (found,) = layer_norms(nn.Sequential(conv, nn.ReLU(), pool), IMAGES)
    alone = torch.eye(84).reshape(84, *SHAPE)
    reached = pool(alone).flatten(1).norm(dim=1).max()
    assert found == pytest.approx(float(reached), rel=1e-6)
    with forked(5):
        x, y = torch.randn(2, 200, *SHAPE)
    ratios = (pool(x) - pool(y)).flatten(1).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
    assert float(ratios.max()) <= found


def _network():
    with forked(1):
        layers = [
            nn.Conv2d(2, 4, 3, padding=1), _norm(nn.BatchNorm2d(4)), nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1), nn.Conv2d(4, 3, 3), nn.Tanh(), nn.Dropout(),
            nn.Flatten(), nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 3),
        ]  # fmt: skip
        return nn.Sequential(*layers).eval()


def test_layers_are_what_lies_between_activations():
    """A row each, in order; what has no weights counts to the layer before it."""
    network = _network()
    parts = ((0, 4), (4, 7), (7, 10), (10, 11))
    shapes = [IMAGES, *(network[:end](IMAGES) for _, end in parts)]
    found = layer_norms(network, IMAGES)
    alone = [
        layer_norms(network[begin:end], x) for (begin, end), x in zip(parts, shapes, strict=False)
    ]
    assert [[norm] for norm in found] == [pytest.approx(each) for each in alone]


def test_nothing_is_stretched_beyond_the_product():
    """Slopes at many points, and steps of every length; of what is linear it is reached."""
    network = _network().double().requires_grad_(False)
    bound = math.prod(layer_norms(network, IMAGES))
    with forked(2):
        points = 3 * torch.randn(60, *SHAPE, dtype=torch.float64)
    slopes = jacobian(lambda x: network(x).sum(0), points)
    assert isinstance(slopes, torch.Tensor)
    steepest = torch.linalg.matrix_norm(slopes.transpose(0, 1).flatten(2), 2)
    steps = [
        (network(x[None]) - network(y[None])).norm() / (x - y).norm() for x, y in pairwise(points)
    ]
    assert float(steepest.max()) < bound
    assert float(torch.stack(steps).max()) < bound


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (nn.Sequential(nn.Flatten(), nn.GELU()), r"layer '1' \(GELU\) is none that bounds go thr"),
        (nn.Sequential(nn.Softmax(1)), r"layer '0' \(Softmax\) is none that bounds go through$"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), r"'0' \(MaxPool2d\) must have whole w"),
        (nn.Sequential(nn.Dropout()), r"layer '0' \(Dropout\) is in training mode"),
        (lambda x: x, "layer bounds need a torch.nn.Module, got a function"),
    ],
)
def test_what_can_not_be_read_is_named(network, text):
    """In one line, and no certificate is praised."""
    with pytest.raises(UsageError, match=text) as error:
        layer_norms(network, IMAGES)
    assert "smoothing" not in str(error.value)
