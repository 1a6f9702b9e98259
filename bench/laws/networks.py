"""What holds for every network: it fits the data or says so, and says whether it mixes."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from generative.networks import NETWORKS, Mlp, Network, critic_of

law = partial(base.law, NETWORKS.kind)
SHAPES = [(1,), (3,), (1, 8, 8), (2, 4, 12), (3, 28, 28)]
LATENT = 3


def refusal_of(generator: Network, critic: Network, latent: int, shape: tuple[int, ...]) -> str:
    """Why networks are not for data of a shape, by both players alike, or empty."""
    refusals = []
    for build in (lambda: generator.generator(latent, shape), lambda: critic_of(critic, shape)):
        try:
            with forked(0):
                build()
            refusals.append("")
        except UsageError as error:
            refusals.append(str(error))
    assert refusals[0] == refusals[1]
    return refusals[0]


def must_fit(generator: Network, critic: Network, latent: int, shape: tuple[int, ...]) -> None:
    """Samples have the shape, images are in [0, 1], and the critic gives one logit for each; or
    both players say what they expected and what to do.
    """
    if refusal := refusal_of(generator, critic, latent, shape):
        assert f"examples of shape {list(shape)}" in refusal
        assert "choose another protocol" in refusal
        assert not isinstance(generator, Mlp)
        return
    maker, judge = generator.generator(latent, shape), critic_of(critic, shape)
    samples = maker(3 * torch.randn(5, latent))
    assert samples.shape == (5, *shape)
    assert len(shape) == 1 or 0 <= samples.min() < samples.max() <= 1
    assert judge(samples).shape == (5,)
    assert critic.encoder(shape, 7)(samples).shape == (5, 7)


def must_mix_as_said(network: Network, shape: tuple[int, ...]) -> None:
    """A network that mixes gives an example another output in other company; unmixed, it doesn't,
    and is a network of the same layers.
    """
    examples = torch.rand(6, *shape, generator=stream("mixing"))
    for each_one in (network, network.unmixed()):
        with forked(0):
            encoder = each_one.encoder(shape, 3)
        for layer in encoder.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        alone = torch.allclose(encoder(examples)[:2], encoder(examples[:2]), atol=1e-5)
        assert alone == (not each_one.mixes)
        assert each_one.unmixed() == each_one.unmixed().unmixed()
        assert not each_one.unmixed().mixes


@law(cases=each({str(list(shape)): shape for shape in SHAPES}))
def a_network_fits_the_shape_of_the_data(network: Entry, shape: tuple[int, ...]) -> None:
    """As both players, or neither."""
    must_fit(network.part, network.part, LATENT, shape)


@law()
def a_network_says_whether_it_mixes(network: Entry) -> None:
    """By what its outputs depend on."""
    part, shapes = network.part, ((1, 28, 28), (1, 8, 8), (1,))
    shape = next(each for each in shapes if not refusal_of(part, part, LATENT, each))
    must_mix_as_said(part, shape)
