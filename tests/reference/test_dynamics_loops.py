"""Dynamics written by hand, beside the game of all GANs: the same weights after three steps of
networks, on batches and fakes.
"""

import copy

import pytest
import torch
from reference.loops import Known
from reference.partloops import BOTH, Loop, compared, played
from torch.func import functional_call
from torch.nn.functional import logsigmoid

from bench.laws.recipes import digest
from generative import RECIPES
from generative.recipes.adversarial import Adversarial

pytestmark = pytest.mark.usefixtures("double")


class Together(Loop):
    """Mescheder et al. 2017, Algorithms 1 and 2: all slopes at one point, on one batch. pull: the
    weight of consensus.
    """

    pull = 0.0

    def field(self):
        """The slopes of generator and critic, with their graph."""
        real, z = self.reals(), self.codes()
        fake = self.made(z)
        losses = self.critics(real, fake), self.generator_loss(z, fake, self.reals)
        return [
            torch.autograd.grad(loss, list(player.parameters()), create_graph=True)
            for loss, player in zip(losses, (self.critic, self.generator), strict=True)
        ]

    def move(self, field, after=lambda: None):
        """Both along slopes."""
        for player, slope, descent in zip(
            (self.critic, self.generator), field, self.descents[::-1], strict=True
        ):
            for weight, each in zip(player.parameters(), slope, strict=True):
                weight.grad = each.detach().clone()
            descent.adam.step()
        after()

    def step(self):
        field = self.field()
        if self.pull:
            weights = [list(player.parameters()) for player in (self.critic, self.generator)]
            length = sum((each**2).sum() for slope in field for each in slope) / 2
            field = [
                [
                    each + self.pull * extra
                    for each, extra in zip(
                        slope,
                        torch.autograd.grad(length, own, retain_graph=True, materialize_grads=True),
                        strict=True,
                    )
                ]
                for slope, own in zip(field, weights, strict=True)
            ]
        self.move(field)


class Extragradient(Together):
    """Gidel et al. 2019, Algorithm 4."""

    def clipped(self):
        """Nothing follows."""

    def step(self):
        before = [copy.deepcopy(p.state_dict()) for p in (self.critic, self.generator)]
        self.move(self.field())
        field = self.field()
        with torch.no_grad():
            for player, kept in zip((self.critic, self.generator), before, strict=True):
                for name, weight in player.named_parameters():
                    weight.copy_(kept[name])
        self.move(field, self.clipped)


class Clipped(Extragradient):
    """With the critic of Arjovsky et al. 2017."""

    beta = 0.0

    def critic_loss(self, real, fake, x, y):
        return y - x

    def generator_loss(self, z, fake, reals):
        return -self.judge(fake)[0].mean()

    def clipped(self):
        with torch.no_grad():
            for weight in self.critic.parameters():
                weight.clip_(-0.01, 0.01)


class Historical(Loop):
    """Salimans et al. 2016, section 3.3: the mean of what the weights were before each step."""

    def near(self, player):
        """The squared distance to the past."""
        past = self.past.setdefault(player, [])
        past.append([weight.detach().clone() for weight in player.parameters()])
        means = [torch.stack(each).mean(0) for each in zip(*past, strict=True)]
        gaps = zip(player.parameters(), means, strict=True)
        return sum(((weight - mean) ** 2).sum() for weight, mean in gaps)

    def build(self):
        super().build()
        self.past, self.weight = {}, 0.001 if len(self.place.shape) == 1 else 0.1

    def critics(self, real, fake):
        return super().critics(real, fake) + self.weight * self.near(self.critic)

    def generator_loss(self, z, fake, reals):
        return super().generator_loss(z, fake, reals) + self.weight * self.near(self.generator)


class Unrolled(Loop):
    """Metz et al. 2017, equations 6 to 12, through Adam's own steps."""

    ahead = 2

    def generator_loss(self, z, fake, reals):
        real, own = reals(), self.critic
        adam, (low, high) = self.descents[1].adam, self.place.betas
        weights = {n: w.detach().clone().requires_grad_() for n, w in own.named_parameters()}
        slots = [adam.state[weight] for weight in own.parameters()]
        first = {n: slot["exp_avg"] for n, slot in zip(weights, slots, strict=True)}
        second = {n: slot["exp_avg_sq"] for n, slot in zip(weights, slots, strict=True)}
        done, network = int(slots[0]["step"]), copy.deepcopy(own)

        def judge(x):
            return functional_call(network, weights, x)[:, 0], None

        self.judge = judge
        for at in range(done + 1, done + 1 + self.ahead):
            loss = self.critics(real, fake)
            found = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            for (name, weight), slope in zip([*weights.items()], found, strict=True):
                first[name] = low * first[name] + (1 - low) * slope
                second[name] = high * second[name] + (1 - high) * slope**2
                size = (second[name] / (1 - high**at) + 1e-300).sqrt() + 1e-8
                weights[name] = weight - self.place.rates[1] * first[name] / (1 - low**at) / size
        loss = logsigmoid(-self.judge(fake)[0]).mean()
        del self.judge
        return loss


@BOTH
@pytest.mark.parametrize(
    ("name", "loop", "own"),
    [
        ("simultaneous-gan", Together, {}),
        ("consensus-gan", Together, {"pull": 10.0}),
        ("extragradient-gan", Extragradient, {}),
        ("historical-gan", Historical, {}),
    ],
)
def test_dynamics(name, loop, own, protocol):
    """Of networks, on batches and fakes."""
    compared(name, protocol, loop, **own)


@BOTH
def test_a_constraint_after_the_step_alone(protocol):
    """A step aside leaves the critic as it went."""
    part = Adversarial("wasserstein", constraint="clip", momentum=0.0, dynamics="extragradient")
    compared(part, protocol, Clipped)


@BOTH
@pytest.mark.parametrize("ahead", [1, 2])
def test_looking_ahead(ahead, protocol):
    """On the batch and the fakes of the generator's turn, which the critic's steps depend on."""
    compared("unrolled5", protocol, Unrolled, told={"ahead": ahead}, ahead=ahead)


@pytest.mark.parametrize("ahead", [1, 5, 10])
def test_a_recipe_looks_as_far_ahead_as_it_says(ahead):
    """By its own settings, and not by those that are usual."""
    plain = Adversarial("minimax", dynamics="unrolled")
    states = [
        played(part, "plane", (2,), **told)[1].players["generator"].state_dict()
        for part, told in ((RECIPES[f"unrolled{ahead}"].part, {}), (plain, {"ahead": ahead}))
    ]
    assert digest(states[0]) == digest(states[1])


@pytest.mark.parametrize("name", ["historical-gan", "lecam-gan"])
def test_what_is_packed_stays_as_it_was(name):
    """Whether the training goes on that it was packed of, or another that takes it up."""
    trainer, state = played(RECIPES[name].part, "plane", (2,))
    tree = trainer.pack(state)
    before = digest(tree)
    trainer.advance(state, 1)
    assert digest(tree) == before
    trainer.advance(trainer.unpack(Known((2,)), tree), 1)
    assert digest(tree) == before
