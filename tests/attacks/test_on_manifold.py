"""A walk in a generator's range: by hand where it can be, and what holds of what comes of it."""

import pytest
import torch
from torch import nn

from attacks.classifiers import Decoder
from attacks.classifiers.defense_gan import Projected, Projection
from attacks.norms import size
from attacks.objectives import lead
from attacks.on_manifold import OnManifold, beyond
from bench.core.errors import UsageError
from bench.core.randomness import forked

N, RADII = 6, {"linf": 0.1, "l2": 0.5, "l1": 2.0}
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.fixture
def scene():
    """A defended classifier, its member and its decoder, images, and the codes of their
    projections.
    """
    with forked(2):
        layers = nn.Sequential(nn.Linear(4, 36), nn.Sigmoid(), nn.Unflatten(1, (1, 6, 6)))
        decoder = Decoder(layers, 4, "normal")
        member = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
        member[1].weight.data *= 5
        images, starts = torch.rand(N, 1, 6, 6), torch.randn(3, 4)
    model = Projected(Projection(decoder, starts, 20, 10.0), member)
    return model, member, decoder, images, model.projection.codes(images)


@pytest.mark.parametrize("steps", [0, 15])
@pytest.mark.parametrize("norm", RADII)
def test_it_stays_within_the_radius_and_leads_no_less(scene, norm, steps):
    """Than the images do, wherever the walk ends; nothing is left on the network."""
    model, member, decoder, images, codes = scene
    attack, radius = OnManifold(steps=steps), RADII[norm]
    found = attack(model, member, decoder, images, LABELS, codes, radius=radius, norm=norm)
    assert float(size(found - images, norm).max()) <= radius * (1 + 1e-5)
    assert found.min() >= 0
    assert found.max() <= 1
    led, before = lead(model(found), LABELS), lead(model(images), LABELS)
    assert bool((led >= before).all())
    assert bool((led > before).any()) or not steps
    if not steps:
        codes = model.projection.codes(images).flip(0)
        found = attack(model, member, decoder, images, LABELS, codes, radius=radius, norm=norm)
        assert bool((lead(model(found), LABELS) >= before).all())
    assert all(weight.grad is None for weight in model.parameters())


def test_it_walks_by_adam_up_the_height(scene):
    """As torch's own does, image by image; where f is wrong enough it walks no further."""
    _, member, decoder, images, codes = scene
    part = OnManifold(steps=8, lr=0.1, enough=2.0)
    found = part.walked(member, decoder, images, LABELS, codes, 0.1, "linf", 0.5)
    for at in range(N):
        code = codes[at : at + 1].clone().requires_grad_()
        adam, label, image = torch.optim.Adam([code], lr=0.1), LABELS[at], images[at : at + 1]
        for _ in range(8):
            made = decoder(code)
            logits = member(made)[0]
            others = torch.cat([logits[:label], logits[label + 1 :]])
            far = ((made - image).abs() - 0.1).clamp_min(0).square().sum()
            adam.zero_grad()
            (0.5 * far - (others.max() - logits[label]).clamp_max(2.0)).backward()
            adam.step()
        torch.testing.assert_close(found[at : at + 1], decoder(code), atol=1e-4, rtol=0)


def test_what_is_beyond_a_ball():
    """The squared distance from it: in l2 by its definition, in linf pixel by pixel."""
    x = torch.tensor([[[[3.0, 4.0]]], [[[0.3, 0.4]]]])
    torch.testing.assert_close(beyond(x, 1.0, "l2"), torch.tensor([16.0, 0.0]))
    torch.testing.assert_close(beyond(x, 1.0, "linf"), torch.tensor([13.0, 0.0]))


def test_a_norm_whose_ball_is_not_convex_is_refused(scene):
    model, member, decoder, images, codes = scene
    with pytest.raises(UsageError, match=r"unknown norm 'l0'.*an attack on the manifold"):
        OnManifold()(model, member, decoder, images, LABELS, codes, radius=1.0, norm="l0")
