"""A Ray cluster of several nodes on this machine, each a process group that can be killed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from shutil import rmtree

import psutil
import pytest
from harness import environ, wait_for

NEEDS_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: the extra `ray`"
)
STARTED = 600.0
"""Seconds that a node may take to come up where others want the cores, too."""
SIZES = ["--object-store-memory=80000000", "--block"]
SOON = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "3000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "4000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "20",
}
"""A node that is cut off is given up within some 15 seconds."""


@dataclass
class Node:
    """One node: the process that was begun, and the mark that all of its own carry."""

    process: subprocess.Popen
    mark: str

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                own = process.environ().get("BENCH_RAY_MARK") == self.mark
                if own and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def workers(self) -> list[psutil.Process]:
        """Those that run, or wait for, cells."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                if any("default_worker.py" in part for part in process.cmdline()) or (
                    (process.cmdline() or [""])[0].startswith("ray::")
                ):
                    found.append(process)
        return [one for one in found if "Agent" not in " ".join(one.cmdline())]

    def busy(self) -> list[psutil.Process]:
        """Workers that run a cell, or keep models for those that do; others may wait for work."""
        return [one for one in self.workers() if "ray::_" in "".join(_line(one)[:1])]

    def kill(self) -> None:
        """The raylet first, so that no worker's end is taken for the cell's own; then the rest."""
        every = self.processes()
        for process in sorted(every, key=lambda one: "raylet" not in " ".join(_line(one)[:1])):
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()


def _line(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return [""]


@dataclass
class Rays:
    """A head, which runs no cells, and nodes that do. forks: this process is going to be forked,
    and must not talk to the cluster itself: what gRPC begins does not survive that.
    """

    folder: str
    environment: dict[str, str]
    host: str = "127.0.0.1"
    port: int = 0
    forks: bool = False
    nodes: list[Node] = field(default_factory=list)
    head: Node | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def begin(self, *, before: Sequence[str] = ()) -> Node:
        """A head, on a new port."""
        self.port = _free_port()
        arguments = ["--head", f"--port={self.port}", "--num-cpus=0", f"--temp-dir={self.folder}"]
        arguments.append("--include-dashboard=false")
        self.head = self._start([*arguments, f"--node-ip-address={self.host}"], {}, before)
        assert wait_for(lambda: _answers(self.host, self.port), STARTED), "no head"
        assert wait_for(lambda: self.alive() == 1, STARTED), "the head does not come up"
        return self.head

    def add(
        self, cpus: float = 1, *, before: Sequence[str] = (), host: str = "", **changes: str
    ) -> Node:
        """A node. before: what its command is put behind, such as a namespace."""
        arguments = [f"--address={self.address}", f"--num-cpus={cpus:g}"]
        arguments.append(f"--node-ip-address={host or self.host}")
        node = self._start(arguments, changes, before)
        self.nodes.append(node)
        assert wait_for(self.settled, STARTED), "the node does not come up"
        return node

    def settled(self) -> bool:
        """Whether the head knows as many nodes as run; one that it gave up ends by itself."""
        running = sum(node.process.poll() is None for node in self.nodes)
        return self.alive() == running + 1

    def fill(self, count: int) -> None:
        """So many nodes of one core: new ones where a busy machine has lost some."""
        assert wait_for(self.settled, STARTED), "the cluster does not settle"
        if self.alive() != count + 1:
            for left in list(self.nodes):
                self.kill(left)
            assert wait_for(lambda: self.alive() == 1, STARTED), "nodes do not go"
            for _ in range(count):
                self.add(1)

    def alive(self) -> int:
        """How many nodes the head knows to be alive."""
        if not self.forks:
            return _alive(self.address)
        time.sleep(0.5)
        end, other = os.pipe()
        pid = os.fork()
        if not pid:
            count = 0
            with suppress(BaseException):
                count = _alive(self.address)
            os.write(other, bytes([count]))
            os._exit(0)
        os.close(other)
        said = os.read(end, 1)
        os.close(end)
        os.waitpid(pid, 0)
        return said[0] if said else 0

    def kill(self, node: Node) -> None:
        node.kill()
        with suppress(ValueError):
            self.nodes.remove(node)

    def end(self) -> None:
        for node in [*self.nodes, *([self.head] if self.head else [])]:
            node.kill()

    def _start(self, arguments: list[str], changes: dict[str, str], before: Sequence[str]) -> Node:
        mark = uuid.uuid4().hex
        command = [*before, sys.executable, "-m", "ray.scripts.scripts", "start"]
        process = subprocess.Popen(
            [*command, *arguments, *SIZES],
            env={**self.environment, "BENCH_RAY_MARK": mark, **changes},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            start_new_session=True,
        )
        return Node(process, mark)


@contextmanager
def rays(cpus: Sequence[float] = (1, 1), *, forks: bool = False, **changes: str) -> Iterator[Rays]:
    """A cluster with nodes of so many cores; its environment is the driver's, too."""
    importlib.import_module("ray._raylet")
    folder = tempfile.mkdtemp(prefix="r")
    told = {**SOON, "RAY_AUTH_MODE": "disabled", **changes}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    cluster = Rays(folder, environ(**told), forks=forks)
    try:
        cluster.begin()
        for cores in cpus:
            cluster.add(cores)
        yield cluster
    finally:
        cluster.end()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        rmtree(folder, ignore_errors=True)


def _alive(address: str) -> int:
    from ray._raylet import GcsClient

    with suppress(Exception):
        every = GcsClient(address=address).get_all_node_info()
        return sum(getattr(node, "state", 1) == 0 for node in every.values())
    return 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]


def _answers(host: str, port: int) -> bool:
    with suppress(OSError):
        socket.create_connection((host, port), timeout=1).close()
        return True
    return False
