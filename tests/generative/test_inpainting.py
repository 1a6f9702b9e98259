"""Pictures completed: by descent in codes, by blending, by a conditional mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small import noise, small_gaussian

from bench.core.randomness import forked, stream
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled
from generative import RECIPES, Contested, Decoder, Training
from generative.contracts import Completer
from generative.inpainting import Descent, complete, poisson, weights

MASKS = arrays(np.bool_, (5, 6))


@settings(max_examples=40, deadline=None)
@given(MASKS, st.sampled_from([1, 3, 5, 7]))
def test_weights_by_their_definition(known, window):
    """Equation 3 of Yeh et al. 2017: of known pixels the share of hidden ones in their window,
    as far as it is inside the image; the least there can be where there is none; 0 of hidden ones.
    """
    found, reach = weights(torch.from_numpy(known), window), window // 2
    for y, x in np.ndindex(*known.shape):
        near = known[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        wanted = max((~near).mean(), 1 / window**2) if known[y, x] else 0
        assert float(found[y, x]) == pytest.approx(wanted, abs=1e-6)


def _pictures(seed, n=2, channels=2, height=6, width=7):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, height, width, generator=generator)


def _hole(height=6, width=7, box=(slice(2, 5), slice(2, 5))):
    known = torch.ones(height, width, dtype=torch.bool)
    known[box] = False
    return known


def test_a_constant_difference_leaves_no_seam():
    """What was drawn has the right gradients: the picture itself comes out."""
    pictures = 0.2 + 0.5 * _pictures(0)
    for shift in (-0.2, 0.3):
        blended = poisson(pictures, pictures + shift, _hole())
        torch.testing.assert_close(blended, pictures, rtol=0, atol=1e-6)


def test_a_ramp_goes_on_under_a_drawing_without_gradients():
    """The solution is harmonic."""
    ramp = (torch.arange(6.0)[:, None] * 0.05 + torch.arange(7.0) * 0.08).expand(2, 1, 6, 7)
    hidden = torch.where(_hole(), ramp, torch.full_like(ramp, float("nan")))
    blended = poisson(hidden, torch.full_like(ramp, 0.7), _hole())
    torch.testing.assert_close(blended, ramp, rtol=0, atol=1e-6)


def test_a_hole_at_the_border_takes_what_is_known():
    """Nothing is beyond: a constant goes on to the edge."""
    known = torch.ones(6, 7, dtype=torch.bool)
    known[:, 4:] = False
    pictures = torch.where(known, torch.full((1, 1, 6, 7), 0.25), torch.zeros(1, 1, 6, 7))
    blended = poisson(pictures, torch.full_like(pictures, 0.9), known)
    torch.testing.assert_close(blended, torch.full_like(pictures, 0.25))


@settings(max_examples=30, deadline=None)
@given(arrays(np.bool_, (4, 5)), st.integers(0, 1_000))
def test_blending_is_least_squares(known, seed):
    """Over all pairs of neighbours of which one is hidden: the difference in the picture against
    that in the drawing, by dense least squares; known pixels bit for bit, all within [0, 1].
    """
    mask = torch.from_numpy(known)
    pictures, drawn = (_pictures(seed + k, 2, 1, 4, 5) for k in (0, 5_000))
    found = poisson(pictures, drawn, mask)
    assert found.dtype == torch.float32
    assert torch.equal(found[:, :, mask], pictures[:, :, mask])
    if not known.any():
        assert torch.equal(found, drawn)
        return
    places = [(y, x) for y, x in np.ndindex(4, 5) if not known[y, x]]
    index = {place: at for at, place in enumerate(places)}
    for own, made, result in zip(pictures[:, 0], drawn[:, 0], found[:, 0], strict=True):
        rows, wanted = [], []
        for y, x in np.ndindex(4, 5):
            for two in ((y + 1, x), (y, x + 1)):
                if two[0] > 3 or two[1] > 4 or (known[y, x] and known[two]):
                    continue
                row, right = np.zeros(len(places)), float(made[y, x] - made[two])
                for place, sign in (((y, x), 1), (two, -1)):
                    if place in index:
                        row[index[place]] = sign
                    else:
                        right -= sign * float(own[place])
                rows.append(row)
                wanted.append(right)
        if not rows:
            continue
        solved = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0].clip(0, 1)
        np.testing.assert_allclose(result[~mask].numpy(), solved, rtol=0, atol=1e-5)


def test_hidden_pixels_are_not_looked_at():
    """Whatever stands there."""
    pictures, drawn, known = _pictures(0), _pictures(1), _hole()
    nothing = torch.where(known, pictures, torch.full_like(pictures, float("nan")))
    assert torch.equal(poisson(nothing, drawn, known), poisson(pictures, drawn, known))
    assert torch.equal(poisson(pictures, drawn, torch.ones_like(known)), pictures)
    assert torch.equal(poisson(pictures, drawn, torch.zeros_like(known)), drawn)


class Linear(Decoder):
    """Images of 6 x 7 pixels in two channels, a sigmoid of a linear map of four codes."""

    def __init__(self):
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.randn(4, 84, generator=generator)

    def codes(self, n, rng):
        return torch.randn(n, 4, generator=rng)

    def decode(self, z):
        return torch.sigmoid(z @ self.weight).reshape(-1, 2, 6, 7)

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def tensors(self):
        return {"weight": self.weight}


class Judged(Linear, Contested):
    """The same with a critic that likes bright images."""

    def logits(self, x):
        return 10 * x.flatten(1).mean(1)


SEARCH = Descent(steps=60, rate=0.05, perceptual=0.0, starts=20)


def _contextual(drawn, pictures, known):
    near = weights(known, SEARCH.window)
    return (near * (drawn - pictures)).abs().sum((1, 2, 3))


def test_a_picture_that_the_model_can_draw_is_found():
    """Descent improves on the best of the starts, and comes near the hidden pixels too."""
    model, known = Linear(), _hole()
    pictures = model.sample(3, stream("pictures"))
    start = complete(model, pictures, known, stream("search"), replace(SEARCH, steps=0))
    found = complete(model, pictures, known, stream("search"), replace(SEARCH, steps=200))
    assert (found.losses < 0.2 * start.losses).all()
    assert (found.images - pictures).abs().max() < 0.1
    for result in (start, found):
        assert torch.equal(result.images[:, :, known], pictures[:, :, known])
        assert 0 <= result.images.min() <= result.images.max() <= 1
        torch.testing.assert_close(result.losses, _contextual(result.drawn, pictures, known))
        assert torch.equal(result.images, poisson(pictures, result.drawn, known))


def test_a_search_begins_at_the_code_that_fits_best():
    """For each picture of its own."""
    model, known = Linear(), _hole()
    pictures = model.sample(4, stream("pictures"))
    start = complete(model, pictures, known, stream("search"), replace(SEARCH, steps=0))
    tried = model.decode(model.codes(SEARCH.starts, stream("search")))
    gaps = torch.stack([_contextual(tried, x.expand_as(tried), known) for x in pictures])
    torch.testing.assert_close(start.losses, gaps.amin(1))
    torch.testing.assert_close(start.drawn, tried[gaps.argmin(1)])


@pytest.mark.parametrize("rate", [0.05, 100.0])
def test_the_best_code_on_the_way_is_kept(rate):
    """However wild the descent, the result is not worse than its start."""
    model, known, pictures = Linear(), _hole(), _pictures(0, 5)
    search = replace(SEARCH, rate=rate)
    start = complete(model, pictures, known, stream("search"), replace(search, steps=0))
    found = complete(model, pictures, known, stream("search"), search)
    assert (found.losses <= start.losses + 1e-6).all()


def test_a_completion_does_not_depend_on_its_batch_mates():
    """Nor on what stands in the hole, nor on the global generator, which is left alone."""
    model, known, pictures = Linear(), _hole(), _pictures(0, 3)
    with forked(0):
        before = torch.get_rng_state()
        found = complete(model, pictures, known, stream("search"), SEARCH)
        assert torch.equal(torch.get_rng_state(), before)
    alone = complete(model, pictures[1:2], known, stream("search"), SEARCH)
    torch.testing.assert_close(alone.images[0], found.images[1], rtol=0, atol=1e-4)
    hidden = torch.where(known, pictures, torch.full_like(pictures, float("nan")))
    again = complete(model, hidden, known, stream("search"), SEARCH)
    assert torch.equal(again.images, found.images)
    assert not found.images.requires_grad
    assert not found.drawn.requires_grad


def test_the_critic_has_its_say():
    """By its weight: lambda log(1 - D(G(z))), which a bright image makes small. Without weight,
    it is as if there were none.
    """
    known, pictures = _hole(), _pictures(0, 3)

    def drawn(model, perceptual):
        search = replace(SEARCH, perceptual=perceptual, steps=100)
        return complete(model, pictures, known, stream("search"), search).drawn

    assert torch.equal(drawn(Judged(), 0.0), drawn(Linear(), 0.0))
    assert torch.equal(drawn(Linear(), 5.0), drawn(Linear(), 0.0))
    assert drawn(Judged(), 5.0).mean() > drawn(Judged(), 0.0).mean() + 0.02


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("residual", [1e-3, 0.5])
def test_pca_completes_by_the_conditional_mean(seed, residual):
    """Of a Gaussian: mean_h + C_ho C_oo^-1 (x_o - mean_o), whatever stands in the hole."""
    model, mean, covariance, _ = small_gaussian(seed, residual=residual)
    assert isinstance(model, Completer)
    known = torch.rand(3, 4, generator=stream("known", seed)) < 0.6
    seen = known.expand(2, 3, 4).flatten().numpy()
    x = _pictures(seed, 4, 2, 3, 4)
    points = x.flatten(1).double().numpy()
    gain = covariance[np.ix_(~seen, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    wanted = mean[~seen] + (points[:, seen] - mean[seen]) @ gain.T
    holed = torch.where(known, x, torch.full_like(x, float("nan")))
    found = model.complete(holed, known)
    assert torch.equal(found[:, :, known], x[:, :, known])
    np.testing.assert_allclose(found.flatten(1).numpy()[:, ~seen], wanted, rtol=0, atol=2e-4)


def test_pca_completes_nothing_and_all():
    """Where all is known the picture is; where nothing is, the mean; in the box where there is
    one.
    """
    model, mean, _, _ = small_gaussian()
    x = _pictures(0, 3, 2, 3, 4)
    assert torch.equal(model.complete(x, torch.ones(3, 4, dtype=torch.bool)), x)
    nothing = model.complete(x, torch.zeros(3, 4, dtype=torch.bool))
    np.testing.assert_allclose(nothing.flatten(1).numpy(), np.tile(mean, (3, 1)), atol=1e-6)
    boxed, _, _, _ = small_gaussian(box=(0.0, 1.0))
    known = torch.zeros(3, 4, dtype=torch.bool)
    known[0] = True
    found = boxed.complete(5 * x, known)
    assert (found[:, :, ~known].min(), found[:, :, ~known].max()) == (0, 1)
    assert torch.equal(found[:, :, known], 5 * x[:, :, known])


def test_a_pca_of_data_knows_what_it_leaves_out():
    """Its residual is the mean variance (over n - 1) of a value around its projection on the
    components that are kept.
    """
    blurred = noise(0, 90, 4, 4).repeat(3, 1).repeat(3, 2) // 2 + noise(1, 90, 12, 12) // 2
    split = Split(blurred, np.arange(90), blurred[:2], np.arange(2))
    data = Labelled("blurred", lambda: split).source(0)
    trainer = RECIPES["pca-gaussian"].part.trainer(Training("small-dcgan"), data.shape)
    fitted = trainer.finish(trainer.advance(trainer.start(data, stream("pca")), 1))
    tensors = fitted.tensors()
    points = data.training.flatten(1).double().numpy()
    centred = points - points.mean(0)
    basis = np.linalg.qr(tensors["factors"].double().numpy().T)[0]
    left = centred - centred @ basis @ basis.T
    wanted = (left**2).sum() / (len(points) - 1) / points.shape[1]
    assert float(tensors["residual"]) == pytest.approx(wanted, rel=1e-3, abs=1e-7)
