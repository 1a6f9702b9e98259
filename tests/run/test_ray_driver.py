"""What the driver of a Ray cluster makes of what it is told, by a Ray of one process."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from harness import assert_same, cell_files, faulty_suite, small_suite
from raylike import Raylike, install

from bench.core.errors import StoreError, UsageError
from bench.core.files import cache_folder
from bench.models.store import ArtifactStore
from bench.run import remote
from bench.run.executors import ray as executor
from bench.run.run import Watcher, execute
from bench.run.runner import Context
from results.runs import read_run
from results.store import RunDirectory
from results.timings import Timing, name_of

pytestmark = pytest.mark.usefixtures("undrawn")
TWO = {"one": {"CPU": 1.0}, "two": {"CPU": 1.0}}


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of two nodes, or of others, whose cells go wrong as planned."""

    def make(nodes=TWO, **faults):
        ray = Raylike(dict(nodes), {name: list(told) for name, told in faults.items()})
        install(ray, monkeypatch)
        return ray

    return make


def go(tmp_path, *models, seeds=1, name="run", **options):
    suite = faulty_suite(tmp_path, *models, seeds=seeds)
    return execute(suite, executor="ray", out=str(tmp_path / name), **options)


def test_cells_are_measured_as_anywhere(cluster, tmp_path):
    cluster()
    report = go(tmp_path, "number", "several", seeds=3)
    plain = execute(faulty_suite(tmp_path, "number", "several", seeds=3), out=str(tmp_path / "i"))
    assert_same(report.table, plain.table)
    assert not [path for path in (tmp_path / "run").rglob("*") if path.name.startswith(".")]
    assert not [path for path in cache_folder().glob(".*")]  # noqa: C416


@pytest.mark.parametrize("error", ["NodeDiedError", "ObjectLostError", "LocalRayletDiedError"])
@pytest.mark.parametrize("when", ["", "early "])
def test_a_cell_whose_node_is_lost_is_measured_on_another(cluster, tmp_path, error, when):
    ray = cluster(number=[when + error] * 3)
    report = go(tmp_path, "number", "trivial")
    assert report.statuses == {"ok": 2}
    assert report.measured == 2
    assert [model for model, _ in ray.submitted].count("number") == 4


def test_a_cell_that_loses_every_node_says_so(cluster, tmp_path):
    ray = cluster(number=["NodeDiedError"] * 99)
    report = go(tmp_path, "number", "trivial")
    assert report.statuses == {"ok": 1, "crashed": 1}
    assert "its node was lost 6 times" in list(report.table["reason"])
    assert [model for model, _ in ray.submitted].count("number") == executor.LOSSES + 1


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        ("WorkerCrashedError", "crashed", "the worker died"),
        ("OutOfMemoryError", "oom", "the node ran out of memory"),
        ("RayError", "failed", "RayError: RayError in a test"),
    ],
)
def test_a_cell_that_takes_its_worker_with_it_is_not_tried_again(
    cluster, tmp_path, error, status, reason
):
    ray = cluster(number=[error])
    report = go(tmp_path, "number", "trivial")
    row = report.table[report.table["model"] == "number"].iloc[0]
    assert (row["status"], row["reason"]) == (status, reason)
    assert [model for model, _ in ray.submitted].count("number") == 1


def test_a_record_written_before_its_node_was_lost_stands(cluster, tmp_path, monkeypatch):
    ray = cluster(number=["NodeDiedError"])
    answer, said = remote.answer, executor.answer
    assert answer is said

    def both(job, cell):
        yield executor._Begun("one", "")
        yield executor.answer(cell, remote.post_of(job.context, job.probes), None)

    def first_writes(job, cell):
        if cell.part("model") == "number":
            executor.answer(cell, remote.post_of(job.context, job.probes), None)
        yield from both(job, cell)

    monkeypatch.setattr(executor, "_task", first_writes)
    assert go(tmp_path, "number").statuses == {"ok": 1}
    assert [model for model, _ in ray.submitted] == ["number"]


