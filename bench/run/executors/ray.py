"""Cells as tasks of a Ray cluster: Ray says where and when, the driver what is finished.

Nothing of Ray is imported before cells are run by it. A cell is tried again only where its node was
lost; one that takes a worker with it is crashed, as it is in processes of this machine.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from bench.core.errors import BenchError, StoreError, UsageError, one_line
from bench.models.store import ArtifactStore
from bench.run.executors.base import EXECUTORS, Executor
from bench.run.executors.lost import lost
from bench.run.remote import Post, Probes, Terms, Trouble, answer, difference, post_of, terms_of
from bench.run.runner import Context, Found, Outcome
from bench.suites.cell import Cell
from bench.tasks import TASKS
from results import timings
from results.rows import FINAL
from results.runs import read_run
from results.store import RunDirectory
from results.timings import Timing, name_of

TICK = 0.5
"""Seconds between two looks at the clock and the cluster while no cell is done."""
LOSSES = 5
"""How often a cell may lose its node."""
GONE = 4
"""How often in a row the cluster's head may not answer."""
EMPTY = 60.0
"""Seconds that a cluster may be without a node that could take a cell."""
CHECKED = 180.0
"""Seconds that a node may take to say what it has."""


@EXECUTORS.register("ray")
@dataclass(frozen=True)
class Ray(Executor):
    """Tasks of a Ray cluster, on one machine or many.

    address: of a cluster, HOST:PORT or `auto` for the one that runs here; without it one is started
    for the run. cpus, gpus: what a cell takes; one core and, on CUDA, one GPU unless told.
    """

    here: ClassVar[bool] = False
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None

    @contextmanager
    def opened(self, cells: Sequence[Cell], context: Context) -> Iterator[None]:
        """Connected, with nodes that are alike and large enough."""
        ray = _imported()
        own = not ray.is_initialized()
        if own:
            _connect(ray, self.address, self.workers)
        try:
            self._refuse_small(ray, context)
            _refuse_others(ray, terms_of(cells, context), context, self._resources(context))
            yield
        finally:
            if own:
                ray.shutdown()

    def run(self, cells: Sequence[Cell], context: Context) -> Iterator[Outcome]:
        ray = _imported()
        token = uuid.uuid4().hex
        probes = Probes(token, context.run, context.cache)
        probes.put()
        terms, peaks = terms_of(cells, context), _peaks(context.run)
        drive = _Drive(ray, self, context, probes, terms, [*cells], peaks)
        try:
            yield from drive.outcomes()
        finally:
            drive.stop()
            probes.take()

    def _resources(self, context: Context) -> dict[str, float]:
        """What a cell takes, by Ray's names."""
        usual = 1.0 if context.device == "cuda" else 0.0
        gpus = usual if self.gpus is None else self.gpus
        return {"CPU": 1.0 if self.cpus is None else self.cpus, "GPU": gpus}

    def _refuse_small(self, ray: Any, context: Context) -> None:
        """Raise UsageError for a cell that fits on no node."""
        for what, asked in self._resources(context).items():
            if not 0 <= asked < 1e6:
                raise UsageError(f"`{what.lower()}s`: expected 0 or more, got {asked:g}")
            most = max((node["Resources"].get(what, 0.0) for node in _alive(ray)), default=0.0)
            if asked > most:
                raise UsageError(
                    f"a cell takes {asked:g} {what}s (`{what.lower()}s`), the largest node of the "
                    f"cluster has {most:g}"
                )


def _imported() -> Any:
    """Ray. Raises UsageError where it is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.exceptions")
    except ImportError as error:
        raise UsageError(
            f"`executor=ray` needs Ray: pip install 'minimax-bench[ray]' ({one_line(error, 100)})"
        ) from None
    return ray


def _connect(ray: Any, address: str | None, workers: int) -> None:
    """Become a driver of the cluster, or of one of this machine's own. Raises UsageError where it
    can't be reached.
    """
    quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}
    own = {"address": "local", "num_cpus": workers or os.cpu_count() or 1}
    own["include_dashboard"] = False
    before = signal.getsignal(signal.SIGTERM)
    if address is not None:
        _refuse_unreachable(address)
    try:
        ray.init(**quiet, **(own if address is None else {"address": address}))
    except BenchError:
        raise
    except Exception as error:  # Ray raises nearly anything here
        raise UsageError(
            f"can't reach the Ray cluster `address={address or 'of this machine'}`: "
            f"{one_line(error, 200)}"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
    private: Any = sys.modules.get("ray._private.worker")
    if hasattr(private, "print_to_stdstream"):  # what it would say of workers, rows say
        private.print_to_stdstream = lambda *told, **more: None


def _refuse_unreachable(address: str) -> None:
    """Raise UsageError at once where nobody listens: Ray would try for long."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        raise UsageError(
            f"`address`: expected HOST:PORT of a cluster's head, or auto, got '{address[:100]}'"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"nobody answers at `address={address[:100]}` ({one_line(error, 100)}): begin with "
            "`ray start --head` there, and `ray start --address` here"
        ) from None


