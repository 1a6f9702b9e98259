"""GANs with parts written by hand, beside the game of all GANs: the same weights after three steps.

Views, penalties, terms, numbers that move and forms of players are written down here once more,
from their papers.
"""

import pytest
import torch
from reference.loops import assert_same
from reference.partloops import BOTH, TOTAL, Loop, compared, played
from reference.places import BATCH, PLACES
from torch import nn
from torch.nn.functional import logsigmoid, pad, relu

from generative import RECIPES
from generative.recipes.adversarial import Adversarial

pytestmark = pytest.mark.usefixtures("double")


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
        decoder = making.unmixed().generator(16, self.seen)
        return nn.ModuleList([judging.encoder(self.seen, 16), decoder])

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
        if self.done * BATCH // 60 > self.epoch:
            self.margin, self.epoch = self.sums / self.count, self.done * BATCH // 60
        self.sums, self.count = self.sums - x.mean(), self.count + 1


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
        return relu(1e-3 * apart - x + y)

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
        ("loss-sensitive-gan", Sensitive, {"sensitivity": 1e-3}),
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
def test_packs_that_are_restored(protocol):
    """By an autoencoder of packs."""

    class Both(Packed, Restoring):
        critic_loss = Energy.critic_loss

        def generator_loss(self, z, fake, reals):
            return -self.judge(self.view(fake))[0].mean()

    compared(Adversarial("energy-margin", critic="energy", view="packing"), protocol, Both)


@BOTH
def test_features_of_what_is_seen(protocol):
    """Packs, whose features are matched."""

    class Both(Packed):
        def generator_loss(self, z, fake, reals):
            return Matching.generator_loss(self, z, fake, reals)

    part = Adversarial("minimax", view="packing", terms="feature-matching")
    compared(part, protocol, Both)


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
