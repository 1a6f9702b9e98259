"""Diffusion, flows and autoregressive densities: what their mathematics says must hold."""

from dataclasses import replace
from itertools import pairwise
from math import pi

import numpy as np
import pytest
import torch

from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture
from bench.laws.fitted import EASY
from bench.laws.recipes import PLANE, begin, changed, train
from generative import RECIPES, Training
from generative.densities import DenseSampler
from generative.diffusion import (
    heun,
    noise_levels,
    preconditioning,
    steps_throughout,
    steps_to_noiseless,
)
from generative.games.solo import hidden_layers
from generative.networks import NETWORKS, Dcgan, Mlp
from generative.recipes.edm import Denoising, denoised
from generative.recipes.exact import Optimum
from generative.recipes.made import Masking
from generative.recipes.realnvp import Flow
from generative.waves import Waves, waves

TILTED = Mixture(
    "tilted",
    np.array([[-1.0, 0.0], [1.0, 0.5]]),
    np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.05], [-0.05, 0.1]]]),
    np.array([1.0, 3.0]),
)
LAYERS = Mlp((16, 16), "silu")


def weighed(mixture, y, a, b, integrand):
    """E[integrand(x) | a x + b n = y] by quadrature over the plane, for one y [d]."""
    ticks = np.linspace(-4, 4, 401)
    x = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    logs = mixture.log_prob(x) - ((y - a * x) ** 2).sum(1) / (2 * b**2)
    weights = np.exp(logs - logs.max())
    return (weights[:, None] * integrand(x)).sum(0) / weights.sum()


@pytest.mark.parametrize("mixture", [EASY, TILTED], ids=["axes", "tilted"])
@pytest.mark.parametrize(("a", "b"), [(1.0, 0.3), (1.0, 2.0), (0.3, 0.7), (0.8, 0.2)])
def test_the_optimum_is_the_posterior_mean(mixture, a, b):
    optimum = Optimum.of(mixture, "cpu")
    y = torch.tensor([[0.2, -0.4], [-0.9, 0.3], [1.5, 1.0]], dtype=torch.float64)
    example, noise = optimum.means(y, a, b)
    for row, x, n in zip(y.numpy(), example.numpy(), noise.numpy(), strict=True):
        wanted = weighed(mixture, row, a, b, lambda x: x)
        np.testing.assert_allclose(x, wanted, atol=1e-6)
        np.testing.assert_allclose(n, (row - a * wanted) / b, atol=1e-5)


def test_the_denoiser_of_round_modes_is_as_written():
    """The mean of c + v / (v + s^2) (x - c) over the modes by how likely each is."""
    data, s = DATASETS["grid25@pacgan"].part, 0.4
    x = data.source(0).fresh(50, stream("x")).double() + s
    centres, v = torch.as_tensor(data.centres), 0.05**2
    gap = x[:, None] - centres
    shares = torch.softmax(-gap.square().sum(2) / (2 * (v + s**2)), 1)
    wanted = (shares[:, :, None] * (centres + v / (v + s**2) * gap)).sum(1)
    torch.testing.assert_close(Optimum.of(data, "cpu").denoised(x, s), wanted)


def test_the_optimum_is_the_floor_of_the_loss():
    """E |D*(x + s n) - x|^2 is the mean posterior variance; any other denoiser adds its distance
    from the optimum, squared.
    """
    optimum, s, n = Optimum.of(EASY, "cpu"), 0.5, 200_000
    x = EASY.sample(n, stream("x")).double()
    noisy = x + s * torch.randn(x.shape, generator=stream("n"), dtype=torch.float64)
    best = optimum.denoised(noisy, s)
    step = 1e-4
    divergence = sum(
        (optimum.denoised(noisy + step * e, s) - optimum.denoised(noisy - step * e, s))[:, j]
        / (2 * step)
        for j, e in enumerate(torch.eye(2, dtype=torch.float64))
    )
    gap = (best - x).square().sum(1) - s**2 * divergence
    assert float(gap.mean()) == pytest.approx(0, abs=4 * float(gap.std()) / n**0.5)
    other = best + torch.tensor([0.1, 0.05])
    more = (other - x).square().sum(1) - (best - x).square().sum(1) - 0.0125
    assert float(more.mean()) == pytest.approx(0, abs=4 * float(more.std()) / n**0.5)