def _beside(node: str) -> Any:
    """That a task is for one node, and for no other."""
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(node, soft=False)


def _alive(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _refuse_others(
    ray: Any, terms: Terms, context: Context, resources: Mapping[str, float]
) -> None:
    """Raise UsageError for a node that could run a cell, and would measure something else."""
    look = ray.remote(num_cpus=0, max_retries=0)(difference)
    asked = {
        look.options(scheduling_strategy=_beside(node["NodeID"])).remote(
            terms, context.folders
        ): node
        for node in _alive(ray)
        if all(node["Resources"].get(name, 0.0) >= least for name, least in resources.items())
    }
    for told, node in asked.items():
        try:
            differs = ray.get(told, timeout=CHECKED)
        except (ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):
            continue  # it is gone, and the cluster does not list it so yet
        except Exception as error:  # whatever its Python raises
            differs = f"it can't run this: {one_line(_last_line(error), 200)}"
        if differs:
            raise UsageError(f"node {_name(node)} is not like this machine: {differs}")


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"


@dataclass
class _Shelf:
    """The driver's store of models, for nodes that don't see its folder: an actor beside it."""

    root: Path

    def has(self, kind: str, key: str) -> bool:
        return ArtifactStore(self.root).has(kind, key)

    def fetch(self, kind: str, key: str) -> dict[str, bytes] | None:
        store = ArtifactStore(self.root)
        return store.files(kind, key) if store.find(kind, key) is not None else None

    def keep(self, kind: str, key: str, files: Mapping[str, bytes]) -> None:
        ArtifactStore(self.root).take_in(kind, key, files)


@dataclass(frozen=True)
class _Caller:
    """The shelf, as a store that a worker may ask. One that is gone has nothing."""

    actor: Any

    def has(self, kind: str, key: str) -> bool:
        return bool(self._asked("has", kind, key))

    def fetch(self, kind: str, key: str) -> dict[str, bytes] | None:
        return self._asked("fetch", kind, key)

    def keep(self, kind: str, key: str, files: Mapping[str, bytes]) -> None:
        self._asked("keep", kind, key, files)

    def _asked(self, what: str, *arguments: object) -> Any:
        return _imported().get(getattr(self.actor, what).remote(*arguments))


@dataclass(frozen=True)
class _Job:
    """What every task of a run is told; it is sent to a node once."""

    context: Context
    probes: Probes
    terms: Terms
    shelf: Any


@dataclass(frozen=True)
class _Begun:
    """A worker has a cell. differs: why its node may not measure it, or empty."""

    node: str
    differs: str


_POSTS: dict[str, tuple[str, Post | None]] = {}
"""Of this worker: what it found out for a run, by the driver's token."""


def _task(job: _Job, cell: Cell) -> Iterator[_Begun | Outcome | Found | Trouble]:
    """In a worker: say that it is begun, then what came of it."""
    token = job.probes.token
    if token not in _POSTS:
        differs = difference(job.terms, job.context.folders)
        _POSTS[token] = differs, None if differs else post_of(job.context, job.probes)
    differs, post = _POSTS[token]
    yield _Begun(_imported().get_runtime_context().get_node_id(), differs)
    if post is not None:
        yield answer(cell, post, _Caller(job.shelf))


@dataclass
class _Flight:
    """A cell that is on its way. since: when it was begun; node: where. alone: with a GPU of its
    own.
    """

    cell: Cell
    alone: bool = False
    since: float | None = None
    node: str = ""


@dataclass
class _Drive:
    """The cells of a run, sent, waited for and judged."""

    ray: Any
    asked: Ray
    context: Context
    probes: Probes
    terms: Terms
    waiting: list[Cell]
    peaks: dict[str, float]
    flights: dict[Any, _Flight] = field(default_factory=dict)
    alone: list[Cell] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    room: int = 1
    looked: float = -1e9
    roomy: float = field(default_factory=time.monotonic)
    missed: int = 0
    models: set[tuple[str, str]] = field(default_factory=set)
    largest: float = 0.0

    def outcomes(self) -> Iterator[Outcome]:
        """Every cell's, as it comes."""
        ray, here = self.ray, self.ray.get_runtime_context().get_node_id()
        beside = _beside(here)
        shelf = ray.remote(num_cpus=0)(_Shelf).options(scheduling_strategy=beside)
        self.shelf = shelf.remote(self.context.cache)
        self.job = ray.put(_Job(self.context, self.probes, self.terms, self.shelf))
        self.task = ray.remote(max_retries=0)(_task)
        while self.waiting or self.alone or self.flights:
            self._look()
            self._send()
            if not self.flights:
                self._refuse_nowhere()
                time.sleep(TICK)
                continue
            some, _ = ray.wait([*self.flights], num_returns=1, timeout=TICK)
            if some:
                some, _ = ray.wait([*self.flights], num_returns=len(self.flights), timeout=0)
            for stream in some:
                cell, outcome = self.flights[stream].cell, self._heard(stream)
                if outcome is not None:
                    self._learn(cell, outcome)
                    told, self.told = tuple(self.told), []
                    yield replace(outcome, notices=(*outcome.notices, *told))
            yield from self._late()

    def stop(self) -> None:
        """Call back what is on its way."""
        for stream in self.flights:
            with suppress(Exception):
                self.ray.cancel(stream, force=True)
        with suppress(Exception):
            self.ray.kill(self.shelf)

    def _refuse_nowhere(self) -> None:
        """Raise StoreError where no node can take a cell, and none is to be waited for."""
        if self.bad or time.monotonic() - self.roomy > EMPTY:
            why = "; ".join(dict.fromkeys(self.bad.values()))
            raise StoreError(
                f"no node is left that can measure: {why or 'the cluster has no room for a cell'}"
            )

    def _look(self) -> None:
        """How many cells the cluster has room for. Raises StoreError where it is gone."""
        now = time.monotonic()
        if now - self.looked < 2 * TICK:
            return
        self.looked = now
        if not self._answers():
            self.missed += 1
            if self.missed >= GONE:
                raise StoreError(
                    "the Ray cluster does not answer any more; what was finished is kept, the same "
                    "command goes on from there"
                )
            return
        self.missed, need = 0, self.asked._resources(self.context)
        nodes = [node for node in _alive(self.ray) if node["NodeID"] not in self.bad]
        self.room = sum(_fit(node["Resources"], need) for node in nodes)
        if self.room > 0:
            self.roomy = now
        elif not any(flight.since for flight in self.flights.values()):
            self._refuse_nowhere()
        self.largest = max((node["Resources"].get("memory", 0.0) for node in nodes), default=0.0)

    def _answers(self) -> bool:
        """Whether the head of the cluster takes connections."""
        host, _, port = self.ray.get_runtime_context().gcs_address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
        except OSError:
            return False
        return True

    def _send(self) -> None:
        """Put cells on their way: as many as were asked for, or twice what there is room for, so
        that no worker waits. Of those that share a model the first one trains it alone.
        """
        window = self.asked.workers or 2 * self.room
        if self.room <= 0:
            return
        while self.alone and len(self.flights) < window:
            self._submit(_Flight(self.alone.pop(), alone=True))
        training = {_artifact(flight.cell) for flight in self.flights.values()} - {None}
        at = 0
        while len(self.flights) < window and at < len(self.waiting):
            artifact = _artifact(self.waiting[at])
            if artifact in training and not self._is_there(artifact):
                at += 1
                continue
            training.add(artifact)
            self._submit(_Flight(self.waiting.pop(at)))

    def _is_there(self, artifact: tuple[str, str] | None) -> bool:
        if artifact is None or artifact in self.models:
            return True
        if ArtifactStore(self.context.cache).has(*artifact):
            self.models.add(artifact)
        return artifact in self.models

    def _submit(self, flight: _Flight) -> None:
        need = self.asked._resources(self.context)
        options: dict[str, Any] = {"num_cpus": need["CPU"], "num_gpus": need["GPU"]}
        if flight.alone:
            options["num_gpus"] = max(1.0, need["GPU"])
        if memory := self._memory(flight.cell):
            options["memory"] = memory
        if self.bad:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self.bad)})"}
        stream = self.task.options(**options).remote(self.job, flight.cell)
        self.flights[stream] = flight

    def _memory(self, cell: Cell) -> int:
        """Bytes that a cell is known to take, at most what the largest node has; 0 for unknown."""
        known = self.peaks.get(name_of(cell.cell_id, cell.device), 0.0)
        return int(min(known * 2**20, self.largest))

    def _learn(self, cell: Cell, outcome: Outcome) -> None:
        """Its other seeds ask for no less than it took."""
        name = name_of(cell.cell_id, cell.device)
        self.peaks[name] = max(self.peaks.get(name, 0.0), outcome.peak_rss_mb)

    def _heard(self, stream: Any) -> Outcome | None:
        """What a worker said, or Ray in its place; None where nothing is finished by it."""
        flight, errors = self.flights[stream], self.ray.exceptions
        try:
            said = self.ray.get(next(stream))
        except (errors.NodeDiedError, errors.ObjectLostError, errors.LocalRayletDiedError):
            return self._lost_node(self.flights.pop(stream))
        except errors.OutOfMemoryError:
            return self._lost(self.flights.pop(stream), "oom", "the node ran out of memory")
        except errors.WorkerCrashedError:
            return self._lost(self.flights.pop(stream), "crashed", "the worker died")
        except (errors.RayError, StopIteration) as error:
            text = one_line(f"{type(error).__name__}: {_last_line(error)}", 200)
            return self._lost(self.flights.pop(stream), "failed", text)
        if isinstance(said, _Begun):
            flight.since, flight.node = time.monotonic(), said.node
            if said.differs:
                self._leave(self.flights.pop(stream), f"is not like this machine: {said.differs}")
            return None
        del self.flights[stream]
        return self._judged(flight, said)

    def _judged(self, flight: _Flight, said: Outcome | Found | Trouble) -> Outcome | None:
        """A cell is finished when its record is in the run's folder, seen from here."""
        cell, run = flight.cell, RunDirectory(self.context.run)
        if isinstance(said, Trouble):
            if said.everywhere:
                raise StoreError(said.text)
            return self._leave(flight, said.text)
        if isinstance(said, Found):
            if self._again_alone(flight, said.outcome):
                return None
            run.write_cell(said.record, said.arrays)
            return said.outcome
        if self._again_alone(flight, said):
            return None
        if not _is_seen(run, cell.key, said.status):
            return self._lost(flight, "failed", "its record did not come to the run's folder")
        return said

    def _again_alone(self, flight: _Flight, outcome: Outcome) -> bool:
        """Whether a cell that found too little memory on a shared GPU gets one of its own."""
        shared = 0 < self.asked._resources(self.context)["GPU"] < 1
        if outcome.status == "oom" and shared and not flight.alone:
            self.alone.append(flight.cell)
            return True
        return False

    def _leave(self, flight: _Flight, why: str) -> None:
        """No more cells to a node; this one goes elsewhere."""
        name = next((_name(n) for n in _alive(self.ray) if n["NodeID"] == flight.node), flight.node)
        self.bad[flight.node] = f"node {name} {why}"
        self.told.append(f"was sent elsewhere: {self.bad[flight.node]}")
        self.looked = -1e9
        self._requeue(flight)

    def _requeue(self, flight: _Flight) -> None:
        (self.alone if flight.alone else self.waiting).insert(0, flight.cell)

    def _lost_node(self, flight: _Flight) -> Outcome | None:
        """A cell whose node is gone begins anew on another one, unless it was finished."""
        cell = flight.cell
        self.losses[cell.key] += 1
        if self.losses[cell.key] > LOSSES:
            reason = f"its node was lost {self.losses[cell.key]} times"
            return self._lost(flight, "crashed", reason)
        self.looked = -1e9
        with suppress(ValueError):
            record = RunDirectory(self.context.run).read_cell(cell.key)
            if record is not None and record["status"] in FINAL:
                return Outcome(cell.key, record["status"], record["reason"], record["seconds"])
        self._requeue(flight)
        return None

    def _lost(self, flight: _Flight, status: str, reason: str) -> Outcome:
        return lost(flight.cell, self.context, status, reason)

    def _late(self) -> Iterator[Outcome]:
        """Cells that took longer than they may; what they do afterwards counts no more."""
        limit, now = self.asked.timeout, time.monotonic()
        if limit is None:
            return
        for stream, flight in [*self.flights.items()]:
            if flight.since is not None and now - flight.since > limit:
                with suppress(Exception):
                    self.ray.cancel(stream, force=True)
                del self.flights[stream]
                yield self._lost(flight, "timeout", f"took longer than {limit:g} s")


