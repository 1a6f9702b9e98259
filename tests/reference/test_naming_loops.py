"""TAC-GAN by hand, beside its trainer: the same weights after three steps; and GAN-CLS to the bit
where the class counts for nothing.
"""

import pytest
import torch
from reference.knowncaptions import PROMPTS, Captioned
from reference.loops import Known, advanced, assert_same, stepped
from reference.places import BATCH, PLACES
from reference.test_matching_loops import FEATURES, ByHand, fake_loss, real_loss, trained
from torch import nn
from torch.nn.functional import cross_entropy, leaky_relu

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets import DATASETS
from generative import RECIPES, Training
from generative.captionclasses import kinds_told

KINDS = 3
SHAPE = PLACES["small-dcgan"].shape


class Subjects(Captioned):
    """Captions that say one of three classes; wrong images are those of the captions drawn."""

    kinds = KINDS

    def kind_of(self, tokens):
        return self.numbers(tokens) % KINDS

    def others_told(self, tokens, rng):
        ahead = torch.randint(1, PROMPTS, (len(tokens),), generator=rng)
        captions = self.prompts[(self.numbers(tokens) + ahead) % PROMPTS]
        return self.others(tokens, rng), captions


class Named(ByHand):
    """Equations of section 3.2 as the authors' code has them: reals, wrongly captioned images and
    fakes, each under its class.
    """

    def __init__(self, c, weight):
        self.named = weight
        super().__init__(c, 0.0, 0.5)

    def _build(self):
        self.data = Subjects(self.place.shape)
        self.stream = self.data.captioned_batches()
        super()._build()

    def more(self):
        return (nn.Linear(FEATURES, KINDS),)

    def both_of(self, x, v):
        features, told, both, score, kinds = self.critic
        joined = torch.cat([leaky_relu(features(x), 0.2), leaky_relu(told(v), 0.2)], 1)
        joined = leaky_relu(both(joined), 0.2)
        return score(joined)[:, 0], kinds(joined)

    def _critic_step(self):
        x, tokens = self.stream.next(BATCH)
        v, own = self.data.encode(tokens), self.data.kind_of(tokens)
        fake = self.made(self.place.codes(self.rng), v).detach()
        real, real_kinds = self.both_of(x, v)
        made, made_kinds = self.both_of(fake, v)
        loss = real_loss(real).mean() + (1 - self.c) * fake_loss(made).mean()
        said = cross_entropy(real_kinds, own) + cross_entropy(made_kinds, own)
        if self.c:
            images, captions = self.data.others_told(tokens, self.rng)
            wrong, wrong_kinds = self.both_of(images, v)
            loss = loss + self.c * fake_loss(wrong).mean()
            said = said + cross_entropy(wrong_kinds, self.data.kind_of(captions))
        stepped(loss + self.named * said, self.critic, self.descents[1].adam)

    def _generator_step(self):
        z = self.place.codes(self.rng)
        tokens = self.data.asked(BATCH, self.rng)
        v = self.data.encode(tokens)
        made, kinds = self.both_of(self.made(z, v), v)
        said = cross_entropy(kinds, self.data.kind_of(tokens))
        loss = real_loss(made).mean() + self.named * said
        stepped(loss, self.generator, self.descents[0].adam)


def by_trainer(data=None, **told):
    training = Training("small-dcgan", steps=9, batch=BATCH, **told)
    return advanced(RECIPES["tac-gan"].part.trainer(training, SHAPE), data or Subjects(SHAPE))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("c", "weight"), [(0.5, 1.0), (0.25, 3.0), (0.0, 1.0)])
def test_a_critic_of_captions_that_names_classes(c, weight):
    hand = Named(c, weight)
    state = by_trainer(mismatch=c, class_weight=weight)
    assert_same(state.players["generator"], hand.generator)
    found, wanted = state.players["critic"].state_dict(), hand.critic.state_dict()
    assert_same(found.values(), wanted.values())


def test_a_class_of_weight_0_leaves_gan_cls():
    """To the bit, whatever else is said."""
    for mismatch in (0.5, 0.2):
        plain = trained("gan-cls", mismatch=mismatch)
        state = by_trainer(Captioned(SHAPE), mismatch=mismatch, class_weight=0.0)
        for player in ("generator", "critic"):
            own, other = (each.players[player].state_dict() for each in (state, plain))
            assert own.keys() == other.keys()
            assert all(torch.equal(own[key], other[key]) for key in other)


def test_captions_without_a_class_are_refused():
    with pytest.raises(UsageError, match="captions that say a class, and these data have none"):
        by_trainer(Captioned(SHAPE))
    with pytest.raises(UsageError, match="is told captions, and these data have none"):
        by_trainer(Known(SHAPE))


def test_digits_are_what_captions_say():
    """By their words, and by the vectors that models are told; of wrong images, too."""
    source = DATASETS["captions@digits"].part.source(0)
    said = source.prompts[:, -1] - source.prompts[:, -1].min()
    assert source.kinds == len(said.unique()) == 10
    assert torch.equal(source.kind_of(source.prompts), said)
    order = torch.randperm(len(said), generator=stream("order"))
    vectors = source.encode(source.prompts[order])
    assert torch.equal(kinds_told(vectors, source), said[order])
    images, captions = source.others_told(source.prompts, stream("wrong"))
    assert torch.equal(images, source.others(source.prompts, stream("wrong")))
    known = {}
    for image, caption in zip(source.training, source.captions, strict=True):
        known.setdefault(image.numpy().tobytes(), set()).add(tuple(caption.tolist()))
    for image, caption, own in zip(images, captions, source.prompts, strict=True):
        assert tuple(caption.tolist()) in known[image.numpy().tobytes()]
        assert not torch.equal(caption, own)