def test_the_score_is_that_of_the_smoothed_mixture():
    """(D*(x; s) - x) / s^2 is the gradient of its log density (Karras et al. 2022, equation 3)."""
    optimum, s, step = Optimum.of(EASY, "cpu"), 0.5, 1e-5
    x = EASY.sample(20, stream("x")).double()
    found = ((optimum.denoised(x, s) - x) / s**2).numpy()
    smoothed = EASY.smoothed(s)
    for j, e in enumerate(np.eye(2)):
        slope = smoothed.log_prob(x.numpy() + step * e) - smoothed.log_prob(x.numpy() - step * e)
        np.testing.assert_allclose(found[:, j], slope / (2 * step), atol=1e-6)


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("sigma", [0.002, 0.1, 1.0, 80.0])
def test_a_network_sees_and_is_asked_for_variance_one(sigma, spread):
    n = 400_000
    x = spread * torch.randn(n, generator=stream("x"), dtype=torch.float64)
    noise = sigma * torch.randn(n, generator=stream("n"), dtype=torch.float64)
    skip, out, into, heard = preconditioning(torch.tensor(sigma, dtype=torch.float64), spread)
    assert float((into * (x + noise)).var()) == pytest.approx(1, rel=0.01)
    assert float(((x - skip * (x + noise)) / out).var()) == pytest.approx(1, rel=0.01)
    assert float(skip**2 * sigma**2 + (1 - skip) ** 2 * spread**2) == pytest.approx(float(out) ** 2)
    assert float(heard) == pytest.approx(np.log(sigma) / 4)


def test_the_loss_of_a_silent_network_is_one_a_value():
    """At every level alike, where data have variance 1: what the weights are for."""
    objective = Denoising()
    with forked(0):
        network = objective.network(LAYERS, (2,))
    torch.nn.init.zeros_(network.body[-1].weight)
    torch.nn.init.zeros_(network.body[-1].bias)
    x = torch.randn(100_000, 2, generator=stream("x"))
    loss = objective.loss(network, x, stream("loss")).detach()
    assert float(loss.mean()) == pytest.approx(2, rel=0.02)
    halved = denoised(network, x, torch.ones(len(x))).detach()
    torch.testing.assert_close(halved, x / 2)


