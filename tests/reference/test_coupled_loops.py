"""CoGAN by hand, beside its trainer: the same weights after three steps, whatever is shared; and
the search for the code of an image.
"""

import copy

import pytest
import torch
from reference.loops import STEPS, assert_same, initialised, stepped
from reference.test_translating_loops import COLOURED, GREY, Domains, Pairs
from torch import nn
from torch.nn.functional import softplus

from bench.core.errors import UsageError
from bench.core.randomness import stream
from generative import RECIPES, Training
from generative.coupling import CoupledTranslator, Generators, Search, pieces
from generative.networks import Dcgan

BATCH, TOTAL, CODE = 4, 4, 5
LAYERS = Dcgan(32, layers=None)
double = pytest.mark.usefixtures("double")


def trained(first, unshared):
    training = Training(
        "",
        steps=TOTAL,
        batch=BATCH,
        generator_lr=3e-3,
        critic_lr=1e-3,
        unshared=unshared,
        code_size=CODE,
    )
    trainer = RECIPES["cogan"].part.trainer(training, COLOURED)
    rng = torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = trainer.start(Domains(first, COLOURED), rng)
        return trainer, trainer.advance(state, STEPS)


class Making(nn.Module):
    """Both generators by hand: a dense layer and two convolutions, of which the last `own` are
    each one's own; the first network's stand for what is shared.
    """

    def __init__(self, first, own):
        super().__init__()
        (a, b), at = (LAYERS.generator(CODE, s) for s in (first, COLOURED)), (0, 4, 7, 10)
        cut = at[max(0, 3 - own)]
        self.shared = a[:cut]
        self.a, self.b = a[cut:], b[cut:]

    def forward(self, z):
        seen = self.shared(z)
        return self.a(seen), self.b(seen)


class Judging(nn.Module):
    """Both critics by hand: two convolutions and a dense layer."""

    def __init__(self, first, own):
        super().__init__()
        (a, b), at = (LAYERS.encoder(s, 1) for s in (first, COLOURED)), (0, 3, 7, 8)
        cut = at[min(3, own)]
        self.a, self.b = a[:cut], b[:cut]
        self.shared = a[cut:]

    def forward(self, x, y):
        return self.shared(self.a(x))[:, 0], self.shared(self.b(y))[:, 0]


@double
@pytest.mark.parametrize("first", [COLOURED, GREY], ids=["coloured", "grey"])
@pytest.mark.parametrize("unshared", [1, 2, 3])
def test_coupled_gans(first, unshared):
    """Liu & Tuzel 2016, equation 2, with the usual loss of the generators: both domains' GANs are
    added, each code is of both, and the images are no pairs.
    """
    _, state = trained(first, unshared)
    data, rng = Pairs(2, first, COLOURED), torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        judging, making = Judging(first, unshared), Making(first, unshared)
        for network in (making, judging):
            initialised(network, rng, "normal", 0.02)
        adams = [
            torch.optim.Adam(network.parameters(), rate, (0.5, 0.999))
            for network, rate in ((making, 3e-3), (judging, 1e-3))
        ]
        for _ in range(STEPS):
            x, y = data.next(BATCH)
            with torch.no_grad():
                fakes = making(torch.randn(BATCH, CODE, generator=rng))
            reals, made = judging(x, y), judging(*fakes)
            loss = sum(
                softplus(-r).mean() + softplus(f).mean() for r, f in zip(reals, made, strict=True)
            )
            stepped(loss, judging, adams[1])
            made = judging(*making(torch.randn(BATCH, CODE, generator=rng)))
            stepped(sum(softplus(-f).mean() for f in made), making, adams[0])
    generators, critics = state.players["generators"], state.players["critics"]
    for part, own in both(generators, making):
        assert_same_but_none(part, own)
    for part, own in both(critics, judging):
        assert_same_but_none(part, own)


def both(player, hand):
    parts = (player.shared, *player.own), (hand.shared, hand.a, hand.b)
    return zip(*parts, strict=True)


def assert_same_but_none(part, own):
    """Of networks that may have no weights."""
    if list(own.parameters()):
        assert_same(part, own)
    else:
        assert not list(part.parameters())


