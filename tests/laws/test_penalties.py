"""What holds for every penalty and every constraint on the critic.

A part whose `known_issue` names one of these laws is a strict xfail of it.
"""

import copy

import pytest
import torch
from torch import nn

from generative import CONSTRAINTS, PENALTIES
from generative.networks import Dcgan, Mlp, critic_of

SHAPES = {"mlp": (3,), "conv": (1, 8, 8)}
BATCH = 6
STEP = 1e-5


def _near_the_reals(real, fake, rng):
    """DRAGAN: from a real part of the way to a noisy copy, wide as half the batch's deviation."""
    noise = torch.rand(real.shape, generator=rng, dtype=real.dtype)
    reach = torch.rand(len(real), generator=rng, dtype=real.dtype)
    deviation = ((real - real.mean()) ** 2).sum().div(real.numel() - 1).sqrt()
    drawn = zip(real, reach, noise, strict=True)
    return torch.stack([x + a * deviation / 2 * z for x, a, z in drawn])


def _between(real, fake, rng):
    """WGAN-GP: uniform on the segment from a real to its fake."""
    weights = torch.rand(len(real), generator=rng, dtype=real.dtype)
    drawn = zip(real, fake, weights, strict=True)
    return torch.stack([(1 - a) * x + a * y for x, y, a in drawn])


# Where a penalty looks at the critic's slope, and what it makes of it.
REFERENCES = {
    "dragan": (_near_the_reals, lambda slope: (slope - 1) ** 2),
    "gradient-penalty": (_between, lambda slope: (slope - 1) ** 2),
    "r1": (lambda real, fake, rng: real, lambda slope: slope**2 / 2),
}
EXEMPT = {
    "penalty": lambda facts: False,
    "per_sample_penalty": lambda facts: facts.batchwise,
    "batchwise_penalty": lambda facts: not facts.batchwise,
}


def pytest_generate_tests(metafunc):
    """Enrol every registered penalty that declares no exemption, and every constraint."""
    law = metafunc.function.__name__
    for fixture in EXEMPT.keys() & set(metafunc.fixturenames):
        entries = [entry for entry in PENALTIES.entries() if not EXEMPT[fixture](entry.facts)]
        metafunc.parametrize(fixture, [_param(entry, law) for entry in entries])
    if "constraint" in metafunc.fixturenames:
        metafunc.parametrize("constraint", [_param(entry, law) for entry in CONSTRAINTS.entries()])
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", list(SHAPES))


def _param(entry, law):
    issue = entry.facts.known_issue
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    return pytest.param(entry.part, id=entry.name, marks=marks)


@pytest.fixture(autouse=True)
def _seeded():
    """The first weights of a critic are drawn from the global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _smooth(kind, dtype=torch.float64):
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


def _pair(kind, dtype=torch.float64):
    """Reals and fakes, [batch, ...] each."""
    return torch.randn(2, BATCH, *SHAPES[kind], dtype=dtype).unbind()


def _reference(penalty):
    return REFERENCES[next(e.name for e in PENALTIES.entries() if e.part is penalty)]


def _rng(seed=0):
    return torch.Generator().manual_seed(seed)


def _slopes_by_differences(critic, points):
    """|grad C(x)| at each of the points, by central differences along every axis."""
    axes = torch.eye(points[0].numel(), dtype=points.dtype).reshape(-1, *points.shape[1:]) * STEP
    with torch.no_grad():
        ahead = [critic(point + axes) for point in points]
        behind = [critic(point - axes) for point in points]
    gradients = (torch.stack(ahead) - torch.stack(behind)) / (2 * STEP)
    return gradients.norm(dim=1)


def _vectorised(critic):
    return nn.utils.parameters_to_vector(critic.parameters())


def test_every_known_issue_names_a_law():
    """An issue that names no law would exempt a part from nothing, or from everything."""
    laws = [name for name in globals() if name.startswith("test_")]
    entries = [*PENALTIES.entries(), *CONSTRAINTS.entries()]
    issues = [entry.facts.known_issue for entry in entries if entry.facts.known_issue]
    assert all(any(law in issue for law in laws) for issue in issues)


def test_every_penalty_has_a_reference():
    """A penalty that is registered needs its points and its formula here."""
    ours = {e.name for e in PENALTIES.entries() if e.origin.startswith("generative.penalties.")}
    assert set(REFERENCES) == ours
    assert all(entry.facts.weight > 0 for entry in PENALTIES.entries())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_penalty_is_unreduced(penalty, kind, dtype):
    """One finite number, not below 0, for every sample of the batch, in the type of the data."""
    values = penalty(_smooth(kind, dtype), *_pair(kind, dtype), _rng())
    assert values.shape == (BATCH,)
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()


def test_a_penalty_is_that_of_finite_differences(penalty, kind):
    """The formula of its paper, on slopes by differences at points derived again."""
    points_of, formula = _reference(penalty)
    critic, (real, fake) = _smooth(kind), _pair(kind)
    slopes = _slopes_by_differences(critic, points_of(real, fake, _rng(3)))
    values = penalty(critic, real, fake, _rng(3)).detach()
    assert values.std() > 1e-3
    torch.testing.assert_close(values, formula(slopes), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_a_penalty_of_a_linear_critic(penalty, norm):
    """Its slope is |w| everywhere, so that the penalty is known whatever the points."""
    _, formula = _reference(penalty)
    direction = torch.randn(3, dtype=torch.float64)
    weights = norm * direction / direction.norm()
    values = penalty(lambda x: x @ weights + 7.0, *_pair("mlp"), _rng())
    wanted = formula(torch.full((BATCH,), norm, dtype=torch.float64))
    torch.testing.assert_close(values.detach(), wanted, rtol=0, atol=1e-12)


def test_a_batch_is_its_samples(per_sample_penalty, kind):
    """With the same draws a sample's penalty is the same in any company: here, its own copies."""
    critic, (real, fake) = _smooth(kind), _pair(kind)
    together = per_sample_penalty(critic, real, fake, _rng())
    for i in range(BATCH):
        copies = real[i].expand_as(real), fake[i].expand_as(fake)
        alone = per_sample_penalty(critic, *copies, _rng())
        torch.testing.assert_close(alone[i], together[i], rtol=0, atol=1e-12)


