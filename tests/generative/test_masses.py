"""Models that say how probable an image is: on pairs of pixels, of which every one can be asked."""

from __future__ import annotations

import math

import pytest
import torch
from reference.loops import Known

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from generative import RECIPES, MassSampler, Training
from generative.dequantised import Dequantised
from generative.networks import Dcgan, Mlp
from generative.pixels import levels_of, steps_of
from generative.recipes.made import Autoregressive

LEVELS, SHAPE = 16, (1, 1, 2)
EVERY = torch.cartesian_prod(*[torch.arange(LEVELS) / (LEVELS - 1)] * 2)[:, None, None]
"""All 256 images of two pixels."""


class Pairs(Known):
    """Two pixels of 16 levels, the second near the first; endless batches of 4,000 of them."""

    def __init__(self):
        super().__init__(SHAPE, classes=0)

    @property
    def training(self):
        rng = stream("pairs")
        first = torch.randint(LEVELS, (4_000,), generator=rng)
        second = (first + torch.randint(-1, 2, (4_000,), generator=rng)).clamp(0, LEVELS - 1)
        return torch.stack([first, second], 1)[:, None, None] / (LEVELS - 1)

    def batches(self):
        return Batches(self.training)


class Batches:
    def __init__(self, pool):
        self.pool, self.rng = pool, stream("batches")

    def next(self, n):
        return self.pool[torch.randint(len(self.pool), (n,), generator=self.rng)]

    def position(self):
        return {"rng": self.rng.get_state()}

    def seek(self, position):
        self.rng.set_state(position["rng"])


