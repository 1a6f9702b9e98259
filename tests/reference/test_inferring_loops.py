"""Games with an encoder as a third player written by hand, beside the trainer: the same weights
after three steps. And what is left of them when a part is switched off, to the bit.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch import nn
from torch.nn.functional import leaky_relu, logsigmoid

from bench.core.randomness import stream
from generative import RECIPES, Training

TOTAL = 9
PROTOCOLS = ["plane", "unrolled-notebook", "small-dcgan", "dcgan-32"]


class ByHand:
    """Three steps, the first after `first` others. A kin builds its players and makes a step."""

    spread, bare = False, False

    def __init__(self, protocol, first=0, **own):
        vars(self).update(own)
        self.place, self.done = PLACES[protocol], first
        self.rng, self.data = torch.Generator().manual_seed(5), Stream(1, self.place.shape)
        self.noise, self.kept = stream("vae-gan", 5), []
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.build()
            for _ in range(STEPS):
                self.step()
                self.done += 1
                self.kept.append(copy.deepcopy(self.coder.state_dict()))

    @property
    def layers(self):
        """Of the encoder."""
        return self.place.networks[1].unmixed()

    def encoder_of(self):
        return self.layers.encoder(self.place.shape, self.place.latent * (1 + self.spread))

    def generator_of(self):
        return self.place.networks[0].generator(self.place.latent, self.place.shape)

    def begun(self, generator, critic, bare):
        """First weights of both, by the protocol."""
        place = self.place
        initialised(generator, self.rng, *place.first)
        mixes = place.mixes and not bare
        initialised(critic, self.rng, *(place.first if mixes else place.bare_first or place.first))

    def descend(self, loss, network, which):
        """which: 0 for the generator's rate, 1 for the critic's."""
        name = f"adam of {id(network)}"
        if name not in vars(self):
            setattr(self, name, Descent(network, self.place.rates[which], self.place, None).adam)
        stepped(loss, network, getattr(self, name))

    def codes(self):
        return self.place.codes(self.rng)

    def moments(self, x):
        found = self.encoder(x)
        return found[:, : self.place.latent], found[:, self.place.latent :]

    def inferred(self, x, rng):
        if not self.spread:
            return self.encoder(x)
        mean, log_variance = self.moments(x)
        return mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=rng)


class Pairs(ByHand):
    """Equation 2 of either paper: both players of the joint distribution against one critic. raw:
    logits themselves for their logarithms; again: of |z - E(G(z))|^2.
    """

    raw, again = False, 0.0

    def build(self):
        place = self.place
        self.generator = self.generator_of()
        if len(place.shape) == 1:
            self.critic = place.networks[1].encoder((place.shape[0] + place.latent,), 1)
        else:
            self.critic = nn.ModuleList(
                [
                    place.networks[1].encoder(place.shape, 128),
                    nn.Linear(place.latent, 64),
                    nn.Linear(192, 128),
                    nn.Linear(128, 1),
                ]
            )
        self.encoder = self.encoder_of()
        self.begun(self.generator, self.critic, False)
        self.coder = nn.ModuleList([self.encoder, self.generator])

    def judged(self, x, z):
        if len(self.place.shape) == 1:
            return self.critic(torch.cat([x, z], 1))[:, 0]
        seen, told, both, score = self.critic
        joined = torch.cat([leaky_relu(seen(x), 0.2), leaky_relu(told(z), 0.2)], 1)
        return score(leaky_relu(both(joined), 0.2))[:, 0]

    def drawn(self):
        x = self.data.next(BATCH)
        inferred = self.inferred(x, self.rng)
        z = self.codes()
        return x, inferred, self.generator(z), z

    def step(self):
        x, inferred, made, z = self.drawn()
        real, fake = self.judged(x, inferred.detach()), self.judged(made.detach(), z)
        self.descend((-logsigmoid(real) - logsigmoid(-fake)).mean(), self.critic, 1)
        if not self.place.shared:
            x, inferred, made, z = self.drawn()
        real, fake = self.judged(x, inferred), self.judged(made, z)
        loss = (real - fake) if self.raw else -logsigmoid(-real) - logsigmoid(fake)
        loss = loss.mean()
        if self.again:
            loss = loss + self.again * ((z - self.encoder(made)) ** 2).sum(1).mean()
        self.descend(loss, self.coder, 0)


class Undone(ByHand):
    """A non-saturating GAN, and an encoder that sees its fakes."""

    def build(self):
        self.generator, self.critic = (
            self.generator_of(),
            self.place.networks[1].encoder(self.place.shape, 1),
        )
        self.begun(self.generator, self.critic, False)
        self.encoder = self.encoder_of()
        self.coder = nn.ModuleList([self.encoder, self.generator])

    def step(self):
        x, z = self.data.next(BATCH), self.codes()
        made = self.generator(z)
        if self.place.mixes:
            real, fake = (self.critic(part)[:, 0] for part in (x, made.detach()))
        else:
            real, fake = self.critic(torch.cat([x, made.detach()]))[:, 0].chunk(2)
        self.descend((-logsigmoid(real) - logsigmoid(-fake)).mean(), self.critic, 1)
        off = ((self.encoder(made.detach()) - z) ** 2).sum(1)
        self.descend(off.mean(), self.encoder, 1)
        if not self.place.shared:
            made = self.generator(self.codes())
        self.descend(-logsigmoid(self.critic(made)[:, 0]).mean(), self.generator, 0)


class Regularised(ByHand):
    """Reconstruction, and a GAN of codes; rates fall to 0 over the second half. weight: of it."""

    weight = 1.0

    def build(self):
        place = self.place
        making, judging = (network.unmixed() for network in place.networks)
        self.encoder = judging.encoder(place.shape, place.latent)
        self.generator = making.generator(place.latent, place.shape)
        self.coder = nn.ModuleList([self.encoder, self.generator])
        if len(place.shape) == 1:
            self.critic = judging.encoder((place.latent,), 1)
        else:
            wide = [nn.Linear(place.latent, 256), nn.LeakyReLU(0.2), nn.Linear(256, 256)]
            self.critic = nn.Sequential(*wide, nn.LeakyReLU(0.2), nn.Linear(256, 1))
        rates = zip((self.coder, self.critic), place.rates, strict=True)
        self.adams = [(torch.optim.Adam(net.parameters(), r, place.betas), r) for net, r in rates]

    def turn(self, loss, network, which):
        adam, rate = self.adams[which]
        adam.param_groups[0]["lr"] = rate * min(1.0, 2 * (1 - self.done / TOTAL))
        stepped(loss, network, adam)

    def step(self):
        x = self.data.next(BATCH)
        codes, z = self.encoder(x).detach(), self.codes()
        real, fake = self.critic(z)[:, 0], self.critic(codes)[:, 0]
        self.turn((-logsigmoid(real) - logsigmoid(-fake)).mean(), self.critic, 1)
        lost = ((x - self.generator(self.encoder(x))) ** 2).flatten(1).sum(1)
        fooled = -logsigmoid(self.critic(self.encoder(x))[:, 0])
        self.turn((lost + self.weight * fooled).mean(), self.coder, 0)


class Alike(ByHand):
    """Algorithm 1 of Larsen et al. 2016."""

    spread, kl, weight, share = True, 1.0, 1.0, 0.5

    def build(self):
        place = self.place
        self.place = replace(place, uniform=False)
        self.generator = self.generator_of()
        self.critic = self.layers.encoder(place.shape, 1)
        self.begun(self.generator, self.critic, True)
        self.encoder = self.encoder_of()
        self.coder = nn.ModuleList([self.encoder, self.generator])

    def seen(self, x):
        """What the last layer sees, and its logit."""
        network = self.critic
        while len(network) == 2:
            network = network[1]
        kept = []
        hook = network[-1].register_forward_pre_hook(lambda layer, given: kept.append(given[0]))
        logits = self.critic(x)[:, 0]
        hook.remove()
        return kept[0].flatten(1), logits

    def apart(self, x, rebuilt):
        wanted, (found, logits) = self.seen(x)[0].detach(), self.seen(rebuilt)
        return ((wanted - found) ** 2).sum(1) / 2, logits

    def step(self):
        x, made = self.data.next(BATCH), self.generator(self.codes())
        rebuilt = self.generator(self.inferred(x, self.noise)).detach()
        real, fake, again = (self.seen(part)[1] for part in (x, made.detach(), rebuilt))
        fakes = (1 - self.share) * -logsigmoid(-fake) + self.share * -logsigmoid(-again)
        self.descend((-logsigmoid(real) + fakes).mean(), self.critic, 1)
        mean, log_variance = self.moments(x)
        apart, _ = self.apart(x, self.generator(self.inferred(x, self.noise)))
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        self.descend((self.kl * kl + apart).mean(), self.encoder, 0)
        if not self.place.shared:
            made, x = self.generator(self.codes()), self.data.next(BATCH)
        z = self.inferred(x, self.noise).detach()
        apart, again = self.apart(x, self.generator(z))
        fooled = (1 - self.share) * -logsigmoid(self.seen(made)[1])
        loss = fooled + self.share * -logsigmoid(again) + self.weight * apart
        self.descend(loss.mean(), self.generator, 0)


MODELS = {
    "ali": (Pairs, {"spread": True}, {}),
    "bigan": (Pairs, {}, {}),
    "veegan": (Pairs, {"raw": True, "again": 1.0}, {}),
    "veegan otherwise": (Pairs, {"raw": True, "again": 0.3}, {"code_weight": 0.3}),
    "latent-regressor": (Undone, {}, {}),
    "aae": (Regularised, {}, {}),
    "aae otherwise": (Regularised, {"weight": 0.3}, {"prior_weight": 0.3}),
    "vae-gan": (Alike, {}, {}),
    "vae-gan otherwise": (
        Alike,
        {"kl": 0.2, "weight": 0.3, "share": 0.25},
        {"divergence_weight": 0.2, "feature_weight": 0.3, "rebuilt_share": 0.25},
    ),
}


def played(name, protocol, first=0, **told):
    """By the trainer: it, and its state."""
    place = PLACES[protocol]
    training = Training(protocol, steps=TOTAL, batch=BATCH, **told)
    trainer = RECIPES[name].part.trainer(training, place.shape)
    return trainer, advanced(trainer, Known(place.shape), first)


def coder_of(state):
    """Encoder and generator, whoever holds them."""
    players = state.players
    if "coder" in players:
        return players["coder"].encoder, players["coder"].decoder
    return players["encoder"], players["generator"]


USUAL = {"veegan": {"code_weight": 1.0}, "aae": {"prior_weight": 1.0}}
USUAL["vae-gan"] = {"divergence_weight": 1.0, "feature_weight": 1.0, "rebuilt_share": 0.5}
"""What a loop has where a case says nothing, said: a model may have others on points."""


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", MODELS)
def test_three_steps(name, protocol):
    """With PyTorch's own first weights of the encoder, in the second half of a training, too."""
    loop, own, told = MODELS[name]
    model = name.split()[0]
    told = {**USUAL.get(model, {}), **told}
    for first in (0, 5) if loop is Regularised and protocol == "plane" else (0,):
        hand, (_, state) = loop(protocol, first, **own), played(model, protocol, first, **told)
        encoder, generator = coder_of(state)
        assert_same(encoder, hand.encoder)
        assert_same(generator, hand.generator)
        assert_same(list(state.players["critic"].state_dict().values()), hand.critic)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["bigan", "vae-gan", "latent-regressor"])
