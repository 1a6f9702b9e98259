"""GANs with parts written by hand, beside the game of all GANs: the same weights after three steps.

Views, penalties, terms, numbers that move, forms of critics and dynamics are written down here once
more, from their papers. Only the layers come from `generative.networks`.
"""

import copy
from dataclasses import replace

import pytest
import torch
from reference.loops import STEPS, Known, Stream, advanced, assert_same, initialised, stepped
from reference.places import BATCH, PLACES, Descent
from torch import nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid, pad, relu

from bench.laws.recipes import digest
from generative import RECIPES, Training
from generative.recipes.adversarial import Adversarial

TOTAL = 9
BOTH = pytest.mark.parametrize("protocol", ["plane", "small-dcgan"])
pytestmark = pytest.mark.usefixtures("double")


class Loop:
    """The non-saturating GAN: what is otherwise stands in its kin, or is given by name.

    group: how many examples are judged at once. bare: its critic goes without batch norm. beta:
    Adam's first of both players.
    """

    group, bare, beta = 1, False, None

    def __init__(self, place, first=0, **own):
        vars(self).update(own)
        if self.bare:
            place = replace(place, networks=(place.networks[0], place.networks[1].unmixed()))
        self.place, self.done, self.kept = place, first, []
        self.rng, self.data = torch.Generator().manual_seed(5), Stream(1, place.shape)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.build()
            for _ in range(STEPS):
                self.step()
                self.done += 1
                self.kept.append(copy.deepcopy(self.generator.state_dict()))

    def build(self):
        place = self.place
        self.generator = place.networks[0].generator(place.latent, place.shape)
        self.critic = self.new_critic()
        initialised(self.generator, self.rng, *place.first)
        own = place.first if place.mixes else place.bare_first or place.first
        initialised(self.critic, self.rng, *own)
        self.descents = [
            Descent(network, rate, place, self.beta)
            for network, rate in zip((self.generator, self.critic), place.rates, strict=True)
        ]

    def new_critic(self):
        channels, *rest = self.place.shape
        return self.place.networks[1].encoder((channels * self.group, *rest), 1)

    def made(self, z):
        return self.generator(z)

    def view(self, x):
        return x

    def judge(self, x):
        """Logits and features."""
        network = self.critic
        while len(network) == 2:
            network = network[1]
        kept = []
        hook = network[-1].register_forward_pre_hook(lambda layer, given: kept.append(given[0]))
        logits = self.critic(x)[:, 0]
        hook.remove()
        return logits, kept[0]

    def critic_loss(self, real, fake, x, y):
        """Of each of the batch; x, y: the logits of reals and fakes."""
        return -logsigmoid(x) - logsigmoid(-y)

    def penalty(self, real, fake):
        """Of what the critic is shown."""
        return 0.0

    def generator_loss(self, z, fake, reals):
        """reals: draws them."""
        return -logsigmoid(self.judge(self.view(fake))[0]).mean()

    def moved(self, x, y):
        """What else changes after a step of the critic."""

    def codes(self):
        return self.place.codes(self.rng, BATCH * self.group)

    def reals(self):
        return self.data.next(BATCH * self.group)

    def critics(self, real, fake):
        """What the critic minimises."""
        x, y = self.view(real), self.view(fake)
        if self.place.mixes:
            logits = self.judge(x)[0], self.judge(y)[0]
        else:
            logits = self.judge(torch.cat([x, y]))[0].chunk(2)
        self.logits = [each.detach() for each in logits]
        return self.critic_loss(real, fake, *logits).mean() + self.penalty(x, y)

    def step(self):
        real, z = self.reals(), self.codes()
        fake, draw = self.made(z), lambda: real
        stepped(self.critics(real, fake.detach()), self.critic, self.descents[1].adam)
        self.moved(*self.logits)
        if not self.place.shared:
            z, draw = self.codes(), self.reals
            fake = self.made(z)
        stepped(self.generator_loss(z, fake, draw), self.generator, self.descents[0].adam)