@double
def test_two_gans_that_share_nothing_do_not_hear_of_one_another():
    """What the other domain's images are changes nothing of a generator and its critic; where
    layers are shared it does.
    """

    def outcome(unshared, negative):
        class Other(Domains):
            def domains(self):
                own = super().domains()
                drawn = own.next
                own.next = lambda n: (lambda x, y: (1 - x if negative else x, y))(*drawn(n))
                return own

        training = Training("", steps=TOTAL, batch=BATCH, unshared=unshared, code_size=CODE)
        trainer = RECIPES["cogan"].part.trainer(training, COLOURED)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            state = trainer.start(Other(GREY, COLOURED), torch.Generator().manual_seed(5))
            state = trainer.advance(state, STEPS)
        players = state.players
        return [
            value.clone()
            for name in ("generators", "critics")
            for value in players[name].own[1].state_dict().values()
        ]

    apart, coupled = ([outcome(n, negative) for negative in (False, True)] for n in (9, 1))
    assert all(torch.equal(a, b) for a, b in zip(*apart, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(*coupled, strict=True))


def test_a_network_in_pieces_is_the_network():
    network, x = LAYERS.encoder((3, 16, 16), 2).eval(), torch.rand(2, 3, 16, 16)
    found = pieces(network)
    assert len(found) == 3
    torch.testing.assert_close(nn.Sequential(*found)(x), network(x))


def linear(size, out):
    """Two generators of sums, the second of twice those of the first."""
    generators = Generators(Dcgan(4, layers=1), size, ((1, 2, out), (1, 2, out)), 1)
    first = nn.Sequential(nn.Linear(size, 2 * out, bias=False), nn.Unflatten(1, (1, 2, out)))
    second = copy.deepcopy(first)
    second[0].weight.data *= 2
    generators.shared, generators.own = nn.Sequential(), nn.ModuleList([first, second])
    return generators


@pytest.mark.parametrize(("direction", "factor"), [("forward", 2.0), ("backward", 0.5)])
def test_an_image_is_translated_by_its_code_and_the_other_generator(direction, factor):
    """Where each image has one: it is found, and doubled or halved; one that has none is brought to
    the nearest that has.
    """
    torch.manual_seed(3)
    generators = linear(3, 4)
    model = CoupledTranslator(generators, 3, Search(starts=50, steps=400, rate=0.05, block=1))
    images = model.draw(5, stream("images"))[0 if direction == "forward" else 1]
    made = model.translate(images, stream("noise"), direction)
    torch.testing.assert_close(made, factor * images, rtol=0, atol=2e-3)
    weight = generators.own[0][0].weight.detach()
    outside = torch.rand(4, 1, 2, 4, generator=stream("outside"))
    onto = outside.flatten(1) @ torch.linalg.pinv(weight).T @ weight.T
    found = model.translate(outside, stream("noise"), direction).flatten(1)
    torch.testing.assert_close(found, factor * onto, rtol=0, atol=5e-3)


def test_the_nearest_of_the_codes_that_are_tried_is_kept():
    """Without a step it is the start; a step too wide leaves it."""
    torch.manual_seed(3)
    generators, images = linear(3, 4), torch.rand(6, 1, 2, 4, generator=stream("outside"))
    found = []
    for search in (Search(20, 0, 1.0, 1), Search(20, 3, 1e6, 1)):
        model = CoupledTranslator(generators, 3, search)
        found.append(model.translate(images, stream("noise")))
    assert torch.equal(*found)
    codes = torch.randn(20, 3, generator=stream("noise"))
    made = [own(codes).detach() for own in generators.own]
    nearest = (images[:, None] - made[0][None]).square().flatten(2).sum(2).argmin(1)
    torch.testing.assert_close(found[0], made[1][nearest])


def test_a_code_is_searched_for_by_means_over_blocks():
    """Two images with the same means have the same code, which a finer search tells apart."""
    torch.manual_seed(3)
    generators, wanted = linear(3, 4), torch.rand(1, 1, 2, 4, generator=stream("outside"))
    other = wanted[:, :, :, [1, 0, 3, 2]]
    for block, same in ((2, True), (1, False)):
        model = CoupledTranslator(generators, 3, Search(20, 10, 0.1, block))
        found = [model.translate(x, stream("noise")) for x in (wanted, other)]
        assert torch.allclose(*found) == same
    blocks = torch.tensor([[[[1.0, 3.0, 5.0], [1.0, 3.0, 7.0]]]])
    torch.testing.assert_close(Search(block=2).coarse(blocks), torch.tensor([[2.0, 6.0]]))


def test_images_of_a_code_are_drawn_in_both_domains():
    model = CoupledTranslator(linear(3, 4), 3, Search())
    first, second = model.draw(7, stream("pairs"))
    torch.testing.assert_close(second, 2 * first)


def test_layers_that_can_not_make_the_images_are_refused():
    with pytest.raises(UsageError, match="4 times a power of 2"):
        RECIPES["cogan"].part.trainer(Training(""), (3, 20, 20))