def test_a_batchwise_penalty_mixes_its_samples(batchwise_penalty, kind):
    """One that declares it needs to: a sample's penalty depends on its company."""
    critic, (real, fake) = _smooth(kind), _pair(kind)
    together = batchwise_penalty(critic, real, fake, _rng())
    wider = torch.cat([real[:1], 3 * real[1:]])
    assert not torch.isclose(batchwise_penalty(critic, wider, fake, _rng())[0], together[0])


def test_a_penalty_teaches_the_critic(penalty, kind):
    """The gradient by the critic's weights is that of finite differences, in any direction."""
    critic, (real, fake) = _smooth(kind), _pair(kind)
    weights = list(critic.parameters())
    value = penalty(critic, real, fake, _rng()).mean()
    gradients = torch.autograd.grad(value, weights, allow_unused=True, materialize_grads=True)
    gradient, start = torch.cat([g.flatten() for g in gradients]), _vectorised(critic).detach()
    assert gradient.norm() > 1e-3
    for direction in torch.randn(4, len(start), dtype=torch.float64):
        ends = []
        for sign in (1, -1):
            nn.utils.vector_to_parameters(start + sign * STEP * direction, weights)
            ends.append(penalty(critic, real, fake, _rng()).mean().item())
        wanted = (ends[0] - ends[1]) / (2 * STEP)
        assert float(gradient @ direction) == pytest.approx(wanted, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layer", ["last", "all"])
def test_a_flat_critic_is_no_obstacle(penalty, kind, layer, dtype):
    """Where the slope is 0 the penalty and its gradient are finite."""
    critic, (real, fake) = _smooth(kind, dtype), _pair(kind, dtype)
    with torch.no_grad():
        for weight in list(critic.parameters())[-2 if layer == "last" else 0 :]:
            weight.zero_()
    values = penalty(critic, real, fake, _rng())
    gradients = torch.autograd.grad(
        values.mean(), list(critic.parameters()), allow_unused=True, materialize_grads=True
    )
    assert values.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_penalty_depends_on_its_generator_alone(penalty, kind):
    """Same seed, same penalty; the global generator changes nothing and is left alone."""
    critic, (real, fake) = _smooth(kind), _pair(kind)
    first = penalty(critic, real, fake, _rng(1))
    torch.manual_seed(5)
    untouched = torch.get_rng_state()
    assert torch.equal(penalty(critic, real, fake, _rng(1)), first)
    assert torch.equal(torch.get_rng_state(), untouched)


def test_a_penalty_draws_where_it_looks_at_random(penalty, kind):
    """Another seed gives other points, or the generator has not been drawn from."""
    critic, (real, fake) = _smooth(kind), _pair(kind)
    rng = _rng(1)
    first = penalty(critic, real, fake, rng)
    drew = not torch.equal(rng.get_state(), _rng(1).get_state())
    other = penalty(critic, real, fake, _rng(2))
    assert drew == (not torch.equal(first, other))


def test_a_penalty_leaves_its_arguments_alone(penalty, kind):
    """Examples keep their values, want no gradient and have none; weights have none either."""
    critic, (real, fake) = _smooth(kind), _pair(kind)
    kept, weights = torch.stack([real, fake]), _vectorised(critic).detach().clone()
    values = penalty(critic, real, fake, _rng())
    assert values.requires_grad
    assert torch.equal(torch.stack([real, fake]), kept)
    assert not real.requires_grad
    assert not fake.requires_grad
    assert real.grad is None
    assert fake.grad is None
    assert torch.equal(_vectorised(critic), weights)
    assert all(weight.grad is None and weight.requires_grad for weight in critic.parameters())


def _critic(kind):
    """A critic as protocols build it."""
    network = Mlp((16, 16), "leaky_relu") if kind == "mlp" else Dcgan(4, batch_norm=False)
    return critic_of(network, SHAPES[kind])


def _restrained(constraint, kind):
    """A critic after its first steps under a constraint, and examples for it."""
    critic, examples = _critic(kind), torch.rand(BATCH, *SHAPES[kind])
    constraint.prepare(critic)
    adam = torch.optim.Adam(critic.parameters(), lr=0.01)
    for _ in range(3):
        adam.zero_grad()
        critic(examples).square().mean().backward()
        adam.step()
        constraint.project(critic)
    return critic, examples


def _layers(critic):
    return [layer for layer in critic.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def test_a_restrained_critic_is_a_critic(constraint, kind):
    """One finite logit for every example, and a gradient for every weight."""
    critic, examples = _restrained(constraint, kind)
    logits = critic(examples)
    gradients = torch.autograd.grad(logits.sum(), list(critic.parameters()))
    assert logits.shape == (BATCH,)
    assert logits.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_projecting_twice_is_projecting_once(constraint, kind):
    """The set's own members are left alone."""
    critic, _ = _restrained(constraint, kind)
    once = copy.deepcopy(critic.state_dict())
    constraint.project(critic)
    assert all(torch.equal(critic.state_dict()[name], value) for name, value in once.items())


def test_a_restrained_critic_is_its_state(constraint, kind):
    """Another prepared critic that loads it goes on alike, in evaluation and in training."""
    critic, examples = _restrained(constraint, kind)
    other = _critic(kind)
    constraint.prepare(other)
    assert other.state_dict().keys() == critic.state_dict().keys()
    other.load_state_dict(copy.deepcopy(critic.state_dict()))
    for training in (False, True, True):
        critic.train(training)
        other.train(training)
        assert torch.equal(critic(examples), other(examples))


def test_preparing_draws_from_seeds_alone(constraint, kind):
    """Same global seed, same prepared critic."""
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        critic = _critic(kind)
        constraint.prepare(critic)
        states.append(critic.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_clipping(kind):
    """Nothing happens to the critic before its first step; after it all weights are in the box,
    those that were inside as they were.
    """
    clip, critic, examples = CONSTRAINTS["clip"].part, _critic(kind), torch.rand(4, *SHAPES[kind])
    before, weights = critic(examples), _vectorised(critic).detach().clone()
    clip.prepare(critic)
    assert torch.equal(critic(examples), before)
    clip.project(critic)
    after = _vectorised(critic).detach()
    inside = weights.abs() <= 0.01
    assert 0 < inside.sum() < len(weights)
    assert after.abs().max() <= 0.01
    assert torch.equal(after[inside], weights[inside])
    assert torch.equal(after[~inside], 0.01 * weights[~inside].sign())


def test_spectral_normalisation(kind):
    """After 50 passes the largest singular value of every layer is 1, a convolution's weight as
    the matrix [out, in * h * w]; directions are those of the weights before.
    """
    critic, examples = _critic(kind), torch.rand(4, *SHAPES[kind])
    plain = [layer.weight.detach().clone() for layer in _layers(critic)]
    CONSTRAINTS["spectral-norm"].part.prepare(critic)
    with torch.no_grad():
        for _ in range(50):
            critic(examples)
    critic.eval()
    for layer, weight in zip(_layers(critic), plain, strict=True):
        effective = layer.weight.detach().flatten(1)
        assert torch.linalg.svdvals(effective)[0] == pytest.approx(1, abs=1e-3)
        largest = torch.linalg.svdvals(weight.flatten(1))[0]
        torch.testing.assert_close(effective, weight.flatten(1) / largest, rtol=1e-3, atol=1e-5)


def test_a_spectrally_normalised_critic_is_lipschitz():
    """The slope of an MLP with leaky ReLUs is at most 1, after steps too."""
    critic, _ = _restrained(CONSTRAINTS["spectral-norm"].part, "mlp")
    with torch.no_grad():
        for _ in range(50):
            critic(torch.zeros(1, 3))
    points = torch.randn(200, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic.eval()(points).sum(), points)
    assert gradient.norm(dim=1).max() <= 1 + 1e-3