def slopes(judge, x):
    """Half the mean squared slope of the logits."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(judge(x)[0].sum(), x, create_graph=True)
    return (gradient**2).flatten(1).sum(1).mean() / 2


class Packed(Loop):
    """Lin et al. 2018: neighbours of the batch side by side."""

    group = 2

    def view(self, x):
        return torch.cat([x[at :: self.group] for at in range(self.group)], 1)


class R3(Loop):
    """Huang et al. 2024: over pairs, with the slopes at reals and at fakes."""

    bare = True

    def critic_loss(self, real, fake, x, y):
        return -logsigmoid(x - y)

    def generator_loss(self, z, fake, reals):
        y = self.judge(self.view(fake))[0]
        with torch.no_grad():
            x = self.judge(self.view(reals()))[0]
        return -logsigmoid(y - x).mean()

    def penalty(self, real, fake):
        return 10 * slopes(self.judge, real) + 10 * slopes(self.judge, fake)


class LeCam(Loop):
    """Tseng et al. 2021, beside the hinge loss."""

    of_reals = of_fakes = 0.0

    def critic_loss(self, real, fake, x, y):
        still = relu(x - self.of_fakes) ** 2 + relu(self.of_reals - y) ** 2
        return relu(1 - x) + relu(1 + y) + 0.3 * still

    def generator_loss(self, z, fake, reals):
        return -self.judge(fake)[0].mean()

    def moved(self, x, y):
        self.of_reals = 0.9 * self.of_reals + 0.1 * x.mean()
        self.of_fakes = 0.9 * self.of_fakes + 0.1 * y.mean()


class Restoring(Loop):
    """A critic that is an autoencoder: minus its error, and the code."""

    bare = True

    def new_critic(self):
        making, judging = self.place.networks
        decoder = making.unmixed().generator(16, self.place.shape)
        return nn.ModuleList([judging.encoder(self.place.shape, 16), decoder])

    def error(self, gap):
        return (gap**2).sum(1).sqrt()

    def judge(self, x):
        encode, decode = self.critic
        code = encode(x)
        return -self.error((x - decode(code)).flatten(1)), code


class Energy(Restoring):
    """Zhao et al. 2017, equations 1 and 2 and section 2.4. pull: the weight of that."""

    pull = 0.1

    def critic_loss(self, real, fake, x, y):
        return -x + relu(10 + y)

    def generator_loss(self, z, fake, reals):
        y, codes = self.judge(fake)
        pairs = [
            (a @ b / a.norm() / b.norm()) ** 2
            for i, a in enumerate(codes)
            for j, b in enumerate(codes)
            if i != j
        ]
        return -y.mean() + self.pull * torch.stack(pairs).mean()


class Balanced(Restoring):
    """Berthelot et al. 2017, section 3.3."""

    k, diversity, rate = 0.0, 1.0, 0.2

    def error(self, gap):
        return gap.abs().mean(1)

    def critic_loss(self, real, fake, x, y):
        return -x + self.k * y

    def generator_loss(self, z, fake, reals):
        return -self.judge(fake)[0].mean()

    def moved(self, x, y):
        k = self.k + self.rate * (y.mean() - self.diversity * x.mean())
        self.k = min(1.0, max(0.0, float(k)))
        assert 0 < self.k < 1


class Adapted(Restoring):
    """Wang et al. 2017, Algorithm 1, of which the first epoch ends after three steps."""

    margin, sums, count, epoch = 0.0, 0.0, 0, 0

    def critic_loss(self, real, fake, x, y):
        return -x + relu(self.margin + y)

    def generator_loss(self, z, fake, reals):
        return -self.judge(fake)[0].mean()

    def moved(self, x, y):
        self.sums, self.count = self.sums - x.mean(), self.count + 1
        if self.done * BATCH // 60 > self.epoch:
            self.margin, self.epoch = self.sums / self.count, self.done * BATCH // 60


class Matching(Loop):
    """Salimans et al. 2016, section 3.1."""

    def generator_loss(self, z, fake, reals):
        with torch.no_grad():
            wanted = self.judge(self.view(reals()))[1].mean(0)
        return ((wanted - self.judge(self.view(fake))[1].mean(0)) ** 2).sum()


class Seeking(Loop):
    """Mao et al. 2019, equation 3, turned over as in their code."""

    def generator_loss(self, z, fake, reals):
        y = self.judge(fake)[0]
        apart = [(x[: BATCH // 2] - x[BATCH // 2 :]).abs().mean() for x in (fake, z)]
        return -logsigmoid(y).mean() + 1 / (apart[0] / apart[1] + 1e-5)


class Best(Packed):
    """Sinha et al. 2020. best: how many of a batch are learnt from."""

    group, best = 1, 4

    def generator_loss(self, z, fake, reals):
        y = self.judge(self.view(fake))[0]
        return -logsigmoid(torch.stack(sorted(y, reverse=True)[: self.best])).mean()


class Sensitive(Loop):
    """Qi 2017, equation 8."""

    def critic_loss(self, real, fake, x, y):
        apart = (real - fake).abs().flatten(1).sum(1)
        return relu(0.5 * apart - x + y)

    def generator_loss(self, z, fake, reals):
        return -self.judge(fake)[0].mean()


def augmented(x, rng):
    """Zhao et al. 2020, image by image: what their code does to images in [-1, 1]."""
    n, side = len(x), x.shape[2]
    brightness, saturation, contrast, down, right, top, left = (
        torch.rand(n, 1, 1, 1, generator=rng).flatten() for _ in range(7)
    )
    shift, hole, shown = round(side / 8), side // 2, []
    for at, image in enumerate(2 * x - 1):
        image = image + (brightness[at] - 0.5)
        image = (image - image.mean(0)) * (saturation[at] * 2) + image.mean(0)
        image = (image - image.mean()) * (contrast[at] + 0.5) + image.mean()
        y, x0 = (int(draw[at] * (2 * shift + 1)) for draw in (down, right))
        image = pad(image, [shift] * 4).flip(1, 2)[:, y : y + side, x0 : x0 + side].flip(1, 2)
        mask = torch.ones(side, side)
        y, x0 = (int(draw[at] * (side + 1)) - hole // 2 for draw in (top, left))
        mask[max(0, y) : max(0, y + hole), max(0, x0) : max(0, x0 + hole)] = 0
        shown.append((image * mask + 1) / 2)
    return torch.stack(shown)


class Augmented(Loop):
    def view(self, x):
        return augmented(x, self.rng)


class Noisy(R3):
    """Sonderby et al. 2017, before R3GAN's critic."""

    def view(self, x):
        return x + 0.1 * (1 - self.done / TOTAL) * torch.randn(x.shape, generator=self.rng)


