"""Several generators: who draws, from which code; and one of them alone is the plain GAN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference.loops import Known
from scipy.stats import chisquare, kstest, norm

from bench.core.errors import UsageError
from generative import RECIPES, Training
from generative.generators.several import Alternatives, shares

K = 3


def _codes(prior, n=6000):
    rng = torch.Generator().manual_seed(1)
    if prior == "uniform":
        return torch.rand(n, 2, generator=rng) * 2 - 1
    return torch.randn(n, 2, generator=rng)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_every_generator_draws_as_often_from_the_whole_prior(prior):
    codes = _codes(prior)
    place, own = shares(codes, K, prior)
    assert chisquare(torch.bincount(place, minlength=K).numpy()).pvalue > 0.01
    cdf = norm.cdf if prior == "normal" else lambda x: (x + 1) / 2
    for number in range(K):
        drawn = own[place == number]
        assert kstest(drawn[:, 0].numpy(), cdf).pvalue > 0.01
        assert torch.equal(drawn[:, 1], codes[place == number][:, 1])


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_the_first_number_says_who_and_nothing_is_lost(prior):
    """Its quantile rises through the generators, one after another, and within each through all
    its codes.
    """
    codes = _codes(prior, 500)
    codes = codes[codes[:, 0].argsort()]
    place, own = shares(codes, K, prior)
    assert torch.equal(place, place.sort().values)
    for number in range(K):
        first = own[place == number][:, 0]
        assert bool((first.diff() > 0).all())


def test_each_code_is_drawn_by_the_network_it_is_for():
    torch.manual_seed(0)
    networks = [torch.nn.Linear(2, 4) for _ in range(K)]
    codes = _codes("normal", 40)
    place, own = shares(codes, K, "normal")
    wanted = torch.stack([networks[int(at)](code) for at, code in zip(place, own, strict=True)])
    torch.testing.assert_close(Alternatives(networks, "normal")(codes), wanted)


def test_who_draws_nothing_has_a_slope_of_0():
    networks = [torch.nn.Linear(2, 4) for _ in range(K)]
    alone = torch.tensor([[-3.0, 0.0], [-2.5, 1.0]])
    out = Alternatives(networks, "normal")(alone)
    slopes = torch.autograd.grad(out.sum(), [network.weight for network in networks])
    assert [bool(slope.any()) for slope in slopes] == [True, False, False]


def _trained(name, protocol, shape, **told):
    trainer = RECIPES[name].part.trainer(Training(protocol, steps=4, batch=8, **told), shape)
    rng = torch.Generator().manual_seed(2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return trainer.finish(trainer.advance(trainer.start(Known(shape), rng), 4))


@pytest.mark.parametrize(("protocol", "shape"), [("plane", (2,)), ("small-dcgan", (1, 8, 8))])
def test_one_generator_is_the_plain_gan_bit_for_bit(protocol, shape):
    one, plain = (
        _trained("mad-gan", protocol, shape, generators=1),
        _trained("gan", protocol, shape),
    )
    assert one.tensors().keys() == plain.tensors().keys()
    assert all(torch.equal(one.tensors()[k], v) for k, v in plain.tensors().items())


@pytest.mark.parametrize(
    ("protocol", "shape", "prior"), [("plane", (2,), "normal"), ("dense", (1, 28, 28), "uniform")]
)
def test_the_prior_is_the_protocols(protocol, shape, prior):
    game = RECIPES["mad-gan"].part.trainer(Training(protocol), shape).game
    assert game.protocol.prior == prior
    assert game.generator_form.prior == game.terms[0][0].prior == prior


def test_samples_come_from_all_of_them():
    fitted = _trained("mad-gan", "plane", (2,), generators=4)
    rng = torch.Generator().manual_seed(3)
    codes = fitted.codes(4000, rng)
    place, _ = shares(codes, 4, "normal")
    counts = torch.bincount(place, minlength=4).numpy()
    assert chisquare(counts).pvalue > 0.01
    made = fitted.decode(codes)
    centres = np.stack([made[place == k].mean(0).numpy() for k in range(4)])
    assert len(np.unique(centres.round(4), axis=0)) == 4


@pytest.mark.parametrize("wrong", [0, 65, 2.5])
def test_how_many_is_a_small_whole_number(wrong):
    with pytest.raises(UsageError, match="setting 'generators'"):
        RECIPES["mad-gan"].part.trainer(Training("plane", generators=wrong), (2,))