@pytest.fixture(scope="module", params=["made", "realnvp", "pixel-frequencies"])
def fitted(request):
    data = Pairs()
    training = Training("plane", steps=200, batch=64, generator_lr=2e-3)
    trainer = RECIPES[request.param].part.trainer(training, SHAPE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = trainer.start(data, stream("training"))
        model = trainer.finish(trainer.advance(state, 200))
    assert isinstance(model, MassSampler)
    return request.param, model


def test_all_images_together_have_probability_one(fitted):
    """The Jacobian of logits, the volume of a step and the units of the network among it."""
    name, model = fitted
    total = float(model.log_mass(EVERY, stream("u"), draws=300).exp().sum())
    assert total == pytest.approx(1, abs=0.02 if name == "realnvp" else 1e-5)


def test_one_draw_of_noise_is_a_bound(fitted):
    """In nats an image; never above 0, and lower than many draws on average."""
    _, model = fitted
    images = Pairs().training[:500]
    one, many = (model.log_mass(images, stream("a"), draws) for draws in (1, 200))
    assert one.shape == (500,)
    assert (many <= 0).all()
    assert one.mean() <= many.mean() + 1e-9


def test_samples_are_as_frequent_as_they_are_probable(fitted):
    """And at the levels that training images have."""
    _, model = fitted
    drawn = model.sample(20_000, stream("samples"))
    steps = drawn * (LEVELS - 1)
    assert (steps - steps.round()).abs().max() < 1e-4
    assert drawn.shape == (20_000, *SHAPE)
    first, second = steps.round().long().flatten(1).unbind(1)
    counts = torch.bincount(first * LEVELS + second, minlength=LEVELS**2).double()
    wanted = model.log_mass(EVERY, stream("u"), draws=300).exp()
    expected = 0.5 * (wanted * (1 - wanted) / 20_000).sqrt().sum() * math.sqrt(2 / math.pi)
    apart = 0.5 * (counts / 20_000 - wanted).abs().sum()
    assert apart < 2 * expected + 0.01


def test_what_belongs_together_is_learnt(fitted):
    """The pairs take log2(16 x 3) bits but for the ends; pixels by themselves 8."""
    name, model = fitted
    bits = -model.log_mass(Pairs().training, stream("u"), 20).mean() / math.log(2)
    least = math.log2(LEVELS * 3)
    assert bits > least - 0.2
    assert bits < (8.1 if name == "pixel-frequencies" else 7.4)


def test_frequencies_count_each_level_once_more():
    data, recipe = Pairs(), RECIPES["pixel-frequencies"].part
    trainer = recipe.trainer(Training("plane"), SHAPE)
    state = trainer.start(data, stream("x"))
    found = trainer.finish(trainer.advance(state, 1)).log_mass(EVERY, stream("x")).exp()
    steps = (data.training * 15).round().flatten(1)
    for image, probability in zip(EVERY[::37], found[::37], strict=True):
        seen = [(steps[:, j] == round(float(image[0, 0, j]) * 15)).sum() for j in range(2)]
        wanted = math.prod((int(n) + 1) / (4_000 + 16) for n in seen)
        assert float(probability) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("levels", [2, 16, 17, 256])
def test_levels_are_seen_in_images(levels):
    steps = torch.randint(levels, (50, 1, 8, 8), generator=stream("levels"))
    images = steps.float() / (levels - 1)
    for seen in (images, (images * 255).round() / 255):
        assert levels_of(seen) == levels
        assert torch.equal(steps_of(seen, levels).long(), steps)


def test_digits_of_optdigits_have_seventeen():
    assert levels_of(DATASETS["optdigits"].part.source(0).training) == 17


@pytest.mark.parametrize("name", ["made", "realnvp"])
def test_a_pixel_that_never_changes_costs_little(name):
    """Before anything is learnt, too: where the autoregressive one begins."""
    data = Pairs()
    images = data.training.clone()
    images[..., 0] = 0
    network = RECIPES[name].part.objective.network(Dcgan(8), SHAPE)
    network.fit(images)
    first = network.log_mass(images[:9], stream("u"), 100).mean() / math.log(2)
    assert first > (-6 if name == "made" else -12)


def test_each_pixel_is_drawn_as_its_own_values_lie():
    """Before anything is learnt: one of them black or white, the other one always grey."""
    images = Pairs().training.clone()
    images[..., 0], images[..., 1] = (images[..., 0] > 0.5).float(), 8 / 15
    network = RECIPES["made"].part.objective.network(Dcgan(8), SHAPE)
    network.fit(images)
    first, second = network.draw(400, stream("drawn")).detach().flatten(1).T
    assert first.std() > 0.4
    assert second.std() < 0.1
    assert second.mean() == pytest.approx(8 / 15, abs=0.05)


def test_noise_fills_the_step_of_each_pixel_and_is_drawn_anew():
    network = Dequantised(Autoregressive(Mlp((4,)), (2,), 2), SHAPE)
    network.fit(Pairs().training)
    rng, x = stream("noise"), EVERY.flatten(1)
    first, other = network.dequantised(x, rng), network.dequantised(x, rng)
    assert int(network.levels) == LEVELS
    for y in (first, other):
        assert torch.equal((y * LEVELS).floor(), steps_of(x, LEVELS))
    inside = (first * LEVELS).frac()
    assert float(inside.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(inside.std()) == pytest.approx(12**-0.5, abs=0.03)
    assert not torch.equal(first, other)
    assert (inside[:, 0] - inside[:, 1]).abs().mean() > 0.1


@pytest.mark.parametrize("shape", [(1, 13, 17), (3, 5, 5), (1, 1, 1), (1, 2, 40)])
@pytest.mark.parametrize("name", ["edm", "flow-matching", "made", "realnvp"])
def test_images_of_any_sides_are_learnt_under_convolutions(name, shape):
    """They have none of the protocol's layers, which need sides that are multiples of four."""
    data = Known(shape, classes=0)
    trainer = RECIPES[name].part.trainer(Training("small-dcgan", steps=2, batch=8), shape)
    model = trainer.finish(trainer.advance(trainer.start(data, stream("sides")), 2))
    drawn = model.sample(3, stream("drawn"))
    assert drawn.shape == (3, *shape)
    assert bool(drawn.isfinite().all())
    with pytest.raises(UsageError, match="multiples of 4"):
        RECIPES["nsgan"].part.trainer(Training("small-dcgan", steps=2, batch=8), shape)
