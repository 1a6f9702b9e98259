"""pix2pix and CycleGAN by hand, beside their trainers: the same weights after three steps, in which
the buffers of earlier images fill up and the rates begin to fall.
"""

import pytest
import torch
from reference.loops import STEPS, Known, Stream, assert_same, initialised, stepped
from torch import nn
from torch.nn.functional import l1_loss, softplus

from bench.laws.recipes import under
from generative import RECIPES, Training
from generative.translators import PatchGan, Resnet, Unet

SIDE, BATCH, TOTAL, KEPT = 16, 4, 4, 5
pytestmark = pytest.mark.usefixtures("double")


class Pairs(Stream):
    """Batches of both domains."""

    def __init__(self, seed, first, second):
        super().__init__(seed, (first[0] + second[0], *first[1:]))
        self._split = first[0]

    def next(self, n):
        both = super().next(n)
        return both[:, : self._split], both[:, self._split :]


class Domains(Known):
    """Two domains for a trainer: other batches where they are pairs."""

    truth = paired = True
    held_first = held_second = None

    def __init__(self, first, second):
        super().__init__(second)
        self.first_shape = first

    def pairs(self):
        return Pairs(1, self.first_shape, self.shape)

    def domains(self):
        return Pairs(2, self.first_shape, self.shape)

    @property
    def first(self):
        return (Stream(3, self.first_shape).next(9) * 255).to(torch.uint8)

    @property
    def second(self):
        return (Stream(4, self.shape).next(9) * 255).to(torch.uint8)


COLOURED = (3, SIDE, SIDE)
GREY = (1, SIDE, SIDE)


def rates(done, start, decay):
    """Constant, then along a straight line to 0 at the end."""
    left = (1 - done / TOTAL) / decay
    return start * min(1.0, left)


def trained(name, first, span=1.0, **told):
    """By the trainer, with small networks and a short buffer: its protocol, and its state."""
    training = Training("", steps=TOTAL, batch=BATCH, generator_lr=3e-3, critic_lr=1e-3, **told)
    trainer, data = RECIPES[name].part.trainer(training, COLOURED), Domains(first, COLOURED)
    old = trainer.game.protocol
    network = Unet(4, 2) if name.startswith("pix2pix") else Resnet(4, 1, strides=1)
    critic = PatchGan(4, 1, old.critic.norm)
    own = {
        "generator": network,
        "critic": critic,
        "buffer": min(KEPT, old.buffer),
        "span": span,
        "decay": 0.75,
    }
    trainer, rng = under(trainer, **own), torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = trainer.start(data, rng)
        torch.manual_seed(7)
        return trainer, trainer.advance(state, STEPS)


def first_weights(*networks):
    """N(0, .02), in their order, from the trainer's generator."""
    rng = torch.Generator().manual_seed(5)
    for network in networks:
        initialised(network, rng, "normal", 0.02)
    return networks


def adam(*networks):
    weights = [weight for network in networks for weight in network.parameters()]
    return torch.optim.Adam(weights, 1.0, (0.5, 0.999))


def at_rate(adam, rate):
    (group,) = adam.param_groups
    group["lr"] = rate
    return adam


PIX2PIX = {
    "pix2pix": (True, True, 100.0),
    "pix2pix-cgan": (True, True, 0.0),
    "pix2pix-gan": (True, False, 0.0),
    "pix2pix-l1": (False, False, 1.0),
}
"""Whether there is a critic, whether it sees the input, and the weight of L1."""


@pytest.mark.parametrize("first", [COLOURED, GREY], ids=["coloured", "grey"])
@pytest.mark.parametrize("name", list(PIX2PIX))
def test_pix2pix(name, first):
    """Isola et al. 2017, section 3: half of the critic's loss on the pair and on the input with the
    output; then the generator on the critic as it is now.
    """
    contested, conditional, weight = PIX2PIX[name]
    span = 2.0 if first == COLOURED else 1.0
    _, state = trained(name, first, span)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = Unet(4, 2).build(first, COLOURED)
        critic = PatchGan(4, 1).build(3 + first[0] * conditional, COLOURED)
        first_weights(generator, critic)
        data, adams = Pairs(1, first, COLOURED), (adam(generator), adam(critic))
        torch.manual_seed(7)
        for done in range(STEPS):
            own = [
                at_rate(a, rates(done, r, 0.75)) for a, r in zip(adams, (3e-3, 1e-3), strict=True)
            ]
            x, y = data.next(BATCH)
            made = generator(x)
            loss = weight * span * l1_loss(made, y)
            if contested:
                beside = [x] if conditional else []
                true = softplus(-critic(torch.cat([*beside, y], 1))).mean()
                false = softplus(critic(torch.cat([*beside, made.detach()], 1))).mean()
                stepped((true + false) / 2, critic, own[1])
                loss = loss + softplus(-critic(torch.cat([*beside, made], 1))).mean()
            stepped(loss, generator, own[0])
    assert_same(state.players["generator"], generator)
    assert_same(state.players["critic"], critic)


