"""BigGAN's parts: class-conditional batch norm, the orthogonal penalty, singular values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Training
from generative.classnorm import ClassBatchNorm, ClassNorm, ClassNormed
from generative.networks import Dcgan, Mlp, filters_of
from generative.spectra import singular_values
from generative.terms.orthogonal import overlap

RECIPE = RECIPES["biggan-parts"].part


def test_with_equal_embeddings_class_norm_is_batch_norm():
    """With the scale and shift that this embedding has; batch statistics and running ones."""
    torch.manual_seed(0)
    own, plain = ClassNorm(5, 3), nn.BatchNorm2d(5)
    told, x = torch.randn(1, 3), 2 + 3 * torch.randn(8, 5, 4, 4)
    with torch.no_grad():
        plain.weight.copy_(1 + own.scale(told)[0])
        plain.bias.copy_(own.shift(told)[0])
    torch.testing.assert_close(own(x, told.expand(8, -1)), plain(x))
    torch.testing.assert_close(own.eval()(x, told.expand(8, -1)), plain.eval()(x))


def test_an_embedding_of_nought_is_batch_norm_itself():
    x = torch.randn(8, 5, 4, 4)
    found = ClassNorm(5, 3)(x, torch.zeros(8, 3))
    torch.testing.assert_close(found, nn.BatchNorm2d(5, affine=False)(x))


def test_every_norm_is_told_the_class_of_its_own_example():
    """Labels in another order give images in another order; all norms of the layers are told."""
    torch.manual_seed(0)
    network = ClassBatchNorm().generator(Dcgan(4), 6, (1, 8, 8), 3)
    assert sum(isinstance(layer, ClassNorm) for layer in network.modules()) == 2
    assert not any(
        isinstance(layer, nn.BatchNorm2d) and layer.affine for layer in network.modules()
    )
    z, labels = torch.randn(6, 6), torch.tensor([0, 1, 2, 2, 1, 0])
    network(z, labels)
    network.eval()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(network(z[order], labels[order]), network(z, labels)[order])
    moved = (network(z, labels.roll(1)) != network(z, labels)).flatten(1).any(1)
    assert moved.tolist() == (labels.roll(1) != labels).tolist()


def test_a_projection_without_classes_is_no_condition():
    critic = ClassBatchNorm().critic(Dcgan(4, batch_norm=False), (1, 8, 8), 3)
    x = torch.rand(4, 1, 8, 8)
    nn.init.zeros_(critic.classes.weight)
    assert torch.equal(critic(x, torch.tensor([0, 1, 2, 0])), critic(x, torch.tensor([2, 2, 0, 1])))


def test_a_generator_without_batch_norm_is_refused():
    with pytest.raises(UsageError, match="class-conditional batch norm: expected a protocol whose"):
        ClassNormed(Mlp((4,)).build(2, 3), 3, 4)


@pytest.mark.parametrize("shape", [(4, 7), (5, 2, 3, 3), (3, 3)])
def test_the_slope_of_the_overlap_is_the_published_one(shape):
    """4 (W W' o (1 - I)) W."""
    torch.manual_seed(0)
    weight = torch.randn(shape).double().requires_grad_()
    (slope,) = torch.autograd.grad(overlap(weight), weight)
    rows = weight.detach().flatten(1)
    apart = 1 - torch.eye(len(rows)).double()
    torch.testing.assert_close(slope.flatten(1), 4 * (rows @ rows.T * apart) @ rows)
    assert float(overlap(weight.detach())) == pytest.approx(
        float(((rows @ rows.T) * apart).square().sum())
    )


def test_rows_do_not_overlap_where_they_are_orthogonal():
    """Whatever their lengths; and overlap where they are not."""
    torch.manual_seed(0)
    rows = torch.linalg.qr(torch.randn(6, 6).double()).Q[:4] * torch.tensor([1, 2, 0.5, 3])[:, None]
    assert float(overlap(rows)) < 1e-24
    assert float(overlap(rows + 0.1)) > 1e-3


def test_the_penalty_is_over_the_generators_layers():
    """Its weight times the sum of overlaps beside the hinge loss; no embedding, no critic."""
    training = Training("small-dcgan", steps=2, batch=4, orthogonal_weight=0.0)
    data, seen = DATASETS["optdigits"].part.source(0), {}
    for weight in (0.0, 3.0):
        with forked(0):
            trainer = RECIPE.trainer(training.saying(orthogonal_weight=weight), data.shape)
            state = trainer.start(data, stream("x"))
            critic, generator = trainer.game.moves
            state.table.turn(critic)
            judged = float(state.table.loss(critic).detach())
            state.table.turn(generator)
            seen[weight] = judged, float(state.table.loss(generator).detach())
            filters = filters_of(state.players["generator"])
    assert seen[0.0][0] == seen[3.0][0]
    total = sum(float(overlap(w.detach())) for w in filters)
    assert seen[3.0][1] - seen[0.0][1] == pytest.approx(3 * total, rel=1e-4)
    assert len(filters) == 7


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (16, 8, 3, 3), (2, 5), (1, 4)])
def test_singular_values_are_those_of_a_decomposition(shape):
    torch.manual_seed(0)
    weight = torch.randn(shape)
    wanted = torch.linalg.svdvals(weight.flatten(1).double())[:3]
    torch.testing.assert_close(singular_values(weight), wanted, rtol=1e-4, atol=0)


def test_singular_values_of_known_matrices():
    """Equal ones, too, and noughts."""
    matrix = torch.diag(torch.tensor([3.0, 3.0, 1.0, 0.5]))
    assert singular_values(matrix).tolist() == pytest.approx([3, 3, 1], rel=1e-6)
    assert singular_values(torch.zeros(3, 4)).tolist() == [0, 0, 0]
    one = torch.outer(torch.arange(1.0, 4.0), torch.ones(5))
    assert singular_values(one).tolist() == pytest.approx([70**0.5, 0, 0], abs=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("shape", [(3, 5), (40, 7), (64, 128)])
def test_singular_values_of_low_rank_are_noughts_beyond_it(rank, shape):
    """Whatever the rounding: what is left of a direction that is known is no direction."""
    for seed in range(5):
        rng = torch.Generator().manual_seed(seed)
        rows, columns = (torch.randn(n, rank, generator=rng) for n in shape)
        matrix = rows @ columns.T
        wanted = torch.linalg.svdvals(matrix.double())[:3]
        found = singular_values(matrix)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted[0]))


def test_what_the_recipe_is_made_of():
    game = RECIPE.trainer(Training("dcgan-32", steps=2), (1, 28, 28)).game
    assert isinstance(game.conditioning, ClassBatchNorm)
    assert type(game.loss).__name__ == "Hinge"
    assert type(game.constraint).__name__ == "SpectralNorm"
    assert game.protocol.generator_adam.betas[0] == game.protocol.critic_adam.betas[0] == 0
