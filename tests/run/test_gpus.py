"""Cells on GPUs: each worker sees one, and what finds no memory beside others gets one alone.

Two GPUs are simulated: a worker's is the number in its CUDA_VISIBLE_DEVICES.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from harness import bench, faulty_suite, small_suite

from bench.core.errors import UsageError
from bench.core.files import cache_folder
from bench.run.executors import processes
from bench.run.executors.processes import Processes, visible_gpus
from bench.run.run import execute, plan_of
from bench.run.runner import Context
from results.store import RunDirectory


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """The values and outcomes of cells on two GPUs, by so many workers for each."""

    def measured(per_gpu, *models, seeds=1, timeout=60.0):
        monkeypatch.setattr(processes, "visible_gpus", lambda: ["5", "7"])
        cells = plan_of(faulty_suite(tmp_path, *models, seeds=seeds)).cells
        facts = ("faulty", "quick", "cpu", {}, "", False)
        context = Context(tmp_path / "run", cache_folder(), *facts)
        outcomes = [*Processes(1, timeout, per_gpu).run(cells, context)]
        assert sorted(one.key for one in outcomes) == sorted(cell.key for cell in cells)
        records, _ = RunDirectory(tmp_path / "run").read_cells(cell.key for cell in cells)
        return [records[cell.key] for cell in cells]

    return measured


def test_each_worker_sees_one_gpu_and_all_are_used(measure):
    scores = Counter(record["values"][0]["value"] for record in measure(1, "pinned", seeds=6))
    assert set(scores) == {5.0, 7.0}
    assert min(scores.values()) >= 2


def test_what_finds_no_memory_beside_others_gets_a_gpu_alone_once(measure):
    """One that finds none alone, either, says so; what failed otherwise is not tried again."""
    records = measure(2, "crowded", "memory", "raises", seeds=2)
    statuses = [(record["cell_id"].rpartition("/")[2], record["status"]) for record in records]
    expected = {("crowded", "ok"): 2, ("memory", "oom"): 2, ("raises", "failed"): 2}
    assert Counter(statuses) == expected
    marks = {name: (cache_folder() / "marks" / f"{name}-0").stat().st_size for name in
             ("memory", "raises")}  # fmt: skip
    assert marks == {"memory": 2, "raises": 1}


def test_the_gpus_of_the_user_are_the_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-x")
    assert visible_gpus() == ["2", "GPU-x"]


def test_workers_on_gpus_are_for_cells_on_gpus(tmp_path, capfd):
    suite = faulty_suite(tmp_path, "number")
    arguments = ("run", "--suite", suite, "--out", str(tmp_path / "run"), "--workers-per-gpu", "4")
    assert bench(*arguments, "--device", "cpu") == 2
    assert "--workers-per-gpu is for cells on GPUs, these are measured on the cpu" in (
        capfd.readouterr().err
    )
    assert bench(*arguments, "--executor", "inline") == 2
    assert "--workers-per-gpu is no option of --executor inline: it needs --executor processes" in (
        capfd.readouterr().err
    )
    assert not (tmp_path / "run").exists()
    context = replace(Context(tmp_path, tmp_path, "s", "t", "cpu", {}, "", False), device="cuda")
    with pytest.raises(UsageError, match="`workers_per_gpu`: expected at least 1, got 0"):
        Processes(1, None, 0).opened([], context)
    Processes(1, None, 1).opened([], context)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cells_share_a_real_gpu(tmp_path, undrawn):
    suite = small_suite(tmp_path, '["gan"]', '["gan", "oracle"]')
    options = {"executor": "processes", "device": "cuda", "workers_per_gpu": 2, "seeds": 2}
    assert execute(suite, out=str(tmp_path / "run"), **options).statuses == {"ok": 4}
