"""Running one cell: in one thread, with its own randomness, timed, guarded and stamped.

A failure is a row with a status and a reason. Only a store that can't be written stops the run.
"""

from __future__ import annotations

import datetime
import math
import resource
import time
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import torch

from bench.core.errors import Notice, StoreError, UnaskedError, one_line
from bench.core.randomness import forked, stream_seed
from bench.core.threads import THREADS, with_threads
from bench.models.store import CHECKPOINT_SECONDS, ArtifactStore, Elsewhere
from bench.run.underway import noted
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench, Measurement, Value
from results.rows import Record
from results.store import RunDirectory

MAX_WARNINGS = 5
NOTICE = f"{Notice.__name__}: "
"""How a warning that a user is told at once begins."""


@dataclass(frozen=True)
class Context:
    """What all cells of a run share; it travels to the workers."""

    run: Path
    cache: Path
    suite: str
    tier: str
    device: str
    versions: dict[str, str]
    commit: str
    dirty: bool
    folders: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    checkpoint_seconds: float = CHECKPOINT_SECONDS


@dataclass(frozen=True)
class Outcome:
    """What the driver learns of a finished cell. notices: what the user is told of it at once.
    peak_rss_mb: the most memory that it took, 0 where nobody measured it.
    """

    key: str
    status: str
    reason: str
    seconds: float
    notices: tuple[str, ...] = ()
    peak_rss_mb: float = 0.0


def run_cell(cell: Cell, context: Context) -> Outcome:
    """Measure a cell and keep its record. Raises StoreError where it can't be kept."""
    found = measured(cell, context)
    RunDirectory(context.run).write_cell(found.record, found.arrays)
    return found.outcome


@dataclass(frozen=True)
class Found:
    """What measuring a cell gave: its record as files keep it, what pictures need, the outcome."""

    record: dict[str, Any]
    arrays: Mapping[str, np.ndarray]
    outcome: Outcome


def measured(cell: Cell, context: Context, elsewhere: Elsewhere | None = None) -> Found:
    """Measure a cell; nothing of it is kept but its model. elsewhere: another store of models, for
    machines that share no folder. Raises StoreError where the model can't be kept.
    """
    started = datetime.datetime.now(datetime.UTC)
    clock = time.perf_counter()
    _reset_peak()
    status, reason, caught, gave, cpu_seconds = _guarded(cell, context, elsewhere)
    seconds = time.perf_counter() - clock
    record = replace(
        stamp(cell, context, status, reason),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        started_at=started,
        peak_rss_mb=_peak_rss_mb(),
        warnings=caught,
        artifact_key=gave.artifact_key,
        values=[_plain(value) for value in gave.values],
    )
    notices = tuple(text.removeprefix(NOTICE) for text in caught if text.startswith(NOTICE))
    outcome = Outcome(cell.key, status, reason, seconds, notices, record.peak_rss_mb)
    return Found(record.as_dict(), gave.arrays, outcome)


def stamp(cell: Cell, context: Context, status: str, reason: str) -> Record:
    """What is known of a cell without measuring it."""
    return Record(
        suite=context.suite,
        tier=context.tier,
        task=cell.task,
        cell_id=cell.cell_id,
        key=cell.key,
        code=cell.code,
        dataset=cell.part("dataset"),
        dataset_fingerprint=cell.fingerprint,
        model=cell.part("model"),
        source_model=cell.part("source_model"),
        attack=", ".join(filter(None, map(cell.part, ("attack", "certificate")))),
        settings=cell.settings,
        seed=cell.seed,
        status=status,
        reason=reason,
        device=cell.device,
        threads=THREADS,
        commit=context.commit,
        dirty=context.dirty,
        versions=context.versions,
    )


def _guarded(
    cell: Cell, context: Context, elsewhere: Elsewhere | None
) -> tuple[str, str, list[str], Measurement, float]:
    """Status, reason, warnings, what was measured and its CPU seconds; no exception but StoreError
    gets out.
    """
    nothing, cpu_seconds = Measurement([]), 0.0
    if cell.skip:
        return "skipped", cell.skip, [], nothing, cpu_seconds
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("default")
        try:
            measured, cpu_seconds = _measure(cell, context, elsewhere)
            status, reason = _judge(measured)
        except (StoreError, UnaskedError):
            raise
        except (MemoryError, torch.OutOfMemoryError) as error:
            status, reason, measured = "oom", one_line(f"out of memory: {error}"), nothing
        except (Exception, SystemExit) as error:
            status, reason = ("oom" if _is_oom(error) else "failed"), _reason(error)
            measured = nothing
    if status == "invalid":
        measured = nothing
    notices = [w for w in raised if issubclass(w.category, Notice)]
    others = [w for w in raised if w not in notices]
    said = (one_line(f"{w.category.__name__}: {w.message}") for w in (*notices, *others))
    told = list(dict.fromkeys(said))[:MAX_WARNINGS]
    return status, reason, told, measured, cpu_seconds


def _measure(
    cell: Cell, context: Context, elsewhere: Elsewhere | None
) -> tuple[Measurement, float]:
    """What a cell comes to, and its CPU seconds; 0 where its model was there, or begun, before."""
    artifacts = ArtifactStore(
        context.cache, cell.device, context.checkpoint_seconds, elsewhere=elsewhere
    )
    if cell.device == "cuda":
        torch.cuda.init()
    task = TASKS[cell.task].part
    streams = forked(stream_seed(cell.cell_id, cell.seed, "cell"))
    with noted(cell.key, context.run), with_threads(), streams:
        anew, clock = _is_new(task.artifact(cell), artifacts), time.process_time()
        measured = task.measure(cell, Bench(artifacts, cell.device))
        return measured, (time.process_time() - clock) * anew


def _is_new(artifact: tuple[str, str] | None, artifacts: ArtifactStore) -> bool:
    """Whether nothing of a cell's model has been made yet."""
    if artifact is None:
        return True
    other = artifacts.elsewhere
    if artifacts.has(*artifact) or (other is not None and other.has(*artifact)):
        return False
    return artifacts.step_of(*artifact) is None


def _judge(measured: Measurement) -> tuple[str, str]:
    for value in measured.values:
        if not _is_number(value.value):
            return "invalid", one_line(f"{value.metric} is {value.value!r}: expected a number")
        if value.std_error is not None and not _is_number(value.std_error):
            text = f"the standard error of {value.metric} is {value.std_error!r}: expected a number"
            return "invalid", one_line(text)
    if measured.invalid:
        return "invalid", one_line(measured.invalid)
    return ("diverged", one_line(measured.diverged)) if measured.diverged else ("ok", "")


def _is_number(value: object) -> bool:
    """Whether something is a finite real number, of Python's or NumPy's."""
    if not isinstance(value, SupportsFloat) or isinstance(value, bool | np.bool_):
        return False
    return math.isfinite(float(value))


def _plain(value: Value) -> Value:
    """A value in Python's own numbers."""
    return replace(
        value,
        value=float(value.value),
        std_error=None if value.std_error is None else float(value.std_error),
        n=None if value.n is None else int(value.n),
        step=None if value.step is None else int(value.step),
    )


def _is_oom(error: BaseException) -> bool:
    """Whether PyTorch's allocator gave up: on the CPU it raises a plain RuntimeError."""
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _reason(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {one_line(error, 200)}{place}"


def _reset_peak() -> None:
    """Let the kernel count the peak memory from here, where it can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_rss_mb() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
