"""What coarse images are made fine from, and what is compared with what: models known by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from harness import bench
from tasks.byhand import cell_of, experiment_of

from bench.core.errors import UsageError
from bench.datasets.pixels import to_bytes, to_unit
from bench.tasks import TASKS
from bench.tasks.generation.image import entry_of
from generative import RECIPES, Magnifier
from generative.magnifying import coarsened, repeated
from metrics import METRICS

TASK = TASKS["super-resolution"].part
DATA, SAMPLES = "optdigits", 120


class By(Magnifier):
    """A function of the coarse images."""

    def __init__(self, function, factor=2):
        self.function, self.factor = function, factor

    def magnify(self, coarse):
        return self.function(coarse)

    def sample(self, n, rng):
        raise AssertionError("its samples are not asked for")

    def tensors(self):
        return {}


def experiment(seed=0, model="oracle", **settings):
    settings = {"samples": SAMPLES, "factor": 2, **settings}
    cell = cell_of("super-resolution", seed=seed, dataset=DATA, model=model, settings=settings)
    return experiment_of(cell)


def scores(at_work, model):
    made = at_work.make(model)
    return {name + suffix: s for name, s, suffix in at_work.score(model, made)[0]}


def value(found, metric):
    return next(s.value for name, s in found.items() if name.partition("@")[0] == metric)


def twice(coarse):
    return repeated(coarse, 2)


def test_coarse_images_are_means_of_held_out_ones():
    """Of the first, in their order, for every seed; none is a training image."""
    for seed in (0, 1):
        at_work = experiment(seed)
        split = entry_of(at_work.cell).part.split
        held = to_unit(torch.from_numpy(split.held_images))[:SAMPLES, None]
        wanted = (held[..., ::2, ::2] + held[..., 1::2, ::2]) / 4
        wanted = wanted + (held[..., ::2, 1::2] + held[..., 1::2, 1::2]) / 4
        torch.testing.assert_close(at_work.coarse, wanted)
        assert torch.equal(at_work.pictures, held)
        training = coarsened(to_unit(torch.from_numpy(split.images))[:, None], 2).flatten(1)
        assert float(torch.cdist(wanted.flatten(1), training).amin(1).median()) > 0.1


def test_the_factor_is_the_settings():
    """And the model's: its training is told."""
    at_work = experiment(factor=4, model="srgan")
    assert at_work.coarse.shape[2:] == (2, 2)
    assert at_work.order.training.settings["factor"] == 4
    relevant = RECIPES["srgan"].part.relevant(at_work.order.training)
    assert relevant["factor"] == 4
    assert experiment(factor=2, model="srgan").order.training.settings["factor"] == 2


def test_scores_by_hand():
    """Of each pixel repeated: against the true partner, at its own place, and no other's."""
    at_work = experiment()
    found = scores(at_work, By(twice))
    made, true = repeated(at_work.coarse, 2).double(), at_work.pictures.double()
    errors = (made - true).square().mean((1, 2, 3))
    assert value(found, "psnr") == pytest.approx(float((-10 * errors.log10()).mean()), abs=1e-4)
    assert value(found, "l1") == pytest.approx(float((made - true).abs().mean()), abs=1e-6)
    assert value(found, "consistency") == pytest.approx(0, abs=1e-6)
    turned = scores(at_work, By(lambda coarse: twice(coarse.roll(1, 0))))
    assert value(turned, "psnr") < value(found, "psnr") - 1
    assert value(turned, "consistency") > 0.1
    assert value(turned, "same_reading") < value(found, "same_reading")
    assert set(found) == {*turned}


def test_the_truth_is_the_ceiling_of_what_is_compared():
    at_work = experiment()
    found = scores(at_work, RECIPES["oracle"].part.engine.fit(at_work.source, 0))
    assert value(found, "psnr") == 100
    assert value(found, "same_reading") == 1
    assert value(found, "consistency") == pytest.approx(0, abs=1e-6)
    worse = scores(at_work, By(twice))
    assert value(found, "frechet") < value(worse, "frechet")


