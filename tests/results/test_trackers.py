"""Trackers: what a finished cell is told to them, read back by their own readers, once."""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from hashlib import sha256

import numpy as np
import pytest
from unrun import images_of, kept, run_of

from bench import api
from bench.cli import main
from bench.core.errors import UsageError
from bench.report import log
from results.trackers import TRACKERS
from results.trackers.contracts import Scalar
from results.trackers.logbook import Logbook, trackers
from results.trackers.names import filename

MODULES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "trackio": "trackio"}
NAMES = [entry.name for entry in TRACKERS.entries()]
SUITE = """
name = "tracked"
default_tier = "quick"
[tiers.quick]
seeds = 2
[[block]]
name = "b"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["oracle", "gan"]
settings = { steps = 4, samples = 100, evaluations = 2 }
metrics = ["high_quality"]
"""


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """MLflow's file with nothing in it, which takes seconds to make."""
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MlflowClient(f"sqlite:///{path}")
    return path


@pytest.fixture(params=NAMES)
def name(request, monkeypatch, tmp_path):
    """Each tracker that is installed, in a place of its own."""
    if importlib.util.find_spec(MODULES[request.param]) is None:
        pytest.skip(f"{request.param} is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if request.param == "mlflow":
        beside = tmp_path / "run" / "logs" / "mlflow"
        beside.mkdir(parents=True)
        shutil.copy(request.getfixturevalue("empty_store"), beside)
    if request.param == "trackio":
        from trackio import sqlite_storage, utils

        monkeypatch.setattr(utils, "TRACKIO_DIR", tmp_path / "trackio")
        monkeypatch.setattr(sqlite_storage, "TRACKIO_DIR", tmp_path / "trackio")
    return request.param


def tensorboard_has(folder, place=""):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    root, found = folder / "logs" / "tensorboard", {}
    for path in root.rglob("events.out.*"):
        held = EventAccumulator(str(path.parent), size_guidance={"scalars": 0}).Reload()
        curves = {
            tag: {event.step: event.value for event in held.Scalars(tag)}
            for tag in held.Tags()["scalars"]
        }
        whole = str(path.parent.relative_to(root))
        settings = held.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        found[whole.rpartition("-")[0]] = (
            curves,
            settings_of_session(settings),
            bool(held.Tags()["images"]),
        )
    return found


def settings_of_session(content):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    told = HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in told.items()}