def test_a_cell_that_takes_too_long_is_called_back(cluster, tmp_path):
    ray = cluster(number=["stuck"])
    begun = time.monotonic()
    report = go(tmp_path, "number", "trivial", timeout=0.3)
    assert time.monotonic() - begun < 30
    assert report.statuses == {"ok": 1, "timeout": 1}
    assert len(ray.cancelled) == 1


def test_an_interrupt_calls_back_what_is_on_its_way(cluster, tmp_path):
    ray = cluster(sleeps=["stuck"])

    def step(cell, outcome):
        raise KeyboardInterrupt

    report = go(tmp_path, "sleeps", "trivial", watcher=Watcher(step=step))
    assert report.interrupted
    assert len(ray.cancelled) == 1
    assert ray.killed is not None


def test_a_record_that_does_not_arrive_is_no_success(cluster, tmp_path, monkeypatch):
    """One of an earlier try, which failed, is not it."""
    cluster()
    go(tmp_path, "raises_once")
    monkeypatch.setattr(RunDirectory, "write_cell", lambda *told: None)
    monkeypatch.setattr(
        executor, "_is_seen", lambda *told, see=executor._is_seen: see(*told, tries=2)
    )
    told = []
    watcher = Watcher(step=lambda cell, outcome: told.append(outcome.status))
    again = go(tmp_path, "raises_once", "trivial", watcher=watcher)
    assert told == ["failed", "failed"]
    assert again.statuses == {"failed": 1}
    monkeypatch.undo()


def unlike(node, why):
    """A task on a node that says that it is not like its driver."""

    def task(job, cell):
        import ray

        here = ray.get_runtime_context().get_node_id()
        yield executor._Begun(here, why if here == node else "")
        yield executor.answer(cell, remote.post_of(job.context, job.probes), None)

    return task


def test_a_node_that_comes_late_and_is_not_alike_measures_nothing(cluster, tmp_path, monkeypatch):
    ray, said = cluster(), []
    monkeypatch.setattr(executor, "_task", unlike("one", "its code is old"))
    watcher = Watcher(step=lambda cell, outcome: said.extend(outcome.notices))
    report = go(tmp_path, "number", "trivial", seeds=3, watcher=watcher)
    assert report.statuses == {"ok": 6}
    assert any("node one (one) is not like this machine: its code is old" in text for text in said)
    chosen = [settings.get("label_selector") for _, settings in ray.submitted]
    first = chosen.index({"ray.io/node-id": "!in(one)"})
    assert set(map(str, chosen[first:])) == {str(chosen[first])}


def test_where_no_node_is_alike_the_run_ends(cluster, tmp_path, monkeypatch):
    cluster({"one": {"CPU": 1.0}})
    monkeypatch.setattr(executor, "_task", unlike("one", "its code is old"))
    with pytest.raises(StoreError, match=r"no node is left .*: node one .* its code is old"):
        go(tmp_path, "number")
    assert not cell_files(tmp_path / "run")


def test_a_cluster_without_nodes_is_waited_for_a_while(cluster, tmp_path, monkeypatch):
    """One comes, or the run ends and says why."""
    ray = cluster({"one": {"CPU": 1.0}})
    monkeypatch.setattr(executor, "TICK", 0.01)
    monkeypatch.setattr(executor, "EMPTY", 0.3)
    refused, nodes = executor._Drive._refuse_nowhere, ray.nodes_

    def comes(drive):
        refused(drive)
        ray.nodes_ = nodes

    def lost(drive, run=executor._Drive.outcomes):
        ray.nodes_ = {}
        yield from run(drive)

    monkeypatch.setattr(executor._Drive, "outcomes", lost)
    with pytest.raises(StoreError, match=r"no node is left .*: the cluster has no room"):
        go(tmp_path, "number")
    ray.nodes_ = nodes
    monkeypatch.setattr(executor._Drive, "_refuse_nowhere", comes)
    assert go(tmp_path, "number").statuses == {"ok": 1}


