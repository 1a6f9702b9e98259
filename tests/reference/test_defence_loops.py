"""How APE-GAN is trained and how Defense-GAN projects, by hand, beside the code of ours. Rates,
radii and weights are written down here once more.
"""

import pytest
import torch
from reference.loops import assert_same, seeded
from torch import nn
from torch.nn.functional import cross_entropy, logsigmoid

from attacks.classifiers import Decoder
from attacks.classifiers.ape_gan import ApeGan, Eliminator, critic
from attacks.classifiers.defense_gan import Projected, Projection

SHAPE, CLASSES, N = (1, 6, 6), 3, 14
pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def data(double):
    """Images in [0, 1] and labels."""
    rng = torch.Generator().manual_seed(1)
    return torch.rand((N, *SHAPE), generator=rng), torch.randint(CLASSES, (N,), generator=rng)


@pytest.fixture
def member(double):
    with seeded(2):
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, CLASSES))


def by_hand(member, eliminator, images, labels):
    """Two epochs of batches of 5: a step of D, two of G."""
    at = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(member(at), labels), at)
    perturbed = (images + 0.3 * slope.sign()).clip(0, 1)
    judge = critic(SHAPE, 16)
    options = {"lr": 1e-3, "betas": (0.5, 0.999)}
    ours = torch.optim.Adam(eliminator.parameters(), **options)
    theirs = torch.optim.Adam(judge.parameters(), **options)
    for _ in range(2):
        for chosen in torch.randperm(N).split(5):
            x, attacked = images[chosen], perturbed[chosen]
            made = eliminator(attacked).detach()
            theirs.zero_grad()
            (-logsigmoid(judge(x)).mean() - logsigmoid(-judge(made)).mean()).backward()
            theirs.step()
            for _ in range(2):
                made = eliminator(attacked)
                root = (made - x).square().mean().sqrt()
                ours.zero_grad()
                (0.7 * root - 0.3 * logsigmoid(judge(made)).mean()).backward()
                ours.step()
    return eliminator.eval()


def test_ape_gan_is_trained_as_by_hand(member, data):
    part = ApeGan(epochs=2, batch=5)
    before = {name: value.clone() for name, value in member.state_dict().items()}
    with seeded(3):
        network = part.build(member, None, SHAPE)
        part.train(network, *data)
    with seeded(3):
        hand = by_hand(member, Eliminator(1, 16), *data)
    assert_same(network.before, hand)
    assert all(torch.equal(before[name], value) for name, value in member.state_dict().items())
    assert not network.training
    images = data[0]
    torch.testing.assert_close(network(images), member(hand(images)))


@pytest.fixture
def decoder(double):
    with seeded(4):
        layers = nn.Sequential(nn.Linear(3, 36), nn.Sigmoid(), nn.Unflatten(1, SHAPE))
    return Decoder(layers, 3, "normal")


def distances(decoder, codes, image):
    return (decoder(codes) - image).flatten(1).square().mean(1)


def descended(decoder, start, image, steps, lr):
    """The way of one start by torch's own momentum: every code on it."""
    code = start[None].clone().requires_grad_()
    optimiser = torch.optim.SGD([code], lr=lr, momentum=0.7)
    way = [code.detach().clone()]
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = lr * (0.1 if step >= 0.8 * steps else 1)
        optimiser.zero_grad()
        distances(decoder, code, image).sum().backward()
        optimiser.step()
        way.append(code.detach().clone())
    return torch.cat(way)


def test_a_projection_is_the_nearest_of_every_way(decoder, data):
    """Over all starts and steps, image by image."""
    images, starts = data[0], torch.randn(4, 3, generator=torch.Generator().manual_seed(5))
    found = Projection(decoder, starts, 10, 10.0)(images)
    for image, projected in zip(images, found, strict=True):
        ways = torch.cat([descended(decoder, start, image, 10, 10.0) for start in starts])
        nearest = ways[distances(decoder, ways, image).argmin()]
        torch.testing.assert_close(projected, decoder(nearest[None])[0])


def test_gradients_pass_the_projection_as_if_it_were_not_there(decoder, member, data):
    """The slope of the member at the projection, whatever the projection does."""
    images = data[0].clone().requires_grad_()
    network = Projected(Projection(decoder, torch.eye(3), 5, 10.0), member)
    logits = network(images)
    (found,) = torch.autograd.grad(logits[:, 0].sum(), images)
    at = network.projection(images.detach()).requires_grad_()
    torch.testing.assert_close(logits, member(at))
    (known,) = torch.autograd.grad(member(at)[:, 0].sum(), at)
    torch.testing.assert_close(found, known)