CYCLEGAN = {
    "cyclegan": (1.0, 10.0, 5.0),
    "cyclegan-gan": (1.0, 0.0, 0.0),
    "cyclegan-cycle": (0.0, 10.0, 5.0),
}
"""The weights of the adversarial, the cycle and the identity losses."""


def shown_of(kept, new, rng):
    """Shrivastava et al. 2017, section 2.3: until `KEPT` are kept each new image is shown and kept;
    then one of two is, and another that was kept is shown and left for it.
    """
    shown = []
    for image in new:
        if len(kept) < KEPT:
            kept.append(image)
            shown.append(image)
            continue
        draws = torch.rand((), generator=rng), torch.rand((), generator=rng)
        at = int(draws[1] * KEPT)
        if draws[0] < 0.5:
            shown.append(image)
        else:
            shown.append(kept[at])
            kept[at] = image
    return torch.stack(shown)


@pytest.mark.parametrize("first", [COLOURED, GREY], ids=["coloured", "grey"])
@pytest.mark.parametrize("name", list(CYCLEGAN))
def test_cyclegan(name, first):
    """Zhu et al. 2017, equations 1 to 3 and section 5.2: both generators first, by least squares;
    then the critics on half their losses, of images that were made earlier too. Between domains of
    other channels there is no identity loss.
    """
    adversarial, cycle, same = CYCLEGAN[name]
    span = 2.0 if first == COLOURED else 1.0
    _, state = trained(name, first, span)
    data, rng = Pairs(2, first, COLOURED), torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, patches = Resnet(4, 1, strides=1), PatchGan(4, 1, "instance")
        there, back = network.build(first, COLOURED), network.build(COLOURED, first)
        of_second, of_first = patches.build(3, COLOURED), patches.build(first[0], first)
        first_weights(there, back, of_second, of_first)
        generators, critics = nn.ModuleList([there, back]), nn.ModuleList([of_second, of_first])
        adams, kept = (adam(generators), adam(critics)), ([], [])
        for done in range(STEPS):
            own = [
                at_rate(a, rates(done, r, 0.75)) for a, r in zip(adams, (3e-3, 1e-3), strict=True)
            ]
            x, y = data.next(BATCH)
            as_y, as_x = there(x), back(y)
            loss = adversarial * ((of_second(as_y) - 1) ** 2).mean()
            loss = loss + adversarial * ((of_first(as_x) - 1) ** 2).mean()
            loss = loss + cycle * span * (l1_loss(back(as_y), x) + l1_loss(there(as_x), y))
            if first == COLOURED:
                loss = loss + same * span * (l1_loss(there(y), y) + l1_loss(back(x), x))
            stepped(loss, generators, own[0])
            if adversarial:
                shown = [
                    shown_of(k, new.detach(), rng)
                    for k, new in zip(kept, (as_y, as_x), strict=True)
                ]
                value = ((of_second(y) - 1) ** 2).mean() + (of_second(shown[0]) ** 2).mean()
                value = value + ((of_first(x) - 1) ** 2).mean() + (of_first(shown[1]) ** 2).mean()
                stepped(value / 2, critics, own[1])
    assert_same(state.players["generators"], generators)
    assert_same(state.players["critics"], critics)
    assert not adversarial or len(kept[0]) == KEPT < STEPS * BATCH


def test_a_model_has_its_generators_in_their_directions():
    """Forward the first of CycleGAN's, backward the second; the mean image is of the domain that is
    translated into, in its training set.
    """
    trainer, state = trained("cyclegan", GREY)
    model, (there, back) = trainer.finish(state), state.players["generators"]
    x, y = Pairs(2, GREY, COLOURED).next(2)
    rng = torch.Generator()
    torch.testing.assert_close(model.translate(x, rng), there.eval()(x).detach())
    torch.testing.assert_close(model.translate(y, rng, "backward"), back.eval()(y).detach())
    data = Domains(GREY, COLOURED)
    floor = RECIPES["mean-image"].part.trainer(Training(""), COLOURED)
    floor = floor.finish(floor.start(data, rng))
    for way, source, images in (("forward", x, data.second), ("backward", y, data.first)):
        wanted = (images.double() / 255).mean(0).expand(2, -1, -1, -1)
        made = floor.translate(source, rng, way).double()
        torch.testing.assert_close(made, wanted, atol=1e-6, rtol=0)


RIVALS = ("discogan", "dualgan", "simgan")


def _clipped(network, bound):
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.clip(-bound, bound))


def _wasserstein(true, false):
    return (false - true).mean()


