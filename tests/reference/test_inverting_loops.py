"""IcGAN by hand, beside its trainers: the same weights after three steps of either stage. And what
is left of the GAN when nothing is mislabelled, to the bit.
"""

import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch.nn.functional import logsigmoid, one_hot

from bench.core.randomness import stream
from generative import RECIPES, Training
from generative.games.mislabelled import other_classes

CLASSES, PLACE, TOTAL = 3, PLACES["small-dcgan"], 10
SHAPE, LATENT = PLACE.shape, PLACE.latent
double = pytest.mark.usefixtures("double")


def chain(**told):
    training = Training("small-dcgan", steps=TOTAL, batch=BATCH, **told)
    return RECIPES["icgan"].part.trainer(training, SHAPE)


def first(**told):
    """The trainer of the GAN, and its state after three steps."""
    trainer = chain(**told).links[0]([])
    return trainer, advanced(trainer, Known(SHAPE, CLASSES))


def units(labels):
    return one_hot(labels, CLASSES).to(torch.get_default_dtype())


class Mislabelling:
    """Equation 1 with the authors' wrong labels: reals, half of the fakes, and half of reals under
    another class.
    """

    def __init__(self, wrong):
        self.rng, self.data = torch.Generator().manual_seed(5), Stream(2, SHAPE, CLASSES)
        making, judging = PLACE.networks
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.generator = making.generator(LATENT + CLASSES, SHAPE)
            self.critic = judging.encoder((SHAPE[0] + CLASSES, *SHAPE[1:]), 1)
            initialised(self.generator, self.rng, *PLACE.first)
            initialised(self.critic, self.rng, *PLACE.first)
        descents = [
            Descent(network, rate, PLACE, None).adam
            for network, rate in zip((self.generator, self.critic), PLACE.rates, strict=True)
        ]
        for _ in range(STEPS):
            x, y = self.data.next(BATCH)
            made = self.made(PLACE.codes(self.rng), y).detach()
            loss = -logsigmoid(self.judged(x, y)) - (1 - wrong) * logsigmoid(-self.judged(made, y))
            if wrong:
                ahead = torch.randint(1, CLASSES, y.shape, generator=self.rng)
                loss = loss - wrong * logsigmoid(-self.judged(x, (y + ahead) % CLASSES))
            stepped(loss.mean(), self.critic, descents[1])
            z = PLACE.codes(self.rng)
            asked = torch.randint(CLASSES, (BATCH,), generator=self.rng)
            loss = -logsigmoid(self.judged(self.made(z, asked), asked)).mean()
            stepped(loss, self.generator, descents[0])

    def made(self, z, labels):
        return self.generator(torch.cat([z, units(labels)], 1))

    def judged(self, x, labels):
        maps = units(labels)[:, :, None, None].expand(-1, -1, *SHAPE[1:])
        return self.critic(torch.cat([x, maps], 1))[:, 0]


@double
@pytest.mark.parametrize("wrong", [0.5, 0.25])
def test_a_gan_is_told_wrong_labels(wrong):
    _, state = first(mismatch=wrong)
    hand = Mislabelling(wrong)
    assert_same(state.players["generator"].network, hand.generator)
    assert_same(state.players["critic"].network, hand.critic)


@double
def test_encoders_undo_a_gan_that_stands_still():
    """Equations of section 3.2: of codes on new samples, of classes on reals."""
    gan, state = first()
    below = gan.finish(state)
    before = {key: value.clone() for key, value in below.tensors().items()}
    trainer = chain().links[1]([below])
    found = advanced(trainer, Known(SHAPE, CLASSES)).players
    making, judging = PLACE.networks
    generator = making.generator(LATENT + CLASSES, SHAPE)
    own = {k.removeprefix("network."): v for k, v in before.items() if k.startswith("network.")}
    generator.load_state_dict(own)
    generator.eval()
    rng, data = torch.Generator().manual_seed(5), Stream(2, SHAPE, CLASSES)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoders = [judging.unmixed().encoder(SHAPE, size) for size in (LATENT, CLASSES)]
    adams = [Descent(encoder, PLACE.rates[1], PLACE, None).adam for encoder in encoders]
    for _ in range(STEPS):
        z = PLACE.codes(rng)
        labels = torch.randint(CLASSES, (BATCH,), generator=rng)
        with torch.no_grad():
            made = generator(torch.cat([z, units(labels)], 1))
        loss = ((encoders[0](made) - z) ** 2).sum(1).mean()
        stepped(loss, encoders[0], adams[0])
        x, y = data.next(BATCH)
        stepped(((encoders[1](x) - units(y)) ** 2).sum(1).mean(), encoders[1], adams[1])
    assert_same(found["of_codes"], encoders[0])
    assert_same(found["of_classes"], encoders[1])
    for key, value in below.tensors().items():
        assert torch.equal(value, before[key])


def test_without_wrong_labels_it_is_the_conditional_gan():
    """To the bit, over as many steps as are its GAN's."""
    steps = chain().lengths[0]
    training = Training("small-dcgan", steps=steps, batch=BATCH)
    plain = advanced(RECIPES["cgan"].part.trainer(training, SHAPE), Known(SHAPE, CLASSES))
    _, state = first(mismatch=0.0)
    for player in ("generator", "critic"):
        own, other = (each.players[player].state_dict() for each in (state, plain))
        assert all(torch.equal(own[key], other[key]) for key in other)


@pytest.mark.parametrize(("share", "lengths"), [(0.4, (6, 4)), (0.01, (9, 1)), (0.9, (1, 9))])
def test_the_encoders_have_their_share_of_the_steps(share, lengths):
    assert chain(encoder_share=share).lengths == lengths


def test_another_class_is_any_other():
    labels = torch.arange(4).repeat_interleave(3_000)
    found = other_classes(labels, 4, stream("others"))
    counts = torch.bincount(4 * labels + found, minlength=16).reshape(4, 4)
    assert (counts.diagonal() == 0).all()
    assert (counts[~torch.eye(4, dtype=torch.bool)] - 1_000).abs().max() < 120
    assert torch.equal(other_classes(labels * 0, 1, stream("one")), labels * 0)
