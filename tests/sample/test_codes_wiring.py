"""A trained model looked at through its codes: which class, whose noise."""

import pytest
import torch
from tasks.byhand import Given, cell_of

from bench.core.randomness import stream
from bench.sample import codes
from bench.sample.codes import Exploration, explored, truncation_curve
from generative import ConditionalSampler


class Told(ConditionalSampler, Given):
    """Images of its noise; their first pixel tells the class that was asked for."""

    classes = 10

    def __init__(self):
        Given.__init__(self, torch.zeros(1, 1, 8, 8))
        self.drawn = []

    def codes(self, n, rng):
        self.drawn.append(torch.randn(n, 63, generator=rng))
        return self.drawn[-1]

    def decode(self, z, condition=None):
        first = torch.arange(len(z)) % 10 if condition is None else condition
        flat = torch.cat([first[:, None] / 255, z.sigmoid()], 1)
        return flat.reshape(-1, 1, 8, 8)

    def sample(self, n, rng, condition=None):
        return self.decode(self.codes(n, rng), condition)


@pytest.fixture
def model(monkeypatch):
    found = Told()
    monkeypatch.setattr(codes, "_decoder", lambda cell, store: found)
    return found


def cell(seed):
    return cell_of("image", dataset="optdigits", model="cgan", seed=seed)


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("label", [0, 3])
def test_a_class_is_the_one_that_is_asked_for(model, seed, label):
    """Of codes that the cell's name and seed decide."""
    here = cell(seed)
    images, _ = explored(here, 5, None, Exploration(label=label))
    rng = stream(here.cell_id, seed, "codes")
    wanted = model.decode(torch.randn(5, 63, generator=rng), torch.full((5,), label))
    assert torch.equal(torch.from_numpy(images), (wanted * 255).round().to(torch.uint8))


def test_a_curve_of_truncations_begins_with_the_same_codes(model):
    """At every bound; those of the cell's seed."""
    truncation_curve(cell(1), 120, None, [0.5, 1.0])
    first = [drawn for drawn in model.drawn if len(drawn) == 120]
    rng = stream(cell(1).cell_id, 1, "truncation")
    wanted = torch.randn(120, 63, generator=rng)
    assert sum(torch.equal(drawn, wanted) for drawn in first) == 3
