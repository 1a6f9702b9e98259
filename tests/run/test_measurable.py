"""Metrics that a suite names and that none of its cells can have."""

from __future__ import annotations

import pytest

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
grid.dataset = ["{data}"]
grid.model = ["oracle"]
settings = {{ {settings} }}
metrics = ["{metric}"]
"""
SAMPLES = "samples = 200"
PIXELS = 'samples = 200, features = "pixels"'


@pytest.mark.parametrize(
    ("task", "data", "settings", "metric", "advice"),
    [
        ("image", "optdigits", PIXELS, "frechet@optdigits-cnn", "here it is frechet@pixels"),
        ("image", "optdigits", SAMPLES, "frechet@digits-cnn", "here it is frechet@optdigits-cnn"),
        ("image", "optdigits", PIXELS, "class_coverage@optdigits-cnn", "rule it out"),
        ("image", "optdigits", PIXELS, "class_coverage@pixels", "rule it out"),
        ("image", "optdigits", SAMPLES, "mmd@optdigits-cnn", "rule it out"),
        (
            "stack",
            "stack2@optdigits",
            SAMPLES,
            "stack_modes@digits-cnn",
            "stack_modes@optdigits-cnn",
        ),
        ("mixture", "hd10@veegan", SAMPLES, "reverse_kl_density", "rule it out"),
    ],
)
def test_a_metric_that_no_cell_can_have_is_refused(
    task, data, settings, metric, advice, tmp_path, monkeypatch
):
    """Before anything is measured, with the name under which it is there."""
    monkeypatch.chdir(tmp_path)
    text = ASKED.format(task=task, data=data, settings=settings, metric=metric)
    (tmp_path / "asked.toml").write_text(text)
    with pytest.raises(
        UsageError, match=f"block one: no cell has the metric '{metric}': .*{advice}"
    ):
        execute("asked.toml")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("task", "data", "settings", "metric"),
    [
        ("image", "optdigits", PIXELS, "frechet@pixels"),
        ("image", "optdigits", SAMPLES, "class_coverage@optdigits-cnn"),
        ("image", "optdigits", SAMPLES, "memorisation@optdigits-cnn"),
        ("stack", "stack2@optdigits", SAMPLES, "frechet@optdigits-cnn"),
        ("mixture", "ring8@pacgan", SAMPLES, "reverse_kl_density"),
    ],
)
def test_one_that_some_cell_has_is_measured(task, data, settings, metric, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    text = ASKED.format(task=task, data=data, settings=settings, metric=metric)
    (tmp_path / "asked.toml").write_text(text)
    report = execute("asked.toml")
    assert not report.made.summary()["value"].isna().any()
    (found,) = report.made.manifest["metrics"]
    given = plan_of("asked.toml").cells[0]
    rows = set(report.table["metric"][report.table["final"]])
    resolved = TASKS[task].part.resolve(given.parts, {"samples": 200, **_settings(settings)}, None)
    assert found in rows
    assert rows <= resolved.gives


def _settings(text):
    return {"features": "pixels"} if "pixels" in text else {}


def test_data_from_the_command_line_leave_out_what_they_can_not_have(tmp_path, monkeypatch):
    """A mixture without a density, in the place of a built-in suite's: no column of dashes."""
    monkeypatch.chdir(tmp_path)
    plan = plan_of("smoke", grid={"dataset": ["single@optdigits", "hd10@veegan"]})
    blocks = {block["name"]: block for block in plan.manifest()["blocks"]}
    assert "reverse_kl_density" not in blocks["mixtures"]["metrics"]
    assert "high_quality" in blocks["mixtures"]["metrics"]