@pytest.mark.parametrize("first", [COLOURED, GREY], ids=["coloured", "grey"])
@pytest.mark.parametrize("name", RIVALS)
def test_rivals_of_cyclegan(name, first):
    """DiscoGAN (Kim et al. 2017, equations 3 to 7): logarithms and squared distances. DualGAN (Yi
    et al. 2017, equations 1 to 4): Wasserstein critics clipped after each of three steps, the first
    on what the generators have just made, the others on new images. SimGAN (Shrivastava et al.
    2017, equation 2): least squares, and how far what was made is from what it was made of, where
    both have the same channels.
    """
    span, told = (2.0 if first == COLOURED else 1.0), {}
    betas = (0.0, 0.99) if name == "dualgan" else (0.5, 0.999)
    if name == "dualgan":
        told = {"clip_bound": 0.02, "cycle_weight": 7.0}
    _, state = trained(name, first, span, **told)
    data, rng = Pairs(2, first, COLOURED), torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, patches = Resnet(4, 1, strides=1), PatchGan(4, 1, "instance")
        there, back = network.build(first, COLOURED), network.build(COLOURED, first)
        of_second, of_first = patches.build(3, COLOURED), patches.build(first[0], first)
        first_weights(there, back, of_second, of_first)
        generators, critics = nn.ModuleList([there, back]), nn.ModuleList([of_second, of_first])
        adams = [
            torch.optim.Adam([*part.parameters()], 1.0, betas) for part in (generators, critics)
        ]
        kept = ([], [])

        def fooled(logits):
            if name == "discogan":
                return softplus(-logits).mean()
            return -logits.mean() if name == "dualgan" else ((logits - 1) ** 2).mean()

        def told_apart(true, false):
            if name == "discogan":
                return softplus(-true).mean() + softplus(false).mean()
            if name == "dualgan":
                return _wasserstein(true, false)
            return ((true - 1) ** 2).mean() + (false**2).mean()

        for done in range(STEPS):
            own = [
                at_rate(a, rates(done, r, 0.75)) for a, r in zip(adams, (3e-3, 1e-3), strict=True)
            ]
            x, y = data.next(BATCH)
            as_y, as_x = there(x), back(y)
            loss = fooled(of_second(as_y)) + fooled(of_first(as_x))
            if name == "discogan":
                gaps = ((back(as_y) - x) ** 2).mean() + ((there(as_x) - y) ** 2).mean()
                loss = loss + span**2 * gaps
            elif name == "dualgan":
                gaps = l1_loss(back(as_y), x) + l1_loss(there(as_x), y)
                loss = loss + 7.0 * span * gaps
            elif first == COLOURED:
                loss = loss + 10.0 * span * (l1_loss(as_y, x) + l1_loss(as_x, y))
            stepped(loss, generators, own[0])
            for turn in range(3 if name == "dualgan" else 1):
                if turn:
                    x, y = data.next(BATCH)
                    as_y, as_x = there(x), back(y)
                shown = [
                    shown_of(k, new.detach(), rng) if name == "simgan" else new.detach()
                    for k, new in zip(kept, (as_y, as_x), strict=True)
                ]
                value = told_apart(of_second(y), of_second(shown[0]))
                value = value + told_apart(of_first(x), of_first(shown[1]))
                stepped(value / 2, critics, own[1])
                if name == "dualgan":
                    _clipped(critics, 0.02)
    assert_same(state.players["generators"], generators)
    assert_same(state.players["critics"], critics)


@pytest.mark.parametrize("first", [COLOURED, GREY], ids=["coloured", "grey"])
def test_bigan_of_images(first):
    """Donahue et al. 2017, equation 2, with images for codes: the critic takes (F(y), y) for real
    and (x, G(x)) for made; G and F minimise both with the labels exchanged.
    """
    _, state = trained("bigan-translator", first)
    data = Pairs(2, first, COLOURED)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, patches = Resnet(4, 1, strides=1), PatchGan(4, 1, "instance")
        there, back = network.build(first, COLOURED), network.build(COLOURED, first)
        critic = patches.build(3 + first[0], COLOURED)
        first_weights(there, back, critic)
        generators = nn.ModuleList([there, back])
        adams = (adam(generators), adam(critic))
        for done in range(STEPS):
            own = [
                at_rate(a, rates(done, r, 0.75)) for a, r in zip(adams, (3e-3, 1e-3), strict=True)
            ]
            x, y = data.next(BATCH)
            made, inferred = there(x), back(y)
            false, true = (torch.cat(pair, 1) for pair in ((x, made), (inferred, y)))
            loss = softplus(-critic(false)).mean() + softplus(critic(true)).mean()
            stepped(loss, generators, own[0])
            of_true, of_false = critic(true.detach()), critic(false.detach())
            stepped((softplus(-of_true).mean() + softplus(of_false).mean()) / 2, critic, own[1])
    assert_same(state.players["generators"], generators)
    assert_same(state.players["critic"], critic)
