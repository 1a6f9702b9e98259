"""What holds for every adversarial loss.

A loss whose `known_issue` names one of these laws is a strict xfail of it.
"""

import pytest
import torch

from generative import LOSSES

EXEMPT = {
    "loss": lambda facts: False,
    "per_sample_loss": lambda facts: facts.batchwise,
    "plain_loss": lambda facts: facts.relativistic,
    "relativistic_loss": lambda facts: not facts.relativistic,
}


def pytest_generate_tests(metafunc):
    """Enrol every registered loss that declares no exemption."""
    for fixture in EXEMPT.keys() & set(metafunc.fixturenames):
        entries = [entry for entry in LOSSES.entries() if not EXEMPT[fixture](entry.facts)]
        law = metafunc.function.__name__
        metafunc.parametrize(fixture, [_param(entry, law) for entry in entries])


def _param(entry, law):
    issue = entry.facts.known_issue
    marks = [pytest.mark.xfail(reason=issue, strict=True)] if law in issue else []
    return pytest.param(entry.part(), id=entry.name, marks=marks)


def _logits(seed, low=-3.0, high=3.0, n=16):
    rng = torch.Generator().manual_seed(seed)
    spread = torch.rand(2, n, generator=rng, dtype=torch.float64)
    real, fake = (low + (high - low) * spread).unbind()
    return real.requires_grad_(), fake.requires_grad_()


def _between(loss):
    """Logits strictly between those that the loss declares."""
    facts = next(entry.facts for entry in LOSSES.entries() if entry.part is type(loss))
    low, high = facts.between
    return low + 0.1 * (high - low), high - 0.1 * (high - low)


def _gradients(values, *inputs):
    """Gradients by input, zeros where an input has no part in the values."""
    return torch.autograd.grad(values.sum(), inputs, allow_unused=True, materialize_grads=True)


def test_every_known_issue_names_a_law():
    """An issue that names no law would exempt a loss from nothing, or from everything."""
    laws = [name for name in globals() if name.startswith("test_")]
    issues = [entry.facts.known_issue for entry in LOSSES.entries() if entry.facts.known_issue]
    assert all(any(law in issue for law in laws) for issue in issues)


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_loss_is_unreduced(loss, player):
    """One finite number for every sample of the batch, in the type of the logits."""
    real, fake = _logits(0)
    for dtype in (torch.float32, torch.float64):
        values = getattr(loss, player)(real.to(dtype), fake.to(dtype))
        assert values.shape == (16,)
        assert values.dtype == dtype
        assert values.isfinite().all()


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_batch_is_its_samples(per_sample_loss, player):
    """The loss of a batch is the concatenation of the losses of its samples."""
    real, fake = _logits(1)
    compute = getattr(per_sample_loss, player)
    alone = [compute(r, f) for r, f in zip(real.split(1), fake.split(1), strict=True)]
    torch.testing.assert_close(compute(real, fake), torch.cat(alone), rtol=0, atol=1e-12)


def test_the_critic_pulls_reals_up_and_fakes_down(loss):
    """Its gradient has that sign for every sample, and is not zero, between the targets."""
    real, fake = _logits(2, *_between(loss))
    by_real, by_fake = _gradients(loss.critic(real, fake), real, fake)
    assert (by_real < -1e-3).all()
    assert (by_fake > 1e-3).all()


def test_the_generator_pulls_fakes_up(loss):
    """Its gradient has that sign for every sample, and is not zero, between the targets."""
    real, fake = _logits(3, *_between(loss))
    (by_fake,) = _gradients(loss.generator(real, fake), fake)
    assert (by_fake < -1e-3).all()


def test_a_plain_generator_ignores_the_reals(plain_loss):
    """Other real logits, other shape of the gradient: neither changes anything."""
    real, fake = _logits(4)
    values = plain_loss.generator(real, fake)
    assert torch.equal(values, plain_loss.generator(real.detach() * 7 - 3, fake))
    (by_real,) = _gradients(values, real)
    assert (by_real == 0).all()


def test_a_relativistic_generator_needs_the_reals(relativistic_loss):
    """A loss that declares itself relativistic pushes the real logits down."""
    real, fake = _logits(5, *_between(relativistic_loss))
    (by_real,) = _gradients(relativistic_loss.generator(real, fake), real)
    assert (by_real > 1e-3).all()


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_relativistic_loss_ignores_a_shift(relativistic_loss, player):
    """A constant added to all logits changes nothing."""
    real, fake = _logits(6)
    compute = getattr(relativistic_loss, player)
    shifted = compute(real + 5.0, fake + 5.0)
    torch.testing.assert_close(shifted, compute(real, fake), rtol=0, atol=1e-12)


def test_a_relativistic_loss_is_antisymmetric(relativistic_loss):
    """The generator's loss is the critic's with real and fake exchanged."""
    real, fake = _logits(7)
    exchanged = relativistic_loss.generator(fake, real)
    torch.testing.assert_close(relativistic_loss.critic(real, fake), exchanged, rtol=0, atol=1e-12)


@pytest.mark.parametrize("player", ["critic", "generator"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_loss_is_stable(loss, player, dtype):
    """Logits of plus and minus 10,000 give finite losses and finite gradients."""
    extremes = torch.tensor([-1e4, 0.0, 1e4], dtype=dtype)
    real, fake = torch.cartesian_prod(extremes, extremes).T.clone().requires_grad_().unbind()
    values = getattr(loss, player)(real, fake)
    assert values.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in _gradients(values, real, fake))


def test_saturation():
    """Where the critic is sure of a fake the minimax game is silent; the other is not."""
    fake = torch.full((1,), -20.0, requires_grad=True)
    slopes = {}
    for name in ("minimax", "nonsaturating"):
        (slope,) = _gradients(LOSSES[name].part().generator(fake.detach(), fake), fake)
        slopes[name] = float(slope)
    assert slopes["minimax"] == pytest.approx(0, abs=1e-8)
    assert slopes["nonsaturating"] == pytest.approx(-1, abs=1e-8)
