"""A level of a pyramid of GANs, trained by hand beside the trainer: the same weights and the same
moving average after three steps.
"""

import copy

import pytest
import torch
from reference.loops import STEPS, Known, Stream, assert_same
from torch import nn
from torch.nn.functional import softplus

from generative import LOSSES, RECIPES, Training
from generative.coarsetofine import CoarseToFine
from generative.games.refining import Refining
from generative.refiners import Refiner
from generative.trainers.game import GameTrainer

BATCH = 5
pytestmark = pytest.mark.usefixtures("double")


def started(shape, level):
    training = Training(
        "dcgan-32", steps=7 * STEPS, batch=BATCH, levels=2, critic_network="mlp-128"
    )
    levels = RECIPES["lapgan"].part.levels(training, shape)
    below = CoarseToFine(levels, [(nn.Identity(), nn.Identity())] * level)
    game = Refining(LOSSES["nonsaturating"].part(), Refiner(4, (3, 1)), below)
    trainer, rng = GameTrainer(game), torch.Generator().manual_seed(5)
    torch.manual_seed(0)
    return trainer, trainer.start(Known(shape), rng)


def means(x):
    return x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))


def whole(generator, coarse, rng):
    """Coarse pixels as blocks, and the residual of four channels a pixel put into them."""
    n, c, h, w = coarse.shape
    noise = torch.randn(n, 4 * h * w, generator=rng).reshape(n, h, 2, w, 2)
    planes = [2 * coarse - 1, *(noise[:, None, :, i, :, j] for i in (0, 1) for j in (0, 1))]
    out = generator.body(torch.cat(planes, 1)).reshape(n, c, 2, 2, h, w)
    fine = torch.zeros(n, c, 2 * h, 2 * w)
    for i in (0, 1):
        for j in (0, 1):
            fine[..., i::2, j::2] = coarse + out[:, :, i, j]
    return fine


@pytest.mark.parametrize(("shape", "level", "times"), [((1, 16, 16), 1, 1), ((2, 16, 16), 2, 0)])
def test_a_level_is_trained_as_by_hand(shape, level, times):
    trainer, state = started(shape, level)
    generator, critic = (copy.deepcopy(state.players[name]) for name in ("generator", "critic"))
    rng = torch.Generator()
    rng.set_state(state.table.rng.get_state())
    data, kept = Stream(1, shape), []
    adams = [torch.optim.Adam(x.parameters(), 1e-3, (0.5, 0.999)) for x in (critic, generator)]
    for _ in range(STEPS):
        images = data.next(BATCH)
        for _ in range(times):
            images = means(images)
        fake = whole(generator, means(images), rng)
        judged = softplus(-critic(images)).mean() + softplus(critic(fake.detach())).mean()
        adams[0].zero_grad()
        judged.backward()
        adams[0].step()
        fooled = softplus(-critic(fake)).mean()
        adams[1].zero_grad()
        fooled.backward()
        adams[1].step()
        kept.append([w.detach().clone() for w in generator.parameters()])
    state = trainer.advance(state, STEPS)
    assert_same(state.players["critic"], critic)
    assert_same(state.players["generator"], generator)
    average, (_, *later) = kept[0], kept
    for step, weights in enumerate(later, 2):
        pace = max(1 - trainer.game.protocol.average, 1 / step)
        average = [a.lerp(w, pace) for a, w in zip(average, weights, strict=True)]
    found = state.averages["generator"].parameters()
    for a, w in zip(found, average, strict=True):
        torch.testing.assert_close(a.detach(), w, rtol=0, atol=1e-9)