class Blurred(Noisy):
    """The same before the plain critic."""

    bare, critic_loss, generator_loss = False, Loop.critic_loss, Loop.generator_loss
    penalty = Loop.penalty


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
        self.past = {}

    def critics(self, real, fake):
        return super().critics(real, fake) + 0.1 * self.near(self.critic)

    def generator_loss(self, z, fake, reals):
        return super().generator_loss(z, fake, reals) + 0.1 * self.near(self.generator)


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


def played(part, protocol, shape, first=0, **told):
    """The same by the game."""
    training = Training(protocol, steps=TOTAL, batch=BATCH, **told)
    trainer = part.trainer(training, shape)
    return trainer, advanced(trainer, Known(shape), first)


def assert_like(found, hand):
    _, state = found
    assert_same(state.players["generator"], hand.generator)
    assert_same(state.players["critic"], hand.critic)


def compared(name, protocol, loop, shape=None, first=0, told=None, **own):
    """A registered model, or parts, beside its loop."""
    place = PLACES[protocol]
    place = replace(place, shape=shape or place.shape)
    part = RECIPES[name].part if isinstance(name, str) else name
    found = played(part, protocol, place.shape, first, **(told or {}))
    assert_like(found, loop(place, first, **own))
    return found


@BOTH
@pytest.mark.parametrize("group", [2, 3])
def test_packing(protocol, group):
    """Twice, and three times, as many of both a step."""
    compared(f"pacgan{group}", protocol, Packed, group=group)


