"""Many processes ask for one model while its maker is killed: trained once, used by all."""

from __future__ import annotations

import errno
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from harness import environ, wait_for

from bench.models.store import ArtifactStore

KEY = "e" * 64
STEPS = 40
WANT = """
import errno, fcntl, os, sys, time
from pathlib import Path
import torch
from bench.models.store import ArtifactStore

folder, without, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if without:
    def refused(*arguments):
        raise OSError(without, os.strerror(without))
    fcntl.flock = fcntl.lockf = refused

def log(text):
    file = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{os.getpid()} {text}\\n".encode())
    os.close(file)

def train(checkpoint):
    state = checkpoint.load() or {"step": 0, "sum": torch.zeros(3)}
    log(f"began {state['step']}")
    while state["step"] < steps:
        time.sleep(0.05)
        state = {"step": state["step"] + 1, "sum": state["sum"] + state["step"]}
        checkpoint.offer(lambda: state)
    log("ended")
    return state, {}

made = ArtifactStore(folder / "cache", checkpoint_seconds=0.0).get_or_make("kind", "e" * 64, train)
log(f"used {made.tree['step']} {made.tree['sum'].tolist()}")
"""


def contend(folder: Path, processes: int, kills: int, without: int, steps: int) -> list[list[str]]:
    """What the processes wrote, as words: number, verb, facts. The maker is killed some times."""
    command = [sys.executable, "-c", WANT, str(folder), str(without), str(steps)]
    workers = [subprocess.Popen(command, env=environ()) for _ in range(processes)]
    by_pid, log, rng = {w.pid: w for w in workers}, folder / "log", random.Random(5)

    def lines() -> list[list[str]]:
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    try:
        for count in range(1, kills + 1):
            assert wait_for(lambda count=count: sum(w[1] == "began" for w in lines()) >= count, 120)
            time.sleep(rng.uniform(0.1, 0.3))
            maker = by_pid[int([words[0] for words in lines() if words[1] == "began"][-1])]
            maker.kill()
            maker.wait()
        for worker in workers:
            worker.wait(120)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    codes = Counter(worker.returncode for worker in workers)
    assert codes == Counter({0: processes - kills, -9: kills})
    return lines()


def check(folder: Path, processes: int, kills: int, without: int, steps: int) -> None:
    said = contend(folder, processes, kills, without, steps)
    verbs = Counter(words[1] for words in said)
    assert verbs["ended"] == 1
    assert verbs["began"] == kills + 1
    starts = [int(words[2]) for words in said if words[1] == "began"]
    assert starts == sorted(starts)
    used = [words[2:] for words in said if words[1] == "used"]
    total = f"{steps * (steps - 1) / 2}"
    assert used == [[str(steps), f"[{total},", f"{total},", f"{total}]"]] * (processes - kills)
    store = ArtifactStore(folder / "cache")
    found = store.find("kind", KEY)
    assert found is not None
    left = (folder / "cache" / "artifacts" / "kind").rglob("*.*")
    assert sorted(p.name for p in left) == [f"{KEY}.json", f"{KEY}.safetensors"]


@pytest.mark.parametrize("without", [0, errno.ENOLCK], ids=["with flock", "without"])
def test_three_processes_share_one_training_whose_maker_is_killed(tmp_path, without):
    check(tmp_path, 3, 1, without, 12)


@pytest.mark.slow
@pytest.mark.parametrize("without", [0, errno.ENOLCK, errno.ENOTSUP])
def test_twenty_processes_share_one_training_whose_maker_is_killed_five_times(tmp_path, without):
    check(tmp_path, 20, 5, without, STEPS)


def test_a_maker_that_lost_its_lease_writes_nothing_more(tmp_path, monkeypatch):
    """Stopped for longer than a silence, it leaves the rest to who took over, and uses that."""
    store, made = ArtifactStore(tmp_path, checkpoint_seconds=0.0), []
    lost = iter([False, True, True])

    def make(checkpoint):
        checkpoint.offer(lambda: {"step": 1})
        assert checkpoint.load() == {"step": 1}
        checkpoint.offer(lambda: {"step": 2})
        assert checkpoint.load() == {"step": 1}
        made.append(1)
        return {"by": "me"}, {}

    monkeypatch.setattr("bench.core.leases.Lease.lost", property(lambda self: next(lost, False)))
    assert store.get_or_make("kind", KEY, make).tree == {"by": "me"}
    assert made == [1]
    assert next(lost, None) is None
