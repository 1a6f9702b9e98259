"""What holds for every penalty of the critic's slope and for every constraint on its weights."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import near
from generative import CONSTRAINTS, PENALTIES
from generative.networks import Dcgan, Mlp, critic_of

penalty_law = partial(base.law, PENALTIES.kind)
constraint_law = partial(base.law, CONSTRAINTS.kind)
SHAPES = {"mlp": (3,), "conv": (1, 8, 8)}
KINDS = each(SHAPES.keys())
DTYPES = [torch.float32, torch.float64]
BATCH = 6
STEP = 1e-5


def smooth_critic(kind: str, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """A critic with as many derivatives as one likes, and slopes about 1."""
    if kind == "mlp":
        layers = [nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)]
    else:
        layers = [nn.Conv2d(1, 4, 4, 2, 1), nn.Tanh(), nn.Conv2d(4, 8, 4, 2, 1), nn.Softplus()]
        layers += [nn.Flatten(), nn.Linear(32, 1)]
    critic = nn.Sequential(*layers, nn.Flatten(0)).to(dtype)
    with torch.no_grad():
        for weight in critic.parameters():
            weight.mul_(1.7)
    return critic


def pair(kind: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Reals and fakes, [batch, ...] each."""
    real, fake = torch.randn(2, BATCH, *SHAPES[kind], dtype=dtype).unbind()
    return real, fake


def seeded(seed: int = 0) -> torch.Generator:
    """What a penalty draws from."""
    return torch.Generator().manual_seed(seed)