def apart(ray, monkeypatch, tmp_path, sees=()):
    """Nodes have folders of their own: what is marked in the driver's they don't see."""
    monkeypatch.setattr(remote, "_is_marked", lambda folder, token: folder.name in sees)
    monkeypatch.setattr(remote, "cache_folder", lambda: tmp_path / f"of-{ray.at}")


def test_without_a_shared_folder_records_and_models_travel(cluster, tmp_path, monkeypatch):
    """What is trained there comes here; what is here, and not there, is not trained again."""
    suite = small_suite(tmp_path, '["gan"]', '["gan", "oracle"]')
    with monkeypatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(tmp_path / "inline-cache"))
        expected = execute(suite, out=str(tmp_path / "inline"), seeds=2)
    apart(cluster({"one": {"CPU": 1.0}}), monkeypatch, tmp_path)
    report = execute(suite, executor="ray", out=str(tmp_path / "run"), seeds=2)
    assert_same(report.table, expected.table)
    for folder in ("cells", "samples"):
        kept = [
            sorted(p.name for p in (tmp_path / run / folder).rglob("*.*"))
            for run in ("inline", "run")
        ]
        assert kept[0] == kept[1]
    caches = (tmp_path / "inline-cache", cache_folder())
    counts = [[row["artifacts"] for row in ArtifactStore(one).contents()] for one in caches]
    assert counts[0] == counts[1]
    shutil.rmtree(tmp_path / "run")
    apart(cluster({"two": {"CPU": 1.0}}), monkeypatch, tmp_path)
    brought, fetch = [], ArtifactStore._fetched
    spy = lambda *told: brought.append(fetch(*told)) or brought[-1]  # noqa: E731
    monkeypatch.setattr(ArtifactStore, "_fetched", spy)
    again = execute(suite, executor="ray", out=str(tmp_path / "run"), seeds=2)
    assert_same(again.table, expected.table)
    trained = [r["cpu_seconds"] for r in again.records.values() if r["model"] == "gan"]
    assert trained == [0, 0]
    assert len(brought) >= 2
    assert None not in brought
    assert (tmp_path / "of-one" / "artifacts").is_dir()
    assert (tmp_path / "of-two" / "artifacts").is_dir()


def test_a_node_that_is_full_leaves_its_cells_to_others(cluster, tmp_path, monkeypatch):
    """One that does not share the run's folder; where that is full, no other one could help."""
    ray, said = cluster(), []
    apart(ray, monkeypatch, tmp_path)
    measured = remote.measured

    def full(cell, context, elsewhere):
        if ray.at == "one":
            raise StoreError("can't write x: the disk is full")
        return measured(cell, context, elsewhere)

    monkeypatch.setattr(remote, "measured", full)
    watcher = Watcher(step=lambda cell, outcome: said.extend(outcome.notices))
    report = go(tmp_path, "number", "trivial", seeds=2, watcher=watcher)
    assert report.statuses == {"ok": 4}
    assert any("node one (one) can't write x: the disk is full" in text for text in said)
    apart(ray, monkeypatch, tmp_path, sees=(cache_folder().name,))
    with pytest.raises(StoreError, match="the disk is full"):
        go(tmp_path, "number", name="shared")


