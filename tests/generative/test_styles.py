"""A style generator: the laws of its parts, how styles and noise are wired, what comes out."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
import torch
from torch.nn import functional

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from generative import RECIPES, Training
from generative.styles.mapping import Mapping
from generative.styles.mixing import drawn_cuts, everywhere, mixed
from generative.styles.modulation import ModulatedConv, modulated
from generative.styles.networks import Style as Layers
from generative.styles.networks import StyleGenerator, noise_sizes
from generative.styles.noise import Noise, noise_size, planes
from generative.styles.sampler import settle
from generative.styles.truncation import truncated

RECIPE = RECIPES["style"].part
TRAINING = Training("small-dcgan", steps=5, batch=4, latent=5, style_width=2, mapping_layers=2)
SHAPE = (1, 8, 8)


@cache
def trained():
    with forked(0):
        trainer = RECIPE.trainer(TRAINING, SHAPE)
        data = DATASETS["optdigits"].part.source(0)
        return trainer.finish(trainer.advance(trainer.start(data, stream("style")), 5))


@cache
def generator() -> StyleGenerator:
    """Of 7, 14 and 28 pixels, with noise that counts and settled styles."""
    with forked(1):
        network = Layers(5, 2, (8, 4, 2)).generator(0, (1, 28, 28))
    assert isinstance(network, StyleGenerator)
    with torch.no_grad():
        for conv in network.convs:
            conv.noise.strength.fill_(0.5)
    settle(network)
    return network.eval().requires_grad_(False)


def codes(n=6, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, Layers(5, 2, (8, 4, 2)).latent((1, 28, 28)), generator=rng)


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_a_demodulated_convolution_keeps_the_spread_of_noise_for_any_style(spread):
    """Of every example and output by itself."""
    torch.manual_seed(0)
    x, weight = torch.randn(3, 16, 130, 130), torch.randn(8, 16, 3, 3)
    out = modulated(x, weight, 1 + spread * torch.randn(3, 16))[:, :, 1:-1, 1:-1]
    assert float((out.std((2, 3)) - 1).abs().max()) < 0.04
    assert float(out.std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("demodulates", [True, False])
def test_modulated_weights_are_scaled_inputs_and_outputs(demodulates):
    """Equations 1 and 3 of the paper as written: a kernel of its own for each example."""
    torch.manual_seed(0)
    x, weight = torch.randn(4, 3, 7, 5).double(), torch.randn(6, 3, 3, 3).double()
    scales = torch.randn(4, 3).double()
    own = weight * scales[:, None, :, None, None]
    if demodulates:
        own = own / (own.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    wanted = torch.cat([functional.conv2d(x[i : i + 1], own[i], padding=1) for i in range(4)])
    found = modulated(x, weight, scales, demodulates)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_scales_are_one_where_the_style_says_nothing():
    conv = ModulatedConv(3, 4, 3, 5)
    assert torch.equal(conv.scales(torch.zeros(2, 5)), torch.ones(2, 3))


def test_a_mapping_sees_the_direction_of_codes_alone():
    """z is normalised; every layer learns at a hundredth of the rate."""
    torch.manual_seed(0)
    mapping, z = Mapping(6, 3).double(), torch.randn(4, 6).double()
    torch.testing.assert_close(mapping(z), mapping(9 * z), rtol=1e-6, atol=1e-6)
    assert [layer.rate for layer in mapping.layers if hasattr(layer, "rate")] == [0.01] * 3
    assert float(mapping(torch.randn(999, 6).double()).detach().std()) > 0.2


def test_noise_begins_at_nothing():
    x, plane = torch.randn(2, 3, 4, 4), torch.randn(2, 1, 4, 4)
    noise = Noise()
    assert torch.equal(noise(x, plane), x)
    noise.strength.data.fill_(2.0)
    torch.testing.assert_close(noise(x, plane), x + 2 * plane.expand_as(x))


def test_planes_are_the_noise_in_order():
    sizes = noise_sizes([(1, 2), (2, 4)])
    assert sizes == [(1, 2), (2, 4), (2, 4)]
    assert noise_size(sizes) == 18
    found = planes(torch.arange(36.0).view(2, 18), sizes)
    assert [tuple(x.shape) for x in found] == [(2, 1, 1, 2), (2, 1, 2, 4), (2, 1, 2, 4)]
    assert torch.equal(torch.cat([x.flatten(1) for x in found], 1), torch.arange(36.0).view(2, 18))


def test_without_noise_a_style_is_one_image():
    """And with other noise another one."""
    network, z = generator(), codes()
    styles = everywhere(network.mapping(network.parts(z)[0][:1]).expand(6, -1), network.layers)
    silent = network.drawn(styles, torch.zeros_like(network.parts(z)[1]))
    torch.testing.assert_close(silent, silent[:1].expand(6, -1, -1, -1))
    noisy = network.drawn(styles, network.parts(z)[1])
    assert float((noisy - noisy[:1]).abs()[1:].flatten(1).amax(1).min()) > 0.01


def test_every_plane_of_noise_counts():
    network, z = generator(), codes(2)
    plain, at = network(z), 5
    for height, width in noise_sizes(network.sizes):
        other = z.clone()
        other[:, at : at + height * width] *= -1
        assert not torch.equal(network(other), plain)
        at += height * width
    assert at == z.shape[1]


def test_every_layer_has_a_style_that_counts():
    network, z = generator(), codes(2)
    assert network.layers == 6
    own, noise = network.parts(z)
    styles = everywhere(network.mapping(own), 6)
    plain = network.drawn(styles, noise)
    torch.testing.assert_close(plain, network(z))
    for layer in range(6):
        moved = styles.clone()
        moved[:, layer] *= -1
        assert not torch.equal(network.drawn(moved, noise), plain)


def test_mixing_at_either_end_is_a_pure_image():
    """At 0 the other's styles, after the last layer the first's; the noise is the first's."""
    network, z, other = generator(), codes(), codes(6, 1)
    pure, cuts = network(z), torch.full((6,), network.layers)
    torch.testing.assert_close(network(z, other[:, :5], cuts), pure, rtol=0, atol=1e-6)
    swapped = network(torch.cat([other[:, :5], z[:, 5:]], 1))
    found = network(z, other[:, :5], 0 * cuts)
    torch.testing.assert_close(found, swapped, rtol=0, atol=1e-6)
    half = network(z, other[:, :5], 0 * cuts + 3)
    assert float((half - pure).abs().max()) > 0.01
    assert float((half - swapped).abs().max()) > 0.01


