"""Models and data that do not go together: an error where the command names nothing else."""

import pytest
from harness import bench, small_suite

from bench.core.errors import UsageError
from bench.run.plan import make_plan
from bench.run.run import plan_of
from bench.run.unfit import refuse_all_unfit
from bench.tasks import Resolved

INLINE = ["--executor", "inline"]


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_model_that_needs_classes_on_data_without_is_one_line(verb, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = small_suite(tmp_path, '"gan"', '"nsgan"')
    how = INLINE if verb == "run" else []
    assert bench(verb, "--suite", suite, *how, "--grid", "model=class-mean") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "Error: model 'class-mean' is for images" in line
    assert not (tmp_path / "runs").exists()


def test_images_without_classes(tmp_path):
    """The user's own images, all of one kind."""
    import numpy as np

    images = np.random.default_rng(0).random((60, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "none.npz", images=images, labels=np.zeros(60, dtype=np.int64))
    grid = [("dataset", [str(tmp_path / "none.npz")]), ("model", ["acgan"])]
    only = [("block", "convolutional")]
    with pytest.raises(UsageError, match=r"'acgan' needs the classes of its training examples"):
        plan_of("images", only=only, grid=grid, seeds=[0])


def test_where_others_can_be_measured_it_is_skipped(tmp_path):
    suite = small_suite(tmp_path)
    plan = plan_of(suite, grid=[("model", ["class-mean", "gan"])])
    assert [bool(cell.skip) for cell in plan.cells] == [True, False]


def test_what_a_suite_itself_names_is_told_on_its_rows(tmp_path):
    suite = small_suite(tmp_path, '"gan"', '"cgan"')
    (cell,) = plan_of(suite).cells
    assert "cgan" in cell.skip


@pytest.mark.parametrize(
    ("cells", "asked", "refused"),
    [
        ([("no", True)], True, True),
        ([("no", True)], False, False),
        ([("no", True), ("", False)], True, False),
        ([("no", True), ("not here", False)], True, False),
        ([], True, False),
    ],
)
def test_it_is_refused_where_nothing_could_ever_be_measured(cells, asked, refused):
    """Data that are only missing can be brought."""
    found = [Resolved({}, {}, "", (), skip=skip, unfit=unfit) for skip, unfit in cells]
    if not refused:
        refuse_all_unfit(found, asked)
        return
    with pytest.raises(UsageError, match="no"):
        refuse_all_unfit(found, asked)


def test_a_plan_is_made_by_this():
    """The one place where cells are resolved."""
    assert "refuse_all_unfit" in make_plan.__code__.co_names
