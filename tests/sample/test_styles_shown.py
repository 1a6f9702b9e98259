"""A model of styles looked at: mixed, truncated, and its ways scored."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from tasks.byhand import cell_of

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.datasets import DATASETS
from bench.sample import codes
from bench.sample.codes import Exploration, explored
from bench.tasks.generation.insidescores import scored_layers, scored_ways
from generative import RECIPES, Training
from generative.latentspace import truncated
from generative.ways import STEP, lined, style_stretches

TRAINING = Training("small-dcgan", steps=5, batch=4, latent=5, style_width=2, mapping_layers=2)


@cache
def style():
    with forked(0):
        trainer = RECIPES["style"].part.trainer(TRAINING, (1, 8, 8))
        state = trainer.start(DATASETS["optdigits"].part.source(0), stream("shown"))
        return trainer.finish(trainer.advance(state, 5))


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(codes, "_decoder", lambda cell, store: style())
    return cell_of("image", dataset="optdigits", model="style", seed=1)


def bytes_of(images):
    return (images * 255).round().to(torch.uint8).numpy()


def test_a_sheet_of_mixed_styles(here):
    """Rows before the layer, columns from it on; sources along the edges; noise of the row."""
    images, columns = explored(here, 24, None, Exploration(mixing=2))
    assert (images.shape, columns) == ((24, 1, 8, 8), 8)
    rng, model = stream(here.cell_id, 1, "codes"), style()
    down, across = model.codes(2, rng), model.codes(7, rng)
    grid = images.reshape(3, 8, 1, 8, 8)
    assert grid[0, 0].max() == 0
    assert np.array_equal(grid[0, 1:], bytes_of(model.decode(across)))
    assert np.array_equal(grid[1:, 0], bytes_of(model.decode(down)))
    for row in (0, 1):
        cuts = torch.full((7,), 2)
        wanted = model.mixed(down[row].expand(7, -1), across, cuts)
        assert np.abs(grid[row + 1, 1:].astype(int) - bytes_of(wanted).astype(int)).max() <= 1


def test_at_the_last_layer_a_sheet_is_its_rows(here):
    images, _ = explored(here, 24, None, Exploration(mixing=4))
    grid = images.reshape(3, 8, 64).astype(int)
    assert np.abs(grid[1:, 1:] - grid[1:, :1]).max() <= 1


@pytest.mark.parametrize("cut", [-1, 5])
def test_a_layer_that_is_none_is_refused(here, cut):
    with pytest.raises(UsageError, match=f"`mixing`: expected a layer, 0 to 4, got {cut}"):
        explored(here, 24, None, Exploration(mixing=cut))


def test_a_model_without_styles_is_refused(monkeypatch):
    monkeypatch.setattr(codes, "_decoder", lambda cell, store: object())
    cell = cell_of("image", dataset="optdigits", model="dcgan", seed=1)
    with pytest.raises(UsageError, match="`mixing`: model 'dcgan' has no styles: style does"):
        explored(cell, 24, None, Exploration(mixing=1))


def test_mixing_is_one_way_of_several():
    with pytest.raises(UsageError, match="expected one of `interpolate`, `mixing`, got 2"):
        assert Exploration(interpolate=True, mixing=1).asked
    with pytest.raises(UsageError, match="`mixing`, `label`"):
        assert Exploration(label=1, mixing=1).asked


def test_truncation_is_psi_of_styles():
    """Infinity leaves them; no code is drawn anew."""
    model = style()
    z = model.codes(6, stream("t"))
    for bound, psi in ((0.3, 0.3), (float("inf"), 1.0)):
        found = truncated(model, 6, stream("t"), bound)
        torch.testing.assert_close(found, model.truncated(z, psi))


def test_ways_between_styles_keep_the_noise_of_their_first_code():
    model = style()
    first, second = style_stretches(model, 9, stream("w"))
    rng = stream("w")
    a, b = model.codes(9, rng), model.codes(9, rng)
    share = torch.rand(9, 1, generator=rng)
    styles = [model.styles(model.parts(x)[0]) for x in (a, b)]
    for found, at in ((first, share), (second, share + STEP)):
        wanted = model.drawn(lined(*styles, at), model.parts(a)[1])
        torch.testing.assert_close(found, wanted)


def test_ways_are_scored_by_features_of_both_ends():
    """Twice the features, four times the length; of styles where there are any."""
    rows = [
        {name: score.value for name, score, _ in scored_ways(style(), read, "j", stream("w"))}
        for read in (lambda x: x.flatten(1).numpy(), lambda x: 2 * x.flatten(1).numpy())
    ]
    assert set(rows[0]) == {"path_length", "style_path_length"}
    for name, value in rows[0].items():
        assert rows[1][name] == pytest.approx(4 * value, rel=1e-3)
        assert value > 0


def test_the_largest_ratio_is_over_all_layers_of_both_players():
    ((name, score, suffix),) = scored_layers(style())
    ratios = []
    for weight in style().tensors().values():
        if weight.ndim in (2, 4) and min(weight.flatten(1).shape) > 1:
            values = torch.linalg.svdvals(weight.flatten(1).double())
            ratios.append(float(values[0] / values[1]))
    assert (name, suffix) == ("sigma_ratio", "")
    assert score.value == pytest.approx(max(ratios), rel=1e-3)
    assert score.n == len(ratios)