def _peaks(run: Path) -> dict[str, float]:
    """The most megabytes that cells are known to take, by name: those that are finished in a run's
    folder, else those of baselines.
    """
    known, own = timings.known(), dict[str, Timing]()
    with suppress(UsageError):
        own = timings.timings_of(read_run(RunDirectory(run)).records.values())
    return {name: timing.peak_rss_mb for name, timing in {**known, **own}.items()}


def _artifact(cell: Cell) -> tuple[str, str] | None:
    return None if cell.skip else TASKS[cell.task].part.artifact(cell)


def _fit(has: Mapping[str, float], need: Mapping[str, float]) -> int:
    """How many cells a node has room for."""
    limits = [has.get(name, 0.0) / one for name, one in need.items() if one > 0]
    return int(min(limits, default=1.0) + 1e-9)


def _is_seen(run: RunDirectory, key: str, status: str, tries: int = 20) -> bool:
    """Whether a record that another machine wrote is there; a network file system may show it a
    moment later, to one who lists its folder.
    """
    for at in range(tries):
        with suppress(ValueError):
            record = run.read_cell(key)
            if record is not None and record["status"] == status:
                return True
        with suppress(OSError):
            os.listdir(run.cell_path(key).parent)
        time.sleep(0.01 * at)
    return False
