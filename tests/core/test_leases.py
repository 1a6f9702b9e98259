"""Leases: one owner at a time, whatever dies, without flock and without comparing clocks."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from harness import environ, wait_for

from bench.core import leases
from bench.core.leases import BEATS, Claim, Lease, TakenError

HOLD = """
import sys, time
from pathlib import Path
from bench.core.leases import Lease
with Lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def quick(monkeypatch):
    """Silence of half a second is the end."""
    monkeypatch.setenv("MINIMAX_LEASE_SECONDS", "0.5")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.lease"


@pytest.fixture
def holder(path):
    """A process that holds the lease."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def elsewhere(path: Path, **changes: object) -> None:
    """Let the lease be one of a process on another machine."""
    text = path.read_bytes()
    told = {**json.loads(text[leases.DIGITS :]), "host": "far", "place": "far", **changes}
    path.write_bytes(text[: leases.DIGITS] + b" " + json.dumps(told).encode() + b"\n")


def test_a_lease_that_is_given_back_leaves_nothing(path):
    with Lease(path) as lease:
        assert not lease.lost
        assert [entry.name for entry in path.parent.iterdir()] == ["x.lease"]
    assert lease.lost
    assert not list(path.parent.iterdir())


def test_a_lease_whose_claim_somebody_deleted_is_lost(path):
    with Lease(path) as lease:
        path.unlink()
        assert lease.lost
        with Lease(path) as other:
            lease.release()
            assert not other.lost


def test_of_many_threads_one_at_a_time_has_it(path):
    inside, most = [], []

    def want() -> None:
        for _ in range(5):
            with Lease(path):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 30
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("acquire", [Lease.acquire_now, Lease.acquire_unless_alive])
def test_who_does_not_wait_is_told_who_has_it(path, holder, acquire):
    with pytest.raises(TakenError, match=rf"process {holder.pid} on \S+"):
        acquire(Lease(path))


def test_a_dead_owner_of_this_machine_has_it_no_longer(path, holder):
    """Not a moment is waited; the number of its process may be another's by now."""
    holder.kill()
    holder.wait()
    begun = time.monotonic()
    with Lease(path).acquire_now() as lease:
        assert not lease.lost
    assert time.monotonic() - begun < 1
    assert not list(path.parent.iterdir())
    with Lease(path):
        facts = path.read_bytes()
    told = json.loads(facts[leases.DIGITS :])
    path.write_bytes(facts.replace(json.dumps(told["start"]).encode(), b'"1"'))
    Lease(path).acquire_now().release()


def test_an_owner_that_was_killed_and_not_waited_for_is_dead(path, holder):
    holder.kill()
    assert wait_for(lambda: leases._start(holder.pid) is None, 10)
    Lease(path).acquire_now().release()


def test_a_silent_owner_of_another_machine_has_it_no_longer(path, quick):
    """One that beats keeps it for as long as it likes, however its clock goes."""
    with Lease(path) as lease:
        elsewhere(path, token=lease._chain[0])
        os.utime(path, (0, 0))
        with pytest.raises(TakenError, match="on far"):
            Lease(path).acquire_unless_alive()
        lease._stop.set()
        begun = time.monotonic()
        with Lease(path) as other:
            assert 0.4 < time.monotonic() - begun < 20
            assert lease.lost
            assert not other.lost
            lease.release()
            assert not other.lost
            with pytest.raises(TakenError, match=f"process {os.getpid()} on"):
                Lease(path).acquire_now()
        assert not list(path.parent.iterdir())


def test_who_only_looks_does_not_wait_for_another_machine(path):
    with Lease(path) as lease:
        elsewhere(path, token=lease._chain[0])
        begun = time.monotonic()
        with pytest.raises(TakenError):
            Lease(path).acquire_now()
        assert time.monotonic() - begun < 1


@pytest.mark.parametrize("content", [b"", b"junk", b"0" * 20 + b' {"token": 3}'])
def test_a_damaged_claim_falls_silent(path, quick, content):
    path.write_bytes(content)
    with Lease(path) as lease:
        assert not lease.lost
    assert not list(path.parent.iterdir())


