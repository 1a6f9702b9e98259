"""Growing GANs and GANs of styles, trained by hand beside the trainer: the same weights after three
steps.
"""

import copy

import pytest
import torch
from reference.loops import STEPS, Known, Stream, assert_same
from torch.nn.functional import avg_pool2d, interpolate, softplus

from generative import RECIPES, Training
from generative.games.growing import Growing
from generative.growing.fading import fade

BATCH = 8
pytestmark = pytest.mark.usefixtures("double")


def level(name, shape, at):
    training = Training(
        "dcgan-32", steps=STEPS * 5, batch=BATCH, levels=2, latent=3, growing_width=2, fade=0.5
    )
    trainer = RECIPES[name].part.trainer(training, shape).links[at]([])
    return trainer, trainer.start(Known(shape), torch.Generator().manual_seed(5))


def up(x):
    return interpolate(x, scale_factor=2, mode="nearest")


def adams(rate, *networks):
    return [torch.optim.Adam(x.parameters(), rate, (0.0, 0.99)) for x in networks]


@pytest.mark.parametrize(
    ("name", "at"), [("progressive", 1), ("progressive", 2), ("progressive-r1", 2)]
)
def test_a_level_is_trained_as_by_hand(name, at):
    shape = (1, 16, 16)
    torch.manual_seed(0)
    trainer, state = level(name, shape, at)
    assert isinstance(trainer.game, Growing)
    generator, critic = (copy.deepcopy(state.players[role]) for role in ("generator", "critic"))
    rng = torch.Generator()
    rng.set_state(state.table.rng.get_state())
    data, (of_critic, of_generator) = Stream(1, shape), adams(3e-3, critic, generator)
    wasserstein = name == "progressive"
    for step in range(STEPS):
        alpha = min(1.0, step / trainer.steps / 0.5)
        fade(generator, alpha)
        fade(critic, alpha)
        real = data.next(BATCH)
        real = avg_pool2d(real, 2) if at == 1 else real
        real = alpha * real + (1 - alpha) * up(avg_pool2d(real, 2))
        fake = generator(torch.randn(BATCH, 3, generator=rng))
        shown = fake.detach()
        if wasserstein:
            of_real = critic(real)
            loss = critic(shown).mean() - of_real.mean() + 1e-3 * of_real.square().mean()
            mix = torch.rand(BATCH, 1, 1, 1, generator=rng)
            between = (real + mix * (shown - real)).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            loss = loss + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        else:
            points = real.clone().requires_grad_()
            loss = softplus(-critic(real)).mean() + softplus(critic(shown)).mean()
            (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
            loss = loss + 0.1 * slope.flatten(1).square().sum(1).mean() / 2
        of_critic.zero_grad()
        loss.backward()
        of_critic.step()
        judged = critic(fake)
        fooled = -judged.mean() if wasserstein else softplus(-judged).mean()
        of_generator.zero_grad()
        fooled.backward()
        of_generator.step()
    state = trainer.advance(state, STEPS)
    assert_same(state.players["critic"], critic)
    assert_same(state.players["generator"], generator)


def test_styles_are_trained_as_by_hand():
    """Mixed for both players, R1 at every second step and twice as much."""
    shape = (1, 16, 16)
    training = Training(
        "dcgan-32", steps=9, batch=BATCH, levels=1, latent=4, style_width=2, penalty_every=2
    )
    torch.manual_seed(0)
    trainer = RECIPES["style"].part.trainer(training, shape)
    state = trainer.start(Known(shape), torch.Generator().manual_seed(5))
    generator, critic = (copy.deepcopy(state.players[role]) for role in ("generator", "critic"))
    rng = torch.Generator()
    rng.set_state(state.table.rng.get_state())
    data, (of_critic, of_generator) = Stream(1, shape), adams(2e-3, critic, generator)
    for step in range(STEPS):
        real = data.next(BATCH)
        codes = torch.randn(BATCH, 4 + 8 * 8 + 2 * 16 * 16, generator=rng)
        other = torch.randn(BATCH, 4, generator=rng)
        between = torch.randint(1, 4, (BATCH,), generator=rng)
        cuts = torch.where(torch.rand(BATCH, generator=rng) < 0.9, between, 4)
        first, second = generator.mapping(codes[:, :4]), generator.mapping(other)
        rows = [
            torch.stack([first[i] if at < cuts[i] else second[i] for at in range(4)])
            for i in range(BATCH)
        ]
        fake = generator.drawn(torch.stack(rows), codes[:, 4:])
        loss = softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean()
        if step % 2 == 0:
            points = real.clone().requires_grad_()
            (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
            loss = loss + 2 * 0.1 * slope.flatten(1).square().sum(1).mean() / 2
        of_critic.zero_grad()
        loss.backward()
        of_critic.step()
        fooled = softplus(-critic(fake)).mean()
        of_generator.zero_grad()
        fooled.backward()
        of_generator.step()
    state = trainer.advance(state, STEPS)
    assert_same(state.players["critic"], critic)
    assert_same(state.players["generator"], generator)