def test_layers_before_a_cut_are_the_first_ones():
    first, other = torch.zeros(3, 4, 2), torch.ones(3, 4, 2)
    found = mixed(first, other, torch.tensor([0, 3, 4]))[:, :, 0]
    assert found.tolist() == [[1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_cuts_are_between_layers_for_a_share_of_examples():
    cuts = drawn_cuts(20_000, 6, 0.9, torch.Generator().manual_seed(0))
    assert float((cuts < 6).float().mean()) == pytest.approx(0.9, abs=0.01)
    counts = torch.bincount(cuts, minlength=7)
    assert counts[0] == 0
    assert float(counts[1:6].float().std() / counts[1:6].float().mean()) < 0.05
    assert bool((drawn_cuts(99, 6, 0.0, torch.Generator()) == 6).all())


def test_truncated_styles():
    """Nothing of them at 0, all at 1, variance psi squared between."""
    torch.manual_seed(0)
    styles, centre = torch.randn(5_000, 3) + 4, torch.full((3,), 4.0)
    assert torch.equal(truncated(styles, centre, 0.0), centre.expand(5_000, -1))
    assert truncated(styles, centre, 1.0) is styles
    found = truncated(styles, centre, 0.7)
    torch.testing.assert_close(found.var(0), 0.49 * styles.var(0), rtol=1e-4, atol=0)
    torch.testing.assert_close(found.mean(0), centre, rtol=0, atol=0.05)


@pytest.mark.parametrize("psi", [-0.1, 1.5, float("nan")])
def test_a_psi_that_is_none_is_refused(psi):
    with pytest.raises(UsageError, match="of a model with styles expected psi, 0 to 1"):
        truncated(torch.zeros(1, 2), torch.zeros(2), psi)


def test_truncation_of_images_is_of_styles():
    """At 0 one image, whatever z; at 1 the sample; the noise stays."""
    model = trained()
    z = model.codes(4, stream("z"))
    quiet = torch.cat([model.parts(z)[0], torch.zeros_like(model.parts(z)[1])], 1)
    one = model.truncated(quiet, 0.0)
    torch.testing.assert_close(one, one[:1].expand(4, -1, -1, -1))
    torch.testing.assert_close(model.truncated(z, 1.0), model.decode(z))
    styles = model.styles(model.parts(z)[0])
    halfway = model.drawn((styles + model.network.centre) / 2, model.parts(z)[1])
    torch.testing.assert_close(model.truncated(z, 0.5), halfway)


def test_the_centre_is_the_mean_of_styles():
    model = trained()
    styles = model.styles(torch.randn(50_000, 5))
    assert float((styles.mean(0) - model.network.centre).abs().max()) < 0.05 * float(styles.std())


def test_a_model_mixes_what_it_is_given():
    model = trained()
    z, other = (model.codes(3, stream(name)) for name in "ab")
    ends = [torch.full((3,), at) for at in (0, model.layers)]
    fine = torch.cat([model.parts(other)[0], model.parts(z)[1]], 1)
    torch.testing.assert_close(model.mixed(z, other, ends[0]), model.decode(fine))
    torch.testing.assert_close(model.mixed(z, other, ends[1]), model.decode(z))


def played(**settings):
    """Three steps of a game: what generator and critic were given."""
    seen = {"generator": [], "critic": []}
    with forked(0):
        trainer = RECIPE.trainer(TRAINING.saying(**settings), SHAPE)
        state = trainer.start(DATASETS["optdigits"].part.source(0), stream("watching"))
        for name, network in state.players.items():
            network.register_forward_pre_hook(
                lambda _, given, name=name: seen[name].append(given), with_kwargs=False
            )
        trainer.advance(state, 3)
    return seen


def test_fakes_of_both_players_are_mixed():
    """By codes of their own, which are new every time."""
    given = played(mixing=1.0)["generator"]
    assert len(given) == 6
    others = [other for _, other, _ in given]
    assert all(float((one - two).abs().min()) > 0 for one, two in itertools.pairwise(others))
    assert all(bool((cuts > 0).all() and (cuts < 4).all()) for _, _, cuts in given)
    assert all(float((z[:, :5] - other).abs().min()) > 0 for z, other, _ in given)


def test_without_mixing_the_generator_is_given_codes_alone():
    assert {len(given) for given in played(mixing=0.0)["generator"]} == {1}


def test_penalties_are_rare_and_count_as_much_more():
    """The critic judges reals, fakes, the generator's, and once more where it is penalised."""
    counts = {every: len(played(penalty_every=every)["critic"]) for every in (1, 2, 3)}
    assert counts == {1: 12, 2: 11, 3: 10}
    game = RECIPE.trainer(TRAINING.saying(penalty_every=4, penalty_weight=0.5), SHAPE).game
    full = game.moves[0].objective.args[0].__self__
    assert [weight for _, weight in full.penalties] == [2.0]
    assert game.moves[0].objective.args[1].__self__.penalties == ()


def test_codes_are_styles_and_noise():
    model = trained()
    z = model.codes(2, stream("z"))
    assert z.shape == (2, 5 + 4 * 4 + 2 * 8 * 8)
    assert [x.shape[1] for x in model.parts(z)] == [5, 144]


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((1, 6, 28), {}, r"images of 7 pixels a side and more, .* shape \[1, 6, 28\]"),
        (SHAPE, {"mixing": 1.5}, "setting 'mixing': expected float, 0 at least, 1 at most"),
        (SHAPE, {"mapping_layers": 0}, "setting 'mapping_layers': expected int, 1 at least"),
    ],
)
def test_what_has_no_styles_is_refused(shape, settings, message):
    with pytest.raises(UsageError, match=message):
        RECIPE.trainer(Training("dcgan-32").saying(**settings), shape)
