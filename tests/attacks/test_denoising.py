"""Denoising blocks: what they are before training, and their means position by position."""

import math

import pytest
import torch
from torch import nn

from attacks.certificates.chain import read
from attacks.classifiers import CLASSIFIERS
from attacks.classifiers.cnn import AGAINST_PGD, Cnn
from attacks.classifiers.denoising import Denoised, DenoisingCnn, DotProduct, Gaussian
from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.models.classifiers import ClassifierOrder
from bench.tasks.robustness.certificates import unread

MEANS = {"gaussian": lambda: Gaussian(6), "dot": DotProduct}


def _features(seed=0, shape=(3, 6, 2, 5)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _loud(means):
    """With weights of some size: as they begin, the embeddings make all weights nearly alike."""
    with torch.no_grad():
        for weight in means.parameters():
            weight.copy_(_features(4, weight.shape))
    return means


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("means", list(MEANS))
def test_before_training_it_is_the_identity(means, training):
    """Bit for bit; but the scale that is 0 has a slope, so that it does not stay so."""
    block = Denoised(_loud(MEANS[means]()), 6).train(training)
    x = 3 * _features()
    found = block(x)
    assert torch.equal(found, x)
    (slope,) = torch.autograd.grad(found.square().sum(), block.norm.weight)
    assert float(slope.abs().min()) > 0


@pytest.mark.parametrize("softmax", [True, False])
def test_before_training_the_network_is_the_plain_one(softmax):
    """The same layers in the same order, the same logits bit for bit."""
    with forked(0):
        network = DenoisingCnn(softmax=softmax)((1, 8, 8), 3).eval()
        images = torch.rand(5, 1, 8, 8)
    assert [type(layer) for layer in network if not isinstance(layer, Denoised)] == [
        type(layer) for layer in Cnn()((1, 8, 8), 3)
    ]
    assert [i for i, layer in enumerate(network) if isinstance(layer, Denoised)] == [4]
    plain = nn.Sequential(*(layer for layer in network if not isinstance(layer, Denoised)))
    assert torch.equal(network(images), plain(images))
    assert isinstance(network[4].means, Gaussian if softmax else DotProduct)


@pytest.mark.parametrize("name", list(MEANS))
def test_means_position_by_position(name):
    """Weighted means of every position's features, in float64 and with loops."""
    means, x = _loud(MEANS[name]()).double().requires_grad_(False), _features().double()
    wanted = torch.empty_like(x)
    for image, out in zip(x, wanted, strict=True):
        places = [image[:, row, column] for row in range(2) for column in range(5)]
        for i, own in enumerate(places):
            if name == "gaussian":
                theta, phi = (e.weight[:, :, 0, 0] for e in (means.theta, means.phi))
                scores = [float((theta @ own) @ (phi @ other)) / math.sqrt(3) for other in places]
                total = math.fsum(math.exp(score) for score in scores)
                shares = [math.exp(score) / total for score in scores]
            else:
                shares = [float(own @ other) / 10 for other in places]
            out[:, i // 5, i % 5] = sum(s * p for s, p in zip(shares, places, strict=True))
    torch.testing.assert_close(means(x), wanted)


def test_the_whole_block_once_its_scale_is_not_0():
    """What comes in plus the batch norm of the mixed means, channel by channel."""
    block = Denoised(_loud(Gaussian(6)), 6)
    with torch.no_grad():
        block.norm.weight.copy_(torch.arange(6) / 3)
    x = _features()
    mixed = torch.einsum("oc,bchw->bohw", block.mixing.weight[:, :, 0, 0], block.means(x))
    centred = mixed - mixed.mean((0, 2, 3), keepdim=True)
    scaled = centred / (centred.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(block(x), x + scaled * block.norm.weight[:, None, None])


def test_embeddings_begin_small():
    """Normal with deviation .01, into half of the channels."""
    with forked(0):
        means = Gaussian(64)
    for embedding in (means.theta, means.phi):
        assert embedding.weight.shape == (32, 64, 1, 1)
        assert float(embedding.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
        assert embedding.bias is None


def test_the_attack_of_its_training_leaves_the_statistics_alone():
    """One step moves them once, by the attacked images."""
    with forked(0):
        network = DenoisingCnn()((1, 8, 8), 3).train()
        images, labels = torch.rand(5, 1, 8, 8), torch.randint(3, (5,))
        AGAINST_PGD(network, images, labels, 1.0)
    assert int(network[4].norm.num_batches_tracked) == 1
    assert network.training


@pytest.mark.parametrize("name", ["cnn-denoise", "cnn-denoise-dot", "cnn-denoise-plain"])
def test_bounds_do_not_read_it(name):
    """Refused in one line that names the block; a suite skips the cell for that reason."""
    network = CLASSIFIERS[name].part.build((1, 8, 8), 3).eval()
    with pytest.raises(UsageError, match=r"layer '4' \(Denoised\) is none that bounds go through"):
        read(network, torch.zeros(1, 1, 8, 8))
    said = unread({"certificate": "ibp", "model": name, "dataset": "optdigits"}, {})
    assert said.startswith(f"ibp can't read {name}: layer '4'")
    assert "\n" not in said


def test_controls_differ_in_one_thing():
    """The copy in its weights alone, the denoised one in its block alone."""
    parts = {name: CLASSIFIERS[name].part for name in CLASSIFIERS}
    assert parts["cnn-pgd-copy"] == parts["cnn-pgd"]
    orders = [ClassifierOrder(name, "optdigits", 0) for name in ("cnn-pgd", "cnn-pgd-copy")]
    assert orders[0].key("cpu") != orders[1].key("cpu")
    for one, other in (("cnn-denoise", "cnn-pgd"), ("cnn-denoise-plain", "cnn")):
        assert parts[one].network.plain == parts[other].network
        assert parts[one].schedule == parts[other].schedule
        assert parts[one].objective == parts[other].objective
