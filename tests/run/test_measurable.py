"""Metrics that a suite names and that none of its cells can have."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from PIL import Image
from small import noise

from bench.core.errors import UsageError
from bench.run.run import execute, plan_of
from bench.tasks import TASKS

ASKED = """
name = "asked"
default_tier = "quick"
[tiers.quick]
seeds = 1
[[block]]
name = "one"
task = "{task}"
{grid}
settings = {{ {settings} }}
metrics = ["{metric}"]
"""
SAMPLES = "samples = 200"
PIXELS = 'samples = 200, features = "pixels"'
RADII = 'radii = "0.1,0.2", images = 60'
FEW = "pictures = 8"
BACKWARD = 'direction = "backward"'
OPTDIGITS = {"dataset": "optdigits"}
CAPTIONED = {"dataset": "captions@digits", "model": "real-pairs"}
DRAWN = {**OPTDIGITS, "model": "oracle"}
ATTACKED = {**OPTDIGITS, "model": "softmax", "attack": "fgsm"}
SEARCHED = {**ATTACKED, "attack": "fab"}
SHOWN = {**ATTACKED, "source_model": "softmax"}
SHAPES = {"dataset": "scenes@digits", "model": "truth"}
UNPAIRED = {"dataset": "folder:two", "model": "identity"}
EDGED = {"dataset": "edges@digits", "model": "truth"}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch, undrawn):
    """A folder to work in, with two folders of images that nothing pairs; few others are read."""
    monkeypatch.setattr("bench.tasks.generation.translation.MOST", 40)
    for domain in "ab":
        (tmp_path / "two" / domain).mkdir(parents=True)
        for n, image in enumerate(noise(ord(domain), 20, 16, 16)):
            Image.fromarray(image).save(tmp_path / "two" / domain / f"{domain}{n}.png")
    monkeypatch.chdir(tmp_path)


def asked(folder, task, parts, settings, metric):
    """A suite of one cell that is asked for one metric."""
    grid = "\n".join(f'grid.{axis} = ["{part}"]' for axis, part in parts.items())
    text = ASKED.format(task=task, grid=grid, settings=settings, metric=metric)
    (folder / "asked.toml").write_text(text)
    return "asked.toml"


@pytest.mark.parametrize(
    ("task", "parts", "settings", "metric", "advice"),
    [
        ("image", DRAWN, PIXELS, "frechet@optdigits-cnn", "here it is frechet@pixels"),
        ("image", DRAWN, SAMPLES, "frechet@digits-cnn", "here it is frechet@optdigits-cnn"),
        ("image", DRAWN, PIXELS, "class_coverage@optdigits-cnn", "rule it out"),
        ("image", DRAWN, PIXELS, "class_coverage@pixels", "rule it out"),
        ("image", DRAWN, SAMPLES, "mmd@optdigits-cnn", "rule it out"),
        (
            "stack",
            {**DRAWN, "dataset": "stack2@optdigits"},
            SAMPLES,
            "stack_modes@digits-cnn",
            "stack_modes@optdigits-cnn",
        ),
        (
            "mixture",
            {**DRAWN, "dataset": "hd10@veegan"},
            SAMPLES,
            "reverse_kl_density",
            "rule it out",
        ),
        (
            "attack",
            ATTACKED,
            RADII,
            "attack_success_within@0.1,0.3",
            "here it is attack_success_within@0.1,0.2",
        ),
        ("attack", SEARCHED, RADII, "attack_success_within@0.1,0.2", "rule it out"),
        ("inpainting", DRAWN, FEW, "same_reading@digits-cnn", "here it is same_reading@optdigits"),
        ("translation", SHAPES, "", "frechet@pixels", "here it is frechet@scenes-fcn"),
        ("translation", SHAPES, BACKWARD, "class_iou@scenes-fcn", "here it is class_iou@palette"),
        ("translation", UNPAIRED, "", "ssim", "rule it out"),
        ("translation", UNPAIRED, "", "class_iou@scenes-fcn", "rule it out"),
        (
            "levels",
            {**OPTDIGITS, "model": "laplacian"},
            "levels = 1",
            "energy_share@high",
            "here it is energy_share@1 or energy_share@all or energy_share@low",
        ),
    ],
)
def test_a_metric_that_no_cell_can_have_is_refused(task, parts, settings, metric, advice, tmp_path):
    """Before anything is measured, with the name under which it is there."""
    with pytest.raises(
        UsageError, match=f"block one: no cell has the metric '{metric}': .*{advice}"
    ):
        execute(asked(tmp_path, task, parts, settings, metric))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("task", ["audit", "rubbish", "transfer"])
def test_what_a_part_no_longer_gives_is_refused(task, tmp_path, monkeypatch):
    """Of tasks whose every cell has every metric of theirs: one less in what it gives is seen."""
    lost = {"audit": "audit_findings", "rubbish": "rubbish_rate", "transfer": "transfer_error"}[
        task
    ]
    part = TASKS[task].part
    known = part.gives
    monkeypatch.setattr(type(part), "gives", lambda self, *of: {*known(*of)} - {lost})
    with pytest.raises(UsageError, match=f"no cell has the metric '{lost}': its data or its"):
        execute(asked(tmp_path, task, _parts(task), "", lost))


POINTS = {"dataset": "ring8@pacgan"}
CERTIFIED = {"dataset": SHOWN["dataset"], "model": "softmax", "certificate": "exact"}
CHANGED = {"dataset": SHOWN["dataset"], "model": "softmax"}
PATCHED = {**CHANGED, "source_model": "softmax"}


def _parts(task):
    return {axis: SHOWN[axis] for axis in TASKS[task].part.axes}


@pytest.mark.parametrize(
    ("task", "parts", "settings", "metric"),
    [
        ("image", DRAWN, PIXELS, "frechet@pixels"),
        ("image", DRAWN, SAMPLES, "class_coverage@optdigits-cnn"),
        ("image", DRAWN, SAMPLES, "memorisation@optdigits-cnn"),
        (
            "stack",
            {**DRAWN, "dataset": "stack2@optdigits"},
            SAMPLES,
            "frechet@optdigits-cnn",
        ),
        ("mixture", {**DRAWN, "dataset": "ring8@pacgan"}, SAMPLES, "reverse_kl_density"),
        ("mixture", {"dataset": "ring8@pacgan", "model": "exact-denoiser"}, SAMPLES, "passes"),
        ("attack", ATTACKED, RADII, "attack_success_within@0.1,0.2"),
        ("attack", SEARCHED, "images = 60", "attack_forwards"),
        ("audit", _parts("audit"), RADII, "audit_findings"),
        ("transfer", SHOWN, 'radii = "0.1", images = 60', "transfer_error"),
        ("rubbish", _parts("rubbish"), "inputs = 50", "rubbish_rate"),
        ("certificate", CERTIFIED, RADII, "certified_accuracy"),
        ("bracket", {**CERTIFIED, "attack": "fgsm"}, RADII, "undecided"),
        ("corruption", {**CHANGED, "corruption": "fog"}, 'severities = "1,5"', "corruption_error"),
        ("spatial", CHANGED, 'degrees = "10", images = 20, tries = 2', "robust_accuracy"),
        ("patch", {**PATCHED, "patch": "noise"}, 'areas = "0.1"', "target_success"),
        ("shared-perturbation", PATCHED, 'radii = "0.1", steps = 2', "distance"),
        ("units", {**_parts("rubbish"), "model": "rbf"}, 'layer = "1"', "class_purity@random"),
        ("lipschitz", {**ATTACKED, "attack": "ddn"}, "images = 60", "layer_norm@1"),
        ("inpainting", DRAWN, FEW, "same_reading@optdigits-cnn"),
        ("translation", SHAPES, "", "class_iou@scenes-fcn"),
        ("translation", SHAPES, BACKWARD, "class_iou@palette"),
        ("translation", UNPAIRED, "", "noise_spread"),
        ("translation", EDGED, "", "same_reading@digits-cnn"),
        ("dynamics", {"dataset": "dirac", "model": "gan"}, "steps = 20", "growth"),
        ("coding", {**OPTDIGITS, "model": "laplacian-open"}, "levels = 2", "coded_psnr"),
        ("blending", {**OPTDIGITS, "model": "cut"}, "", "seam_ratio"),
        ("levels", {**OPTDIGITS, "model": "steerable"}, "levels = 1", "energy_share@high"),
        ("reconstruction", {**OPTDIGITS, "model": "pca"}, "latent = 5", "squared_error@training"),
        ("probing", {**OPTDIGITS, "model": "pca"}, "labels = 50", "probe_accuracy"),
        ("refinement", {**OPTDIGITS, "model": "lapgan"}, "steps = 4", "consistency@8"),
        ("inversion", {**OPTDIGITS, "model": "pca"}, FEW, "error_share"),
        ("image", {**OPTDIGITS, "model": "pixel-frequencies"}, SAMPLES, "bits_per_dim"),
        ("super-resolution", DRAWN, "factor = 2", "same_reading@optdigits-cnn"),
        ("anomaly", {**OPTDIGITS, "model": "pca"}, FEW, "auroc"),
        (
            "few-labels",
            {"dataset": "few@optdigits", "model": "supervised"},
            'steps = 4, protocol = "small-dcgan"',
            "test_error",
        ),
        ("inference", {**OPTDIGITS, "model": "bigan"}, "steps = 4", "neighbour_accuracy"),
        (
            "editing",
            {**OPTDIGITS, "model": "icgan"},
            'steps = 4, protocol = "small-dcgan"',
            "error_share@true",
        ),
        ("inference-points", {**POINTS, "model": "bigan"}, "steps = 4", "code_error_share"),
        ("text-to-image", CAPTIONED, "samples = 200", "unseen_caption_match@digits-cnn"),
    ],
)
def test_one_that_some_cell_has_is_measured(task, parts, settings, metric, tmp_path):
    """And everything that is measured was promised."""
    suite = asked(tmp_path, task, parts, settings, metric)
    report = execute(suite)
    assert not report.made.summary()["value"].isna().any()
    (found,) = report.made.manifest["metrics"]
    rows = set(report.table["metric"][report.table["final"]])
    given = tomllib.loads(Path(suite).read_text())["block"][0]["settings"]
    resolved = TASKS[task].part.resolve(plan_of(suite).cells[0].parts, given, None)
    assert found in rows
    assert rows <= resolved.gives


def test_every_task_that_ships_says_what_it_gives():
    """Those of the tests above are all there are."""
    asked_of = {mark[0] for mark in test_one_that_some_cell_has_is_measured.pytestmark[0].args[1]}
    assert asked_of == {entry.name for entry in TASKS.entries() if ":" not in entry.name}


def test_an_attack_from_the_command_line_leaves_out_what_it_can_not_have(tmp_path):
    """A search in the place of a suite's attack: no column of dashes, and no refusal."""
    suite = asked(tmp_path, "attack", ATTACKED, RADII, "attack_success_within@0.1,0.2")
    text = Path(suite).read_text().replace('.2"]', '.2", "clean_error"]')
    Path(suite).write_text(text)
    plan = plan_of(suite, grid={"attack": ["fab"]})
    assert plan.manifest()["blocks"][0]["metrics"] == ["clean_error"]


def test_data_from_the_command_line_leave_out_what_they_can_not_have():
    """A mixture without a density, in the place of a built-in suite's: no column of dashes."""
    plan = plan_of("smoke", grid={"dataset": ["single@optdigits", "hd10@veegan"]})
    blocks = {block["name"]: block for block in plan.manifest()["blocks"]}
    assert "reverse_kl_density" not in blocks["mixtures"]["metrics"]
    assert "high_quality" in blocks["mixtures"]["metrics"]