def test_cells_of_one_model_wait_for_the_first(cluster, tmp_path, monkeypatch):
    """It is trained on one node, while the others measure something else."""
    nodes = {name: {"CPU": 2.0} for name in ("one", "two")}
    ray, flying = cluster(nodes), []
    ids = {"a": ("kind", "k" * 64)}
    monkeypatch.setattr(
        executor, "_artifact", lambda c: ids["a"] if c.part("model") == "number" else None
    )
    wait = ray.wait

    def seen(streams, num_returns, timeout):
        flying.append(sum(one.model == "number" for one in streams))
        return wait(streams, num_returns, timeout)

    remote_of = executor._Drive._submit

    def submit(drive, flight):
        remote_of(drive, flight)
        next(reversed(drive.flights)).model = flight.cell.part("model")

    monkeypatch.setattr(executor._Drive, "_submit", submit)
    import sys

    monkeypatch.setattr(sys.modules["ray"], "wait", seen)
    assert go(tmp_path, "number", "trivial", seeds=4).statuses == {"ok": 8}
    assert max(flying) == 1


def test_workers_limit_what_is_on_its_way(cluster, tmp_path):
    ray = cluster({"one": {"CPU": 8.0}})
    go(tmp_path, "trivial", seeds=20, workers=3)
    assert ray.most == 3
    ray = cluster({"one": {"CPU": 2.0}})
    go(tmp_path, "trivial", seeds=20, name="other")
    assert ray.most == 4


@pytest.mark.parametrize(
    ("has", "need", "room"),
    [
        ({"CPU": 8.0}, {"CPU": 1.0, "GPU": 0.0}, 8),
        ({"CPU": 8.0, "GPU": 2.0}, {"CPU": 1.0, "GPU": 0.25}, 8),
        ({"CPU": 16.0, "GPU": 2.0}, {"CPU": 1.0, "GPU": 0.25}, 8),
        ({"CPU": 8.0}, {"CPU": 1.0, "GPU": 1.0}, 0),
        ({}, {"CPU": 1.0}, 0),
        ({}, {"CPU": 0.0, "GPU": 0.0}, 1),
    ],
)
def test_the_room_of_a_node(has, need, room):
    assert executor._fit(has, need) == room


def test_a_cell_short_of_memory_gets_a_gpu_of_its_own_once(cluster, tmp_path):
    ray = cluster({"one": {"CPU": 4.0, "GPU": 1.0}})
    report = go(tmp_path, "memory_once", "memory", "trivial", gpus=0.25)
    assert report.statuses == {"ok": 2, "oom": 1}
    assert report.measured == 3
    asked = [settings["num_gpus"] for model, settings in ray.submitted if model == "memory"]
    assert asked == [0.25, 1.0]


def test_a_cell_short_of_memory_without_a_gpu_is_told_once(cluster, tmp_path):
    ray = cluster()
    assert go(tmp_path, "memory").statuses == {"oom": 1}
    assert len(ray.submitted) == 1


def test_what_the_largest_node_has_not_is_refused(cluster, tmp_path):
    cluster({"one": {"CPU": 4.0, "GPU": 1.0}, "two": {"CPU": 9.0}})
    with pytest.raises(UsageError, match=r"takes 2 GPUs \(`gpus`\), the largest node .* has 1$"):
        go(tmp_path, "number", gpus=2.0)
    with pytest.raises(UsageError, match=r"takes 10 CPUs \(`cpus`\), the largest node .* has 9$"):
        go(tmp_path, "number", cpus=10.0)
    for wrong in (-1.0, float("nan")):
        with pytest.raises(UsageError, match="`cpus`: expected 0 or more"):
            go(tmp_path, "number", cpus=wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"code": "0" * 64, "commit": "a" * 40},
            r"its code is \w{8}( \(commit \w+\))?, expected 0{8}",
        ),
        ({"versions": {"torch": "0.1"}}, r"its torch is [\d.+a-z]+, expected 0.1"),
        ({"versions": {"nothing": "1"}}, "its nothing is missing, expected 1"),
        ({"users": "0" * 64, "modules": ("faulty",)}, r"your own code is another there \(faulty: "),
    ],
)
def test_a_machine_says_in_what_it_differs(tmp_path, change, why):
    from dataclasses import replace

    terms = replace(remote.terms_here(("faulty",)), **change)
    with pytest.raises(AssertionError, match=why):
        assert remote.difference(terms, ()) == ""
    assert remote.difference(remote.terms_here(("faulty",)), ()) == ""


