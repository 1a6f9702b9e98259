"""Games that learn from few labels by hand, beside the trainer: the same weights after three steps.

Labelled examples are of one stream, others of another, as `Known` has them.
"""

import pytest
import torch
from reference.loops import (
    STEPS,
    Known,
    Stream,
    advanced,
    assert_same,
    initialised,
    seeded,
    stepped,
)
from reference.places import BATCH, PLACES
from torch import nn
from torch.nn.functional import leaky_relu, one_hot, softplus

from generative import RECIPES, Training
from generative.networks import Dcgan

CLASSES, TOTAL = 3, 9
PLACE = PLACES["small-dcgan"]
SHAPE, LATENT = PLACE.shape, PLACE.latent
MAKING, JUDGING = Dcgan(16), Dcgan(16, batch_norm=False)
pytestmark = pytest.mark.usefixtures("double")


def trained(name, first=0, **told):
    training = Training("small-dcgan", steps=TOTAL, batch=BATCH, **{"dropout": 0.0, **told})
    return advanced(RECIPES[name].part.trainer(training, SHAPE), Known(SHAPE, CLASSES), first)


def missed(logits, labels):
    """-l_y + log sum exp l, as the paper has it."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return (logits.exp().sum(1).log() - own).mean()


def adam(network):
    return torch.optim.Adam(network.parameters(), 2e-3, (0.5, 0.999))


class Hand:
    """Two players, from the protocol's first weights; three steps of each."""

    def __init__(self, class_weight=1.0, unlabelled_weight=1.0, first=0, **own):
        self.class_weight, self.unlabelled_weight = class_weight, unlabelled_weight
        vars(self).update(own)
        with seeded(0):
            self.play(first)

    def play(self, first):
        self.rng = torch.Generator().manual_seed(5)
        self.others, self.told = Stream(1, SHAPE), Stream(2, SHAPE, CLASSES)
        self.networks = self.made()
        for network in self.networks.values():
            initialised(network, self.rng, *PLACE.first)
        adams = {name: adam(network) for name, network in self.networks.items()}
        for step in range(first, first + STEPS):
            self.progress = step / TOTAL
            for name, loss in self.moves():
                stepped(loss, self.networks[name], adams[name])

    def made(self):
        return {
            "generator": MAKING.generator(LATENT, SHAPE),
            "critic": JUDGING.encoder(SHAPE, self.outputs),
        }

    def said(self, x):
        return self.networks["critic"](x)

    def fakes(self):
        return self.networks["generator"](PLACE.codes(self.rng))

    def moves(self):
        x, labels = self.told.next(BATCH)
        loss = self.class_weight * missed(self.classes(self.said(x)), labels)
        if self.unlabelled_weight:
            reals, fakes = self.others.next(BATCH), self.fakes().detach()
            loss = loss + self.unlabelled_weight * self.unlabelled(reals, fakes)
        yield "critic", loss
        yield "generator", self.generators()


class Salimans(Hand):
    """Salimans et al. 2016, section 5: D = Z / (Z + 1), Z the sum of exp l_k; means of the last
    hidden layer are matched.
    """

    outputs = CLASSES

    def classes(self, outputs):
        return outputs

    def real(self, x):
        z = self.said(x).exp().sum(1)
        return z / (z + 1)

    def unlabelled(self, reals, fakes):
        return -(self.real(reals).log().mean() + (1 - self.real(fakes)).log().mean()) / 2

    def generators(self):
        body = list(self.networks["critic"])[:-1]
        fakes, reals = self.fakes(), self.others.next(BATCH)
        means = []
        for x in (reals, fakes):
            for layer in body:
                x = layer(x)
            means.append(x.mean(0))
        return ((means[0] - means[1]) ** 2).sum()


class Dropped(Salimans):
    """As their convolutional critics: a fifth of the inputs and half of all hidden values, drawn
    from the global generator; reals and fakes pass together, and so do not labelled ones.
    """

    dropout = 0.5

    def made(self):
        found = super().made()
        affine, *layers, head = found["critic"]
        kept = [nn.Dropout(0.2), affine]
        for layer in layers:
            kept += [layer, nn.Dropout(0.5)] if isinstance(layer, nn.LeakyReLU) else [layer]
        return {**found, "critic": nn.Sequential(*kept, head)}

    def unlabelled(self, reals, fakes):
        real, fake = self.real(torch.cat([reals, fakes])).split(BATCH)
        return -(real.log().mean() + (1 - fake).log().mean()) / 2


