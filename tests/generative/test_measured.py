"""Networks of examples in their own units."""

import torch

from bench.core.randomness import forked, stream
from generative.games.encoding import Coder
from generative.measured import Centred, Units, fit_measured
from generative.networks import Mlp

SHAPE = (1, 3, 3)


class Told:
    """Training images about a mean of their own; nothing else may be asked for."""

    device, box, density, shape, modes, classes = "cpu", (0.0, 1.0), None, SHAPE, 0, 0

    @property
    def training(self):
        rng = stream("told")
        return 0.3 + 0.2 * torch.rand(SHAPE, generator=rng) * torch.rand(90, *SHAPE, generator=rng)

    def batches(self):
        raise AssertionError("units are not those of a batch")

    def labelled_batches(self):
        raise AssertionError("units are not those of a batch")

    def fresh(self, n, rng, classes=None):
        raise AssertionError("units are not those of held-out examples")


def coder():
    with forked(0):
        layers = Centred(Mlp((6,)))
        found = Coder(layers.encoder(SHAPE, 2), layers.generator(2, SHAPE), 2)
    fit_measured(found, Told())
    return found


def test_units_have_mean_0_and_a_mean_variance_of_1():
    """One scale over all values; backward they are what they were."""
    into, back = Units(9), Units(9, backward=True)
    x = Told().training
    for each in (into, back):
        each.fit(x)
    inner = into(x.flatten(1)).double()
    assert inner.mean(0).abs().max() < 1e-5
    torch.testing.assert_close(inner.square().mean(), torch.tensor(1.0).double(), rtol=1e-5, atol=0)
    assert inner.square().mean(0).std() > 0.1
    torch.testing.assert_close(back(into(x.flatten(1))), x.flatten(1))


def test_a_coder_works_in_the_units_of_the_training_examples():
    """The encoder's layers see them, and what the decoder's say is in them."""
    x, found = Told().training, coder()
    flat = x.flatten(1)
    inner = (flat - flat.mean(0)) / (flat - flat.mean(0)).square().mean().sqrt()
    body = found.encoder[2]
    torch.testing.assert_close(found.encoder(x), body(inner), rtol=1e-4, atol=1e-5)
    z = torch.randn(5, 2, generator=stream("z"))
    said = found.decoder[0](z)
    scale = (flat - flat.mean(0)).square().mean().sqrt()
    wanted = (said * scale + flat.mean(0)).unflatten(1, SHAPE)
    torch.testing.assert_close(found.decoder(z), wanted, rtol=1e-4, atol=1e-5)


def test_units_are_no_weights_and_belong_to_the_model():
    found = coder()
    names = set(found.state_dict()) - {name for name, _ in found.named_parameters()}
    assert {"encoder.1.centre", "encoder.1.scale", "decoder.1.centre", "decoder.1.scale"} <= names