def test_averages_are_what_a_model_is_made_of(name):
    """Of encoder and generator alike: after three steps, of all three."""
    loop, own, _ = MODELS[name]
    trainer, state = played(name, "small-dcgan", **USUAL.get(name, {}))
    hand, found = loop("small-dcgan", **own), trainer.finish(state).tensors()
    for start, player in (("encoder.", 0), ("", 1)):
        of = {k.removeprefix(start): v for k, v in found.items() if k.startswith(start)}
        for key in hand.kept[0]:
            which, _, inside = key.partition(".")
            if int(which) != player or inside not in of or not of[inside].is_floating_point():
                continue
            mean = torch.stack([each[key] for each in hand.kept]).mean(0)
            torch.testing.assert_close(of[inside], mean, rtol=0, atol=1e-6)


def assert_bits(found, wanted):
    found, wanted = found.state_dict(), wanted.state_dict()
    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("protocol", ["plane", "small-dcgan", "dense"])
def test_an_adversarial_autoencoder_without_its_adversary_is_the_autoencoder(protocol):
    """To the bit, its samples too; with one, from the first step on it is another."""
    models = {
        "off": ("aae", {"prior_weight": 0.0}),
        "plain": ("autoencoder", {}),
        "on": ("aae", {}),
    }
    found = {key: played(name, protocol, **told) for key, (name, told) in models.items()}
    coders = {key: state.players["coder"] for key, (_, state) in found.items()}
    assert_bits(coders["off"], coders["plain"])
    drawn = [trainer.finish(state).sample(9, stream("off")) for trainer, state in found.values()]
    assert torch.equal(drawn[0], drawn[1])
    pairs = zip(coders["on"].parameters(), coders["plain"].parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("protocol", ["plane", "small-dcgan", "dcgan-32"])
def test_a_latent_regressor_is_a_gan_beside_an_encoder(protocol):
    """Generator and critic are those of the non-saturating GAN, to the bit."""
    (_, found), (_, plain) = played("latent-regressor", protocol), played("nsgan", protocol)
    for player in ("generator", "critic"):
        assert_bits(found.players[player], plain.players[player])


def test_a_vae_gan_without_likeness_is_a_gan():
    """Nothing rebuilt is judged, nothing has to be alike: to the bit, whatever the encoder does."""
    off = {"feature_weight": 0.0, "rebuilt_share": 0.0}
    (_, found), (_, plain) = played("vae-gan", "plane", **off), played("nsgan", "plane")
    (_, on) = played("vae-gan", "plane", feature_weight=1.0, rebuilt_share=0.0)
    for player in ("generator", "critic"):
        assert_bits(found.players[player], plain.players[player])
    same = [
        torch.equal(one, other)
        for one, other in zip(
            on.players["generator"].parameters(),
            plain.players["generator"].parameters(),
            strict=True,
        )
    ]
    assert not all(same)