class Denton(Hand):
    """Denton et al. 2016: a logit beside those of classes."""

    outputs = 1 + CLASSES

    def classes(self, outputs):
        return outputs[:, 1:]

    def unlabelled(self, reals, fakes):
        real, fake = (self.said(x)[:, 0].sigmoid() for x in (reals, fakes))
        return -(real.log() + (1 - fake).log()).mean()

    def generators(self):
        return -self.said(self.fakes())[:, 0].sigmoid().log().mean()


class Springenberg(Hand):
    """Springenberg 2016, equations 7 to 9, by entropies of probabilities."""

    outputs = CLASSES

    def classes(self, outputs):
        return outputs

    def entropies(self, x):
        p = self.said(x).softmax(1)
        every = p.mean(0)
        return -(p * p.log()).sum(1).mean(), -(every * every.log()).sum()

    def unlabelled(self, reals, fakes):
        (sure, every), (of_fakes, _) = self.entropies(reals), self.entropies(fakes)
        return sure - every - of_fakes

    def generators(self):
        sure, every = self.entropies(self.fakes())
        return sure - every


class Context(Denton):
    """Denton et al. 2016: a hole of each image is filled, from what is around it and noise."""

    hole_share = 0.5

    def made(self):
        """The generator's own encoder, with batch norm, first."""
        encoder = Dcgan(16).encoder((2, 8, 8), LATENT)
        both = nn.ModuleList([encoder, MAKING.generator(2 * LATENT, SHAPE)])
        return {"generator": both, "critic": JUDGING.encoder(SHAPE, self.outputs)}

    def filled(self, x):
        side = round(8 * self.hole_share)
        top, left = (
            torch.randint(9 - side, (BATCH, 1), generator=self.rng)[:, 0].tolist() for _ in "hw"
        )
        known = torch.ones(BATCH, 1, 8, 8)
        for at in range(BATCH):
            known[at, 0, top[at] : top[at] + side, left[at] : left[at] + side] = 0
        encoder, decoder = self.networks["generator"]
        code = encoder(torch.cat([x * known, known], 1))
        made = decoder(torch.cat([code, PLACE.codes(self.rng)], 1))
        return known * x + (1 - known) * made

    def moves(self):
        x, labels = self.told.next(BATCH)
        loss = self.class_weight * missed(self.classes(self.said(x)), labels)
        if self.unlabelled_weight:
            reals = self.others.next(BATCH)
            fakes = self.filled(reals).detach()
            loss = loss + self.unlabelled_weight * self.unlabelled(reals, fakes)
        yield "critic", loss
        yield (
            "generator",
            -self.said(self.filled(self.others.next(BATCH)))[:, 0].sigmoid().log().mean(),
        )


