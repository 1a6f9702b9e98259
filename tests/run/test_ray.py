"""Cells on two nodes of a Ray cluster: the same numbers, each cell once, models trained once."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from harness import (
    PATIENCE,
    assert_same,
    bench,
    cell_files,
    environ,
    faulty_suite,
    small_suite,
    started,
    table,
    wait_for,
)
from rays import NEEDS_RAY, rays

import bench as package
from bench.core.errors import UsageError
from bench.core.files import cache_folder
from bench.models.store import ArtifactStore
from bench.run.run import Watcher, execute

pytestmark = [
    NEEDS_RAY,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster():
    with rays() as found:
        yield found


@pytest.fixture(autouse=True)
def _undrawn(undrawn):
    """No pictures."""


def on(cluster, suite, out, **options):
    return execute(suite, executor="ray", address=cluster.address, out=str(out), **options)


@pytest.mark.parametrize(
    ("suite", "options"),
    [
        ("faulty", {}),
        ("small", {}),
        ("smoke", {"tier": "quick"}),
        ("mode-collapse", {"tier": "quick"}),
    ],
)
def test_the_values_are_those_of_one_process(cluster, tmp_path, monkeypatch, suite, options):
    """Each executor trains for itself."""
    if suite == "faulty":
        suite = faulty_suite(tmp_path, "number", "several", "threads", seeds=2)
    elif suite == "small":
        suite = small_suite(tmp_path, '["gan"]', '["gan", "oracle"]')
    tables = []
    for name in ("inline", "ray"):
        monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / f"cache-{name}"))
        if name == "ray":
            tables.append(on(cluster, suite, tmp_path / name, **options).table)
        else:
            tables.append(execute(suite, out=str(tmp_path / name), **options).table)
    assert_same(*tables)
    run = tmp_path / "ray"
    assert not [path for path in run.rglob("*") if path.name.startswith(".")]
    assert not list((tmp_path / "cache-ray").glob(".*"))


WRONG = {
    "raises": ("failed", "ValueError: the sky fell down (faulty.py:"),
    "killed": ("crashed", "the worker died"),
    "exits": ("failed", "SystemExit: 0"),
    "vanishes": ("crashed", "the worker died"),
    "memory": ("oom", "out of memory: no room"),
    "sleeps": ("timeout", "took longer than 60 s"),
}


def test_cells_that_go_wrong_cost_themselves_alone(cluster, tmp_path):
    suite, seen = faulty_suite(tmp_path, "trivial", *WRONG, "number"), []
    watcher = Watcher(step=lambda cell, outcome: seen.append((cell.key, outcome.key)))
    report = on(cluster, suite, tmp_path / "run", timeout=60.0, watcher=watcher)
    rows = report.table.set_index("model")
    assert {name: rows.loc[name, "status"] for name in rows.index} == {
        "trivial": "ok",
        "number": "ok",
        **{name: status for name, (status, _) in WRONG.items()},
    }
    for name, (_, reason) in WRONG.items():
        assert rows.loc[name, "reason"].startswith(reason)
    assert all(cell == outcome for cell, outcome in seen)
    assert len(seen) == len(set(seen)) == len(WRONG) + 2


def test_a_cell_costs_its_driver_little(cluster, tmp_path, capsys):
    """Of many cells that take no time; the first ones bring the workers up."""
    suite, ends, cpu = faulty_suite(tmp_path, "trivial", seeds=400), [], []

    def step(cell, outcome):
        ends.append(time.monotonic())
        cpu.append(time.process_time())

    report = on(cluster, suite, tmp_path / "run", watcher=Watcher(step=step))
    assert report.statuses == {"ok": 400}
    latency, own = (1000 * (told[-1] - told[99]) / 300 for told in (ends, cpu))
    with capsys.disabled():
        click.echo(
            f"\na cell of a Ray run: {own:.2f} ms of its driver's CPU, {latency:.1f} ms in all"
        )
    assert own < 10
    assert latency < 50


def test_an_interrupted_command_keeps_what_was_finished(cluster, tmp_path):
    suite, run = faulty_suite(tmp_path, "sleeps", "number"), tmp_path / "runs/faulty/quick"
    command = ("run", "--suite", suite, "--executor", "ray", "--address", cluster.address)
    with started(*command, cwd=tmp_path) as (driver, _):
        assert wait_for(lambda: any(run.glob("cells/*/*.json")))
        driver.send_signal(signal.SIGINT)
        _, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 130, err
    assert "interrupted: what was finished is kept" in err
    assert "Traceback" not in err
    assert table(run)["status"].tolist() == ["ok"]
    assert wait_for(lambda: not any(node.busy() for node in cluster.nodes))


HIDDEN = 'mount -t tmpfs none {run} && mount -t tmpfs none {cache} && exec "$@"'


def hidden(run: Path, cache: Path) -> list[str]:
    """What to put a node's command behind, so that it does not see two folders."""
    for folder in (run, cache):
        folder.mkdir(parents=True, exist_ok=True)
    return ["unshare", "-m", "sh", "-c", HIDDEN.format(run=run, cache=cache), "sh"]


