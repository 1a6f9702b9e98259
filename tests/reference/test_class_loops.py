"""Games of classes and codes by hand, beside the trainer: the same weights after three steps."""

import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch import nn
from torch.nn.functional import cross_entropy, leaky_relu, logsigmoid, one_hot

from generative import RECIPES, Training
from generative.networks import Dcgan

CLASSES, PLACE = 3, PLACES["small-dcgan"]
SHAPE, LATENT = PLACE.shape, PLACE.latent
pytestmark = pytest.mark.usefixtures("double")


def trained(name, total=9, classes=CLASSES, **told):
    training = Training("small-dcgan", steps=total, batch=BATCH, **told)
    trainer = RECIPES[name].part.trainer(training, SHAPE)
    return trainer, advanced(trainer, Known(SHAPE, classes))


def units(labels, classes=CLASSES):
    return one_hot(labels, classes).double()


def real(logits):
    return -logsigmoid(logits).mean()


def fake(logits):
    return -logsigmoid(-logits).mean()


class Hand:
    """Two players, from the protocol's first weights; three steps of each."""

    def __init__(self, **own):
        vars(self).update(own)
        self.rng = torch.Generator().manual_seed(5)
        self.data = self.stream()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.generator, self.critic = self.networks()
            for network in (self.generator, self.critic):
                initialised(network, self.rng, *PLACE.first)
            self.begin()
            self.descents = [
                Descent(network, rate, PLACE, None)
                for network, rate in zip((self.generator, self.critic), PLACE.rates, strict=True)
            ]
            for _ in range(STEPS):
                stepped(self.critics(), self.critic, self.descents[1].adam)
                stepped(self.generators(), self.generator, self.descents[0].adam)

    def stream(self):
        return Stream(2, SHAPE, CLASSES)

    def begin(self):
        """What else is drawn before the first step."""


class Auxiliary(Hand):
    """Odena et al. 2017: the critic's first output is its logit, the others are the classes'."""

    weight = 1.0

    def networks(self):
        making, judging = PLACE.networks
        return making.generator(LATENT + CLASSES, SHAPE), judging.encoder(SHAPE, 1 + CLASSES)

    def made(self, z, labels):
        return self.generator(torch.cat([z, units(labels)], 1))

    def critics(self):
        x, labels = self.data.next(BATCH)
        y = self.made(PLACE.codes(self.rng), labels).detach()
        of_real, of_fake = self.critic(x), self.critic(y)
        loss = real(of_real[:, 0]) + fake(of_fake[:, 0])
        said = cross_entropy(of_real[:, 1:], labels) + cross_entropy(of_fake[:, 1:], labels)
        return loss + self.weight * said

    def generators(self):
        z = PLACE.codes(self.rng)
        labels = torch.randint(CLASSES, (BATCH,), generator=self.rng)
        found = self.critic(self.made(z, labels))
        return real(found[:, 0]) + self.weight * cross_entropy(found[:, 1:], labels)


class Activating(Auxiliary):
    """Zhou et al. 2018, equations 14 and 15: cross-entropies over K + 1 classes."""

    def critics(self):
        x, labels = self.data.next(BATCH)
        y = self.made(PLACE.codes(self.rng), labels).detach()
        last = torch.full((BATCH,), CLASSES)
        return cross_entropy(self.critic(x), labels) + cross_entropy(self.critic(y), last)

    def generators(self):
        z = PLACE.codes(self.rng)
        labels = torch.randint(CLASSES, (BATCH,), generator=self.rng)
        return cross_entropy(self.critic(self.made(z, labels)), labels)


