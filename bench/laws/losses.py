"""What holds for every adversarial loss."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from bench.core.registry import Entry
from bench.laws import base
from bench.laws.base import each
from generative import LOSSES, LossFacts

law = partial(base.law, LOSSES.kind)
PLAYERS = each(["critic", "generator"])
DTYPES = [torch.float32, torch.float64]


def _logits(seed: int, low: float = -3.0, high: float = 3.0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    spread = torch.rand(2, 16, generator=rng, dtype=torch.float64)
    real, fake = (low + (high - low) * spread).unbind()
    return real.requires_grad_(), fake.requires_grad_()


def _between(loss: Entry, seed: int) -> tuple[Tensor, Tensor]:
    """Logits strictly between those that the loss declares."""
    low, high = loss.facts.between
    return _logits(seed, low + 0.1 * (high - low), high - 0.1 * (high - low))


def _gradients(values: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Gradients by input, zeros where an input has no part in the values."""
    return torch.autograd.grad(values.sum(), inputs, allow_unused=True, materialize_grads=True)


@law(cases=PLAYERS)
def a_loss_is_unreduced(loss: Entry, player: str) -> None:
    """One finite number for every sample of the batch, in the type of the logits."""
    real, fake = _logits(0)
    for dtype in DTYPES:
        values = getattr(loss.part(), player)(real.to(dtype), fake.to(dtype))
        assert values.shape == (16,)
        assert values.dtype == dtype
        assert values.isfinite().all()


@law(cases=PLAYERS, unless="batchwise")
def a_batch_is_its_samples(loss: Entry, player: str) -> None:
    """The loss of a batch is the concatenation of the losses of its samples."""
    real, fake = _logits(1)
    compute = getattr(loss.part(), player)
    alone = [compute(r, f) for r, f in zip(real.split(1), fake.split(1), strict=True)]
    torch.testing.assert_close(compute(real, fake), torch.cat(alone), rtol=0, atol=1e-12)


@law()
def the_critic_pulls_reals_up_and_fakes_down(loss: Entry) -> None:
    """Its gradient has that sign for every sample, and is not zero, between the targets."""
    real, fake = _between(loss, 2)
    by_real, by_fake = _gradients(loss.part().critic(real, fake), real, fake)
    assert (by_real < -1e-3).all()
    assert (by_fake > 1e-3).all()


@law()
def the_generator_pulls_fakes_up(loss: Entry) -> None:
    """Its gradient has that sign for every sample, and is not zero, between the targets."""
    real, fake = _between(loss, 3)
    (by_fake,) = _gradients(loss.part().generator(real, fake), fake)
    assert (by_fake < -1e-3).all()


@law(unless="relativistic")
def a_plain_generator_ignores_the_reals(loss: Entry) -> None:
    """Other real logits, other shape of the gradient: neither changes anything."""
    real, fake = _logits(4)
    values = loss.part().generator(real, fake)
    other = loss.part().generator(real.detach() * 7 - 3, fake)
    assert torch.equal(values, other)
    (by_real,) = _gradients(values, real)
    assert (by_real == 0).all()


@law(only="relativistic")
def a_relativistic_generator_needs_the_reals(loss: Entry) -> None:
    """A loss that declares itself relativistic pushes the real logits down."""
    real, fake = _between(loss, 5)
    (by_real,) = _gradients(loss.part().generator(real, fake), real)
    assert (by_real > 1e-3).all()


@law(cases=PLAYERS, only="relativistic")
def a_relativistic_loss_ignores_a_shift(loss: Entry, player: str) -> None:
    """A constant added to all logits changes nothing."""
    real, fake = _logits(6)
    compute = getattr(loss.part(), player)
    shifted = compute(real + 5.0, fake + 5.0)
    torch.testing.assert_close(shifted, compute(real, fake), rtol=0, atol=1e-12)


@law(only="relativistic")
def a_relativistic_loss_is_antisymmetric(loss: Entry) -> None:
    """The generator's loss is the critic's with real and fake exchanged."""
    real, fake = _logits(7)
    exchanged = loss.part().generator(fake, real)
    critic = loss.part().critic(real, fake)
    torch.testing.assert_close(critic, exchanged, rtol=0, atol=1e-12)


@law(cases=each(["critic", "generator"], DTYPES))
def a_loss_is_stable(loss: Entry, player: str, dtype: torch.dtype) -> None:
    """Logits of plus and minus 10,000 give finite losses and finite gradients, or those of
    plus and minus the limit that the loss declares.
    """
    values, *gradients = _at_extremes(loss, player, loss.facts.finite_to, dtype)
    assert values.isfinite().all()
    for gradient in gradients:
        assert gradient.isfinite().all()


@law(where=lambda loss: loss.facts.finite_to < LossFacts().finite_to)
def a_limit_of_the_logits_is_needed(loss: Entry) -> None:
    """At ten times a declared limit a value or a gradient in float32 is not finite."""
    beyond = 10 * loss.facts.finite_to
    found = [_at_extremes(loss, player, beyond, torch.float32) for (player,) in PLAYERS.values()]
    assert not all(numbers.isfinite().all() for each in found for numbers in each)


def _at_extremes(loss: Entry, player: str, limit: float, dtype: torch.dtype) -> list[Tensor]:
    """A player's values at all pairs of logits of minus and plus a limit and 0, and gradients."""
    extremes = torch.tensor([-limit, 0.0, limit], dtype=dtype)
    real, fake = torch.cartesian_prod(extremes, extremes).T.clone().requires_grad_().unbind()
    values = getattr(loss.part(), player)(real, fake)
    return [values, *_gradients(values, real, fake)]
