"""Two stages of text to image: what a caption's draw costs, what the second is given, and what it
leaves alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from harness import bench
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from bench.datasets.captioned import CaptionedSource
from bench.laws.recipes import digest
from generative import RECIPES, Training
from generative.captioncodes import Augmentation, CaptionCode, standard
from generative.conditioning import OfCaptions
from generative.contracts import Captioned
from generative.games.staged import FIRST, FirstStage, SecondStage
from generative.halving import Halved
from generative.networks import Dcgan, Mlp
from generative.pyramids.box import doubled, halved
from generative.recipes.stackgan import fitting
from generative.stages import StagePlan
from generative.staging import Staged
from generative.trainers.game import GameTrainer

SHAPE, SMALL = (1, 28, 28), (1, 14, 14)
TRAINING = Training("small-dcgan", steps=4, batch=4, latent=3)
NUMBERS, GAN = OfCaptions().project, ("generator", "critic")


def source():
    return DATASETS["captions@digits"].part.source(0)


def trainer(name="stackgan", shape=SHAPE, **settings):
    return RECIPES[name].part.trainer(TRAINING.saying(**settings), shape)


def trained(name="stackgan", **settings):
    """The trainer and the state at the end."""
    with forked(0):
        at_work = trainer(name, **settings)
        return at_work, at_work.advance(at_work.start(source(), stream("stackgan")), at_work.steps)


@cache
def usual():
    return trained()


@cache
def model():
    at_work, state = usual()
    return at_work.finish(state)


def codes_of(n=12):
    return model().codes(n, stream("codes")), source().held_captions[:n]


class Held:
    """Batches that keep what they gave."""

    def __init__(self, own):
        self.own, self.given = own, []

    def next(self, n):
        self.given.append(self.own.next(n))
        return self.given[-1]

    def position(self):
        return self.own.position()

    def seek(self, position):
        self.own.seek(position)


class Watched(CaptionedSource):
    """A source that keeps what it gave, and has nothing held out."""

    held_out = torch.zeros(0, *SHAPE)

    def __init__(self):
        super().__init__(DATASETS["captions@digits"].part, 0)
        self.held, self.wrong = Held(super().captioned_batches()), []

    def captioned_batches(self):
        return self.held

    def others(self, tokens, rng):
        self.wrong.append(super().others(tokens, rng))
        return self.wrong[-1]

    def fresh(self, *asked):
        raise AssertionError("nothing is trained on held-out images")


# What a caption's draw is, and what it costs


def test_the_divergence_is_the_closed_form():
    """In nats, summed over the numbers of a caption, each caption by itself."""
    code, vectors = CaptionCode(64, 5, 0.5), 3 * torch.randn(7, 64)
    mean, log_variance = code.moments(vectors)
    wanted = kl_divergence(
        Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(5), torch.ones(5))
    )
    torch.testing.assert_close(code.divergence(vectors), wanted.sum(1))
    assert (code.divergence(vectors) > 0).all()
    torch.testing.assert_close(code.divergence(vectors[2:3]), code.divergence(vectors)[2:3])


def test_a_draw_has_the_mean_and_the_deviation_that_are_paid_for():
    code, vectors = CaptionCode(64, 5, 0.5), torch.randn(7, 64)
    mean, log_variance = code.moments(vectors)
    ones = torch.ones(7, 5)
    torch.testing.assert_close(code(vectors, 0 * ones), mean)
    torch.testing.assert_close(code(vectors, ones) - mean, 0.5 * (log_variance / 2).exp())
    drawn = torch.randn(100_000, 5)
    sample = code(vectors[:1].expand(len(drawn), -1), drawn)
    torch.testing.assert_close(sample.mean(0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(sample.std(0), 0.5 * (log_variance[0] / 2).exp(), atol=0.02, rtol=0)


def test_uniform_codes_are_normal_draws():
    """By the quantiles, and finite at the ends."""
    drawn = torch.linspace(-0.999, 0.999, 101, dtype=torch.float64)
    wanted = torch.from_numpy(norm.ppf((drawn.numpy() + 1) / 2))
    torch.testing.assert_close(standard(drawn, "uniform"), wanted)
    assert torch.isfinite(standard(torch.tensor([-1.0, 1.0]), "uniform")).all()
    assert standard(drawn, "normal") is drawn


def staged(**settings):
    return Staged(OfCaptions(), Augmentation(**settings), "normal")


def test_without_variance_it_is_the_plain_generator():
    """A variance of 0 leaves the mean, whatever is drawn: the plain generator's, to the bit."""
    told, latent = staged(), 3
    with forked(0):
        drawn = told.generator(Mlp((8,)), latent + NUMBERS, SMALL, 64)
        plain = OfCaptions().generator(Mlp((8,)), latent, SMALL, 64)
    plain.load_state_dict(
        {
            name.replace("told.mean", "told"): value
            for name, value in drawn.state_dict().items()
            if "log_variance" not in name
        }
    )
    z, vectors = torch.randn(6, latent + NUMBERS), torch.randn(6, 64)
    assert not torch.allclose(drawn(z, vectors), plain(z[:, :latent], vectors))
    torch.nn.init.constant_(drawn.told.log_variance.weight, 0.0)
    torch.nn.init.constant_(drawn.told.log_variance.bias, -1e4)
    assert torch.equal(drawn(z, vectors), plain(z[:, :latent], vectors))


