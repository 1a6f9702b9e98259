"""Penalties by the formulas of their papers, constraints by their definitions."""

import pytest
import torch
from torch import nn

from bench.laws.penalties import (
    BATCH,
    SHAPES,
    STEP,
    built_critic,
    pair,
    restrained,
    seeded,
    smooth_critic,
)
from generative import CONSTRAINTS, PENALTIES
from generative.constraints.spectral import SpectralNorm


@pytest.fixture(autouse=True)
def _seeded():
    """The first weights of a critic are drawn from the global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(params=list(SHAPES))
def kind(request):
    return request.param


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


@pytest.fixture(params=REFERENCES)
def name(request):
    return request.param


def _slopes_by_differences(critic, points):
    """|grad C(x)| at each of the points, by central differences along every axis."""
    axes = torch.eye(points[0].numel(), dtype=points.dtype).reshape(-1, *points.shape[1:]) * STEP
    with torch.no_grad():
        ahead = [critic(point + axes) for point in points]
        behind = [critic(point - axes) for point in points]
    gradients = (torch.stack(ahead) - torch.stack(behind)) / (2 * STEP)
    return gradients.norm(dim=1)


def test_a_penalty_is_that_of_finite_differences(name, kind):
    """The formula of its paper, on slopes by differences at points derived again."""
    penalty, (points_of, formula) = PENALTIES[name].part, REFERENCES[name]
    critic, (real, fake) = smooth_critic(kind), pair(kind)
    slopes = _slopes_by_differences(critic, points_of(real, fake, seeded(3)))
    values = penalty(critic, real, fake, seeded(3)).detach()
    assert values.std() > 1e-3
    torch.testing.assert_close(values, formula(slopes), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_a_penalty_of_a_linear_critic(name, norm):
    """Its slope is |w| everywhere, so that the penalty is known whatever the points."""
    penalty, (_, formula) = PENALTIES[name].part, REFERENCES[name]
    direction = torch.randn(3, dtype=torch.float64)
    weights = norm * direction / direction.norm()
    values = penalty(lambda x: x @ weights + 7.0, *pair("mlp"), seeded())
    wanted = formula(torch.full((BATCH,), norm, dtype=torch.float64))
    torch.testing.assert_close(values.detach(), wanted, rtol=0, atol=1e-12)


def _layers(critic):
    return [layer for layer in critic.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def test_clipping(kind):
    """Nothing happens to the critic before its first step; after it all weights are in the box,
    those that were inside as they were.
    """
    clip, critic, examples = (
        CONSTRAINTS["clip"].part,
        built_critic(kind),
        torch.rand(4, *SHAPES[kind]),
    )
    before, weights = (
        critic(examples),
        nn.utils.parameters_to_vector(critic.parameters()).detach().clone(),
    )
    clip.prepare(critic)
    assert torch.equal(critic(examples), before)
    clip.project(critic)
    after = nn.utils.parameters_to_vector(critic.parameters()).detach()
    inside = weights.abs() <= 0.01
    assert 0 < inside.sum() < len(weights)
    assert after.abs().max() <= 0.01
    assert torch.equal(after[inside], weights[inside])
    assert torch.equal(after[~inside], 0.01 * weights[~inside].sign())


def test_spectral_normalisation(kind):
    """After 50 passes the largest singular value of every layer is 1, a convolution's weight as
    the matrix [out, in * h * w]; directions are those of the weights before.
    """
    critic, examples = built_critic(kind), torch.rand(4, *SHAPES[kind])
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


def test_a_spectral_factor_is_the_largest_singular_value():
    """Of every layer's weight, and of nothing else: biases are as before."""
    critic, examples = built_critic("mlp"), torch.rand(4, *SHAPES["mlp"])
    biases = [layer.bias.detach().clone() for layer in _layers(critic)]
    SpectralNorm(3.0).prepare(critic)
    with torch.no_grad():
        for _ in range(50):
            critic(examples)
    for layer, bias in zip(_layers(critic.eval()), biases, strict=True):
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert largest == pytest.approx(3, abs=3e-3)
        assert torch.equal(layer.bias, bias)


def test_a_spectrally_normalised_critic_is_lipschitz():
    """The slope of an MLP with leaky ReLUs is at most 1, after steps too."""
    critic, _ = restrained(CONSTRAINTS["spectral-norm"], "mlp")
    with torch.no_grad():
        for _ in range(50):
            critic(torch.zeros(1, 3))
    points = torch.randn(200, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic.eval()(points).sum(), points)
    assert gradient.norm(dim=1).max() <= 1 + 1e-3
