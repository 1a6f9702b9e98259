"""Laws of a projection onto a generator's range, and of what draws the starts."""

import pytest
import torch
from torch import nn

from attacks.classifiers import Decoder
from attacks.classifiers.defense_gan import DefenseGan, Projection, distance
from bench.core.randomness import forked

SHAPE, LATENT = (1, 6, 6), 3


@pytest.fixture
def decoder():
    with forked(4):
        layers = nn.Sequential(
            nn.Linear(LATENT, 36), nn.BatchNorm1d(36), nn.Sigmoid(), nn.Unflatten(1, SHAPE)
        )
    return Decoder(layers, LATENT, "normal")


@pytest.fixture
def images():
    return torch.rand(7, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("lr", [0.0, 10.0, 1e4])
@pytest.mark.parametrize("steps", [0, 1, 12])
def test_it_is_no_farther_than_its_starts(decoder, images, steps, lr):
    """Neither where the steps are far too long."""
    starts = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(2))
    least = torch.stack([distance(decoder(code[None]), images) for code in starts]).amin(0)
    found = distance(Projection(decoder, starts, steps, lr)(images), images)
    assert bool((found <= least + 1e-6).all())
    if steps == 12 and lr == 10.0:
        assert bool((found < least).all())


def test_more_steps_and_starts_are_no_farther(decoder, images):
    starts = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(2))
    few = distance(Projection(decoder, starts[:2], 5, 0.0)(images), images)
    more = distance(Projection(decoder, starts, 5, 0.0)(images), images)
    assert bool((more <= few + 1e-7).all())
    assert bool((more < few).any())


def test_an_image_rests_on_no_other(decoder, images):
    """Alone, or among others, in another order."""
    starts = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(2))
    projection = Projection(decoder, starts, 15, 10.0)
    together = projection(images)
    alone = torch.cat([projection(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    torch.testing.assert_close(projection(images.flip(0)).flip(0), together, atol=1e-4, rtol=0)


def test_what_is_in_the_range_is_found(decoder):
    """At a start: as it is."""
    starts = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(2))
    made = decoder(starts).detach()
    assert torch.equal(Projection(decoder, starts, 5, 10.0)(made), made)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_answers_whatever_mode_it_is_asked_in(decoder, images, mode):
    starts = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(2))
    projection = Projection(decoder, starts, 5, 10.0)
    with mode():
        found = projection(images.clone())
    assert torch.equal(found, projection(images))


def test_starts_are_drawn_once_from_the_prior(decoder):
    """Normal codes, or uniform ones on [-1, 1]; by the global generator."""
    part, member = DefenseGan(restarts=2000), nn.Identity()
    for drawn, spread in (("normal", 1.0), ("uniform", 1 / 3)):
        own = Decoder(decoder.network, LATENT, drawn)
        with forked(1):
            starts = part.build(member, own, SHAPE).projection.starts
        with forked(1):
            assert torch.equal(part.build(member, own, SHAPE).projection.starts, starts)
        with forked(2):
            assert not torch.equal(part.build(member, own, SHAPE).projection.starts, starts)
        assert starts.var(0).sub(spread).abs().max() < 0.1
        assert starts.mean(0).abs().max() < 0.1
    assert starts.abs().max() <= 1
