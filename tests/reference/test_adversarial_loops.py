"""Algorithm 1 of Goodfellow et al. 2014 and its kin written by hand, beside the trainer of all
GANs: the same weights after three steps.

Losses, penalties, numbers of steps, rates, weights and first weights are written down here once
more, from their papers. Only the layers come from `generative.networks`.
"""

import copy
from dataclasses import dataclass, replace

import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch import nn
from torch.nn.functional import logsigmoid, one_hot, relu
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import register_parametrization

from bench.laws.recipes import under
from generative import RECIPES, Training
from generative.protocols.base import Momentum

pytestmark = pytest.mark.usefixtures("double")


def slope(critic, x):
    """The gradient of the critic's logits at each example, [n, values]."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(1)


def spread(draws, x):
    """A number for each example, shaped to multiply them."""
    return draws.reshape(-1, *[1] * (x.ndim - 1))


def between(critic, real, fake, rng):
    """Gulrajani et al. 2017, equation 3."""
    share = spread(torch.rand(len(real), generator=rng), real)
    return (slope(critic, (1 - share) * real + share * fake).norm(dim=1) - 1) ** 2


def at_the_reals(critic, real, fake, rng):
    """Mescheder et al. 2018, equation 9."""
    return slope(critic, real).square().sum(1) / 2


def around_the_reals(critic, real, fake, rng):
    """Kodali et al. 2017, equation 1, as their code has it."""
    noise = torch.rand(real.shape, generator=rng)
    share = spread(torch.rand(len(real), generator=rng), real)
    near = real + share * real.std() / 2 * noise
    return (slope(critic, near).norm(dim=1) - 1) ** 2


def minimax(x, y):
    return -logsigmoid(x) - logsigmoid(-y)


@dataclass(frozen=True)
class Game:
    """What each player minimises over the critic's logits of reals and fakes, and what else its
    paper fixes. beta: Adam's first of both players, None: the protocol's. needs_reals: the
    generator's loss does. spectral: the largest singular value of the critic's layers. bare: its
    critic goes without batch norm.
    """

    critic: object
    generator: object
    penalty: object = None
    weight: float = 0.0
    critic_steps: int = 1
    beta: float | None = None
    clip: float = 0.0
    spectral: float | None = None
    needs_reals: bool = False

    @property
    def bare(self):
        return self.spectral is not None or self.penalty is not None


PLAIN = Game(minimax, lambda x, y: -logsigmoid(y))
GAMES = {
    "gan": Game(minimax, lambda x, y: logsigmoid(-y)),
    "nsgan": PLAIN,
    "lsgan": Game(lambda x, y: (x - 1) ** 2 + y**2, lambda x, y: (y - 1) ** 2),
    "lsgan-pearson": Game(lambda x, y: (x - 1) ** 2 + (y + 1) ** 2, lambda x, y: y**2),
    "hingegan": Game(lambda x, y: relu(1 - x) + relu(1 + y), lambda x, y: -y),
    "wgan": Game(lambda x, y: y - x, lambda x, y: -y, critic_steps=5, beta=0.0, clip=0.01),
    "wgan-gp": Game(lambda x, y: y - x, lambda x, y: -y, between, 10.0, 5, 0.0),
    "r1gan": replace(PLAIN, penalty=at_the_reals, weight=10.0),
    "dragan": replace(PLAIN, penalty=around_the_reals, weight=10.0),
    "sngan": Game(lambda x, y: relu(1 - x) + relu(1 + y), lambda x, y: -y, spectral=1.0),
    "rsgan": Game(
        lambda x, y: -logsigmoid(x - y), lambda x, y: -logsigmoid(y - x), needs_reals=True
    ),
    "rasgan": Game(
        lambda x, y: (-logsigmoid(x - y.mean()) - logsigmoid(x.mean() - y)) / 2,
        lambda x, y: (-logsigmoid(y - x.mean()) - logsigmoid(y.mean() - x)) / 2,
        needs_reals=True,
    ),
    "softmax-gan": Game(
        lambda x, y: torch.cat([x, y]).exp().sum().log() - x,
        lambda x, y: torch.cat([x, y]).exp().sum().log() - (x + y) / 2,
        needs_reals=True,
    ),
    "smoothed-gan": Game(
        lambda x, y: -0.9 * logsigmoid(x) - 0.1 * logsigmoid(-x) - logsigmoid(-y),
        lambda x, y: -logsigmoid(y),
    ),
    "bgan": Game(minimax, lambda x, y: y**2 / 2),
    "b-gan": Game(lambda x, y: y**2 / 2 - x, lambda x, y: (y - 1) ** 2 / 2),
    "fgan-reverse-kl": Game(lambda x, y: (-x).exp() + y - 1, lambda x, y: 1 - y),
}
ON_POINTS = {
    "wgan-gp": {"weight": 0.1},
    "dragan": {"weight": 0.1},
    "sngan": {"spectral": 3.0},
}
"""What games have otherwise on points."""
WITH_CLASSES = ("cgan", "cgan-projection")


def concatenated(place, classes):
    """Mirza & Osindero 2014: the label beside the code, and as channels of the image."""
    generator = place.networks[0].generator(place.latent + classes, place.shape)
    seen = (place.shape[0] + classes, *place.shape[1:])
    critic = place.networks[1].encoder(seen, 1)

    def judge(x, y):
        planes = one_hot(y, classes).float()[:, :, None, None].expand(-1, -1, *place.shape[1:])
        return critic(torch.cat([x, planes], 1))[:, 0]

    return generator, critic, judge


def projected(place, classes):
    """Miyato & Koyama 2018, equation 5."""
    generator = place.networks[0].generator(place.latent + classes, place.shape)
    features = place.networks[1].encoder(place.shape, 128)
    psi, embedding = nn.Linear(128, 1), nn.Linear(128, classes, bias=False)

    def judge(x, y):
        phi = nn.functional.leaky_relu(features(x), 0.2)
        return psi(phi)[:, 0] + (embedding.weight[y] * phi).sum(1)

    return generator, nn.ModuleList([features, psi, embedding]), judge


class Times(nn.Module):
    """A number times a weight."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, weight):
        return self.number * weight