def test_noise_levels_fall_to_nothing():
    levels = noise_levels(18, 0.002, 80.0)
    assert levels[0] == pytest.approx(80)
    assert levels[-2] == pytest.approx(0.002)
    assert levels[-1] == 0
    middle = (80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2
    assert noise_levels(3, 0.002, 80.0)[1] == pytest.approx(middle**7)


def along(evaluations, end=0.0):
    """One Gaussian of standard deviation 0.5: x at the last level for x = 1 at the first, and how
    often the slope was asked for.
    """
    asked, v = [], 0.25

    def slope(x, s):
        asked.append(s)
        return (x - v / (v + s**2) * x) / s

    steps = steps_to_noiseless(evaluations)
    times = noise_levels(steps.number, 0.0005, 4.0)
    found = heun(slope, torch.ones(1, dtype=torch.float64), times, steps.euler)
    return float(found), len(asked)


@pytest.mark.parametrize("evaluations", [1, 2, 3, 8, 9, 18, 19])
def test_as_many_evaluations_as_were_asked_for(evaluations):
    assert along(evaluations)[1] == evaluations
    assert steps_to_noiseless(evaluations).evaluations == evaluations
    steps, asked = steps_throughout(evaluations), []
    times = [i / steps.number for i in range(steps.number + 1)]
    heun(lambda x, t: asked.append(t) or x, torch.ones(1), times, steps.euler)
    assert len(asked) == steps.evaluations == evaluations


def test_the_flow_of_one_gaussian_in_closed_form():
    """x shrinks as sqrt(v + s^2): Heun's error falls with the square of the steps, Euler's not."""
    wanted = 0.5 / (0.25 + 16) ** 0.5
    errors = [abs(along(n)[0] - wanted) for n in (21, 41, 81, 161)]
    assert errors[-1] < 1e-4
    for coarse, fine in pairwise(errors):
        assert 3.0 < coarse / fine < 5.0


def test_the_line_of_one_gaussian_in_closed_form():
    """From noise to N(c, v I): x(1) = c + sqrt(v) x(0)."""
    one = Mixture("one", np.array([[1.0, -1.0]]), np.array([[0.25, 0.25]]), np.ones(1))
    optimum, start = Optimum.of(one, "cpu"), torch.tensor([[0.7, -2.0]], dtype=torch.float64)
    times = [i / 400 for i in range(401)]
    found = heun(optimum.velocity, start, times, frozenset())
    torch.testing.assert_close(found, torch.as_tensor(one.centres) + 0.5 * start, atol=1e-4, rtol=0)


def test_a_velocity_begins_towards_the_mean():
    """At t = 0 nothing of the example is seen: E[v] = mean - x."""
    optimum = Optimum.of(EASY, "cpu")
    x = torch.randn(30, 2, generator=stream("x"), dtype=torch.float64)
    torch.testing.assert_close(optimum.velocity(x, 0.0), optimum.centre - x)
    share = EASY.weights / EASY.weights.sum()
    np.testing.assert_allclose(optimum.centre.numpy(), share @ EASY.centres)


def test_units_of_the_optimum_are_those_of_training():
    """Mean and root mean square deviation of a large training set, and of nothing else."""
    optimum, x = Optimum.of(TILTED, "cpu"), TILTED.sample(400_000, stream("x")).double()
    torch.testing.assert_close(optimum.centre, x.mean(0), atol=5e-3, rtol=0)
    assert float(optimum.scale) == pytest.approx(
        float((x - x.mean(0)).square().mean().sqrt()), rel=5e-3
    )
    units = optimum.standardised()
    torch.testing.assert_close(units.centre, torch.zeros(2, dtype=torch.float64))
    assert float(units.scale) == pytest.approx(1)
    inner = (x[:9] - optimum.centre) / optimum.scale
    torch.testing.assert_close(
        units.denoised(inner, 0.7) * optimum.scale + optimum.centre,
        optimum.denoised(x[:9], 0.7 * float(optimum.scale)),
    )


@pytest.mark.parametrize(
    ("evaluations", "least", "most"), [(9, 0, 0.1), (19, 0.97, 0.995), (35, 0.97, 0.995)]
)
def test_the_exact_denoiser_on_the_grid(evaluations, least, most):
    """Nine evaluations are too few for any denoiser, nineteen are enough for the best."""
    data = DATASETS["grid25@pacgan"].part
    trainer = RECIPES["exact-denoiser"].part.trainer(
        Training(evaluations_per_sample=evaluations), (2,)
    )
    source = data.source(0)
    model = trainer.finish(trainer.start(source, stream("none")))
    x = model.sample(4_000, stream("samples")).double()
    near = torch.cdist(x, torch.as_tensor(data.centres)).amin(1)
    assert least <= float((near < 3 * 0.05).double().mean()) <= most


def flow(size=2, couplings=4):
    """A flow with weights large enough to bend."""
    with forked(0):
        network = Flow(couplings=couplings).network(Mlp((16, 16), "silu"), (size,)).double()
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.4)
    network.centre.copy_(torch.linspace(-0.3, 0.4, size))
    network.scale.fill_(1.7)
    return network


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_flow_goes_there_and_back(size):
    network = flow(size)
    x = torch.randn(20, size, generator=stream("x"), dtype=torch.float64)
    torch.testing.assert_close(network.inverse(network(x)[0]), x)
    torch.testing.assert_close(network(network.inverse(x))[0], x)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_volume_is_that_of_the_jacobian(size):
    network = flow(size)
    for x in torch.randn(6, size, generator=stream("x"), dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(lambda x: network(x[None])[0][0], x)
        assert float(network(x[None])[1].detach()) == pytest.approx(
            float(torch.linalg.slogdet(jacobian)[1]), abs=1e-9
        )


def dense(kind):
    if kind == "flow":
        return flow()
    with forked(0):
        network = Masking(components=5).network(LAYERS, (2,)).double()
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.4)
    network.scale.fill_(1.7)
    return network


@pytest.mark.parametrize("kind", ["flow", "made"])
def test_a_bent_density_integrates_to_one(kind):
    """In the units of examples, which are `scale` times as long."""
    ticks = np.linspace(-30, 30, 801)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    total = np.exp(DenseSampler(dense(kind)).log_prob(points)).sum() * (ticks[1] - ticks[0]) ** 2
    assert total == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_a_value_is_told_of_those_before_it(size):
    """Bit for bit untouched by itself and by later ones, and touched by each earlier one."""
    with forked(0):
        network = Masking(components=3).network(LAYERS, (size,))
    x = torch.randn(4, size, generator=stream("x"))
    found = torch.stack(network.conditionals(x)).permute(2, 0, 1, 3)
    for i in range(size):
        other = x.clone()
        other[:, i] += 1.5
        changed_by = torch.stack(network.conditionals(other)).permute(2, 0, 1, 3)
        for j in range(size):
            assert torch.equal(found[j], changed_by[j]) == (j <= i), (i, j)


