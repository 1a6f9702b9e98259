"""Networks that repair images, trained by hand beside the trainer: the same weights after three
steps. Coarse images, holes, projections and noise are written out.
"""

import copy
from dataclasses import replace

import pytest
import torch
from reference.loops import STEPS, Known, Stream, assert_same
from torch.nn.functional import softplus

from generative import RECIPES, Training
from generative.protocols.base import PROTOCOLS

BATCH, SHAPE = 5, (2, 8, 8)
ADAM = (2e-3, (0.5, 0.999))
pytestmark = pytest.mark.usefixtures("double")


def started(name, **settings):
    training = Training("small-dcgan", steps=STEPS, batch=BATCH, **settings)
    trainer = RECIPES[name].part.trainer(training, SHAPE)
    torch.manual_seed(0)
    state = trainer.start(Known(SHAPE), torch.Generator().manual_seed(5))
    players = {name: copy.deepcopy(network) for name, network in state.players.items()}
    rng = torch.Generator()
    rng.set_state(state.table.rng.get_state())
    adams = {key: torch.optim.Adam(x.parameters(), *ADAM) for key, x in players.items()}
    return trainer, state, players, adams, rng


def moved(loss, player, adams):
    adams[player].zero_grad()
    loss.backward()
    adams[player].step()


def means(x, side):
    return x.unflatten(3, (-1, side)).unflatten(2, (-1, side)).mean((3, 5))


def blocks(x, side):
    return x.repeat_interleave(side, 2).repeat_interleave(side, 3)


def check(trainer, state, players):
    state = trainer.advance(state, STEPS)
    assert set(state.players) == set(players)
    for name, network in players.items():
        assert_same(state.players[name], network)


@pytest.mark.parametrize(
    ("name", "factor", "content", "weight"),
    [("srresnet", 2, 1.0, 0.0), ("srgan", 4, 0.7, 0.2), ("srgan", 2, 1.0, 0.001)],
)
def test_srgan_by_hand(name, factor, content, weight):
    """The critic on a batch, then the generator on the next: 4 c |x - G|^2 - w log D."""
    said = {} if name == "srresnet" else {"content_weight": content, "adversarial_weight": weight}
    trainer, state, players, adams, _ = started(name, factor=factor, **said)
    data = Stream(1, SHAPE)
    generator, critic = players["generator"], players.get("critic")
    for _ in range(STEPS):
        if critic is not None:
            real = data.next(BATCH)
            fake = generator(means(real, factor)).detach()
            told = softplus(-critic(real)).mean() + softplus(critic(fake)).mean()
            moved(told, "critic", adams)
        real = data.next(BATCH)
        fake = generator(means(real, factor))
        loss = content * 4 * ((fake - real) ** 2).mean()
        if critic is not None:
            loss = loss + weight * softplus(-critic(fake)).mean()
        moved(loss, "generator", adams)
    check(trainer, state, players)


def test_affgan_by_hand():
    """Projected, against noisy reals and noisy fakes; the generator minimises -C alone. The noise
    falls from .3 to 0 over the steps.
    """
    trainer, state, players, adams, rng = started("affgan", factor=2, instance_noise=0.3)
    data = Stream(1, SHAPE)
    generator, critic = players["generator"], players["critic"]

    def noisy(x, step):
        return x + 0.3 * (1 - step / STEPS) * torch.randn(x.shape, generator=rng)

    def projected(coarse):
        raw = generator.network(coarse)
        return raw + blocks(coarse - means(raw, 2), 2)

    for step in range(STEPS):
        real = data.next(BATCH)
        fake = projected(means(real, 2)).detach()
        torch.testing.assert_close(means(fake, 2), means(real, 2))
        of_real, of_fake = critic(noisy(real, step)), critic(noisy(fake, step))
        moved(softplus(-of_real).mean() + softplus(of_fake).mean(), "critic", adams)
        real = data.next(BATCH)
        moved(-critic(noisy(projected(means(real, 2)), step)).mean(), "generator", adams)
    check(trainer, state, players)


def holes(kind, n, rng):
    """Which pixels are hidden, written out."""
    hidden = torch.zeros(n, 1, 8, 8, dtype=torch.bool)
    if kind == "centre":
        hidden[..., 2:6, 2:6] = True
        return hidden
    places = torch.rand(n, 4, 2, generator=rng) * 7
    for image in range(n):
        for top, left in places[image].long().tolist():
            hidden[image, 0, top : top + 2, left : left + 2] = True
    return hidden


@pytest.mark.parametrize("hole", ["centre", "blocks"])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_context_encoder_by_hand(hole, share):
    """Grey in the hole; the error over hidden pixels alone; a critic of pictures of which those
    alone are made.
    """
    name = "context-encoder" if share else "context-encoder-l2"
    said = {"adversarial_share": share} if share else {}
    trainer, state, players, adams, rng = started(name, hole=hole, bottleneck=9, **said)
    data = Stream(1, SHAPE)
    generator, critic = players["generator"], players.get("critic")

    def filled(real, hidden):
        return generator(real.masked_fill(hidden, 0.5))

    for _ in range(STEPS):
        if critic is not None:
            real = data.next(BATCH)
            hidden = holes(hole, BATCH, rng)
            fake = (real * ~hidden + filled(real, hidden).detach() * hidden).detach()
            moved(softplus(-critic(real)).mean() + softplus(critic(fake)).mean(), "critic", adams)
        real = data.next(BATCH)
        hidden = holes(hole, BATCH, rng)
        made = filled(real, hidden)
        errors = [
            4 * ((made[i] - real[i]) ** 2)[hidden[i].expand(2, 8, 8)].mean() for i in range(BATCH)
        ]
        loss = (1 - share) * torch.stack(errors).mean()
        if critic is not None:
            loss = loss + share * softplus(-critic(real * ~hidden + made * hidden)).mean()
        moved(loss, "generator", adams)
    check(trainer, state, players)


def test_shared_fakes_are_those_the_critic_saw():
    """Where the protocol says so: one batch a step, one pass of the generator."""
    rules = PROTOCOLS["small-dcgan"].part
    trainer, *_ = started("srgan", factor=2)
    game = replace(trainer.game, protocol=replace(rules, steps=STEPS, batch=BATCH, shared=True))
    trainer = replace(trainer, game=game)
    torch.manual_seed(0)
    state = trainer.start(Known(SHAPE), torch.Generator().manual_seed(5))
    players = {name: copy.deepcopy(network) for name, network in state.players.items()}
    adams = {key: torch.optim.Adam(x.parameters(), *ADAM) for key, x in players.items()}
    data, (generator, critic) = Stream(1, SHAPE), players.values()
    for _ in range(STEPS):
        real = data.next(BATCH)
        fake = generator(means(real, 2))
        moved(
            softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean(), "critic", adams
        )
        loss = 4 * ((fake - real) ** 2).mean() + 1e-3 * softplus(-critic(fake)).mean()
        moved(loss, "generator", adams)
    check(trainer, state, players)
