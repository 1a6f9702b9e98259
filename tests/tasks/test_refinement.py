"""What is put in the place of a level, with pyramids whose answers are known."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from harness import bench
from tasks.byhand import cell_of, experiment_of

from bench.core.errors import UsageError
from bench.datasets.pixels import to_unit
from bench.tasks import TASKS
from bench.tasks.generation import refinement
from bench.tasks.generation.image import entry_of
from bench.tasks.generation.refinement import RefinementSettings, refined
from generative import RECIPES, Training
from generative.coarsetofine import CoarseToFine, brought, residuals
from generative.pyramids.box import doubled, halved
from generative.refiners import Refiner
from metrics import METRICS

TASK = TASKS["refinement"].part
SIDES = (7, 14, 28)
SAMPLES = 200


class First(torch.nn.Module):
    """Images of 7 x 7 pixels: of the first code, everywhere the same."""

    def forward(self, z):
        return torch.sigmoid(z[:, :1, None, None]).expand(-1, 1, 7, 7)


class Adds(torch.nn.Module):
    """A constant everywhere, and a share of the noise."""

    def __init__(self, by, share, side):
        super().__init__()
        self.by, self.share, self.side = by, share, side

    def forward(self, images, codes):
        return self.by + self.share * codes.reshape(-1, 1, self.side, self.side)


@cache
def model(by=0.1, share=0.0):
    """A pyramid whose residuals are `by` at 14 pixels and twice as much at 28."""
    levels = RECIPES["lapgan"].part.levels(Training("dcgan-32", levels=2, steps=70), (1, 28, 28))
    nobody = torch.nn.Identity()
    finer = [(Adds(by, share, 14), nobody), (Adds(2 * by, share, 28), nobody)]
    return CoarseToFine(levels, [(First(), nobody), *finer])


def experiment(**settings):
    settings = {"samples": SAMPLES, "steps": 70, "levels": 2, **settings}
    return experiment_of(
        cell_of("refinement", dataset="mnist5k", model="lapgan", settings=settings)
    )


def made(pyramid, **settings):
    at_work = experiment(**settings)
    return at_work, at_work.make(pyramid)


def scores(pyramid, **settings):
    at_work, found = made(pyramid, **settings)
    return {name + suffix: s for name, s, suffix in at_work.score(pyramid, found)[0]}


def test_drawn_levels_are_the_models_own_samples():
    """The same draws as the model's codes decoded, whatever stands for what is replaced."""
    pyramid = model(share=0.3)
    at_work, found = made(pyramid)
    codes = pyramid.codes(SAMPLES, at_work.stream("samples"))
    torch.testing.assert_close(found.values, pyramid.decode(codes))


def test_coarse_images_are_held_out_ones_and_none_is_a_training_image():
    """With nothing added: each held-out image once, as the means of its blocks."""
    for level, side in ((0, 7), (1, 14)):
        at_work, found = made(model(), coarse="held-out", residual="none", level=level)
        split = entry_of(at_work.cell).part.split
        held, training = (
            brought(to_unit(torch.from_numpy(x)[:, None]), 2 - level).flatten(1)
            for x in (split.held_images, split.images)
        )
        coarse = brought(found.values, 2 - level)
        assert coarse.shape[2] == side
        gaps = torch.cdist(coarse.flatten(1), held)
        assert float(gaps.amin(1).max()) < 5e-3
        assert len(set(gaps.argmin(1).tolist())) == SAMPLES
        assert float(torch.cdist(coarse.flatten(1), training).amin(1).median()) > 0.1


def test_nothing_is_added_in_blocks():
    _, found = made(model(), coarse="held-out", residual="none")
    blocks = brought(found.values, 2)
    whole = doubled(doubled(blocks, (14, 14)), (28, 28))
    torch.testing.assert_close(whole, found.values, rtol=0, atol=1e-6)


def test_what_another_image_has_is_added_at_every_level():
    """The residuals are those of the image before in the same order, of none's own."""
    at_work, found = made(model(), coarse="held-out", residual="another")
    held, levels = at_work.held, model().levels
    own, others = (residuals(levels, x) for x in (held, held.roll(1, 0)))
    wanted = doubled(doubled(own[0], (14, 14)) + others[1], (28, 28)) + others[2]
    torch.testing.assert_close(found.values, wanted.clamp(0, 1), rtol=0, atol=1e-6)
    assert float((found.values - held).abs().mean()) > 0.02


def test_levels_from_the_coarse_one_on_are_replaced():
    """A coarse image of 14 pixels has one finer level, whose noise is that of all other rows."""
    pyramid = model(share=0.3)
    at_work, found = made(pyramid, coarse="held-out", level=1)
    assert [x.shape[2] for x in found.way] == [14, 28]
    torch.testing.assert_close(found.way[0], halved(at_work.held))
    codes = pyramid.parts(pyramid.codes(SAMPLES, at_work.stream("samples")))
    wanted = doubled(found.way[0], (28, 28)) + pyramid.residual(2, found.way[0], codes[2])
    torch.testing.assert_close(found.way[1], wanted)