@pytest.mark.parametrize("of", [slice(0, 1), slice(2, 3), slice(1, 4), slice(4, None)])
def test_what_is_asked_of_some_values_is_what_all_have(of):
    with forked(0):
        network = Masking(components=3).network(LAYERS, (5,))
    x = torch.randn(4, 5, generator=stream("x"))
    for some, every in zip(network.conditionals(x, of), network.conditionals(x), strict=True):
        torch.testing.assert_close(some, every[:, of])


def test_a_drawn_value_is_told_of_those_before_it():
    """By hand: of every value all conditionals, of which that one's is kept."""
    with forked(0):
        network = Masking(components=3).network(LAYERS, (4,))
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=stream("weights"))
    rng, wanted = stream("drawn"), torch.zeros(6, 4)
    for j in range(4):
        weights, means, widths = network.conditionals(wanted)
        chosen = torch.multinomial(weights[:, j].exp(), 1, generator=rng)[:, 0]
        noise, rows = torch.randn(6, 1, generator=rng)[:, 0], torch.arange(6)
        wanted[:, j] = means[rows, j, chosen] + widths[rows, j, chosen].exp() * noise
    torch.testing.assert_close(network.draw(6, stream("drawn")), wanted)


def test_draws_of_a_flow_and_of_a_masked_network_have_their_units():
    """Mean and spread of the samples, of those in the network's own units."""
    for kind in ("flow", "made"):
        network = dense(kind)
        network.float()
        inner = network.draw(4_000, stream("drawn")).detach()
        found = DenseSampler(network).sample(4_000, stream("drawn"))
        torch.testing.assert_close(found, 1.7 * inner + network.centre)


def test_waves_by_hand():
    x = torch.tensor([[0.5, -1.0]])
    wanted = [f(k * pi * v / 2) for f in (np.sin, np.cos) for v in (0.5, -1.0) for k in (1, 2, 3)]
    np.testing.assert_allclose(waves(x, 3)[0].numpy(), wanted, atol=1e-6)


def test_a_critic_of_waves_takes_its_units_from_the_training_set():
    """One mean and one spread over all values; saved with it, so that a restored one has them."""
    place = changed(PLANE, critic_network="mlp-128x3-leaky-waves")
    _, source, state = begin(RECIPES["nsgan"], place)
    (layer,) = [m for m in state.players["critic"].modules() if isinstance(m, Waves)]
    values = source.training.double()
    assert float(layer.centre) == pytest.approx(float(values.mean()), abs=1e-6)
    assert float(layer.scale) == pytest.approx(float(values.std(correction=0)), rel=1e-6)
    trainer, source, model = train(RECIPES["nsgan"], place)
    x = source.fresh(5, stream("x"))
    again = trainer.restore(source, model.tensors())
    assert torch.equal(again.logits(x), model.logits(x))


def test_waves_reach_the_critic():
    """Over a sixth of a spread the shortest of twelve waves turns by half."""
    with forked(0):
        seen = NETWORKS["mlp-128x3-leaky-waves"].part.encoder((2,), 1)[0]
    x = torch.tensor([[0.0, 0.0], [1 / 6, 0.0]])
    found = seen(x)
    assert found.shape == (2, 50)
    assert float((found[1] - found[0]).abs().max()) > 1.9


def test_how_many_waves_is_a_setting():
    """0 switches them off; evaluations are a setting, and kept with the model."""
    for name in ("edm", "flow-matching"):
        trainer, source, model = train(RECIPES[name], changed(PLANE, waves=0))
        assert model.tensors()["body.0.weight"].shape == (128, 2 + 32)
        _, _, model = train(RECIPES[name], changed(PLANE, evaluations_per_sample=5))
        assert model.passes == 5
        assert trainer.restore(source, train(RECIPES[name], changed(PLANE, waves=0))[2].tensors())


def test_layers_are_the_generators_of_the_protocol():
    """With SiLU and nothing else of them; of a network with waves its body; else 3 x 256."""
    for name, widths in (
        ("mlp-400x4-norm", (400,) * 4),
        ("maxout-200x3", (200,) * 3),
        ("mlp-128x3-leaky-waves", (128,) * 3),
    ):
        assert hidden_layers(NETWORKS[name].part) == Mlp(widths, "silu")
    assert hidden_layers(Dcgan(16)) == Mlp((256,) * 3, "silu")


def test_a_flow_is_trained_on_what_is_given_and_no_more():
    """A training set far from the held-out points: units and weights know only the first."""
    data = replace(EASY, centres=EASY.centres + 50)
    trainer = RECIPES["realnvp"].part.trainer(Training("plane", steps=2, batch=8), (2,))
    state = trainer.start(data.source(0), stream("flow"))
    assert state.players["model"].centre.min() > 48