@contextmanager
def apart(tmp_path: Path):
    """A cluster of a node that shares no folder with its driver."""
    with rays(()) as found:
        behind = hidden(tmp_path / "run", cache_folder())
        own = str(tmp_path / "own")
        found.add(2, before=behind, MINIMAX_CACHE=own)
        yield found


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")
def test_without_a_shared_folder_records_and_models_travel(tmp_path, monkeypatch):
    """What is trained there comes here; what is here, and not there, is not trained again."""
    suite = small_suite(tmp_path, '["gan"]', '["gan", "oracle"]')
    with monkeypatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(tmp_path / "cache-inline"))
        expected = execute(suite, out=str(tmp_path / "inline"), seeds=2)
    with apart(tmp_path) as cluster:
        report = on(cluster, suite, tmp_path / "run", seeds=2)
        assert_same(report.table, expected.table)
        assert len(cell_files(tmp_path / "run")) == 4
        names = [
            sorted(p.name for p in (tmp_path / w / "samples").glob("*")) for w in ("run", "inline")
        ]
        assert names[0] == names[1]
        caches = (tmp_path / "cache-inline", cache_folder())
        counts = [[row["artifacts"] for row in ArtifactStore(one).contents()] for one in caches]
        assert counts[0] == counts[1]
        assert sum(record["cpu_seconds"] > 0 for record in report.records.values()) >= 2
    shutil.rmtree(tmp_path / "own")
    shutil.rmtree(tmp_path / "run")
    with apart(tmp_path) as cluster:
        again = on(cluster, suite, tmp_path / "run", seeds=2)
        assert_same(again.table, expected.table)
        trained = [r for r in again.records.values() if r["model"] == "gan"]
        assert [record["cpu_seconds"] for record in trained] == [0, 0]


def test_a_node_with_other_code_is_refused_by_name(cluster, tmp_path, monkeypatch, capfd):
    """From a folder without our source, which Ray would have workers import first."""
    monkeypatch.chdir(tmp_path)
    home = Path(package.__file__).parent.parent
    for name in ("bench", "attacks", "generative", "metrics", "results"):
        shutil.copytree(home / name, tmp_path / "other" / name)
    with open(tmp_path / "other" / "metrics" / "__init__.py", "a") as file:
        file.write("\n# another version\n")
    suite = faulty_suite(tmp_path, "number")
    path = f"{tmp_path / 'other'}:{cluster.environment['PYTHONPATH']}"
    node = cluster.add(1, PYTHONPATH=path)
    try:
        arguments = ("run", "--suite", suite, "--executor", "ray", "--address", cluster.address)
        assert bench(*arguments, "--out", str(tmp_path / "run")) == 2
        err = capfd.readouterr().err
        assert "is not like this machine: its code is " in err
        assert ", expected " in err
        assert not (tmp_path / "run" / "manifest.json").exists()
    finally:
        cluster.kill(node)


def test_what_a_cluster_has_not_is_refused(cluster, tmp_path):
    suite = faulty_suite(tmp_path, "number")
    with pytest.raises(UsageError, match=r"a cell takes 1 GPUs \(`gpus`\), the largest node .* 0"):
        on(cluster, suite, tmp_path / "run", gpus=1.0)
    with pytest.raises(UsageError, match=r"a cell takes 9 CPUs \(`cpus`\), the largest node .* 1"):
        on(cluster, suite, tmp_path / "run", cpus=9.0)
    assert not cell_files(tmp_path / "run")


def test_without_an_address_a_cluster_of_its_own_is_started(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environ()["PYTHONPATH"])
    suite = faulty_suite(tmp_path, "number", "trivial")
    report = execute(suite, executor="ray", workers=1, out=str(tmp_path / "run"))
    assert report.statuses == {"ok": 2}
    inline = execute(suite, out=str(tmp_path / "inline"))
    assert_same(report.table, inline.table)