class ByHand:
    """Three steps of a game at a place; told: how the players are told the class, or None."""

    def __init__(self, game, place, first=0, told=None, classes=3):
        self.game, self.place, self.classes = game, place, classes if told else 0
        self.rng = torch.Generator().manual_seed(5)
        self.data = Stream(2 if told else 1, place.shape, self.classes)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self._build(told)
            for done in range(first, first + STEPS):
                self._step(done)

    def _build(self, told):
        game, place = self.game, self.place
        if game.bare:
            place = replace(place, networks=(place.networks[0], place.networks[1].unmixed()))
            self.place = place
        if told is None:
            self.generator = place.networks[0].generator(place.latent, place.shape)
            critic = place.networks[1].encoder(place.shape, 1)
            self.critic, self.judge = critic, lambda x, *y: critic(x)[:, 0]
        else:
            self.generator, self.critic, self.judge = told(place, self.classes)
        initialised(self.generator, self.rng, *place.first)
        own = place.first if place.mixes else place.bare_first or place.first
        initialised(self.critic, self.rng, *own)
        if game.spectral is not None:
            for layer in [*self.critic.modules()]:
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    spectral_norm(layer)
                    times = Times(game.spectral)
                    register_parametrization(layer, "weight", times, unsafe=True)
        self.descents = [
            Descent(network, rate, place, game.beta)
            for network, rate in zip((self.generator, self.critic), place.rates, strict=True)
        ]
        self.kept = []

    def made(self, z, *labels):
        told = [one_hot(y, self.classes).float() for y in labels]
        return self.generator(torch.cat([z, *told], 1))

    def reals(self):
        drawn = self.data.next(BATCH)
        return (drawn[0], drawn[1:]) if self.classes else (drawn, ())

    def _step(self, done):
        for descent in self.descents:
            descent.at(done)
        for _ in range(self.game.critic_steps):
            real, labels, fake = self._critic_step()
        if not self.place.shared:
            fake, labels, real = self._anew()
        fakes = self.judge(fake, *labels)
        reals = None
        if self.game.needs_reals:
            with torch.no_grad():
                reals = self.judge(real, *labels)
        stepped(self.game.generator(reals, fakes).mean(), self.generator, self.descents[0].adam)
        self.kept.append(copy.deepcopy(self.generator.state_dict()))

    def _critic_step(self):
        real, labels = self.reals()
        fake = self.made(self.place.codes(self.rng), *labels)
        seen = fake.detach()
        if self.place.mixes:
            logits = self.judge(real, *labels), self.judge(seen, *labels)
        else:
            twice = [torch.cat([y, y]) for y in labels]
            logits = self.judge(torch.cat([real, seen]), *twice).chunk(2)
        loss = self.game.critic(*logits).mean()
        if self.game.penalty is not None:
            found = self.game.penalty(lambda x: self.judge(x, *labels), real, seen, self.rng)
            loss = loss + self.game.weight * found.mean()
        stepped(loss, self.critic, self.descents[1].adam)
        if self.game.clip:
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.copy_(weight.clip(-self.game.clip, self.game.clip))
        return real, labels, fake

    def _anew(self):
        """New fakes, and new reals where they are needed."""
        z, labels = self.place.codes(self.rng), ()
        if self.classes:
            labels = (torch.randint(self.classes, (BATCH,), generator=self.rng),)
        fake = self.made(z, *labels)
        return fake, labels, self.reals()[0] if self.game.needs_reals else None

    def model(self):
        """The generator that samples, and the critic, as lists of tensors."""
        if not self.place.average:
            return [*self.kept[-1].values(), *self.critic.state_dict().values()]
        averages = [
            torch.stack([own[name] for own in self.kept]).mean(0)
            if self.kept[0][name].is_floating_point()
            else self.kept[0][name] * 0
            for name in self.kept[0]
        ]
        return [*averages, *self.critic.state_dict().values()]