def test_with_nothing_added_the_first_stage_is_gan_int_cls_on_small_images():
    """Bit for bit: the same weights as that model's on images of 14 x 14."""
    told = {"kl_weight": 0.0, "caption_noise": 0.0}
    at_work, state = trained("stackgan-one", **told)
    first = at_work.links[0]([]).game
    own = RECIPES["gan-int-cls"].part
    rules = replace(own.rules(TRAINING), steps=2, average=first.protocol.average)
    rules = replace(rules, **{k: replace(getattr(rules, k), kernel=5) for k in GAN})
    game = own.game(rules, own.told_parts(TRAINING), SMALL)
    alone, data = GameTrainer(game), Halved(source())
    with forked(0):
        found = alone.start(data, stream("chain", stream("stackgan").initial_seed(), 0))
        found = alone.advance(found, 2)
    wanted = state.state.players
    for player in GAN:
        assert digest(found.players[player].state_dict()) == digest(wanted[player].state_dict())


def test_only_where_nothing_is_added_nothing_is_drawn():
    assert staged(kl_weight=0.0, caption_noise=0.0).captions_own == 0
    assert staged(kl_weight=0.0).captions_own == staged(caption_noise=0.0).captions_own == NUMBERS
    assert model().codes(2, stream("x")).shape == (2, 3 + 2 * NUMBERS)
    assert model().first.codes(2, stream("x")).shape == (2, 3 + NUMBERS)


# What each stage sees


def watching(stage):
    """Two steps of a stage's game: the data, and what generator and critic were given."""
    at_work, state = usual()
    game = at_work.links[stage](state.done[:stage]).game
    assert isinstance(game, (FirstStage, SecondStage)[stage])
    data, seen = Watched(), {"generator": [], "critic": []}
    with forked(0):
        engine = GameTrainer(game)
        played = engine.start(data, stream("watching"))
        for name, network in played.players.items():
            network.register_forward_pre_hook(
                lambda _, given, name=name: seen[name].append([x.detach().clone() for x in given])
            )
        read = []
        played.players["generator"].network.register_forward_pre_hook(
            lambda _, given: read.append([x.detach().clone() for x in given])
        )
        engine.advance(played, 2)
    return data, seen, read


@pytest.mark.parametrize("stage", [0, 1])
def test_a_stage_sees_images_of_its_own_size_beside_their_own_captions(stage):
    """Reals, fakes, and wrong pairs: images of other captions beside the reals' own."""
    data, seen, _ = watching(stage)
    brought = (halved, lambda x: x)[stage]
    assert len(data.held.given) == len(data.wrong) == 2
    for step, (images, captions) in enumerate(data.held.given):
        real, fake, wrong = seen["critic"][5 * step : 5 * step + 3]
        vectors = source().encode(captions)
        torch.testing.assert_close(real[0], brought(images))
        torch.testing.assert_close(wrong[0], brought(data.wrong[step]))
        assert all(torch.equal(told[1], vectors) for told in (real, fake, wrong))
        assert fake[0].shape == real[0].shape == (4, *(SMALL, SHAPE)[stage])
        assert torch.equal(seen["generator"][4 * step][1], vectors)


