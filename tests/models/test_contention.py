"""Many processes ask for one model while its maker is killed: trained once, used by all."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from harness import wait_for

from bench.core.leases import Lease
from bench.models.store import ArtifactStore

KEY = "e" * 64
STEPS = 40


def want(folder: Path, without: int, steps: int) -> None:
    """One process: train the model or wait for it, then use it; `log` tells the story."""
    if without:

        def refused(*arguments: object) -> None:
            raise OSError(without, os.strerror(without))

        fcntl.flock = fcntl.lockf = refused

    def log(text: str) -> None:
        file = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{os.getpid()} {text}\n".encode())
        os.close(file)

    def train(checkpoint):
        state = checkpoint.load() or {"step": 0, "sum": torch.zeros(3)}
        log(f"began {state['step']}")
        while state["step"] < steps:
            time.sleep(0.05)
            state = {"step": state["step"] + 1, "sum": state["sum"] + state["step"]}
            checkpoint.offer(lambda state=state: state)
        while not (folder / "go").exists():  # nobody is killed any more
            time.sleep(0.02)
        log("ended")
        return state, {}

    store = ArtifactStore(folder / "cache", checkpoint_seconds=0.0)
    made = store.get_or_make("kind", KEY, train)
    log(f"used {made.tree['step']} {made.tree['sum'].tolist()}")


def forked(work) -> int:
    """The number of a process that does some work."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def contend(folder: Path, processes: int, kills: int, without: int, steps: int) -> list[list[str]]:
    """What the processes wrote, as words: number, verb, facts. The maker is killed some times."""
    left = {forked(lambda: want(folder, without, steps)) for _ in range(processes)}
    log, rng, codes = folder / "log", random.Random(5), Counter()

    def lines() -> list[list[str]]:
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def ended(pid: int) -> None:
        codes[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])] += 1
        left.remove(pid)

    try:
        for count in range(1, kills + 1):
            assert wait_for(lambda count=count: sum(w[1] == "began" for w in lines()) >= count, 120)
            time.sleep(rng.uniform(0.1, 0.3))
            maker = int([words[0] for words in lines() if words[1] == "began"][-1])
            os.kill(maker, signal.SIGKILL)
            ended(maker)
        (folder / "go").touch()
        for pid in list(left):
            ended(pid)
    finally:
        for pid in list(left):
            os.kill(pid, signal.SIGKILL)
            ended(pid)
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
    store, made, held = ArtifactStore(tmp_path, checkpoint_seconds=0.0), [], []
    acquire = Lease.acquire
    monkeypatch.setattr(Lease, "acquire", lambda lease: held.append(1) or acquire(lease))
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
    assert held == [1, 1]
    assert next(lost, None) is None
