"""What holds for every form of a critic or of a generator."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from generative import CRITICS, GENERATORS
from generative.networks import Dcgan, Mlp, Network

BATCH, LATENT = 6, 4
SHAPES = {"points": (2,), "images": (1, 8, 8)}
critic_law = partial(base.law, CRITICS.kind, cases=each(SHAPES.keys()))
generator_law = partial(base.law, GENERATORS.kind, cases=each(SHAPES.keys()))


def _layers(kind: str, batch_norm: bool) -> tuple[Network, Network]:
    """A critic's and a generator's."""
    if kind == "points":
        return Mlp((12, 12), "leaky_relu"), Mlp((12, 12), batch_norm=batch_norm)
    return Dcgan(4, batch_norm=False), Dcgan(4, batch_norm=batch_norm)


def critic_of(entry: Entry, kind: str) -> Any:
    """A critic of this form, for examples of a kind."""
    torch.manual_seed(1)
    return entry.part.build(*_layers(kind, batch_norm=True), SHAPES[kind])


def _examples(kind: str, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(BATCH, *SHAPES[kind], generator=rng)


@critic_law()
def a_critic_gives_logits_and_features(critic: Entry, kind: str) -> None:
    """One logit for each, the same whether features are asked for or not."""
    network, x = critic_of(critic, kind), _examples(kind)
    logits, features = network(x, features=True)
    assert logits.shape == (BATCH,)
    assert features.ndim == 2
    assert len(features) == BATCH
    torch.testing.assert_close(network(x), logits)
    slopes = torch.autograd.grad(logits.sum() + features.sum(), list(network.parameters()))
    assert all(slope.isfinite().all() for slope in slopes)


@critic_law()
def a_critic_mixes_where_it_says_so(critic: Entry, kind: str) -> None:
    """A logit depends on the batch mates, or not."""
    network, x = critic_of(critic, kind), _examples(kind)
    other = torch.cat([x[:1], _examples(kind, 1)[1:]])
    gap = (network(x)[0] - network(other)[0]).abs()
    assert bool(gap > 1e-6) == critic.facts.batchwise


@critic_law()
def a_critic_does_not_mind_the_order(critic: Entry, kind: str) -> None:
    """The logits of a batch in another order are the same in that order."""
    network, x = critic_of(critic, kind), _examples(kind)
    torch.testing.assert_close(network(x.flip(0)), network(x).flip(0), rtol=1e-4, atol=1e-5)


@critic_law()
def an_unmixed_critic_has_no_batch_norm(critic: Entry, kind: str) -> None:
    """Where it says so."""
    found = any(
        isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in critic_of(critic, kind).modules()
    )
    assert not (found and critic.facts.unmixed)


@critic_law()
def a_critic_is_its_state(critic: Entry, kind: str) -> None:
    """Another that loads it judges alike."""
    network, x = critic_of(critic, kind), _examples(kind)
    torch.manual_seed(2)
    other = critic.part.build(*_layers(kind, batch_norm=True), SHAPES[kind])
    other.load_state_dict(copy.deepcopy(network.state_dict()))
    assert torch.equal(network(x), other(x))


def generator_of(entry: Entry, kind: str) -> nn.Module:
    """A generator of this form as it is before the first step."""
    torch.manual_seed(1)
    network = entry.part.build(_layers(kind, batch_norm=True)[1], LATENT, SHAPES[kind], BATCH)
    entry.part.begin(network, torch.randn(BATCH, LATENT))
    return network


@generator_law()
def a_generator_makes_examples(generator: Entry, kind: str) -> None:
    """Of the shape, one for each code, with a slope to every weight."""
    network, codes = generator_of(generator, kind), torch.randn(5, LATENT)
    made = network(codes)
    assert made.shape == (5, *SHAPES[kind])
    slopes = torch.autograd.grad(made.square().sum(), list(network.parameters()))
    assert all(slope.isfinite().all() for slope in slopes)


@generator_law()
def an_example_is_of_its_own_code(generator: Entry, kind: str) -> None:
    """Whoever else is in the batch, in training and after."""
    network, codes = generator_of(generator, kind), torch.randn(5, LATENT)
    for training in (True, False):
        network.train(training)
        together, alone = network(codes), network(codes[:1])
        torch.testing.assert_close(alone[0], together[0], rtol=1e-4, atol=1e-5)


@generator_law()
def a_generator_is_its_state(generator: Entry, kind: str) -> None:
    """Another that loads it makes the same."""
    network, codes = generator_of(generator, kind), torch.randn(5, LATENT)
    torch.manual_seed(2)
    other = generator.part.build(_layers(kind, batch_norm=True)[1], LATENT, SHAPES[kind], BATCH)
    generator.part.begin(other, torch.randn(BATCH, LATENT))
    other.load_state_dict(copy.deepcopy(network.state_dict()))
    assert torch.equal(network(codes), other(codes))
