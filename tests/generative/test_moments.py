"""McGAN: what a critic of moments says of two sets, what it says at its best, and its sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.laws.recipes import PLANE, STACKS, begin, digest, train
from generative import CONSTRAINTS, CRITICS, RECIPES, Training
from generative.constraints.moments import in_ball, orthonormal
from generative.critics.moments import Moments
from generative.networks import Dcgan, Mlp

D, K = 6, 3


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def head(mean_norm=2, directions=K, body=None):
    """A critic whose features are its examples, unless a body makes others."""
    with forked(1):
        critic = Moments(body or nn.Identity(), D, mean_norm, directions).double()
    CONSTRAINTS["moment-set"].part.prepare(critic)
    return critic


def moments(x):
    """The mean of features and that of their products."""
    x = x.numpy()
    return x.mean(0), np.mean([np.outer(f, f) for f in x], 0)


REAL, FAKE = drawn(40, D, seed=1) + 0.5, 2 * drawn(30, D, seed=2)
GAPS = [real - fake for real, fake in zip(moments(REAL), moments(FAKE), strict=True)]
"""Of means, and of covariances about 0."""


def told_apart(critic, real=REAL, fake=FAKE):
    with torch.no_grad():
        return float(critic(real).mean() - critic(fake).mean())


def stiefel(seed):
    return torch.from_numpy(np.linalg.qr(drawn(D, K, seed=seed).numpy())[0].T.copy())


def test_what_it_says_of_two_sets_is_of_their_moments_alone():
    critic = head()
    v, left, right = (
        each.weight.detach().numpy() for each in (critic.mean, critic.left, critic.right)
    )
    wanted = (v @ GAPS[0]).item() + np.trace(left @ GAPS[1] @ right.T)
    assert told_apart(critic) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("mean_norm", [0, 1, 2])
def test_equal_sets_are_not_told_apart(mean_norm):
    critic = head(mean_norm)
    assert told_apart(critic, REAL, REAL.flip(0)) == pytest.approx(0, abs=1e-12)
    assert abs(told_apart(critic)) > 1e-3


def test_covariances_at_their_best_are_the_largest_singular_values():
    """No other orthonormal U and V come to more."""
    critic = head(mean_norm=0)
    u, values, vt = np.linalg.svd(GAPS[1])
    with torch.no_grad():
        critic.left.weight.copy_(torch.from_numpy(u.T[:K]))
        critic.right.weight.copy_(torch.from_numpy(vt[:K]))
    best = values[:K].sum()
    assert told_apart(critic) == pytest.approx(best, rel=1e-9)
    for seed in range(50):
        with torch.no_grad():
            critic.left.weight.copy_(stiefel(seed))
            critic.right.weight.copy_(stiefel(seed + 50))
        assert told_apart(critic) < best


@pytest.mark.parametrize("q", [1, 2])
def test_means_at_their_best_are_a_norm_of_their_difference(q):
    """No other v of the ball comes to more."""
    critic, gap = head(q, 0), torch.from_numpy(GAPS[0])
    best = float(np.linalg.norm(GAPS[0], q))
    with torch.no_grad():
        critic.mean.weight.copy_(gap.sign() if q == 1 else gap / gap.norm())
    CONSTRAINTS["moment-set"].part.project(critic)
    assert told_apart(critic) == pytest.approx(best, rel=1e-9)
    for seed in range(50):
        with torch.no_grad():
            critic.mean.weight.copy_(in_ball(5 * drawn(1, D, seed=seed), q))
        assert told_apart(critic) <= best


def test_features_that_are_turned_are_told_apart_as_well():
    """With v, U and V turned along: by the same, example by example."""
    turn = torch.from_numpy(np.linalg.qr(drawn(D, D, seed=9).numpy())[0])
    critic, turned = head(), head()
    with torch.no_grad():
        for name in ("mean", "left", "right"):
            weight = getattr(critic, name).weight
            getattr(turned, name).weight.copy_(weight @ turn.T)
    torch.testing.assert_close(turned(REAL @ turn.T), critic(REAL))


def test_covariances_do_not_mind_the_sign_of_features():
    """They are of products: only means do."""
    critic = head(mean_norm=0)
    torch.testing.assert_close(critic(-REAL), critic(REAL))
    assert not torch.allclose(head()(-REAL), head()(REAL))


def by_gram_schmidt(rows):
    found = []
    for row in rows.numpy():
        for other in found:
            row = row - (row @ other) * other
        found.append(row / np.linalg.norm(row))
    return torch.from_numpy(np.stack(found))


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_made_orthonormal_one_after_another(seed):
    rows = drawn(K, D, seed=seed)
    found = orthonormal(rows)
    torch.testing.assert_close(found, by_gram_schmidt(rows))
    torch.testing.assert_close(found @ found.T, torch.eye(K, dtype=torch.float64))
    assert torch.equal(orthonormal(found), found)
    torch.testing.assert_close(orthonormal(found + 1e-4 * rows), found, rtol=0, atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (16, 4096)])
def test_rows_are_made_orthonormal_once_in_single_precision(shape):
    once = orthonormal(drawn(*shape, dtype=torch.float32))
    assert torch.equal(orthonormal(once), once)
    torch.testing.assert_close(once @ once.T, torch.eye(shape[0]), rtol=0, atol=1e-5)


def test_a_ball_leaves_inner_points_and_scales_or_clips_outer_ones():
    inner, outer = torch.tensor([[0.6, -0.7]]), torch.tensor([[3.0, -0.4]])
    for q in (1, 2):
        assert torch.equal(in_ball(inner, q), inner)
        assert torch.equal(in_ball(in_ball(outer, q), q), in_ball(outer, q))
    torch.testing.assert_close(in_ball(outer, 2), outer / outer.norm())
    assert in_ball(outer, 1).tolist() == [[1.0, pytest.approx(-0.4)]]


def built(shape=(2,), **told):
    with forked(0):
        network = Mlp((12, 12), "leaky_relu") if len(shape) == 1 else Dcgan(4)
        return replace(CRITICS["moments"].part, **told).build(network, network, shape)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_the_set_of_a_critic_of_moments(shape):
    """At first v, U and V alone are put into theirs; after a step all other weights, too."""
    critic, part = built(shape, directions=4), CONSTRAINTS["moment-set"].part
    before = {name: value.clone() for name, value in critic.body.state_dict().items()}
    part.prepare(critic)
    assert all(torch.equal(before[k], v) for k, v in critic.body.state_dict().items())
    for _ in range(2):
        for weight in (critic.left.weight, critic.right.weight):
            torch.testing.assert_close(weight @ weight.T, torch.eye(4), rtol=0, atol=1e-5)
        assert float(critic.mean.weight.detach().norm()) <= 1 + 1e-5
        with torch.no_grad():
            for weight in critic.parameters():
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
        part.project(critic)
    assert max(float(w.detach().abs().max()) for w in critic.body.parameters()) <= 0.01 + 1e-9
    assert float(critic.mean.weight.detach().norm()) == pytest.approx(1)
    assert not torch.allclose(critic.left.weight, critic.right.weight)


@pytest.mark.parametrize("place", [PLANE, STACKS], ids=["points", "images"])
def test_means_alone_are_left_without_covariances(place):
    """Bit for bit."""

    def weights(name, **settings):
        told = replace(place, training=place.training.saying(**settings))
        return digest(train(RECIPES[name], told)[2].tensors())

    assert weights("mcgan", directions=0) == weights("mcgan-mean")
    assert weights("mcgan") != weights("mcgan-mean")


@pytest.mark.parametrize(
    ("told", "norms", "rows"),
    [({}, 2, 8), ({"mean_norm": 1, "directions": 3}, 1, 3), ({"mean_norm": 0}, 0, 8)],
)
def test_settings_are_those_of_the_critic(told, norms, rows):
    place = replace(PLANE, training=PLANE.training.saying(critic_lr=0.5, clip_bound=0.2, **told))
    with forked(0):
        trainer, _, state = begin(RECIPES["mcgan"], place)
        critic = trainer.advance(state, 2).players["critic"]
    assert [critic.left.out_features, critic.right.out_features] == [rows, rows]
    clipped = max(float(w.detach().abs().max()) for w in critic.body.parameters())
    assert clipped == pytest.approx(0.2)
    assert (critic.mean is None) == (norms == 0)
    if norms:
        found = critic.mean.weight.detach()
        largest = found.abs().max() if norms == 1 else found.norm()
        assert float(largest) == pytest.approx(1)
        assert (float(found.norm()) > 1.5) == (norms == 1)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"directions": 129}, "directions: expected 128 at most, the features of this critic"),
        ({"directions": 0, "mean_norm": 0}, "expected means or covariances, got mean_norm 0 and"),
        ({"mean_norm": 3}, "'mean_norm': expected int, 0 at least, 2 at most, got 3"),
    ],
)
def test_a_critic_that_can_not_be_is_refused(told, message):
    with pytest.raises(UsageError, match=message):
        RECIPES["mcgan"].part.trainer(Training("plane", **told), (2,))


def test_a_critic_of_other_layers_has_no_moments():
    class Odd(Mlp):
        def encoder(self, shape, outputs):
            return nn.Sequential(nn.Linear(2, outputs), nn.Tanh())

    with pytest.raises(UsageError, match="layers that end in a linear one, got Tanh"):
        CRITICS["moments"].part.build(Odd(()), Dcgan(4), (2,))