def test_a_drawn_coarse_image_is_that_of_the_level():
    """With nothing added after it."""
    pyramid = model(share=0.3)
    for level in (0, 1):
        at_work, found = made(pyramid, residual="none", level=level)
        way = pyramid.way(pyramid.codes(SAMPLES, at_work.stream("samples")))
        torch.testing.assert_close(found.way[0], way[level])


def test_consistency_is_how_far_a_level_moves_the_means_of_blocks():
    """Constants of .1 and .2, of each level against the images that it was drawn from, before
    anything is clipped; nothing where nothing, or a true residual, is added.
    """
    found = scores(model(), coarse="held-out")
    assert found["consistency@14"].value == pytest.approx(0.1, abs=1e-6)
    assert found["consistency@28"].value == pytest.approx(0.2, abs=1e-6)
    assert found["consistency@28"].n == SAMPLES
    for residual in ("none", "another"):
        _, still = made(model(), coarse="held-out", residual=residual)
        for _, score, _ in refinement._consistencies(still.way):
            assert score.value == pytest.approx(0, abs=1e-6)
    _, last = made(model(), coarse="held-out", level=1)
    assert [suffix for _, _, suffix in refinement._consistencies(last.way)] == ["@28"]


def test_consistency_by_hand():
    """The root of a mean square, over images of 3 x 2 pixels whose last row is half a block."""
    fine = torch.tensor([[[[1.0, 3.0], [5.0, 7.0], [2.0, 4.0]]], [[[0.0, 0.0]] * 3]]).numpy()
    coarse = torch.tensor([[[[4.0], [2.0]]], [[[0.0], [3.0]]]]).numpy()
    found = METRICS["consistency"].part(coarse, fine)
    assert found.value == pytest.approx((((0 + 1) / 2 + (0 + 9) / 2) / 2) ** 0.5)
    assert METRICS["consistency"].part(coarse[:1], fine[:1]).std_error is None


def test_other_rows_are_of_the_same_noise_and_other_seeds_are_not():
    """A pyramid that adds noise alone, on blank images."""
    pyramid, held = model(0.0, 1.0), torch.zeros(5, 1, 28, 28)

    def drawn(seed, **asked):
        rng = torch.Generator().manual_seed(seed)
        return refined(pyramid, held, rng, RefinementSettings(**asked))[-1]

    fine = drawn(0, coarse="held-out", level=1)
    assert torch.equal(fine, drawn(0, coarse="held-out", level=1))
    assert not torch.equal(fine, drawn(1, coarse="held-out", level=1))
    first = drawn(0, coarse="held-out") - fine
    torch.testing.assert_close(doubled(halved(first), (28, 28)), first)
    assert float(first.std()) > 0.5


def test_what_is_scored_is_what_was_made():
    """Blurred digits are no better than digits: their scores are those of the blur."""
    blurred = scores(model(), coarse="held-out", residual="none")
    finer = scores(model(), coarse="held-out", residual="none", level=1)
    frechet = next(name for name in blurred if name.startswith("frechet@digits-cnn"))
    assert blurred[frechet].value > 2 * finer[frechet].value > 0


def test_rows_of_what_is_drawn_are_measured_once():
    """The level matters where something is replaced, and there alone."""
    parts = {"dataset": "mnist5k", "model": "lapgan"}

    def named(**settings):
        return TASK.resolve(parts, settings, None).differing

    assert named(level=1) == named() == {"levels": 2}
    assert named(coarse="held-out", level=1) == {"levels": 2, "coarse": "held-out", "level": 1}


def test_a_cell_says_what_it_can_have():
    found = TASK.resolve({"dataset": "mnist5k", "model": "lapgan"}, {}, None)
    assert {"consistency@14", "consistency@28"} <= found.gives
    found = TASK.resolve({"dataset": "optdigits", "model": "lapgan"}, {}, None)
    assert "consistency@8" in found.gives
    given = set(scores(model()))
    assert given <= TASK.resolve({"dataset": "mnist5k", "model": "lapgan"}, {}, None).gives


