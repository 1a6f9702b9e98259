"""Networks that are trained by themselves, by hand, beside the trainer: the same weights and the
same moving average after three steps, and samples of that average.
"""

import copy
from itertools import pairwise
from math import log, pi

import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, stepped
from torch import nn

from bench.core.randomness import stream
from generative import RECIPES, Training

BATCH, RATE = 6, 1e-3
pytestmark = pytest.mark.usefixtures("double")


def mlp(inputs, widths, outputs):
    layers = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.SiLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def features(x, count):
    found = [(k * pi * x / 2) for k in range(1, count + 1)]
    by_value = torch.stack(found, 2).flatten(1)
    return torch.cat([by_value.sin(), by_value.cos()], 1)


class Hand:
    """Units of the training set, three steps of Adam, the mean of the weights after each."""

    def __init__(self, shape):
        self.rng, self.shape, data = torch.Generator().manual_seed(5), shape, Stream(1, shape)
        training = Known(shape).training.flatten(1)
        self.mean, self.size = training.mean(0), training.shape[1]
        self.std = ((training - self.mean) ** 2).mean() ** 0.5
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = self.build()
            self.begin()
            kept, adam = [], torch.optim.Adam(self.body.parameters(), RATE)
            for done in range(STEPS):
                adam.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - done / STEPS))
                x = (data.next(BATCH).flatten(1) - self.mean) / self.std
                stepped(self.loss(x).mean(), self.body, adam)
                kept.append([w.detach().clone() for w in self.body.parameters()])
        self.average = copy.deepcopy(self.body)
        for weight, *values in zip(self.average.parameters(), *kept, strict=True):
            weight.data.copy_(sum(values) / STEPS)

    def begin(self):
        pass

    def out(self, x):
        return (self.mean + self.std * x).unflatten(1, self.shape).clamp(0, 1)

    def noise(self, x):
        return torch.randn(x.shape, generator=self.rng)


def grouped(x, scale, shift):
    """Eight groups of channels, each brought to mean 0 and variance 1 over itself."""
    groups = x.reshape(len(x), 8, -1)
    mean, variance = groups.mean(2, keepdim=True), groups.var(2, correction=0, keepdim=True)
    normal = ((groups - mean) / (variance + 1e-5) ** 0.5).reshape(x.shape)
    return normal * scale[None, :, None, None] + shift[None, :, None, None]


class HandUnet(nn.Module):
    """Of 4 x 4 pixels with 16 channels, and 2 x 2 with 32: layers in a row, called by place."""

    def __init__(self):
        super().__init__()
        self.rows = nn.ModuleList([nn.Linear(32, 64), nn.Linear(64, 64)])
        self.rows.append(nn.Conv2d(1, 16, 3, padding=1))
        self.block(16, 16)
        self.rows.append(nn.Conv2d(16, 32, 3, stride=2, padding=1))
        self.block(32, 32)
        self.block(32, 32)
        self.rows.append(nn.Conv2d(32, 16, 3, padding=1))
        self.block(32, 16)
        self.rows += [nn.GroupNorm(8, 16), nn.Conv2d(16, 1, 3, padding=1)]
        self.silence(self.rows[-1])

    def silence(self, layer):
        layer.weight.data.zero_()
        layer.bias.data.zero_()

    def block(self, inputs, outputs):
        self.rows += [nn.GroupNorm(8, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)]
        self.rows += [nn.GroupNorm(8, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)]
        self.silence(self.rows[-1])
        self.rows.append(nn.Linear(64, 2 * outputs))
        if inputs != outputs:
            self.rows.append(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x, seen):
        silu, rows = nn.functional.silu, iter(self.rows)

        def layer(y):
            return next(rows)(y)

        def norm(y):
            own = next(rows)
            return grouped(y, own.weight, own.bias)

        def through(y, told):
            found = norm(layer(silu(norm(y))))
            last, both = next(rows), layer(told)
            width = both.shape[1] // 2
            scale, shift = both[:, :width, None, None], both[:, width:, None, None]
            found = last(silu(found + found * scale + shift))
            return found + (y if y.shape == found.shape else layer(y))

        told = silu(layer(silu(layer(seen))))
        fine = through(layer(x), told)
        coarse = through(through(layer(fine), told), told)
        larger = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
        found = through(torch.cat([fine, layer(larger)], 1), told)
        return layer(silu(norm(found)))


