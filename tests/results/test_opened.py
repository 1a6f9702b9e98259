"""Runs as objects, and in files for other tools: the same numbers as the tables have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import bench, small_suite

from bench import api
from bench.core.errors import UsageError
from results.cards import card

HOME = Path(__file__).resolve().parents[2]
SECOND = """
[[block]]
name = "again"
task = "mixture"
grid.dataset = ["grid25@pacgan"]
grid.model = ["gan", "oracle"]
settings = { steps = 20, samples = 300, evaluations = 1 }
metrics = ["modes_covered"]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep on one data set, two models on another, of two seeds."""
    home = tmp_path_factory.mktemp("opened")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(home / "cache"))
        patch.chdir(home)
        suite = small_suite(home, extra=SECOND)
        grid = {"batch": ["16", "32"]}
        return api.execute(suite, grid=grid, seeds=[3, 1], out=str(home / "run"))


@pytest.fixture
def opened(made, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(made.run.path.parent / "cache"))
    return api.load(str(made.run.path))


def test_its_tables_are_those_of_the_run(made, opened):
    written = pd.read_parquet(made.run.path / "table.parquet")
    keys = ["cell_id", "seed", "metric", "step", "final"]
    order = [frame.sort_values(keys).reset_index(drop=True) for frame in (opened.table, written)]
    pd.testing.assert_frame_equal(*order, check_dtype=False)
    pd.testing.assert_frame_equal(opened.summary, api.show(str(made.run.path)))
    assert opened.path == made.run.path
    assert opened.manifest == made.run.manifest()
    assert {path.suffix for path in opened.pictures} == {".png"}
    assert "12 of 12 cells" not in repr(opened)
    assert re.search(r"tier quick, seeds \[3, 1\], 10 of 10 cells", repr(opened))


def test_curves_are_the_looks_on_the_way_with_the_rows_names(opened):
    looks = opened.table[~opened.table["final"]].dropna(subset="step")
    assert len(opened.curves) == len(looks) > 0
    for _, row in opened.curves.sample(20, random_state=0).iterrows():
        cell = looks[(looks["seed"] == row["seed"]) & (looks["dataset"] == row["dataset"])]
        batch = row["row"].partition("batch=")[2]
        same = cell["settings"].map(lambda text, b=batch: json.loads(text).get("batch") == int(b))
        found = cell[same & (cell["metric"] == row["metric"]) & (cell["step"] == row["step"])]
        assert found["value"].tolist() == [row["value"]]


@pytest.mark.parametrize("seed", [3, 1])
@pytest.mark.parametrize("batch", [16, 32])
def test_samples_are_those_of_the_row_and_the_seed(made, opened, seed, batch):
    row = f"gan / batch={batch}"
    drawn = api.sample(
        str(opened.path), "gan", dataset="ring8@pacgan", seed=seed, only={"batch": str(batch)}, n=50
    )
    kept = opened.samples(row, seed, dataset="ring8@pacgan")
    np.testing.assert_array_equal(kept[:50], drawn)
    np.testing.assert_array_equal(
        opened.samples(row, dataset="ring8@pacgan"), opened.samples(row, 3, dataset="ring8@pacgan")
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("gan / batch=16",), "has the datasets ring8@pacgan, grid25@pacgan: say which by"),
        (("gan",), "unknown model 'gan': known: gan / batch=16, gan / batch=32, oracle"),
        (("oracle", 7), "unknown seed '7': known: 1, 3"),
        (("oracle", 3, "ring8@pacgan"), "unknown dataset 'ring8@pacgan'"),
        (("oracle", 3, "grid25@pacgan", "mixtures"), "unknown block 'mixtures'"),
    ],
)
def test_a_row_that_is_not_there_or_not_alone_is_told(opened, asked, said):
    names = dict(zip(("dataset", "block"), asked[2:], strict=False))
    with pytest.raises(UsageError, match=said):
        opened.samples(*asked[:2], **names)


def test_a_notebook_shows_every_table_and_no_name_is_obeyed(made, opened, monkeypatch):
    page = opened._repr_html_()
    assert page.count("<table>") == 2
    assert all(f"<caption>{block} ·" in page for block in ("mixtures", "again"))
    good = opened.summary.query("model == 'oracle' and metric == 'modes_covered'").iloc[0]
    assert f"{good['value']:.1f}" in page
    for cell in opened.run.manifest["cells"]:
        cell["named"] = {"model": "<script>alert(1)</script>"}
    page = opened._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_every_file_has_the_same_rows(opened, tmp_path):
    paths = [
        api.export(str(opened.path), str(tmp_path / f"x{end}")) for end in (".csv", ".parquet")
    ]
    lines = api.export(str(opened.path), str(tmp_path / "x.jsonl"))
    csv, parquet = pd.read_csv(paths[0]), pd.read_parquet(paths[1])
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(csv) == len(parquet) == len(rows) == len(opened.table)
    for key in ("block", "row", "metric", "seed"):
        assert csv[key].tolist() == parquet[key].tolist() == [row[key] for row in rows]
    values = [float("nan") if row["value"] is None else row["value"] for row in rows]
    np.testing.assert_array_equal(parquet["value"], values)
    np.testing.assert_array_equal(csv["value"], values)
    assert set(parquet["row"]) == {"gan / batch=16", "gan / batch=32", "oracle"}
    blocks = parquet.groupby("dataset")["block"].unique().map(list).to_dict()
    assert blocks == {"ring8@pacgan": ["mixtures"], "grid25@pacgan": ["again"]}


def test_models_can_be_chosen(opened, tmp_path, capfd):
    out = tmp_path / "x.csv"
    assert bench("export", opened.path, "--model", "oracle", "-o", out) == 0
    assert set(pd.read_csv(out)["row"]) == {"oracle"}
    assert bench("export", opened.path, "--model", "orakle", "-o", tmp_path / "y.csv") == 2
    assert "did you mean 'oracle'" in capfd.readouterr().err
    assert bench("export", opened.path, "-o", tmp_path / "y.xlsx") == 2
    assert "--out: expected a name that ends in one of .csv" in capfd.readouterr().err
    assert not (tmp_path / "y.csv").exists()


def test_a_card_has_the_means_of_the_tables(opened, tmp_path):
    yaml = pytest.importorskip("yaml")
    path = api.export(str(opened.path), str(tmp_path / "card.md"))
    _, front, rest = path.read_text().split("---\n")
    assert rest == ""
    index = {entry["name"]: entry["results"] for entry in yaml.safe_load(front)["model-index"]}
    assert set(index) == {"gan / batch=16", "gan / batch=32", "oracle"}
    told = {
        (model, one["dataset"]["type"], metric["type"]): metric
        for model, results in index.items()
        for one in results
        for metric in one["metrics"]
    }
    shown = opened.summary[opened.summary["value"].notna()]
    assert len(told) == len(shown)
    for row in shown.to_dict("records"):
        metric = told[row["model"], row["dataset"], row["metric"]]
        assert metric["value"] == row["value"]
        assert f"{row['seeds']} seeds" in metric["name"] or row["seeds"] == 1
        assert (
            pd.isna(row["low"]) or f"95 % {row['low']:.4g} to {row['high']:.4g}" in metric["name"]
        )
    assert index["oracle"][0]["task"]["type"] == "unconditional-sample-generation"


def test_a_card_lists_nothing_that_was_not_measured(opened):
    summary = opened.summary.copy()
    gone = summary["model"] == "oracle"
    summary.loc[gone, "value"] = float("nan")
    assert '- name: "oracle"' in card(opened.summary, opened.manifest)
    assert '- name: "oracle"' not in card(summary, opened.manifest)
    summary["value"] = float("nan")
    with pytest.raises(UsageError, match="nothing was measured"):
        card(summary, opened.manifest)


def test_the_notebook_of_the_documents_runs(tmp_path, monkeypatch):
    """docs/notebook.md from its top to its end, and what it says of shapes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    text = (HOME / "docs" / "notebook.md").read_text(encoding="utf-8")
    known: dict = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "docs/notebook.md", "exec"), known)
    assert len(known["points"]) == 1
    assert known["way"].shape[1] == 2
    assert known["fake"].shape == (2000, 2)
    assert {path.name for path in tmp_path.iterdir()} >= {"notebook.parquet", "card.md"}