def mlflow_has(folder, place=""):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{(folder / 'logs' / 'mlflow' / 'mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name("minimax/s/quick")
    found = {}
    for run in client.search_runs([experiment.experiment_id]):
        curves = {
            metric: {
                one.step: one.value for one in client.get_metric_history(run.info.run_id, metric)
            }
            for metric in run.data.metrics
        }
        pictures = [file.path for file in client.list_artifacts(run.info.run_id)]
        found[run.info.run_name] = (curves, run.data.params, pictures == ["samples.png"])
    return found


def trackio_has(folder, place=""):
    from trackio import Api
    from trackio.sqlite_storage import SQLiteStorage

    project, found = filename("minimax/s/quick"), {}
    for run in Api().runs(project):
        curves, pictures = {}, False
        for line in SQLiteStorage.get_logs(project, run.name, run_id=run.id):
            for metric, value in line.items():
                if isinstance(value, dict):
                    pictures = True
                elif metric not in ("step", "timestamp"):
                    curves.setdefault(metric, {})[line["step"]] = value
        found[run.name.rpartition(" ")[0]] = (curves, dict(run.config), pictures)
    return found


HAS = {"tensorboard": tensorboard_has, "mlflow": mlflow_has, "trackio": trackio_has}


@pytest.fixture
def run(tmp_path):
    """Two models that were trained with two seeds, a ceiling and a floor; one kept its samples."""
    made = run_of(tmp_path / "run")
    for cell in made.manifest["cells"]:
        record, key = made.records.pop(cell["key"]), sha256(cell["key"].encode()).hexdigest()
        cell["key"] = record["key"] = key
        made.records[key] = record
    for at, cell in enumerate(made.manifest["cells"]):
        kept(made, cell, **({"samples": images_of(4, 0)} if at == 1 else {}))
    return made


def book(name, run, warned=None):
    told = trackers([name], run.directory.path, "s", "quick")
    return Logbook(told, (warned if warned is not None else []).append)


def test_every_tracker_is_read_back(name):
    assert HAS.keys() == set(NAMES) == MODULES.keys()


def test_a_cell_is_told_as_it_was_measured(name, run):
    """Whose seed, which metric at which step, what it was made with; the end apart from the way."""
    cells = run.manifest["cells"]
    assert book(name, run).take(run, [cell["key"] for cell in cells]) == len(cells)
    found = HAS[name](run.directory.path)
    assert len(found) == len(cells)
    for at, cell in enumerate(cells):
        seed = f"seed {cell['seed']}"
        place = f"b/ring/{cell['parts']['model']}/{seed}"
        curves, settings, pictured = found[
            place if name != "tensorboard" else place.replace(" ", "_")
        ]
        values = run.records[cell["key"]]["values"]
        for value in values:
            tag = value["metric"] if not value["final"] else f"final/{value['metric']}"
            step = 20 if value["final"] else value["step"]
            assert curves[tag][step] == pytest.approx(value["value"], rel=1e-6), (place, tag)
        assert len(curves["loss"]) == 2
        assert pictured == (at == 1)
        told = {key: str(value).removesuffix(".0") for key, value in settings.items()}
        wanted = {"steps": "5", "seed": str(cell["seed"]), "model": cell["parts"]["model"]}
        assert wanted.items() <= told.items()


def test_what_is_there_is_not_told_again(name, run):
    keys = [cell["key"] for cell in run.manifest["cells"]]
    assert book(name, run).take(run, keys[:3]) == 3
    again = book(name, run)
    assert again.take(run, keys) == len(keys) - 3
    assert again.take(run, keys) == 0
    assert len(HAS[name](run.directory.path)) == len(keys)


def test_what_was_cut_off_is_told_again(name, run, monkeypatch):
    """A tracker that fails in the middle of a cell is left alone, which is said, and has the cell
    the next time, once.
    """
    keys = [cell["key"] for cell in run.manifest["cells"]]
    warned = []
    broken = book(name, run, warned)
    with monkeypatch.context() as cut:
        cut_off(name, cut)
        broken.take(run, keys[:2])
    assert broken.trackers == []
    assert len(warned) == 1
    assert warned[0].startswith("no more is logged to `")
    assert "\n" not in warned[0]
    book(name, run).take(run, keys[:2])
    found = HAS[name](run.directory.path)
    assert len(found) == 2
    assert all("final/loss" in curves for curves, *_ in found.values())


def cut_off(name, monkeypatch):
    def failing(*args, **options):
        raise OSError("no space left")

    if name == "tensorboard":
        monkeypatch.setattr("results.trackers.tensorboard._session", failing)
    elif name == "mlflow":
        from mlflow import MlflowClient

        monkeypatch.setattr(MlflowClient, "set_terminated", failing)
    else:
        import trackio

        monkeypatch.setattr(trackio, "log", failing)


def test_claims_are_told(name, run, monkeypatch):
    import pandas as pd

    judged = pd.DataFrame([{"claim": "A | B", "finding": "reproduced", "published": "1"}])
    monkeypatch.setattr(type(run), "claims", lambda self: judged)
    warned = []
    book(name, run, warned).conclude(run)
    assert warned == []
    if name == "tensorboard":
        assert list((run.directory.path / "logs" / "tensorboard" / "claims").glob("events*"))
    if name == "mlflow":
        from mlflow import MlflowClient

        address = (run.directory.path / "logs" / "mlflow" / "mlflow.db").absolute()
        told = MlflowClient(f"sqlite:///{address}").get_experiment_by_name("minimax/s/quick")
        assert "| A \\| B | reproduced | 1 |" in told.tags["mlflow.note.content"]


def test_a_radius_and_a_label_tell_values_apart(run):
    from results.trackers.cells import logged

    cell = run.manifest["cells"][0]
    record = run.records[cell["key"]]
    bare = record["values"][0]
    values = [
        {**bare, "metric": "robust", "epsilon": 0.1, "norm": "linf", "value": 0.2},
        {**bare, "metric": "robust", "epsilon": 0.3, "norm": "linf", "value": 0.1},
        {**bare, "metric": "recall", "label": "7", "value": 0.5},
        {**bare, "metric": "loss", "step": 3, "final": False, "value": 4.0},
    ]
    made = logged(run, cell, {**record, "values": values})
    assert made.finals == {"robust/linf 0.1": 0.2, "robust/linf 0.3": 0.1, "recall/7": 0.5}
    assert made.curves == [Scalar("loss", 3, 4.0)]
    assert made.last == 3


@pytest.mark.parametrize("text", ["../../x", "a b/c", "..", "", "\x1b[31m", "<b>", "x" * 500])
def test_names_stay_in_their_folder(text):
    made = filename(text)
    assert made
    assert "/" not in made
    assert made.strip(".")
    assert len(made) <= 100


def test_a_run_tells_its_cells_as_it_goes(tmp_path, monkeypatch):
    """Those that were measured before, too; a tracker that fails costs no cell."""
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracked.toml").write_text(SUITE)
    bare = api.execute("tracked.toml", seeds=1, out="run")
    assert not (tmp_path / "run" / "logs").exists()
    told = api.execute("tracked.toml", out="run", log=["tensorboard"])
    found = sorted(
        path.relative_to(tmp_path / "run" / "logs" / "tensorboard").parts[2:]
        for path in (tmp_path / "run" / "logs").rglob("seed*")
    )
    models = ["gan", "gan", "oracle", "oracle"]
    assert [parts[0] for parts in found] == models
    keys = {cell["key"][:12] for cell in told.made.manifest["cells"]}
    assert {parts[1].rpartition("-")[2] for parts in found} == keys
    assert bare.measured == told.measured == 2


def test_a_tracker_that_fails_costs_no_cell(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracked.toml").write_text(SUITE)
    cut_off("tensorboard", monkeypatch)
    warned = []
    watcher = api.Watcher(warn=warned.append)
    report = api.execute("tracked.toml", out="run", log=["tensorboard"], watcher=watcher)
    assert report.statuses == {"ok": 4}
    assert len([text for text in warned if "no more is logged" in text]) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("tensorbord", "unknown tracker 'tensorbord': did you mean 'tensorboard'"),
        ("mlflow=nothing://x", "mlflow can't use nothing://x"),
    ],
)
def test_a_tracker_that_cannot_be_used_is_refused_before_the_work(
    tmp_path, monkeypatch, capsys, asked, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracked.toml").write_text(SUITE)
    options = ["run", "--suite", "tracked.toml", "--out", "run", "--executor", "inline"]
    with pytest.raises(SystemExit) as left:
        main([*options, "--log", asked])
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not list((tmp_path / "run").rglob("cells/*"))


def test_what_is_not_installed_is_said(run, monkeypatch):
    from results.trackers import contracts

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(UsageError, match="is not installed: pip install 'minimax-bench"):
        contracts.needed("trackio", "trackio")


def test_export_tells_a_finished_run(run, monkeypatch, capsys):
    """Of the rows that are asked for."""
    pytest.importorskip("tensorboard")
    monkeypatch.setattr(log, "opened", lambda name: run)
    found = api.log("run", "tensorboard", model="gan")
    assert list(found.values()) == [2]
    assert {place.split("/")[2] for place in tensorboard_has(run.directory.path)} == {"gan"}
    with pytest.raises(UsageError, match="unknown model 'gam'"):
        api.log("run", "tensorboard", model="gam")
    with pytest.raises(SystemExit) as left:
        main(["export", "run"])
    assert left.value.code == 2
    assert "expected `--out FILE` or `--log TRACKER`" in capsys.readouterr().err


def test_numbers_alone_are_told(run):
    """A record may hold what no tracker takes: text settings stay text, lists are shown."""
    from results.trackers.cells import logged

    cell = run.manifest["cells"][0]
    record = {
        **run.records[cell["key"]],
        "settings": {"radii": [0.1, 0.2], "on": True, "rate": 0.5},
    }
    made = logged(run, cell, record)
    assert made.settings["radii"] == "[0.1, 0.2]"
    assert made.settings["on"] is True
    assert json.dumps(dict(made.settings))
    assert made.picture is None or made.picture.dtype == np.uint8