def test_models_without_levels_are_skipped():
    found = TASK.resolve({"dataset": "mnist5k", "model": "dcgan"}, {}, None)
    assert found.skip == "model 'dcgan' draws no levels: task image"
    assert TASK.every("model") == ["lapgan"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"coarse": "held-out", "level": 2},
            "expected 0 to 1, of images of 7 or 14 pixels, .* got 2",
        ),
        (
            {"coarse": "true"},
            "setting 'coarse': input should be 'sampled' or 'held-out', got 'true'",
        ),
        ({"levels": 5}, "levels: expected 1 to 3 for images of 28 x 28"),
        ({"steps": 3}, "steps: expected 7 at least for 3 levels"),
        ({"size": 6}, "a pyramid of GANs needs images of 7 pixels a side and more"),
    ],
)
def test_what_can_not_be_asked_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        TASK.resolve({"dataset": "mnist5k", "model": "lapgan"}, settings, None)


@pytest.mark.parametrize("name", ["consistency", "consistency@fine", "consistency@"])
def test_a_metric_of_a_level_names_its_side(name):
    with pytest.raises(UsageError, match="expected consistency@ and the side of the finer images"):
        TASK.metric_facts(name)


def test_a_metric_of_a_level_is_titled_by_it():
    facts = TASK.metric_facts("consistency@28")
    assert (facts["name"], facts["title"]) == ("consistency@28", "consistency at 28")


SUITE = """
name = "tiny"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "pyramid"
task = "image"
grid.dataset = ["optdigits"]
grid.model = ["lapgan", "pca-gaussian", "oracle"]
settings = { steps = 12, batch = 8, evaluations = 2 }
metrics = ["frechet@optdigits-cnn", "weights"]

[[block]]
name = "levels"
task = "refinement"
grid.dataset = ["optdigits"]
grid.model = ["lapgan"]
grid.coarse = ["sampled", "held-out"]
grid.residual = ["sampled", "none"]
settings = { steps = 12, batch = 8, evaluations = 2 }
metrics = ["frechet@optdigits-cnn", "consistency@8"]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a run of a tiny pyramid, its cache and its suite."""
    folder = tmp_path_factory.mktemp("levels")
    (folder / "tiny.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        assert bench("run", "--suite", "tiny.toml", "--executor", "inline") == 0
    return folder


@pytest.fixture
def there(run, monkeypatch):
    monkeypatch.chdir(run)
    monkeypatch.setenv("MINIMAX_CACHE", str(run / "cache"))
    return "runs/tiny/quick"


def test_a_run_has_a_row_for_each_way(run):
    """One training for all of them; what a model keeps is counted."""
    table = pd.read_csv(run / "runs/tiny/quick/table.csv", dtype=str, keep_default_na=False)
    assert set(table.status) == {"ok"}
    rows = table[table.metric == "consistency@8"]
    assert len(rows) == 4
    assert len(set(table[table.model == "lapgan"].artifact_key)) == 1
    kept = table[table.metric == "weights"].set_index("model").value.astype(float)
    assert set(kept.index) == {"lapgan", "pca-gaussian"}
    levels = RECIPES["lapgan"].part.levels(Training("dcgan-32", steps=12), (1, 8, 8))
    refiner = Refiner().build(levels[0].shape, levels[1].shape)
    dense, critic = levels[0].protocol, levels[1].protocol.critic
    players = [dense.generator.generator(64, (1, 4, 4)), dense.critic.encoder((1, 4, 4), 1)]
    players += [refiner, critic.encoder((1, 8, 8), 1)]
    assert kept["lapgan"] == sum(x.numel() for p in players for x in p.state_dict().values())
    written = {path.name for path in (run / "runs/tiny/quick/pictures").iterdir()}
    assert {"pyramid-optdigits-samples.png", "levels-optdigits-samples.png"} <= written


@pytest.mark.parametrize(("level", "shape"), [(0, (9, 1, 4, 4)), (1, (9, 1, 8, 8))])
def test_a_level_is_shown_from_the_command_line(there, tmp_path, level, shape):
    sheet = tmp_path / "x.npy"
    assert bench("sample", there, "--model", "lapgan", "--level", level, "-n", 9, "-o", sheet) == 0
    assert np.load(sheet).shape == shape
    assert bench("sample", there, "--model", "lapgan", "-n", 9, "-o", tmp_path / "y.npy") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--level", "2"), "level 2 was not trained: expected one of 0 (4 pixels), 1 (8 pixels)"),
        (("--level", "-1"), "level -1 was not trained"),
        (("--level", "0", "--codes"), "expected one of --codes, --level, got 2"),
        (("--level", "0", "--class", "3"), "expected one of --level, --class, got 2"),
        (("--level", "0", "--truncation", "1,2"), "--level, --mixing"),
    ],
)
def test_a_level_that_can_not_be_shown_is_refused(there, tmp_path, capsys, options, message):
    where = ("sample", there, "--model", "lapgan", *options, "-o", tmp_path / "x.png")
    assert bench(*where) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1


def test_other_models_have_no_levels(there, tmp_path, capsys):
    where = ("sample", there, "--model", "pca-gaussian", "--level", "0")
    assert bench(*where, "-o", tmp_path / "x.png") == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
