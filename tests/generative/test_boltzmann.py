"""Restricted Boltzmann machines by enumeration, and nets that are unrolled from them."""

from itertools import product

import pytest
import torch

from bench.core.randomness import forked, stream
from generative import PROTOCOLS, RECIPES, Training
from generative.boltzmann import Layer, contrast
from generative.games.layerwise import Raised

VISIBLE, HIDDEN = 6, 10


def every(units):
    """All states of so many units, [2^units, units]."""
    return torch.tensor(list(product([0.0, 1.0], repeat=units)), dtype=torch.float64)


def machine(units=("logistic", "logistic"), spread=0.5, seed=0):
    rng = torch.Generator().manual_seed(seed)
    found = Layer(VISIBLE, HIDDEN, units).double()
    with torch.no_grad():
        for weight in found.parameters():
            weight.copy_(spread * torch.randn(weight.shape, generator=rng, dtype=torch.float64))
    return found


def seen(n=400, seed=1):
    """Binary data whose first half of units agree."""
    rng = torch.Generator().manual_seed(seed)
    v = (torch.rand(n, VISIBLE, generator=rng) < 0.5).double()
    v[:, 1 : VISIBLE // 2] = v[:, :1]
    return v


def slopes(value, layer):
    return torch.autograd.grad(value, list(layer.parameters()))


def energies(layer, v, h):
    """Of each of v with each of h, by its formula."""
    return -(
        torch.einsum("nv,hv,mh->nm", v, layer.weight, h)
        + (v @ layer.visible_bias)[:, None]
        + (h @ layer.hidden_bias)[None]
    )


def test_free_energy_is_minus_the_log_of_the_sum_over_hidden_states():
    layer, v, h = machine(), seen(20), every(HIDDEN)
    wanted = -torch.logsumexp(-energies(layer, v, h), 1)
    torch.testing.assert_close(layer.free_energy(v), wanted)
    one = layer.energy(v[:5], h[7:8].expand(5, -1))
    torch.testing.assert_close(one, energies(layer, v[:5], h[7:8])[:, 0])


def test_means_are_those_of_the_joint_distribution():
    layer, v, h = machine(), seen(5), every(HIDDEN)
    weights = torch.softmax(-energies(layer, v, h), 1)
    torch.testing.assert_close(layer.up(v), weights @ h)
    states = every(VISIBLE)
    chosen = h[[3, 900]]
    weights = torch.softmax(-energies(layer, states, chosen), 0)
    torch.testing.assert_close(layer.down(chosen), weights.T @ states)


@pytest.mark.parametrize("units", [("logistic", "linear"), ("linear", "logistic")])
def test_linear_units_are_gaussian(units):
    """The energy is least, and the density the largest, where a linear unit has its mean; over it
    the free energy is the energy there, or the sum over binary states.
    """
    layer, rng = machine(units), torch.Generator().manual_seed(2)
    v = torch.randn(4, VISIBLE, generator=rng, dtype=torch.float64)
    if units[1] == "linear":
        h = layer.up(v)
        torch.testing.assert_close(layer.free_energy(v), layer.energy(v, h))
        away = layer.energy(v, h + 0.3) - layer.energy(v, h)
        torch.testing.assert_close(away, torch.full_like(away, HIDDEN * 0.3**2 / 2))
    else:
        states = every(HIDDEN)
        all_of_them = torch.stack([layer.energy(v, s.expand(len(v), -1)) for s in states], 1)
        torch.testing.assert_close(layer.free_energy(v), -torch.logsumexp(-all_of_them, 1))
        h = states[[5, 77]]
        away = layer.energy(layer.down(h) + 0.3, h) - layer.energy(layer.down(h), h)
        torch.testing.assert_close(away, torch.full_like(away, VISIBLE * 0.3**2 / 2))


def test_contrastive_divergence_by_its_formula():
    """<v h> of the data minus <v h> of the reconstruction, hidden units by their probabilities; the
    reconstruction is of drawn hidden units, by its probabilities (Hinton 2002, equation 13).
    """
    layer, v = machine(), seen(50)
    found = slopes(contrast(layer, v, 1, False, stream("cd")).mean(), layer)
    up = torch.sigmoid(v @ layer.weight.T + layer.hidden_bias)
    drawn = (torch.rand(up.shape, generator=stream("cd")) < up).double()
    again = torch.sigmoid(drawn @ layer.weight + layer.visible_bias)
    up_again = torch.sigmoid(again @ layer.weight.T + layer.hidden_bias)
    n = len(v)
    wanted = (
        -(up.T @ v - up_again.T @ again) / n,
        -(v - again).mean(0),
        -(up - up_again).mean(0),
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other.detach())


def test_many_steps_are_the_exact_gradient_of_the_likelihood():
    """Enumerated over 2^6 visible states; one step is far from it, from the same data."""
    layer, v = machine(), seen(4000)
    log_share = torch.logsumexp(-layer.free_energy(every(VISIBLE)), 0)
    exact = torch.cat(
        [g.flatten() for g in slopes((layer.free_energy(v) + log_share).mean(), layer)]
    )

    def off(steps):
        many = v.repeat(10, 1)
        found = slopes(contrast(layer, many, steps, True, stream("many")).mean(), layer)
        return float((torch.cat([g.flatten() for g in found]) - exact).norm() / exact.norm())

    assert off(30) < 0.06
    assert off(1) > 2 * 0.06


SMALL = Training("hinton-2006", steps=2, batch=8, latent=3, layer_steps=3)
SHAPE = (1, 4, 4)


class Few:
    """Twenty images of noise."""

    device, box, density, shape = "cpu", (0.0, 1.0), None, SHAPE
    modes = classes = 1

    @property
    def training(self):
        return torch.rand(20, *SHAPE, generator=stream("few"))

    def batches(self):
        return Turns(self.training)

    def labelled_batches(self):
        raise AssertionError("nothing is told a class")

    def fresh(self, n, rng, classes=None):
        raise AssertionError("nothing is trained on what is held out")


class Turns:
    """The first examples, always."""

    def __init__(self, images):
        self.images = images

    def next(self, n):
        return self.images[:n]

    def position(self):
        return {}

    def seek(self, position):
        pass


def chained(steps):
    """A small deep net, so many steps on; every link's machine as it was when its turn ended."""
    trainer = RECIPES["deep-autoencoder-rbm"].part.trainer(SMALL, SHAPE)
    with forked(0):
        state = trainer.advance(trainer.start(Few(), stream("chained")), steps)
    return trainer, state


def layers_of_chain():
    found = []
    for at in range(4):
        _, state = chained(3 * at + 2)
        state = state.trainer.advance(state.state, 1)
        found.append(state.players["layer"])
    return found


def test_a_net_before_fine_tuning_is_the_pass_up_and_down_with_probabilities():
    trainer, state = chained(12)
    model, x = trainer.finish(state), Few().training
    machines = layers_of_chain()
    assert [each.above for each in machines] == ["logistic"] * 3 + ["linear"]
    h = x.flatten(1)
    with torch.no_grad():
        for each in machines:
            h = each.up(h)
        torch.testing.assert_close(model.encode(x), h, rtol=0, atol=1e-6)
        for each in machines[::-1]:
            h = each.down(h)
    torch.testing.assert_close(model.decode(model.encode(x)).flatten(1), h, rtol=0, atol=1e-6)
    assert all(each.weight.std() > 0.05 for each in machines)


def test_a_machine_learns_from_the_probabilities_of_those_below():
    """What it is given is what those below make of the training batches, and no sample of it."""
    _, state = chained(7)
    machines, x = layers_of_chain(), Few().training[:8]
    given = state.state.table.batches
    assert isinstance(given, Raised)
    with torch.no_grad():
        wanted = machines[1].up(machines[0].up(x.flatten(1)))
    torch.testing.assert_close(given.next(8), wanted, rtol=0, atol=1e-6)


def test_fine_tuning_starts_from_the_machines_and_moves_all_of_them():
    trainer, before = chained(12)
    first = trainer.finish(before).tensors()
    _, after = chained(14)
    then = trainer.finish(after).tensors()
    assert first.keys() == then.keys()
    moved = {name for name in first if not torch.equal(first[name], then[name])}
    assert {name for name in first if name.endswith(("weight", "bias"))} <= moved


def test_the_weight_cost_pulls_on_weights_and_on_no_bias():
    lesson = RECIPES["deep-autoencoder-rbm"].part.lesson
    layer = machine()
    _, cost = lesson.summands(layer, seen(5), stream("cost"))
    assert cost.weight == 2e-4
    (slope,) = torch.autograd.grad(cost.value, [layer.weight], retain_graph=True)
    torch.testing.assert_close(slope, layer.weight.detach())
    others = [layer.visible_bias, layer.hidden_bias]
    assert torch.autograd.grad(cost.value, others, allow_unused=True) == (None, None)


def test_rates_and_momentum_are_those_of_the_paper():
    lesson = RECIPES["deep-autoencoder-rbm"].part.lesson
    protocol = PROTOCOLS["hinton-2006"].part
    logistic, linear = (lesson.optimiser(protocol, u, 400) for u in ("logistic", "linear"))
    assert (logistic.lr, linear.lr) == (0.1, 0.001)
    assert (logistic.start, logistic.end, logistic.over) == (0.5, 0.9, 200)