class Informing(Hand):
    """Chen et al. 2016, equation 6: noise, two numbers, a category of ten."""

    weight = 1.0

    def stream(self):
        return Stream(1, SHAPE)

    def networks(self):
        making, judging = PLACE.networks
        generator = making.generator(LATENT + 12, SHAPE)
        *body, head = judging.encoder(SHAPE, 1)
        hidden, last = nn.Linear(head.in_features, 128), nn.Linear(128, 12)
        return generator, nn.ModuleList([nn.Sequential(*body), head, hidden, last])

    def begin(self):
        """A batch of codes, as of every generator that is not the protocol's own."""
        torch.randn(BATCH, LATENT + 12, generator=self.rng)

    def made(self):
        z = torch.randn(BATCH, LATENT + 12, generator=self.rng)
        category = z[:, -10:].argmax(1)
        numbers = 2 * torch.distributions.Normal(0.0, 1.0).cdf(z[:, LATENT : LATENT + 2]) - 1
        told = torch.cat([z[:, :LATENT], numbers, units(category, 10)], 1)
        return self.generator(told), category, numbers

    def judged(self, x):
        body, head, hidden, last = self.critic
        seen = body(x)
        read = seen if self.weight else seen.detach()
        return head(seen)[:, 0], last(leaky_relu(hidden(read), 0.2))

    def unread(self, read, category, numbers):
        gaussian = ((read[:, 10:] - numbers) ** 2).sum(1) / 2
        return (cross_entropy(read[:, :10], category, reduction="none") + gaussian).mean()

    def critics(self):
        x = self.data.next(BATCH)
        y, *said = self.made()
        (of_real, _), (of_fake, read) = self.judged(x), self.judged(y.detach())
        return real(of_real) + fake(of_fake) + (self.weight or 1.0) * self.unread(read, *said)

    def generators(self):
        y, *said = self.made()
        of_fake, read = self.judged(y)
        loss = real(of_fake)
        return loss + self.weight * self.unread(read, *said) if self.weight else loss


HANDS = {
    "acgan": (Auxiliary, {}, {}),
    "acgan otherwise": (Auxiliary, {"weight": 0.3}, {"class_weight": 0.3}),
    "amgan": (Activating, {}, {}),
    "infogan": (Informing, {}, {}),
    "infogan otherwise": (Informing, {"weight": 0.4}, {"information": 0.4}),
    "infogan without": (Informing, {"weight": 0.0}, {"information": 0.0}),
}


@pytest.mark.parametrize("case", HANDS)
def test_three_steps_of_two_players(case):
    kind, own, told = HANDS[case]
    _, state = trained(case.split()[0], **told)
    hand = kind(**own)
    assert_same(state.players["generator"], hand.generator)
    found = state.players["critic"].state_dict().values()
    assert_same(found, hand.critic.state_dict().values())


class Coders:
    """An encoder and a decoder without batch norm; both see the label, which a class alone is not
    told.
    """

    def __init__(self, classes):
        self.classes, plain = classes, Dcgan(16, batch_norm=False)
        more = classes if classes > 1 else 0
        self.encoder = plain.encoder((1 + more, 8, 8), 2 * LATENT)
        self.decoder = plain.generator(LATENT + more, SHAPE)

    @property
    def both(self):
        return nn.ModuleList([self.encoder, self.decoder])

    def coded(self, x, labels, noise):
        if self.classes > 1:
            maps = units(labels, self.classes)[:, :, None, None].expand(-1, -1, 8, 8)
            x = torch.cat([x, maps], 1)
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance, mean + (0.5 * log_variance).exp() * noise

    def decoded(self, z, labels):
        told = [units(labels, self.classes)] if self.classes > 1 else []
        return self.decoder(torch.cat([z, *told], 1))


def divergence(mean, log_variance):
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)


def slowed(adam, rate, done, total):
    adam.param_groups[0]["lr"] = rate * min(1.0, 2 * (1 - done / total))