class Timed(Hand):
    def build(self):
        if len(self.shape) == 3:
            return HandUnet()
        return mlp(self.size * 25 + 32, (128, 128, 128), self.size)

    def begin(self):
        self.f = self.band * torch.randn(16, generator=self.rng)

    def seen(self, body, inputs, x, c):
        angle = 2 * pi * c[:, None] * self.f[None]
        told = torch.cat([angle.sin(), angle.cos()], 1)
        if len(self.shape) == 3:
            return body(inputs.unflatten(1, self.shape), told).flatten(1)
        return body(torch.cat([inputs, told, features(x, 12)], 1))


class Edm(Timed):
    """Karras et al. 2022, with the data's standard deviation at 1."""

    band = 4

    def denoised(self, body, x, s):
        c = s.log() / 4
        s = s[:, None]
        raw = self.seen(body, x / (s**2 + 1) ** 0.5, x, c)
        return x / (s**2 + 1) + s / (s**2 + 1) ** 0.5 * raw

    def drawn(self, n):
        """Half of the paper's standard deviation for images, as its data have .5."""
        if len(self.shape) == 1:
            return 0.003 * (10 / 0.003) ** torch.rand(n, generator=self.rng)
        return 2 * (-1.2 + 1.2 * torch.randn(n, generator=self.rng)).exp()

    def loss(self, x):
        s = self.drawn(len(x))
        error = self.denoised(self.body, x + s[:, None] * self.noise(x), s) - x
        return (error**2).sum(1) * (s**2 + 1) / s**2

    @property
    def ends(self):
        return (10, 0.003) if len(self.shape) == 1 else (2 * 80, 2 * 0.002)

    def levels(self, n):
        high, low = (end ** (1 / 7) for end in self.ends)
        return [(high + i / (n - 1) * (low - high)) ** 7 for i in range(n)] + [0.0]

    def at(self, x, s):
        return self.denoised(self.average, x, torch.full((len(x),), s))

    def sample(self, n, rng):
        """Heun's method, 18 steps, the last of them Euler's: 35 evaluations."""
        x, times = self.ends[0] * torch.randn(n, self.size, generator=rng), self.levels(18)
        for s, after in pairwise(times):
            d = (x - self.at(x, s)) / s
            moved = x + (after - s) * d
            if after:
                d = (d + (moved - self.at(moved, after)) / after) / 2
            x = x + (after - s) * d
        return self.out(x)


class Ancestral(Edm):
    def sample(self, n, rng):
        """The mean and variance of the level below, given this one and the denoised example."""
        x, times = self.ends[0] * torch.randn(n, self.size, generator=rng), self.levels(100)
        for s, after in pairwise(times):
            mean = (after**2 * x + (s**2 - after**2) * self.at(x, s)) / s**2
            deviation = (after**2 * (s**2 - after**2) / s**2) ** 0.5
            x = mean if not after else mean + deviation * torch.randn(x.shape, generator=rng)
        return self.out(x)


class Matching(Timed):
    """Lipman et al. 2023, with straight paths."""

    band = 1

    def at(self, x, t):
        return self.velocity(self.average, x, torch.full((len(x),), t))

    def velocity(self, body, x, t):
        return self.seen(body, x, x, 2 * t - 1)

    def loss(self, x):
        t = torch.rand(len(x), generator=self.rng)
        n = self.noise(x)
        way = n + t[:, None] * (x - n)
        return ((self.velocity(self.body, way, t) - x + n) ** 2).sum(1)

    def sample(self, n, rng):
        x = torch.randn(n, self.size, generator=rng)
        for i in range(50):
            d = self.at(x, i / 50)
            x = x + (d + self.at(x + d / 50, (i + 1) / 50)) / 100
        return self.out(x)