def trained(name, protocol, shape, first=0, change=lambda trainer: trainer, **told):
    """The same by the trainer."""
    training = Training(protocol, steps=9, batch=BATCH, **told)
    trainer = change(RECIPES[name].part.trainer(training, shape))
    return trainer, advanced(trainer, Known(shape), first)


def assert_like(found, hand):
    trainer, state = found
    assert_same(state.players["generator"], hand.generator)
    assert_same(state.players["critic"], hand.critic)
    assert_same(trainer.finish(state).tensors().values(), hand.model())


@pytest.mark.parametrize("protocol", ["plane", "small-dcgan"])
@pytest.mark.parametrize("name", list(GAMES))
def test_every_game(name, protocol):
    """Of points without batch norm, of images with it; each with its own weights."""
    place = PLACES[protocol]
    own = ON_POINTS.get(name, {}) if len(place.shape) == 1 else {}
    hand = ByHand(replace(GAMES[name], **own), place)
    assert_like(trained(name, protocol, place.shape), hand)


@pytest.mark.parametrize("name", ["nsgan", "r1gan", "wgan-gp", "rsgan", "sngan"])
def test_fakes_that_both_players_learn_from(name):
    """The generator learns from those that its critic has just seen; a critic without batch norm
    starts otherwise.
    """
    place = PLACES["dcgan-32"]
    assert_like(trained(name, "dcgan-32", place.shape), ByHand(GAMES[name], place))


@pytest.mark.parametrize("protocol", ["unrolled-notebook", "dense", "goodfellow-2014"])
def test_every_kind_of_protocol(protocol):
    """Two rates, orthogonal first weights; a uniform prior; momentum and dropout."""
    place = PLACES[protocol]
    assert_like(trained("nsgan", protocol, place.shape), ByHand(PLAIN, place))