class Li(Hand):
    """Li et al. 2017, Algorithm 1 with what the authors' code changes of it, by probabilities."""

    entropy_weight, average_weight, drawn_weight, pseudo_share = 0.3, 1e-3, 0.1, 0.5

    def made(self):
        critic = nn.ModuleDict(
            {
                "seen": JUDGING.encoder(SHAPE, 128),
                "score": nn.Linear(128, 1),
                "vectors": nn.Linear(128, CLASSES, bias=False),
            }
        )
        return {
            "generator": MAKING.generator(LATENT + CLASSES, SHAPE),
            "critic": critic,
            "classifier": JUDGING.encoder(SHAPE, CLASSES),
        }

    def real(self, x, labels):
        critic = self.networks["critic"]
        seen = leaky_relu(critic["seen"](x), 0.2)
        vectors = critic["vectors"].weight[labels]
        return (critic["score"](seen)[:, 0] + (vectors * seen).sum(1)).sigmoid()

    def drawn(self):
        z = PLACE.codes(self.rng)
        asked = torch.randint(CLASSES, (BATCH,), generator=self.rng)
        made = self.networks["generator"](torch.cat([z, one_hot(asked, CLASSES).double()], 1))
        return made, asked

    def moves(self):
        (x, labels), pseudo = self.told.next(BATCH), self.others.next(BATCH)
        others, (made, asked) = self.others.next(BATCH), self.drawn()
        classifier, made = self.networks["classifier"], made.detach()
        with torch.no_grad():
            likeliest = classifier(pseudo).argmax(1)
            drawn = torch.multinomial(classifier(others).softmax(1), 1, generator=self.rng)[:, 0]
        share = self.pseudo_share
        real = (1 - share) * self.real(x, labels).log().mean()
        real = real + share * self.real(pseudo, likeliest).log().mean()
        fakes = (self.real(others, drawn), self.real(made, asked))
        yield "critic", -real - sum((1 - fake).log().mean() for fake in fakes) / 2
        loss = self.class_weight * missed(classifier(x), labels)
        yield "classifier", loss + self.unlabelled_weight * self.of_others(others, made, asked)
        yield "generator", -self.real(*self.drawn()).log().mean() / 2

    def of_others(self, others, made, asked):
        classifier = self.networks["classifier"]
        p = classifier(others).softmax(1)
        total = torch.zeros(())
        for label in range(CLASSES):
            with torch.no_grad():
                cost = -self.real(others, torch.full((BATCH,), label)).log()
            total = total + 0.5 * (p[:, label] * cost).mean()
        total = total - self.entropy_weight * (p * p.log()).sum(1).mean()
        total = total - self.average_weight * p.mean(0).log().mean()
        if self.progress >= 0.3:
            total = total + self.drawn_weight * missed(classifier(made), asked)
        return total


OTHERWISE = {"class_weight": 0.7, "unlabelled_weight": 0.4}
TRIPLE = {
    "entropy_weight": 0.6,
    "average_weight": 0.2,
    "drawn_weight": 0.5,
    "pseudo_share": 0.2,
}
HANDS = {
    "improved-gan": (Salimans, {}),
    "improved-gan otherwise": (Salimans, OTHERWISE),
    "improved-gan without others": (Salimans, {"unlabelled_weight": 0.0}),
    "improved-gan dropping": (Dropped, {"dropout": 0.5}),
    "ssl-gan": (Denton, {}),
    "ssl-gan otherwise": (Denton, OTHERWISE),
    "catgan-labelled": (Springenberg, {}),
    "catgan-labelled otherwise": (Springenberg, OTHERWISE),
    "ccgan": (Context, {}),
    "ccgan otherwise": (Context, {**OTHERWISE, "hole_share": 0.25}),
    "triple-gan": (Li, {}),
    "triple-gan later": (Li, {"first": 3}),
    "triple-gan otherwise": (Li, {**OTHERWISE, **TRIPLE, "first": 3}),
    "triple-gan as in Algorithm 1": (Li, {"pseudo_share": 0.0}),
}


@pytest.mark.parametrize("case", HANDS)
def test_three_steps(case):
    kind, told = HANDS[case]
    settings = {name: value for name, value in told.items() if name != "first"}
    state = trained(case.split()[0], told.get("first", 0), **settings)
    for name, network in kind(**told).networks.items():
        assert_same(state.players[name], network)


@pytest.mark.parametrize("name", ["supervised", "supervised-all"])
def test_three_steps_of_a_classifier_alone(name):
    """Of data whose every example has a class both are one."""
    rng, told = torch.Generator().manual_seed(5), Stream(2, SHAPE, CLASSES)
    network = JUDGING.encoder(SHAPE, CLASSES)
    initialised(network, rng, *PLACE.first)
    optimiser = adam(network)
    for _ in range(STEPS):
        x, labels = told.next(BATCH)
        stepped(missed(network(x), labels), network, optimiser)
    assert_same(trained(name).players["classifier"], network)


def test_a_softplus_is_the_logarithm_by_hand():
    """What hands take of probabilities, the games take of logits."""
    logits = torch.randn(9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(softplus(-logits), -logits.sigmoid().log())