@pytest.mark.parametrize("classes", [CLASSES, 1])
def test_three_steps_of_a_conditional_vae(classes):
    rng, data = torch.Generator().manual_seed(5), Stream(2, SHAPE, classes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = Coders(classes)
    variance, adam = None, torch.optim.Adam(own.both.parameters(), 2e-3, (0.5, 0.999))
    for done in range(STEPS):
        slowed(adam, 2e-3, done, 3)
        x, labels = data.next(BATCH)
        noise = torch.randn(BATCH, LATENT, generator=rng)
        mean, log_variance, z = own.coded(x, labels, noise)
        squares = ((x - own.decoded(z, labels)) ** 2).flatten(1)
        error = squares.mean().detach()
        variance = error if variance is None else 0.99 * variance + 0.01 * error
        fits = 0.5 * (squares / variance + (2 * torch.pi * variance).log()).sum(1)
        share = min(1.0, 5 * done / 3)
        stepped((share * divergence(mean, log_variance) + fits).mean(), own.both, adam)
    trainer, state = trained("cvae", total=3, classes=classes)
    assert_same(state.players["coder"].encoder, own.encoder)
    assert_same(state.players["coder"].decoder, own.decoder)
    torch.testing.assert_close(state.players["coder"].variance, variance, rtol=1e-9, atol=0)
    model, asked = trainer.finish(state), torch.tensor([0, classes - 1, 0, classes // 2])
    codes = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(3))
    found = model.sample(4, torch.Generator().manual_seed(3), asked)
    torch.testing.assert_close(found, own.decoded(codes, asked).detach())


class Unlabelled(Known):
    """The same data, whose batches are those that others see with labels."""

    def batches(self):
        return Images(self.labelled_batches())


class Images(Stream):
    def __init__(self, labelled):
        self.labelled = labelled

    def next(self, n):
        return self.labelled.next(n)[0]


def test_with_one_class_a_conditional_vae_is_the_vae():
    """Bit for bit: the weights, and what is drawn of the same codes."""
    trainer, state = trained("cvae", classes=1)
    plain = RECIPES["vae-mean"].part.trainer(Training("small-dcgan", steps=9, batch=BATCH), SHAPE)
    other = advanced(plain, Unlabelled(SHAPE, 1))
    found, wanted = (each.players["coder"].state_dict() for each in (state, other))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    drawn = [
        one.finish(at).sample(7, torch.Generator().manual_seed(3))
        for one, at in ((trainer, state), (plain, other))
    ]
    assert torch.equal(*drawn)


class Asymmetric(Coders):
    """Bao et al. 2017, Algorithm 1, with each network's own losses and optimiser."""

    def __init__(self, weights=(3.0, 1.0, 1e-3, 1e-3)):
        self.weights, self.rng = weights, torch.Generator().manual_seed(5)
        data = Stream(2, SHAPE, CLASSES)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(CLASSES)
            judging = PLACE.networks[1]
            self.critic = judging.encoder(SHAPE, 1)
            self.classifier = judging.encoder(SHAPE, CLASSES)
            for network in (self.critic, self.classifier):
                initialised(network, self.rng, *PLACE.first)
        parts = {n: getattr(self, n) for n in ("encoder", "decoder", "critic", "classifier")}
        self.adams = {
            name: torch.optim.Adam(net.parameters(), 2e-3, (0.5, 0.999))
            for name, net in parts.items()
        }
        self.centres = {}
        for done in range(STEPS):
            for adam in self.adams.values():
                slowed(adam, 2e-3, done, 3)
            self.step(*data.next(BATCH))

    def seen(self, network, x):
        *body, head = network
        features = nn.Sequential(*body)(x)
        return head(features), features

    def step(self, x, y):
        logits, features = self.seen(self.classifier, x)
        stepped(cross_entropy(logits, y), self.classifier, self.adams["classifier"])
        for label in set(y.tolist()):
            mean = features.detach()[y == label].mean(0)
            if label in self.centres:
                mean = 0.9 * self.centres[label] + 0.1 * mean
            self.centres[label] = mean
        noise, codes = (torch.randn(BATCH, LATENT, generator=self.rng) for _ in range(2))
        asked = torch.randint(CLASSES, (BATCH,), generator=self.rng)
        mean, log_variance, z = self.coded(x, y, noise)
        rebuilt, drawn = self.decoded(z, y), self.decoded(codes, asked)
        of = [self.seen(self.critic, each)[0][:, 0] for each in (x, rebuilt, drawn)]
        loss = real(of[0]) + (fake(of[1]) + fake(of[2])) / 2
        weights = list(self.critic.parameters())
        slopes = torch.autograd.grad(loss, weights, retain_graph=True)
        for weight, slope in zip(weights, slopes, strict=True):
            weight.grad = slope
        self.adams["critic"].step()
        f = {
            name: [self.seen(getattr(self, name), each)[1] for each in (x, rebuilt, drawn)]
            for name in ("critic", "classifier")
        }
        pairs = ((x - rebuilt) ** 2).flatten(1).sum(1)
        for one, other, _ in f.values():
            pairs = pairs + ((one.detach() - other) ** 2).sum(1)
        reals, _, fakes = f["critic"]
        means = ((reals.detach().mean(0) - fakes.mean(0)) ** 2).sum() / 2
        classes = 0.0
        for label in set(asked.tolist()) & set(self.centres):
            mine = f["classifier"][2][asked == label].mean(0)
            classes = classes + ((self.centres[label] - mine) ** 2).sum() / 2
        k, p, m, c = self.weights
        pair = p * pairs.mean() / 2
        for_encoder = k * divergence(mean, log_variance).mean() + pair
        for_decoder = pair + m * means + c * classes
        losses = {"encoder": for_encoder, "decoder": for_decoder}
        found = {
            name: torch.autograd.grad(
                loss, list(getattr(self, name).parameters()), retain_graph=True
            )
            for name, loss in losses.items()
        }
        for name, slopes in found.items():
            for weight, slope in zip(getattr(self, name).parameters(), slopes, strict=True):
                weight.grad = slope
            self.adams[name].step()


WEIGHED = {
    "divergence_weight": 0.7,
    "pair_weight": 0.5,
    "mean_weight": 2.0,
    "class_mean_weight": 3.0,
}


@pytest.mark.parametrize("told", [{}, WEIGHED], ids=["usual", "weighed"])
def test_three_steps_of_four_networks(told):
    """Encoder and decoder step by the sum of all that either minimises: what is not an encoder's
    has no slope by its weights.
    """
    _, state = trained("cvae-gan", total=3, **told)
    hand = Asymmetric(*([tuple(told.values())] if told else []))
    coder = state.players["coder"]
    for found, wanted in (
        (state.players["classifier"], hand.classifier),
        (state.players["critic"], hand.critic),
        (coder.encoder, hand.encoder),
        (coder.decoder, hand.decoder),
    ):
        assert_same(found.state_dict().values(), wanted.state_dict().values())
    memory = state.table.memory
    for label, centre in hand.centres.items():
        torch.testing.assert_close(memory["centres"][label], centre)


class Categorical(Hand):
    """Springenberg 2016, equations 7 and 8, by entropies of probabilities."""

    def stream(self):
        return Stream(1, SHAPE)

    def networks(self):
        making, judging = PLACE.networks
        return making.generator(LATENT, SHAPE), judging.encoder(SHAPE, 10)

    def entropies(self, x):
        """The mean entropy of each, and that of the mean."""
        p = self.critic(x).softmax(1)
        every = p.mean(0)
        return -(p * p.log()).sum(1).mean(), -(every * every.log()).sum()

    def critics(self):
        x = self.data.next(BATCH)
        y = self.generator(PLACE.codes(self.rng)).detach()
        (sure, all_of), (of_fakes, _) = self.entropies(x), self.entropies(y)
        return sure - all_of - of_fakes

    def generators(self):
        sure, all_of = self.entropies(self.generator(PLACE.codes(self.rng)))
        return sure - all_of


def test_three_steps_of_a_critic_that_sorts():
    _, state = trained("catgan")
    hand = Categorical()
    assert_same(state.players["generator"], hand.generator)
    assert_same(state.players["critic"], hand.critic)