def test_what_leaves_the_box_is_clipped_but_for_consistency():
    """An image whose blocks have the right means, far outside: consistent as it is."""
    at_work = experiment()
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)
    model = By(lambda coarse: twice(coarse) + 3 * board)
    made = at_work.make(model)
    assert float(made.values.min()) == 0.0
    assert float(made.values.max()) == 1.0
    found = scores(at_work, model)
    assert value(found, "consistency") == pytest.approx(0, abs=1e-6)
    clipped = scores(at_work, By(lambda coarse: (twice(coarse) + 3 * board).clamp(0, 1)))
    assert value(clipped, "consistency") > 0.1
    assert value(clipped, "psnr") == value(found, "psnr")


def test_features_are_compared_with_training_images():
    """A model that gives training images is as near to them as can be, and far from the truth."""
    at_work = experiment()
    training = at_work.source.training[:SAMPLES]
    learnt = scores(at_work, By(lambda coarse: training))
    true = scores(at_work, By(lambda coarse: at_work.pictures))
    assert value(learnt, "psnr") < 20 < value(true, "psnr")
    assert value(learnt, "precision") == 1
    assert value(true, "precision") < 1


def test_consistency_of_other_factors():
    """The side of a block is told by the sizes of both, cut off ones too."""
    fine = np.arange(2 * 5 * 8, dtype=np.float64).reshape(2, 1, 5, 8)
    for side in (2, 3, 4):
        rows = [range(a, min(a + side, 5)) for a in range(0, 5, side)]
        columns = [range(a, min(a + side, 8)) for a in range(0, 8, side)]
        means = [[[fine[i, 0][np.ix_(r, c)].mean() for c in columns] for r in rows] for i in (0, 1)]
        coarse = np.array(means)[:, None]
        assert METRICS["consistency"].part(coarse, fine).value == pytest.approx(0, abs=1e-9)
        assert METRICS["consistency"].part(coarse + 2, fine).value == pytest.approx(2)


def test_what_is_shown_is_what_was_given_made_and_true():
    at_work = experiment()
    made = at_work.make(By(lambda coarse: 1 - twice(coarse)))
    _, kept = at_work.score(By(twice), made)
    assert set(kept) == {"inputs", "samples", "truth"}
    given = torch.from_numpy(kept["inputs"]).float() / 255
    torch.testing.assert_close(given, twice(at_work.coarse[: len(given)]), atol=3e-3, rtol=0)
    made_of = torch.from_numpy(kept["samples"]).float() / 255
    torch.testing.assert_close(made_of, 1 - given, atol=5e-3, rtol=0)
    true = torch.from_numpy(kept["truth"]).float() / 255
    torch.testing.assert_close(true, at_work.pictures[: len(true)], atol=3e-3, rtol=0)


def resolved(model="srgan", dataset=DATA, **settings):
    return TASK.resolve({"dataset": dataset, "model": model}, settings, None)


@pytest.mark.parametrize("model", ["srgan", "srresnet", "affgan", "bicubic", "oracle"])
def test_a_factor_that_does_not_divide_is_refused(model):
    """Whatever the model."""
    with pytest.raises(
        UsageError, match=r"8 x 8 pixels are no blocks of 3 x 3: expected a divisor"
    ):
        resolved(model, factor=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 1}, "setting 'factor': input should be greater than or equal to 2, got 1"),
        ({"factor": 65}, "setting 'factor': input should be less than or equal to 64, got 65"),
        ({"upscaler_blocks": -1}, "setting 'upscaler_blocks': expected int, 0 at least"),
        ({"adversarial_weight": -1.0}, "setting 'adversarial_weight': expected float"),
        ({"size": 12, "factor": 8}, r"12 x 12 pixels are no blocks .*\(2, 3, 4, 6, 12\)"),
    ],
)
def test_what_can_not_be_asked_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        resolved(**settings)


def test_a_cell_says_what_it_can_have():
    given = set(scores(experiment(), By(twice)))
    for model in TASK.every("model"):
        assert given <= resolved(model, factor=2).gives
    assert {"oracle", "srgan", "affgan", "nearest-pixels"} <= set(TASK.every("model"))
    assert "psnr" in {TASK.metric_facts(name)["name"] for name in ("psnr", "consistency")}
    with pytest.raises(UsageError, match="nothing is masked or drawn"):
        TASK.metric_facts("psnr_hidden")