def test_the_schedule_of_2014_on_its_way():
    """Half-way the momentum is .6, and the rate has fallen."""
    place, first = PLACES["goodfellow-2014"], 62_500
    assert_like(
        trained("gan", "goodfellow-2014", place.shape, first), ByHand(GAMES["gan"], place, first)
    )


def test_a_schedule_of_each_player():
    """Of their own, and over within three steps."""
    place = PLACES["plane"]
    own = Momentum(0.1, 0.5, 0.7, 2, 0.5), Momentum(0.05, 0.1, 0.9, 2, 0.8)

    def change(trainer):
        adams = {"generator_adam": own[0], "critic_adam": own[1]}
        return under(trainer, **adams)

    hand = object.__new__(ByHand)
    descent = Descent.__init__

    def each(self, network, rate, place, beta):
        chosen = own[0] if rate == 1.0 else own[1]
        about = (chosen.start, chosen.end, chosen.over, chosen.decay)
        descent(self, network, chosen.lr, replace(place, momentum=about), beta)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Descent, "__init__", each)
        hand.__init__(PLAIN, replace(place, rates=(1.0, 2.0)))
    assert_like(trained("nsgan", "plane", place.shape, change=change), hand)


@pytest.mark.parametrize("protocol", ["small-dcgan", "dcgan-32", "dense"])
@pytest.mark.parametrize("name", WITH_CLASSES)
def test_players_that_are_told_the_class(name, protocol):
    """The critic's fakes have the classes of its reals; the generator's are drawn evenly."""
    place, told = PLACES[protocol], concatenated if name == "cgan" else projected
    assert_like(trained(name, protocol, place.shape), ByHand(PLAIN, place, told=told))


def test_a_penalty_of_players_that_are_told_the_class():
    """Its critic is told the classes of the reals."""
    place, part = PLACES["small-dcgan"], RECIPES["cgan"].part
    game = replace(GAMES["wgan-gp"], critic_steps=2)
    with pytest.MonkeyPatch.context() as patch:
        recipe = replace(part, loss="wasserstein", penalty="gradient-penalty", momentum=0.0)
        patch.setitem(RECIPES._entries, "cgan", replace(RECIPES["cgan"], part=recipe))
        found = trained("cgan", "small-dcgan", place.shape, critic_steps=2)
    assert_like(found, ByHand(game, place, told=concatenated))


@pytest.mark.parametrize("name", ["wgan-gp", "r1gan", "dragan"])
def test_what_a_training_says_of_a_penalty(name):
    """Another weight than its paper's."""
    place = PLACES["plane"]
    hand = ByHand(replace(GAMES[name], weight=0.7), place)
    assert_like(trained(name, "plane", place.shape, penalty_weight=0.7), hand)


@pytest.mark.parametrize("protocol", ["small-dcgan", "dense"])
@pytest.mark.parametrize("name", ["nsgan", *WITH_CLASSES])
def test_samples_are_made_of_codes_of_the_prior(name, protocol):
    """By batch norm's running statistics; of every class in turn where a class is told."""
    place = PLACES[protocol]
    told = {"cgan": concatenated, "cgan-projection": projected}.get(name)
    hand = ByHand(PLAIN, place, told=told)
    trainer, state = trained(name, protocol, place.shape)
    codes = replace(place, shape=place.shape).codes(torch.Generator().manual_seed(3))
    found = trainer.finish(state).sample(BATCH, torch.Generator().manual_seed(3))
    with torch.no_grad():
        for own, mean in zip(hand.generator.state_dict().values(), hand.model(), strict=False):
            own.copy_(mean)
        hand.generator.eval()
        wanted = hand.made(codes, *([torch.arange(BATCH) % 3] if told else []))
    torch.testing.assert_close(found, wanted)