def test_a_node_that_is_not_alike_is_refused_before_anything_is_written(
    cluster, tmp_path, monkeypatch
):
    cluster()
    monkeypatch.setattr(executor, "difference", lambda terms, folders: "its torch is old")
    with pytest.raises(UsageError, match=r"node one \(one\) is not like this machine: its torch"):
        go(tmp_path, "number")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", ["NodeDiedError", "TaskUnschedulableError"])
def test_a_node_that_goes_while_it_is_asked_is_left_out(cluster, tmp_path, monkeypatch, error):
    """A cluster lists it for a while yet."""
    ray, asked = cluster(), []

    def gone(terms, folders):
        asked.append(terms)
        if len(asked) == 1:
            raise getattr(ray.exceptions, error)("gone")
        return ""

    monkeypatch.setattr(executor, "difference", gone)
    assert go(tmp_path, "number").statuses == {"ok": 1}
    assert len(asked) > 1


def test_marks_of_another_driver_are_no_marks(tmp_path):
    mine, other = (remote.Probes(name, tmp_path / "run", tmp_path / "cache") for name in "ab")
    mine.put()
    assert remote._is_marked(tmp_path / "run", "a")
    assert not remote._is_marked(tmp_path / "run", "b")
    other.take()
    assert remote._is_marked(tmp_path / "cache", "a")
    mine.take()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not remote._is_marked(Path("/nowhere"), "a")


def test_what_a_machine_does_not_see_of_the_driver_it_has_of_its_own(tmp_path):
    context = Context(tmp_path / "run", tmp_path / "cache", "s", "t", "cpu", {}, "", False)
    probes = remote.Probes("t" * 32, context.run, context.cache)
    apart = remote.post_of(context, probes)
    assert (apart.shares, apart.models) == (False, False)
    assert apart.context.run != context.run
    assert apart.context.cache == cache_folder().resolve()
    probes.put()
    assert remote.post_of(context, probes) == remote.Post(context, True, True)


def _asked(ray):
    return [int(settings.get("memory", 0) / 2**20) for _, settings in ray.submitted]


def _peaking(monkeypatch, *peaks):
    """Cells take so many megabytes, one after another."""
    told = iter(peaks)
    monkeypatch.setattr("bench.run.runner._peak_rss_mb", lambda: float(next(told)))


NODE = {"one": {"CPU": 1.0, "memory": 9_000.0 * 2**20}}


def test_seeds_ask_for_what_earlier_ones_took(cluster, tmp_path, monkeypatch):
    """The most of them; one that took nothing that was measured changes nothing."""
    monkeypatch.setattr("results.timings.known", dict)
    _peaking(monkeypatch, 300, 700, 500, 0, 400)
    ray = cluster(NODE)
    go(tmp_path, "number", seeds=5, workers=1)
    assert _asked(ray) == [0, 300, 700, 700, 700]


def test_a_run_that_goes_on_asks_for_what_it_took_before(cluster, tmp_path, monkeypatch):
    """And not for what baselines say of that cell, which count where nothing of it is measured; at
    most for what the largest node has.
    """
    ray = cluster(NODE)
    _peaking(monkeypatch, 300, 20_000, 400)
    go(tmp_path, "number", seeds=1, workers=1)
    found = RunDirectory(tmp_path / "run")
    (record,) = read_run(found).records.values()
    known = {name_of(record["cell_id"], "cpu"): Timing(1.0, 8_000.0, 3)}
    monkeypatch.setattr("results.timings.known", lambda: known)
    go(tmp_path, "number", seeds=3, workers=1)
    assert _asked(ray) == [0, 300, 9_000]
    _peaking(monkeypatch, 100)
    go(tmp_path, "number", seeds=1, workers=1, name="other")
    assert _asked(ray)[-1] == 8_000
