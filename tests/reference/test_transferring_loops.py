"""Domain transfer and likeness by content, by hand, beside their trainers: the same weights after a
training in which a network learns what is in images first, and the others play with it afterwards.
"""

import pytest
import torch
from reference.loops import Stream, assert_same, initialised, stepped
from reference.test_translating_loops import COLOURED, GREY, Domains, Pairs
from torch import nn
from torch.nn.functional import cross_entropy

from bench.core.errors import UsageError
from bench.laws.recipes import under
from generative import RECIPES, Training
from generative.contents import coloured, seen_as
from generative.networks import Dcgan
from generative.translators import PatchGan, Resnet

BATCH, STEPS, SIZE, CLASSES = 4, 6, 5, 3
LEARNING = 3
"""Of 6 steps, where half of the training is for the content."""
RATES = {"generator_lr": 3e-3, "critic_lr": 1e-3}
LAYERS = Dcgan(32, layers=None)
pytestmark = pytest.mark.usefixtures("double")


class Classed(Domains):
    """Two domains whose first has classes."""

    first_classes = CLASSES

    def labelled_first(self):
        return Stream(7, self.first_shape, CLASSES)


def trained(name, first, data=None, **told):
    """Its players, after six steps."""
    training = Training("", steps=STEPS, batch=BATCH, content_share=0.5, content_size=SIZE)
    trainer = RECIPES[name].part.trainer(training.saying(**RATES, **told), COLOURED)
    if name == "feature-gan":
        small = {"generator": Resnet(4, 1, strides=1), "critic": PatchGan(4, 1, "instance")}
        trainer = under(trainer, **small, buffer=0, decay=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = trainer.start(data or Classed(first, COLOURED), torch.Generator().manual_seed(5))
        return trainer, trainer.advance(state, STEPS)


def built(network, rng):
    initialised(network, rng, "normal", 0.02)
    return network


def adam(network, name):
    return torch.optim.Adam(network.parameters(), RATES[name], (0.5, 0.999))


def three(x):
    return x.repeat(1, 3, 1, 1) if x.shape[1] == 1 else x


@pytest.mark.parametrize("first", [COLOURED, GREY], ids=["coloured", "grey"])
@pytest.mark.parametrize("weights", [(15.0, 15.0), (0.0, 2.0)])
def test_domain_transfer(first, weights):
    """Taigman et al. 2017, equations 3 to 7: f learns classes of images and of their negatives;
    then a critic of three kinds and g move in turn on the same images, and f is as it was.
    """
    told = dict(zip(("constancy_weight", "itself_weight"), weights, strict=True))
    _, state = trained("dtn", first, **told)
    labelled, unlabelled = Stream(7, first, CLASSES), Pairs(2, first, COLOURED)
    rng = torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        g = LAYERS.generator(SIZE, COLOURED)
        critic = LAYERS.encoder(COLOURED, 3)
        f = nn.Sequential(LAYERS.unmixed().encoder(COLOURED, SIZE), nn.Tanh())
        head = nn.Linear(SIZE, CLASSES)
        whole = nn.Sequential(f, head)
        for network in (g, critic, whole):
            built(network, rng)
        adams = adam(g, "generator_lr"), adam(critic, "critic_lr"), adam(whole, "critic_lr")
        for _ in range(LEARNING):
            x, labels = labelled.next(BATCH)
            turned = torch.rand(BATCH, 1, 1, 1, generator=rng) < 0.5
            x = torch.where(turned, 1 - x, x)
            stepped(cross_entropy(whole(three(x)), labels), whole, adams[2])
        for _ in range(STEPS - LEARNING):
            s, t = unlabelled.next(BATCH)
            with torch.no_grad():
                codes = f(three(s)), f(three(t))
            made = [g(code) for code in codes]
            kinds = [torch.full((BATCH,), kind) for kind in range(3)]
            shown = [made[0].detach(), made[1].detach(), t]
            loss = sum(cross_entropy(critic(x), k) for x, k in zip(shown, kinds, strict=True))
            stepped(loss, critic, adams[1])
            loss = sum(cross_entropy(critic(x), kinds[2]) for x in made)
            loss = loss + weights[0] * (codes[0] - f(three(made[0]))).square().mean()
            loss = loss + weights[1] * (2 * (t - made[1])).square().mean()
            stepped(loss, g, adams[0])
    assert_same(state.players["generator"], g)
    assert_same(state.players["critic"], critic)
    assert_same(state.players["content"].body, f)
    assert_same(state.players["content"].head, head)
    x = torch.rand(2, *first)
    model = (
        RECIPES["dtn"]
        .part.trainer(Training(""), COLOURED)
        .game.fitted(state.players, Classed(first, COLOURED))
    )
    with torch.no_grad():
        torch.testing.assert_close(model.translate(x, rng), g.eval()(f(three(x))))


@pytest.mark.parametrize("first", [COLOURED, GREY], ids=["coloured", "grey"])
@pytest.mark.parametrize("weight", [10.0, 0.0])
def test_likeness_by_content(first, weight):
    """The row "feature loss + GAN" of Zhu et al. 2017: f rebuilds images of both domains first;
    then both generators move by their critics and the absolute distance of what f sees, then the
    critics, half as fast.
    """
    _, state = trained("feature-gan", first, likeness_weight=weight)
    data, rng = Pairs(2, first, COLOURED), torch.Generator().manual_seed(5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Resnet(4, 1, strides=1)
        there, back = network.build(first, COLOURED), network.build(COLOURED, first)
        judging = PatchGan(4, 1, "instance")
        critics = judging.build(3, COLOURED), judging.build(first[0], first)
        f = nn.Sequential(LAYERS.unmixed().encoder(COLOURED, SIZE), nn.Tanh())
        head = LAYERS.unmixed().generator(SIZE, COLOURED)
        both, judges = nn.ModuleList([there, back]), nn.ModuleList(critics)
        whole = nn.Sequential(f, head)
        for player in (both, judges, whole):
            built(player, rng)
        adams = adam(both, "generator_lr"), adam(judges, "critic_lr"), adam(whole, "critic_lr")
        for _ in range(LEARNING):
            lost = [(whole(three(x)) - three(x)).square().mean() for x in data.next(BATCH)]
            stepped(sum(lost), whole, adams[2])
        for _ in range(STEPS - LEARNING):
            x, y = data.next(BATCH)
            made = there(x), back(y)
            loss = sum(
                (critic(fake) - 1).square().mean()
                for critic, fake in zip(critics, made, strict=True)
            )
            for own, fake in zip((x, y), made, strict=True):
                loss = loss + weight * (f(three(fake)) - f(three(own))).abs().mean()
            stepped(loss, both, adams[0])
            shown = zip(critics, (y, x), made, strict=True)
            loss = sum(
                (critic(real) - 1).square().mean() + critic(fake.detach()).square().mean()
                for critic, real, fake in shown
            )
            stepped(0.5 * loss, judges, adams[1])
    assert_same(state.players["generators"], both)
    assert_same(state.players["critics"], judges)
    assert_same(state.players["content"].body, f)
    assert_same(state.players["content"].head, head)


def test_content_is_learnt_from_the_first_domains_classes_alone():
    """Other classes give another model, other batches without classes leave f as it is."""

    def f_of(classes, unlabelled):
        class Other(Classed):
            def labelled_first(self):
                return Stream(classes, self.first_shape, CLASSES)

            def domains(self):
                return Pairs(unlabelled, self.first_shape, self.shape)

        _, state = trained("dtn", COLOURED, Other(COLOURED, COLOURED))
        return torch.cat([w.flatten() for w in state.players["content"].parameters()])

    one = f_of(7, 2)
    assert torch.equal(one, f_of(7, 3))
    assert not torch.equal(one, f_of(8, 2))


@pytest.mark.parametrize(("share", "learns", "plays"), [(0.0, 0, 4), (0.5, 2, 2), (1.0, 4, 0)])
def test_who_moves_when(share, learns, plays):
    """f in the share of the training that is its own, all others in the rest."""
    training = Training("", steps=4, batch=BATCH, content_share=share, content_size=SIZE)
    trainer = RECIPES["dtn"].part.trainer(training, COLOURED)
    state = trainer.start(Classed(GREY, COLOURED), torch.Generator().manual_seed(5))
    moved = {"content": 0, "critic": 0, "generator": 0}
    for _ in range(4):
        before = {name: [w.clone() for w in state.players[name].parameters()] for name in moved}
        trainer.advance(state, 1)
        for name, old in before.items():
            new = state.players[name].parameters()
            moved[name] += not all(torch.equal(a, b) for a, b in zip(old, new, strict=True))
    assert moved == {"content": learns, "critic": plays, "generator": plays}


def test_both_domains_are_seen_in_one_shape():
    assert seen_as((1, 8, 8), (3, 8, 8)) == seen_as((3, 8, 8), (1, 8, 8)) == (3, 8, 8)
    assert seen_as((1, 8, 8), (1, 8, 8)) == (1, 8, 8)
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(coloured(x, 3), x.repeat(1, 3, 1, 1))
    for other in ((3, 8, 4), (2, 8, 8)):
        with pytest.raises(UsageError, match=r"images of one size.*got \[3, 8, 8\] to"):
            seen_as((3, 8, 8), other)