def _vectorised(critic: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(critic.parameters()).detach().clone()


def _slopes(value: Tensor, critic: nn.Module) -> tuple[Tensor, ...]:
    """Of a penalty's mean, by the critic's weights."""
    return torch.autograd.grad(
        value, list(critic.parameters()), allow_unused=True, materialize_grads=True
    )


@penalty_law()
def a_penalty_has_a_weight(penalty: Entry) -> None:
    """A positive one: what its paper multiplies it by."""
    assert penalty.facts.weight > 0


@penalty_law(cases=each(DTYPES, SHAPES.keys()))
def a_penalty_is_unreduced(penalty: Entry, dtype: torch.dtype, kind: str) -> None:
    """One finite number, not below 0, for every sample of the batch, in the type of the data."""
    values = penalty.part(smooth_critic(kind, dtype), *pair(kind, dtype), seeded())
    assert values.shape == (BATCH,)
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()


@penalty_law(cases=KINDS, unless="batchwise")
def a_batch_is_its_samples(penalty: Entry, kind: str) -> None:
    """With the same draws a sample's penalty is the same in any company: here, its own copies."""
    critic, (real, fake) = smooth_critic(kind), pair(kind)
    together = penalty.part(critic, real, fake, seeded())
    for i in range(BATCH):
        copies = real[i].expand_as(real), fake[i].expand_as(fake)
        alone = penalty.part(critic, *copies, seeded())
        torch.testing.assert_close(alone[i], together[i], rtol=0, atol=1e-12)


@penalty_law(cases=KINDS, only="batchwise")
def a_batchwise_penalty_mixes_its_samples(penalty: Entry, kind: str) -> None:
    """One that declares it needs to: a sample's penalty depends on its company."""
    critic, (real, fake) = smooth_critic(kind), pair(kind)
    together = penalty.part(critic, real, fake, seeded())
    wider = penalty.part(critic, torch.cat([real[:1], 3 * real[1:]]), fake, seeded())
    assert not torch.isclose(wider[0], together[0])


@penalty_law(cases=KINDS)
def a_penalty_teaches_the_critic(penalty: Entry, kind: str) -> None:
    """The gradient by the critic's weights is that of finite differences, in any direction."""
    critic, (real, fake) = smooth_critic(kind), pair(kind)
    weights, start = list(critic.parameters()), _vectorised(critic)
    gradients = _slopes(penalty.part(critic, real, fake, seeded()).mean(), critic)
    gradient = torch.cat([g.flatten() for g in gradients])
    assert gradient.norm() > 1e-3
    for direction in torch.randn(4, len(start), dtype=torch.float64):
        ends = []
        for sign in (1, -1):
            nn.utils.vector_to_parameters(start + sign * STEP * direction, weights)
            ends.append(penalty.part(critic, real, fake, seeded()).mean().item())
        wanted = (ends[0] - ends[1]) / (2 * STEP)
        assert float(gradient @ direction) == near(wanted, rel=1e-5, abs=1e-8)


@penalty_law(cases=each(["last", "all"], DTYPES, SHAPES.keys()))
def a_flat_critic_is_no_obstacle(penalty: Entry, layer: str, dtype: torch.dtype, kind: str) -> None:
    """Where the slope is 0 the penalty and its gradient are finite."""
    critic, (real, fake) = smooth_critic(kind, dtype), pair(kind, dtype)
    with torch.no_grad():
        for weight in list(critic.parameters())[-2 if layer == "last" else 0 :]:
            weight.zero_()
    values = penalty.part(critic, real, fake, seeded())
    assert values.isfinite().all()
    for gradient in _slopes(values.mean(), critic):
        assert gradient.isfinite().all()


@penalty_law(cases=KINDS)
def a_penalty_depends_on_its_generator_alone(penalty: Entry, kind: str) -> None:
    """Same seed, same penalty; the global generator changes nothing and is left alone."""
    critic, (real, fake) = smooth_critic(kind), pair(kind)
    first = penalty.part(critic, real, fake, seeded(1))
    torch.manual_seed(5)
    untouched = torch.get_rng_state()
    again = penalty.part(critic, real, fake, seeded(1))
    assert torch.equal(again, first)
    assert torch.equal(torch.get_rng_state(), untouched)


@penalty_law(cases=KINDS)
def a_penalty_draws_where_it_looks_at_random(penalty: Entry, kind: str) -> None:
    """Another seed gives other points, or the generator has not been drawn from."""
    critic, (real, fake) = smooth_critic(kind), pair(kind)
    rng = seeded(1)
    first = penalty.part(critic, real, fake, rng)
    drew = not torch.equal(rng.get_state(), seeded(1).get_state())
    other = penalty.part(critic, real, fake, seeded(2))
    assert drew == (not torch.equal(first, other))


@penalty_law(cases=KINDS)
def a_penalty_leaves_its_arguments_alone(penalty: Entry, kind: str) -> None:
    """Examples keep their values, want no gradient and have none; weights have none either."""
    critic, (real, fake) = smooth_critic(kind), pair(kind)
    kept, weights = torch.stack([real, fake]), _vectorised(critic)
    values = penalty.part(critic, real, fake, seeded())
    assert values.requires_grad
    assert torch.equal(torch.stack([real, fake]), kept)
    assert not real.requires_grad
    assert not fake.requires_grad
    assert real.grad is fake.grad is None
    assert torch.equal(_vectorised(critic), weights)
    assert all(weight.grad is None and weight.requires_grad for weight in critic.parameters())


def built_critic(kind: str) -> nn.Module:
    """A critic as protocols build it."""
    network = Mlp((16, 16), "leaky_relu") if kind == "mlp" else Dcgan(4, batch_norm=False)
    return critic_of(network, SHAPES[kind])


def restrained(constraint: Entry, kind: str) -> tuple[nn.Module, Tensor]:
    """A critic after its first steps under a constraint, and examples for it."""
    critic, examples = built_critic(kind), torch.rand(BATCH, *SHAPES[kind])
    constraint.part.prepare(critic)
    adam = torch.optim.Adam(critic.parameters(), lr=0.01)
    for _ in range(3):
        adam.zero_grad()
        critic(examples).square().mean().backward()
        adam.step()
        constraint.part.project(critic)
    return critic, examples


@constraint_law(cases=KINDS)
def a_restrained_critic_is_a_critic(constraint: Entry, kind: str) -> None:
    """One finite logit for every example, and a gradient for every weight."""
    critic, examples = restrained(constraint, kind)
    logits = critic(examples)
    gradients = torch.autograd.grad(logits.sum(), list(critic.parameters()))
    assert logits.shape == (BATCH,)
    assert logits.isfinite().all()
    for gradient in gradients:
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@constraint_law(cases=KINDS)
def projecting_twice_is_projecting_once(constraint: Entry, kind: str) -> None:
    """The set's own members are left alone."""
    critic, _ = restrained(constraint, kind)
    once = copy.deepcopy(critic.state_dict())
    constraint.part.project(critic)
    for name, value in once.items():
        twice = critic.state_dict()[name]
        assert torch.equal(twice, value)


@constraint_law(cases=KINDS)
def a_constraint_bounds_the_critic(constraint: Entry, kind: str) -> None:
    """Weights that are ten times as large give a critic that is not."""
    critic, examples = restrained(constraint, kind)
    before = critic(examples).abs().max()
    with torch.no_grad():
        for weight in critic.parameters():
            weight.mul_(10)
    constraint.part.project(critic)
    after = critic(examples).abs().max()
    assert after < 50 * before + 1


@constraint_law(cases=KINDS)
def a_restrained_critic_is_its_state(constraint: Entry, kind: str) -> None:
    """Another prepared critic that loads it goes on alike, in evaluation and in training."""
    critic, examples = restrained(constraint, kind)
    other = built_critic(kind)
    constraint.part.prepare(other)
    assert other.state_dict().keys() == critic.state_dict().keys()
    other.load_state_dict(copy.deepcopy(critic.state_dict()))
    for training in (False, True, True):
        critic.train(training)
        other.train(training)
        assert torch.equal(critic(examples), other(examples))


@constraint_law(cases=KINDS)
def preparing_draws_from_seeds_alone(constraint: Entry, kind: str) -> None:
    """Same global seed, same prepared critic."""
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        critic = built_critic(kind)
        constraint.part.prepare(critic)
        states.append(critic.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])