def test_the_second_stage_is_given_samples_of_the_first():
    """Of the same codes and the same captions, by the finished first stage: no true small image."""
    _, seen, read = watching(1)
    first = usual()[1].done[0].network
    # The third of a generator's four passes in a step is what it pays for its draws.
    passes = [given for at, given in enumerate(seen["generator"]) if at % 4 != 2]
    assert len(passes) == len(read) == 6
    for (z, vectors), (images, _) in zip(passes, read, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(images, first(z[:, : 3 + NUMBERS], vectors))


def test_the_second_stage_leaves_the_first_as_it_was():
    """Weights and batch norms: of the model of both those that stage I came to, to the bit; and of
    the network that it reads through.
    """
    _, state = usual()
    before = digest(state.done[0].tensors())
    kept = {
        name.removeprefix(FIRST): value
        for name, value in model().tensors().items()
        if name.startswith(FIRST)
    }
    assert digest(kept) == before
    alone = trained("stackgan-one")
    assert digest(alone[0].finish(alone[1]).tensors()) == before
    generator = state.state.players["generator"]
    (below,) = generator._below
    assert digest(below.state_dict()) == digest(state.done[0].network.state_dict())
    assert not any(p.requires_grad for p in below.parameters())
    assert not any("below" in name for name in generator.state_dict())
    assert not below.training


def test_the_second_stage_has_a_critic_of_its_own():
    z, captions = codes_of()
    images = source().held_out[:12]
    assert model().matching(images, captions).shape == (12,)
    first = model().first
    torch.testing.assert_close(
        first.matching(images, captions), first.own.matching(halved(images), captions)
    )
    assert not torch.allclose(model().matching(images, captions), first.matching(images, captions))
    assert model().decode(z, captions).shape == (12, *SHAPE)


def test_a_model_of_both_draws_through_both():
    """Its samples by hand, from codes and captions; and their change with each part of a code."""
    z, captions = codes_of()
    vectors = source().encode(captions)
    players = usual()[0].finish(usual()[1])
    generator = players.own._generator
    first, own = z[:, : 3 + NUMBERS], z[:, 3 + NUMBERS :]
    small = model().first.network(first, vectors)
    wanted = generator.network(small, generator.told(vectors, own))
    torch.testing.assert_close(model().decode(z, captions), wanted.detach())
    torch.testing.assert_close(model().at(0, z, captions), small.detach())
    assert torch.equal(model().at(1, z, captions), model().decode(z, captions))
    for part in (slice(0, 3), slice(3, 3 + NUMBERS), slice(3 + NUMBERS, None)):
        other = z.clone()
        other[:, part] += 1
        assert not torch.equal(model().decode(other, captions), wanted)
    other = model().decode(z, captions.roll(1, 0))
    assert not torch.equal(other, wanted)


def test_the_first_stage_alone_has_pixels_that_are_blocks():
    at_work, state = trained("stackgan-one")
    alone, captions = at_work.finish(state), source().held_captions[:9]
    z = alone.codes(9, stream("codes"))
    images, small = alone.decode(z, captions), alone.own.decode(z, captions)
    assert images.shape == (9, *SHAPE)
    assert small.shape == (9, *SMALL)
    assert torch.equal(images, doubled(small, SHAPE[1:]))
    assert at_work.steps == 2 == trainer().lengths[0]
    share, ends = torch.linspace(0, 1, 9), (captions, captions.roll(3, 0))
    assert alone.between(z, *ends, share).shape == images.shape
    torch.testing.assert_close(alone.between(z, *ends, 0 * share), images)
    torch.testing.assert_close(model().between(*_ends(), 0 * share), model().decode(*_ends()[:2]))


def _ends():
    z, captions = codes_of(9)
    return z, captions, captions.roll(3, 0)


def test_steps_and_averages():
    """Half of the steps each, the odd one the first's; averages over as large a share of them."""
    assert trainer(steps=7).lengths == (4, 3)
    at_work = trainer(steps=2_000)
    assert at_work.lengths == (1_000, 1_000)
    first = at_work.links[0]([]).game
    assert first.protocol.average == pytest.approx(0.99)


def test_layers_of_the_first_stage():
    """4 x 4 where they fit, 5 x 5 where a side is odd; others as they are."""
    assert fitting(Dcgan(16), (1, 16, 16)) == Dcgan(16)
    assert fitting(Dcgan(16), SMALL) == Dcgan(16, kernel=5)
    assert fitting(Mlp((8,)), SMALL) == Mlp((8,))


@pytest.mark.parametrize("side", [7, 8, 27])
def test_a_second_stage_makes_images_of_any_size(side):
    plan, small = StagePlan(4, 1), -(-side // 2)
    network = plan.build((3, small, small), (3, side, side), 5).eval()
    images, told = torch.rand(2, 3, small, small), torch.randn(2, 5)
    made = network(images, told)
    assert made.shape == (2, 3, side, side)
    assert not torch.equal(network(images, told.roll(1, 0)), made)
    assert not torch.equal(network(images.roll(1, 0), told), made)


@pytest.mark.parametrize(
    "settings",
    [
        {"kl_weight": 1.0},
        {"caption_noise": 0.5},
        {"stage_width": 8},
        {"blocks": 1},
        {"mismatch": 0.25},
        {"interpolation": 0.5},
        {"beta": 0.25},
        {"latent": 4},
        {"batch": 5},
    ],
    ids=str,
)
def test_every_setting_counts(settings):
    """In what is trained, and in its name."""
    part = RECIPES["stackgan"].part
    at_work, state = trained(**settings)
    assert digest(at_work.finish(state).tensors()) != digest(model().tensors())
    assert part.relevant(TRAINING.saying(**settings)) != part.relevant(TRAINING)
    assert set(settings) <= set(part.relevant(TRAINING))


# Halved data


def test_data_at_half_their_size():
    """Images are halved, captions are theirs still, and a position is found again."""
    own, half = source(), Halved(source())
    assert isinstance(half, Captioned)
    assert half.shape == SMALL
    stream_of, batches = own.captioned_batches(), half.captioned_batches()
    start = batches.position()
    images, captions = stream_of.next(5)
    small, told = batches.next(5)
    assert torch.equal(small, halved(images))
    assert torch.equal(told, captions)
    batches.seek(start)
    assert torch.equal(batches.next(5)[0], small)
    assert torch.equal(half.batches().next(3), halved(own.batches().next(3)))
    assert torch.equal(half.training[:3], halved(own.training[:3]))
    assert torch.equal(half.held_out[:3], halved(own.held_out[:3]))
    rngs = [stream("others"), stream("others")]
    one, other = (data.others(captions, rng) for data, rng in zip((own, half), rngs, strict=True))
    assert torch.equal(halved(one), other)
    assert torch.equal(half.encode(captions), own.encode(captions))


# What is refused


@pytest.mark.parametrize("name", ["stackgan", "stackgan-one"])
@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((1, 4, 4), {}, r"needs images of 7 pixels a side and more, got .*\[1, 4, 4\]: choose"),
        ((1, 28, 28), {"steps": 1}, r"steps: expected 2 at least, half of them for each stage"),
    ],
)
def test_what_has_no_two_stages(name, shape, settings, message):
    with pytest.raises(UsageError, match=message):
        trainer(name, shape, **settings)


def test_points_have_no_stages():
    with pytest.raises(UsageError, match=r"needs images of 7 pixels a side .* \[2\]: choose"):
        RECIPES["stackgan"].part.trainer(Training("plane"), (2,))


@pytest.mark.parametrize("name", ["stackgan", "stackgan-one"])
def test_data_without_captions(name):
    data = DATASETS["mnist5k"].part.source(0)
    with pytest.raises(UsageError, match="told captions, and these data have none"):
        trainer(name).start(data, stream("none"))


@pytest.mark.parametrize(
    "asked",
    [["--grid", "dataset=mnist5k"], ["--set", "steps=1"], ["--set", "kl_weight=-1"]],
    ids=" ".join,
)
def test_wrong_use_is_one_line_and_exit_2(asked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert bench("run", "--suite", "text-to-image", "--grid", "model=stackgan", *asked) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0
