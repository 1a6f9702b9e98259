"""Remedies: which are asked for, and what they leave of a defence."""

import pytest
import torch
from defences import DEFENCES, Defence, held, network, quantised
from torch import nn

from attacks.adaptive import REMEDIES, Adaptive, adaptive, remedies, rescaled, straight_through
from attacks.diagnostics import DIAGNOSTICS
from attacks.engine import frozen, logits_of
from bench.core.errors import UsageError

IMAGES, RADIUS = 32, 0.15


def _left(model, attack, radius=RADIUS):
    """Share of images that are still right after an attack, on average over five answers."""
    images, labels = held(IMAGES)
    given = {"radius": radius, "norm": "linf", "seeds": torch.arange(IMAGES)}
    with torch.random.fork_rng(), frozen(model):
        torch.manual_seed(1)
        made = attack(model, images, labels, **given)
        assert (made - images).abs().max() <= radius + 1e-6
        right = [logits_of(model, made).argmax(1) == labels for _ in range(5)]
    return torch.stack(right).float().mean().item()


PLAIN, AVERAGED = Adaptive(steps=20), Adaptive(steps=20, draws=20)


def test_every_remedy_is_against_diagnostics_that_exist():
    for remedy in REMEDIES:
        assert all(name in DIAGNOSTICS for name in remedy.against)
    names = [
        [r.name for r in remedies(firing)] for firing in (["random_outputs"], [], ["probabilities"])
    ]
    assert names == [["average"], [], ["rescale"]]
    assert [r.name for r in remedies(["zero_gradients"])] == ["bpda", "surrogate"]


def test_what_is_tried_is_what_was_asked_for():
    tried = {remedy.name: adaptive([remedy]) for remedy in REMEDIES}
    assert tried["average"].draws == 20
    assert tried["rescale"].rescale
    assert tried["bpda"] == Adaptive()
    assert tried["surrogate"] == Adaptive(climb=False, surrogate=True)
    both = adaptive([r for r in REMEDIES if r.name in ("average", "surrogate")])
    assert both == Adaptive(draws=20, surrogate=True)


def test_averaging_over_draws_leaves_less_of_a_random_defence():
    model = Defence(network(), before=lambda x: x + 0.25 * torch.randn_like(x))
    averaged, plain = (_left(model, attack, 0.1) for attack in (AVERAGED, PLAIN))
    assert averaged < plain - 0.05


@pytest.mark.parametrize("name", ["zero gradients", "one-hot outputs", "rippled"])
def test_a_surrogate_leaves_less_where_gradients_lead_nowhere(name):
    model = DEFENCES[name][0]()
    assert _left(model, adaptive(remedies(["transfer_wins"]))) < _left(model, PLAIN) - 0.2


def test_gradients_pass_straight_through_a_part():
    plain, through = (Defence(network(), part) for part in (quantised, straight_through(quantised)))
    images, _ = held(IMAGES)
    assert torch.equal(plain(images), through(images))
    assert _left(through, PLAIN) < _left(plain, PLAIN) - 0.3
    with pytest.raises(UsageError, match=r"bpda: expected a part that returns a tensor \[4, 2\]"):
        straight_through(lambda x: x[:, :1])(torch.zeros(4, 2))


def test_rescaled_logits_have_one_spread_and_their_order():
    """Whatever the scale and the offset; those of probabilities are their logarithms'."""
    images, _ = held(IMAGES)
    logits = logits_of(network(), images)
    wanted = rescaled(network())(images)
    assert torch.equal(wanted.argsort(1), logits.argsort(1))
    assert torch.allclose(wanted.abs().amax(1), torch.full((IMAGES,), 10.0))
    for after in (lambda z: 1000 * z, lambda z: 1e-3 * z, lambda z: z + 7, lambda z: z.softmax(1)):
        found = rescaled(Defence(network(), after=after))(images)
        torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)


def test_rescaling_brings_cross_entropy_its_gradient_back():
    """Of logits times 1,000 float32's is exactly zero."""
    images, labels = (values[:8] for values in held(IMAGES))
    steep = Defence(network(), after=lambda z: 1000 * z)
    slopes = []
    for model in (steep, rescaled(steep)):
        points = images.clone().requires_grad_()
        nn.functional.cross_entropy(model(points), labels, reduction="sum").backward()
        slopes.append(points.grad)
    assert (slopes[0] == 0).flatten(1).all(1).float().mean() > 0.7
    assert (slopes[1] != 0).flatten(1).any(1).all()