def test_others_are_left_to_their_tasks():
    assert resolved("dcgan").skip == "model 'dcgan' magnifies nothing: task image"
    repairs = "repairs images and draws none of its own: task"
    assert f"{repairs} inpainting" in resolved("context-encoder").skip
    image = TASKS["image"].part
    for model, task in (("srgan", "super-resolution"), ("context-encoder", "inpainting")):
        found = image.resolve({"dataset": DATA, "model": model}, {}, None)
        assert found.skip == f"model '{model}' {repairs} {task}"
        assert model not in image.every("model")
    with pytest.raises(UsageError, match="magnifies nothing"):
        experiment().magnified(RECIPES["noise"].part.engine.fit(experiment().source, 0))


@pytest.mark.parametrize(
    ("block", "said", "message"),
    [
        ("super-resolution", "factor=5", "factor: images of 28 x 28 pixels are no blocks of 5 x 5"),
        ("super-resolution", "factor=0", "setting 'factor'"),
        ("anomalies", "left_out=12", "left_out: expected a class of 'optdigits', 0 to 9, got 12"),
        ("completion", "hole=left", "hole: expected centre or blocks, got 'left'"),
        ("completion", "mask=right", "setting 'mask'"),
    ],
)
def test_a_wrong_setting_is_one_line_of_the_command_line(block, said, message, capfd):
    """And exit code 2, before anything is measured."""
    words = ("plan", "--suite", "restoration", "--only", f"block={block}", "--seeds", "1")
    option = "--grid" if block == "anomalies" else "--set"
    assert bench(*words, option, said) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line


SUITE = """
name = "tiny"
default_tier = "quick"

[tiers.quick]
seeds = 2

[[block]]
name = "fine"
task = "super-resolution"
grid.dataset = ["optdigits"]
grid.model = ["srgan", "affgan", "nearest-pixels", "oracle"]
settings = { steps = 4, batch = 8, evaluations = 1, factor = 2, upscaler_blocks = 1 }

[[block]]
name = "holes"
task = "inpainting"
grid.dataset = ["optdigits"]
grid.model = ["context-encoder", "one-image"]
settings = { steps = 4, batch = 8, evaluations = 1, protocol = "small-dcgan", mask = "blocks" }

[[block]]
name = "strange"
task = "anomaly"
grid.dataset = ["optdigits"]
grid.model = ["nsgan", "pca"]
grid.left_out = [3, 4]
settings = { steps = 4, batch = 8, evaluations = 1, descent_steps = 3, pictures = 9 }
"""


@pytest.mark.slow
def test_a_run_has_its_rows_and_sheets(tmp_path, monkeypatch):
    """From the command line: a table, pictures, and what a model makes as a sheet. Another left-out
    class is another training.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tiny.toml").write_text(SUITE)
    assert bench("run", "--suite", "tiny.toml", "--executor", "inline") == 0
    run = tmp_path / "runs/tiny/quick"
    table = pd.read_csv(run / "table.csv", dtype=str, keep_default_na=False)
    assert set(table.status) == {"ok"}
    exact = table[(table.metric == "consistency") & (table.model == "affgan")].value.astype(float)
    assert len(exact) == 2
    assert exact.max() <= 1e-6
    keys = table[table.model == "nsgan"].groupby(["cell_id", "seed"]).artifact_key.first()
    assert keys.nunique() == 4
    strange = table[(table.task == "anomaly") & (table.model == "nsgan")]
    assert set(strange.metric) == {"auroc", "auroc@residual", "auroc@discrimination"}
    written = {path.name for path in (run / "pictures").iterdir()}
    assert {f"{name}-optdigits-samples.png" for name in ("fine", "holes", "strange")} <= written
    rule = ("sample", "runs/tiny/quick", "--model", "nearest-pixels")
    assert bench(*rule, "-n", 9, "-o", "x.npy") == 0
    at_work = experiment()
    wanted = to_bytes(twice(at_work.coarse[:9])).numpy()
    assert np.array_equal(np.load("x.npy"), wanted)
    assert bench(*rule, "-n", 9_999, "-o", "y.npy") == 2
    assert bench("sample", "runs/tiny/quick", "--model", "srgan", "-n", 9, "-o", "z.npy") == 0
    assert np.load("z.npy").shape == (9, 1, 8, 8)