@pytest.mark.parametrize("protocol", ["plane", "small-dcgan", "dcgan-32"])
@pytest.mark.parametrize(
    ("name", "loop", "told"),
    [
        ("r3gan", R3, {}),
        ("lecam-gan", LeCam, {}),
        ("feature-matching-gan", Matching, {}),
        ("ebgan-pt", Energy, {}),
        ("msgan", Seeking, {}),
        ("instance-noise-gan", Blurred, {}),
        ("loss-sensitive-gan", Sensitive, {"sensitivity": 0.5}),
    ],
)
def test_a_model_with_parts(name, loop, told, protocol):
    """Of points without batch norm, of images with it, and where both learn from the same fakes."""
    compared(name, protocol, loop, told=told)


@BOTH
def test_a_balance(protocol):
    """Which moves from the first step on."""
    compared("began", protocol, Balanced, told={"diversity": 1.0, "balance_rate": 0.2})


@BOTH
def test_a_margin_that_is_adapted(protocol):
    """The second of these steps is the first of the second epoch."""
    compared("magan", protocol, Adapted, first=9)


@BOTH
def test_a_term_of_another_weight(protocol):
    """Twenty times as much."""
    compared("ebgan-pt", protocol, Energy, told={"pull_weight": 2.0}, pull=2.0)


@BOTH
def test_the_best_of_a_batch(protocol):
    """Six tenths of it in the second epoch, which packs reach earlier."""
    told = {"top_decay": 0.6}
    compared("topk-gan", protocol, Best, first=10, told=told)
    compared("topk-gan", protocol, Best, first=5, told=told, best=6)
    part = Adversarial("nonsaturating", view="packing", terms="top-k")
    compared(part, protocol, Best, first=5, told=told, group=2)


@pytest.mark.parametrize("protocol", ["small-dcgan", "dcgan-32"])
def test_augmentation(protocol):
    """Of coloured images."""
    compared("diffaug-gan", protocol, Augmented, (3, 8, 8))


@BOTH
def test_a_view_before_a_penalty(protocol):
    """Slopes are those at what the critic sees, and so are the reals that a generator is compared
    with.
    """
    part = Adversarial("relativistic", penalty=("r1", "r2"), view="instance-noise")
    compared(part, protocol, Noisy)


@BOTH
def test_features_of_what_is_seen(protocol):
    """Packs, whose features are matched."""

    class Both(Packed):
        def generator_loss(self, z, fake, reals):
            return Matching.generator_loss(self, z, fake, reals)

    part = Adversarial("minimax", view="packing", terms="feature-matching")
    compared(part, protocol, Both)


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


def virtually(layer, x, n):
    """Salimans et al. 2016, section 3.5: by n references and the example, one by one."""
    rows, places = [], tuple(range(2, x.ndim))
    for at in range(len(x)):
        together = torch.cat([x[:n], x[at : at + 1]])
        spread, mean = torch.var_mean(together, (0, *places), unbiased=False, keepdim=True)
        rows.append((x[at : at + 1] - mean) / (spread + 1e-5).sqrt())
    shape = (1, -1, *[1] * len(places))
    return torch.cat(rows) * layer.weight.view(shape) + layer.bias.view(shape)


class Referring(Loop):
    """The reference is drawn when all weights are, and kept."""

    def build(self):
        super().build()
        self.reference = self.place.codes(self.rng)

    def made(self, z):
        x = torch.cat([self.reference, z])
        for layer in self.generator:
            normed = isinstance(layer, nn.BatchNorm2d)
            x = virtually(layer, x, BATCH) if normed else layer(x)
        return x[BATCH:]


def test_virtual_batch_norm():
    """Of images."""
    place = PLACES["small-dcgan"]
    _, state = played(RECIPES["virtual-gan"].part, "small-dcgan", place.shape)
    hand = Referring(place)
    assert_same(state.players["generator"].parameters(), hand.generator.parameters())
    assert_same(state.players["critic"], hand.critic)
    assert_same([state.players["generator"].codes], [hand.reference])


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