def test_an_owner_stopped_for_long_knows_that_it_lost(path, quick, holder):
    """It is alive, and silent: who waits goes on, and its end takes nothing away."""
    holder.send_signal(signal.SIGSTOP)
    with pytest.raises(TakenError):
        Lease(path).acquire_unless_alive()
    elsewhere(path)  # a driver of this machine is refused for as long as it is there
    with Lease(path) as lease:
        holder.send_signal(signal.SIGCONT)
        holder.send_signal(signal.SIGTERM)
        holder.wait()
        assert not lease.lost


def test_a_claim_on_a_chain_that_ended_meanwhile_is_none(path, monkeypatch):
    """Who saw a dead owner, and was slow, does not join one who has it now."""
    with Lease(path) as first:
        token = first._chain[0]
    now = Lease(path).acquire()
    dead = Claim(token, "here", leases._place(), 0, "", 1.0)
    late, read = Lease(path), Lease._claims
    looks = iter([[dead]])
    monkeypatch.setattr(Lease, "_claims", lambda self: next(looks, None) or read(self))
    with pytest.raises(TakenError):
        late.acquire_now()
    assert [entry.name for entry in path.parent.iterdir()] == ["x.lease"]
    now.release()


def test_what_the_dead_left_is_swept(path):
    for name in (f"x.lease.after-{'a' * 32}", f".x.lease.{'b' * 32}.tmp", "y.lease"):
        (path.parent / name).touch()
    with Lease(path):
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["x.lease", "y.lease"]


@pytest.mark.parametrize("code", leases.NO_LINKS)
def test_where_there_are_no_links_a_new_file_does(path, monkeypatch, code):
    def refused(*names: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("bench.core.leases.os.link", refused)
    with Lease(path), pytest.raises(TakenError):
        Lease(path).acquire_now()
    assert not list(path.parent.iterdir())


def test_a_folder_that_can_not_be_written_is_an_error_at_once(path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        Lease(path).acquire()


def test_a_lease_is_given_back_on_a_full_disk(path, monkeypatch):
    """The process may live on, and try again."""

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, Lease(path):
        patch.setattr(Path, "write_bytes", full)
    assert not list(path.parent.iterdir())


def test_the_silence_is_a_choice(path, monkeypatch):
    monkeypatch.delenv("MINIMAX_LEASE_SECONDS", raising=False)
    assert leases.seconds() == leases.SECONDS == 60
    for text, expected in (("3", 3), ("0", 0.1), ("x", 60)):
        monkeypatch.setenv("MINIMAX_LEASE_SECONDS", text)
        assert leases.seconds() == expected
    assert BEATS > 5


CONTEND = """
import sys, time
from pathlib import Path
from bench.core.leases import Lease
path, log, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(count):
    with Lease(path) as lease:
        inside = path.with_name("inside")
        with open(log, "a") as file:
            file.write("twice\\n" if inside.exists() else "once\\n")
        inside.touch()
        time.sleep(0.005)
        inside.unlink(missing_ok=True)
"""


@pytest.mark.slow
def test_of_many_processes_that_are_killed_one_at_a_time_has_it(tmp_path):
    """Half of them are killed at random moments; `inside` is what a killed one leaves."""
    path, log = tmp_path / "x.lease", tmp_path / "log"
    command = [sys.executable, "-c", CONTEND, str(path), str(log), "40"]
    workers = [subprocess.Popen(command, env=environ()) for _ in range(12)]
    rng, killed = random.Random(3), 0
    for victim in workers[:6]:
        time.sleep(rng.uniform(0.1, 0.4))
        killed += victim.poll() is None
        victim.kill()
        victim.wait()
    for worker in workers[6:]:
        assert worker.wait(120) == 0
    said = log.read_text().split()
    assert said.count("twice") <= killed
    assert len(said) >= 240
    Lease(path).acquire_now().release()
    assert {entry.name for entry in tmp_path.iterdir()} <= {"log", "inside"}