class RealNvp(Hand):
    """Dinh et al. 2017, equations 4 to 7: x1 stays, x2 is moved, then the other way round."""

    def build(self):
        return nn.ModuleList([mlp(2, (64, 64), 4) for _ in range(8)])

    def loss(self, x):
        total = 0.0
        for i, body in enumerate(self.body):
            stays, moved = i % 2, 1 - i % 2
            seen = torch.zeros_like(x)
            seen[:, stays] = x[:, stays]
            found = body(seen)
            s, t = 2 * torch.tanh(found[:, moved] / 2), found[:, 2 + moved]
            columns = [x[:, stays], x[:, moved] * s.exp() + t]
            x = torch.stack(columns if stays == 0 else columns[::-1], 1)
            total = total + s
        return (x**2).sum(1) / 2 + log(2 * pi) - total


class Made(Hand):
    """Two values: the first of weights without inputs, the second of the first."""

    def build(self):
        layers = [nn.Linear(2, 128), nn.Linear(128, 128), nn.Linear(128, 128)]
        return nn.ModuleList([*layers, nn.Linear(128, 96)])

    def loss(self, x):
        seen = x * torch.tensor([1.0, 0.0])
        first, *rest = self.body
        hidden = nn.functional.silu(first(seen))
        for layer in rest[:-1]:
            hidden = nn.functional.silu(layer(hidden))
        last = rest[-1]
        found = torch.cat([last.bias[:48].expand(len(x), 48), last(hidden)[:, 48:]], 1)
        total = 0.0
        for j in range(2):
            weights, means, widths = found[:, 48 * j : 48 * j + 48].split(16, 1)
            means = means + torch.linspace(-2, 2, 16)
            std = 0.25 * widths.exp()
            normal = torch.distributions.Normal(means, std).log_prob(x[:, j : j + 1])
            total = total - (weights.log_softmax(1) + normal).exp().sum(1).log()
        return total


HANDS = {
    "edm": Edm,
    "edm-ancestral": Ancestral,
    "flow-matching": Matching,
    "realnvp": RealNvp,
    "made": Made,
}
SHAPES = {"plane": (2,), "small-dcgan": (1, 4, 4)}
PLACES = [(name, "plane") for name in HANDS]
PLACES += [(name, "small-dcgan") for name in ("edm", "edm-ancestral", "flow-matching")]


def trained(name, protocol="plane"):
    training = Training(protocol, steps=STEPS, batch=BATCH, generator_lr=RATE)
    trainer = RECIPES[name].part.trainer(training, SHAPES[protocol])
    return trainer, advanced(trainer, Known(SHAPES[protocol]))


def assert_weights(network, hand):
    """The same parameters in the same order, whatever they are called."""
    pairs = zip(network.parameters(), hand.parameters(), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "protocol"), PLACES)
def test_three_steps(name, protocol):
    trainer, state = trained(name, protocol)
    hand = HANDS[name](SHAPES[protocol])
    model = state.players["model"]
    if name in ("realnvp", "made"):
        fitted = trainer.finish(state)
        assert_weights(model, hand.body)
        assert_weights(state.averages["model"], hand.average)
        hand.body = hand.average
        x = torch.rand(9, 2, generator=stream("asked"))
        inner = (x - hand.mean) / hand.std
        wanted = -hand.loss(inner) - 2 * hand.std.log()
        found = torch.as_tensor(fitted.log_prob(x.numpy()))
        torch.testing.assert_close(found, wanted.detach(), rtol=0, atol=1e-6)
        return
    assert_same(model.body, hand.body)
    assert_same(state.averages["model"].body, hand.average)
    rng, again = stream("samples"), stream("samples")
    found, wanted = trainer.finish(state).sample(7, rng), hand.sample(7, again)
    torch.testing.assert_close(found, wanted.detach(), rtol=0, atol=1e-6)
    assert len(found[(found > 0) & (found < 1)]) > 2


def test_the_last_weights_are_not_the_average():
    """Or a sampler that took them would go unseen above."""
    _, state = trained("edm")
    last, average = (
        torch.cat([w.detach().flatten() for w in network.parameters()])
        for network in (state.players["model"], state.averages["model"])
    )
    assert ((last - average).abs() > 1e-4).double().mean() > 0.8
