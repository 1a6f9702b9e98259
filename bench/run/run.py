"""bench run and bench plan: a suite measured, and what measuring it would take."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core import usercode
from bench.core.arguments import Pairs, checked, pairs_of
from bench.core.devices import device_named
from bench.core.errors import StoreError, UsageError, one_line
from bench.core.files import cache_folder, user_path
from bench.core.leases import Lease
from bench.datasets import torchvisions
from bench.models.store import CHECKPOINT_SECONDS, ArtifactStore
from bench.run.executors import EXECUTORS, Executor
from bench.run.forecast import forecast, load_of
from bench.run.plan import Plan, folder_of, make_plan, smallest_p, view_of
from bench.run.runner import NOTICE, Context, Outcome
from bench.run.shards import Shard, shard_of
from bench.suites import builtin as tomlsuites
from bench.suites.cell import Cell
from bench.suites.schema import load_suite
from bench.tasks import TASKS
from bench.tasks.values import facts_on_rows
from results import timings
from results.notes import forget_all
from results.pictures.run import draw
from results.provenance import environment
from results.rows import BAD, FINAL, STATUSES
from results.runs import Run
from results.store import RunDirectory, frame
from results.trackers.logbook import Logbook, trackers


@dataclass
class Watcher:
    """What a run tells whoever waits: each may be replaced by a function of one's own. place: its
    folder, as soon as there is something in it.
    """

    begin: Callable[[Sequence[Cell], int], None] = lambda cells, done: None
    step: Callable[[Cell, Outcome], None] = lambda cell, outcome: None
    warn: Callable[[str], None] = lambda message: None
    place: Callable[[Path], None] = lambda path: None


@dataclass(frozen=True)
class Report:
    """A finished or interrupted run. measured: how many cells this call measured."""

    made: Run
    table: pd.DataFrame
    statuses: dict[str, int]
    measured: int
    planned: int
    interrupted: bool = False
    pictures: Sequence[Path] = ()

    @property
    def run(self) -> RunDirectory:
        return self.made.directory

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """The finished cells by key."""
        return self.made.records

    @property
    def nothing(self) -> bool:
        """Whether every cell was skipped."""
        return set(self.statuses) == {"skipped"}

    @property
    def bad(self) -> int:
        """Cells that failed, timed out, crashed, ran out of memory or were invalid."""
        return sum(self.statuses.get(status, 0) for status in BAD)


@checked()
def plan_of(
    suite: str,
    *,
    tier: str | None = None,
    only: Pairs[str] = (),
    grid: Pairs[Sequence[str]] = (),
    seeds: int | Sequence[int] | None = None,
    set: Mapping[str, Any] | None = None,
    device: str = "auto",
    ensemble: bool = False,
    elsewhere: bool = False,
) -> Plan:
    """A suite resolved into cells. ensemble: the seeds of small models are trained side by side,
    where that is faster. elsewhere: other machines measure them, and may have a device that this
    one has not. Raises UsageError for what is not known.
    """
    for folder in _folders(suite):
        usercode.add_folder(folder)
    loaded = load_suite(suite)
    for module in loaded.imports:
        usercode.import_module(module)
    view = view_of(
        loaded,
        tier,
        _seeds(seeds),
        pairs_of(only),
        [(axis, _names(names)) for axis, names in pairs_of(grid)],
        (set or {}).items(),
        ensemble,
    )
    there = elsewhere and device in ("cuda", "mps")
    return make_plan(loaded, view, device if there else device_named(device))


def _seeds(seeds: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if seeds is None:
        return None
    chosen = tuple(range(seeds) if isinstance(seeds, int) else seeds)
    whole = all(type(seed) is int and seed >= 0 for seed in chosen)
    if not whole or not chosen:
        raise UsageError(f"expected seeds of 0 or more, at least one, got {seeds!r}")
    return chosen


def _names(names: Any) -> tuple[str, ...]:
    """What an axis is replaced by, as the command line has it: one or several, numbers too."""
    return tuple(str(name) for name in (names if isinstance(names, tuple) else (names,)))


@checked()
def plan(
    suite: str, *, out: str | None = None, workers: int = 1, gpus: int | None = None, **view: Any
) -> pd.DataFrame:
    """Every cell with its resolved settings, whether it is measured or trained already or will be
    skipped (then `reason` says why), and forecasts: seconds and where they are known from (`run`,
    `costs` or `guess`), minutes on `workers`, and the smallest p-value that so many seeds can give.
    gpus: of a cluster that the cells are planned for, one for a cell. The attribute `forecast` of
    the table has the whole (bench.run.forecast).
    """
    if workers < 1:
        raise UsageError(f"`workers`: expected at least 1, got {workers}")
    if gpus is not None and gpus < 1:
        raise UsageError(f"`gpus`: expected at least 1, got {gpus}")
    if gpus is not None and view.get("device", "auto") == "auto":
        view["device"] = "cuda"
    planned = plan_of(suite, elsewhere=gpus is not None, **view)
    atonce = min(workers, gpus) if gpus is not None and planned.device == "cuda" else workers
    run_directory = RunDirectory(folder_of(planned.suite, planned.view.tier, out))
    done, _ = run_directory.read_cells(cell.key for cell in planned.cells)
    own, costs = timings.timings_of(done.values()), timings.known()
    store = ArtifactStore(cache_folder())
    rows, counted = [], {key: cell.block for key, cell in planned.unique().items()}
    left = []
    for cell in planned.cells:
        artifact = TASKS[cell.task].part.artifact(cell)
        trained = artifact is not None and store.has(*artifact)
        planned_state = "skipped" if cell.skip else "trained" if trained else "new"
        state = done[cell.key]["status"] if cell.key in done else planned_state
        idle = state in FINAL or cell.skip or counted[cell.key] != cell.block
        load = load_of(cell, own, costs)
        if not idle:
            left.append(load)
        told = {"seconds": 0.0 if idle else load.seconds, "source": "" if idle else load.source}
        told["minutes"] = told["seconds"] / 60 / atonce
        rows.append({**_plan_row(planned, cell), "state": state, **told})
    table = pd.DataFrame(rows).assign(smallest_p=smallest_p(len(planned.view.seeds)))
    table.attrs["forecast"] = forecast(left, atonce)
    return table


def _plan_row(planned: Plan, cell: Cell) -> dict[str, Any]:
    return {
        "suite": planned.suite.name,
        "tier": planned.view.tier,
        "block": cell.block,
        "task": cell.task,
        "dataset": cell.part("dataset"),
        "model": cell.part("model"),
        **{axis: name for axis, name in cell.parts.items() if axis not in ("dataset", "model")},
        "settings": cell.settings,
        "seed": cell.seed,
        "cell_id": cell.cell_id,
        "key": cell.key,
        "device": cell.device,
        "reason": cell.skip,
    }


def step_of(cell: Cell) -> int | None:
    """How far a cell's training was when its state was last kept, while it lasts."""
    artifact = TASKS[cell.task].part.artifact(cell)
    return None if artifact is None else ArtifactStore(cache_folder()).step_of(*artifact)


def run(suite: str, **options: Any) -> pd.DataFrame:
    """Measure a suite and return its table; the options are those of `execute`."""
    return execute(suite, **options).table


@checked("watcher")
def execute(
    suite: str,
    *,
    out: str | None = None,
    workers: int | None = None,
    executor: str = "inline",
    timeout: float | None = None,
    download: bool = False,
    fresh: bool = False,
    keep_old: bool = False,
    shard: str | None = None,
    log: Sequence[str] = (),
    address: str | None = None,
    cpus: float | None = None,
    gpus: float | None = None,
    workers_per_gpu: int | None = None,
    watcher: Watcher | None = None,
    **view: Any,
) -> Report:
    """Measure what a suite asks and is not measured yet; write the tables; report. `download`: data
    sets of torchvision's that are not here are fetched first. `shard`: only a part of the cells,
    3/16 for the third of sixteen, in a folder of its own; `merge` puts them together. `address`,
    `cpus`, `gpus`: of a Ray cluster, and what a cell takes of it (`executor="ray"`).
    `workers_per_gpu`: on CUDA, so many processes for each GPU (`executor="processes"`). `log`:
    trackers that finished cells are logged to, NAME or NAME=PLACE; cells that were measured before
    are, too, where a tracker has them not.

    Raises UsageError before anything is written where the request can't be carried out,
    StoreError where results can't be kept. An interrupt ends the run early, with what was
    finished in the report.
    """
    watch = watcher or Watcher()
    part = None if shard is None else shard_of(shard)
    own = {"address": address, "cpus": cpus, "gpus": gpus, "workers_per_gpu": workers_per_gpu}
    driver = _executor(executor, workers, timeout, **own)
    view["elsewhere"] = not driver.here
    planned = plan_of(suite, **view)
    if download:
        absent = {cell.part("dataset") for cell in planned.cells if cell.skip}
        for name in sorted(filter(torchvisions.source_of, absent)):
            torchvisions.fetch(name)
        planned = plan_of(suite, **view)
    directory = RunDirectory(folder_of(planned.suite, planned.view.tier, out, part))
    if fresh and directory.exists():
        directory = RunDirectory(directory.path.resolve())
        _set_aside(planned, directory, watch)
    directory.claim(planned.suite.name, planned.view.tier)
    if planned.view.ensemble and not any("ensemble" in cell.settings for cell in planned.cells):
        watch.warn("`ensemble`: there are no small models here whose seeds are faster side by side")
    try:
        with directory.lock() as lease:
            guarded = replace(watch, step=_while_ours(watch.step, lease, directory))
            told = trackers(log, directory.path, planned.suite.name, planned.view.tier)
            book = Logbook(told, watch.warn)
            return _drive(
                planned, directory, driver, keep_old, guarded, _folders(suite), part, book
            )
    except UsageError:
        directory.forget_if_empty()
        raise


def _owners_first(cells: Sequence[Cell]) -> list[Cell]:
    """The first cell of every model before the others, which then find it trained."""
    seen, others = dict[Any, Cell](), []
    for cell in cells:
        artifact = TASKS[cell.task].part.artifact(cell) or cell.key
        if seen.setdefault(artifact, cell) is not cell:
            others.append(cell)
    return [*seen.values(), *others]


def _while_ours(
    step: Callable[[Cell, Outcome], None], lease: Lease, directory: RunDirectory
) -> Callable[[Cell, Outcome], None]:
    """What is told of each cell, and a StoreError as soon as another driver has the folder."""

    def guarded(cell: Cell, outcome: Outcome) -> None:
        if lease.lost:
            raise StoreError(
                f"another bench took over {directory.path} while this one was silent: it goes on "
                "there"
            )
        step(cell, outcome)

    return guarded


def _set_aside(planned: Plan, directory: RunDirectory, watch: Watcher) -> None:
    if not directory.is_run():
        raise UsageError(
            f"{directory.path} holds a manifest.json that is no run's: choose another `out`"
        )
    if directory.readable():
        directory.claim(planned.suite.name, planned.view.tier)
    with directory.lock():
        watch.warn(f"the earlier run was moved to {directory.set_aside()}")


def _drive(
    planned: Plan,
    directory: RunDirectory,
    driver: Executor,
    keep_old: bool,
    watch: Watcher,
    folders: tuple[str, ...],
    part: Shard | None,
    book: Logbook,
) -> Report:
    records, damaged = directory.read_cells(cell.key for cell in planned.cells)
    for message in damaged:
        watch.warn(f"{message}; it is measured again")
    standing = {key: record for key, record in records.items() if record["status"] in FINAL}
    if not keep_old:
        _refuse_other_code(planned, standing, directory)
    own = planned.unique() if part is None else {c.key: c for c in part.take(_each(planned))}
    _refuse_other_shard(directory, part)
    todo = [cell for key, cell in own.items() if key not in standing]
    context = _context(planned, directory, folders)
    measured, interrupted = [], False
    by_key = {cell.key: cell for cell in todo}
    manifest = planned.manifest() | ({"shard": str(part)} if part else {})
    with driver.opened(todo, context) if todo else nullcontext():
        directory.write_manifest(manifest)
        book.take(Run(directory, manifest, standing), standing)
        watch.place(directory.path)
        watch.begin(todo, len(standing))
        try:
            if todo:
                longest_first = sorted(todo, key=lambda cell: -cell.seconds)
                if planned.view.ensemble:
                    longest_first = _owners_first(longest_first)
                for outcome in driver.run(longest_first, context):
                    measured.append(outcome.key)
                    watch.step(by_key[outcome.key], outcome)
                    if book.trackers:
                        new, _ = directory.read_cells([outcome.key])
                        book.take(Run(directory, manifest, new), new)
        except KeyboardInterrupt:
            interrupted = True
    forget_all(directory.path)  # a worker that was killed could not
    new, _ = directory.read_cells(cell.key for cell in todo)
    report = _finish(own, directory, {**standing, **new}, len(measured), interrupted, watch)
    book.conclude(report.made)
    return report


def _each(planned: Plan) -> Iterable[Cell]:
    return planned.unique().values()


def _refuse_other_shard(directory: RunDirectory, part: Shard | None) -> None:
    """Raise UsageError where the folder is another part's, whose cells would be out of sight."""
    found = directory.manifest().get("shard") if directory.exists() else None
    if found is not None and found != (part and str(part)):
        asked = f"part {part}" if part else "the whole"
        raise UsageError(
            f"{directory.path} holds part {found} of a run, not {asked}: choose another `out`"
        )


def _finish(
    own: Mapping[str, Cell],
    directory: RunDirectory,
    records: dict[str, dict[str, Any]],
    measured: int,
    interrupted: bool,
    watch: Watcher,
) -> Report:
    for message in _warnings(records.values()):
        watch.warn(message)
    made, table = written(directory, own, records)
    if made.left_out:
        watch.warn(made.left_out)
    pictures: Sequence[Path] = ()
    if measured or not (directory.path / "pictures").is_dir():
        pictures = drawn(made, watch.warn)
    counts = Counter(record["status"] for record in records.values())
    return Report(
        made,
        table,
        {s: counts[s] for s in STATUSES if counts[s]},
        measured,
        len(own),
        interrupted,
        pictures,
    )


def written(
    directory: RunDirectory, keys: Iterable[str], records: dict[str, dict[str, Any]]
) -> tuple[Run, pd.DataFrame]:
    """A run with its tables, in the order of some keys, and the facts of all that was measured."""
    table = frame(records[key] for key in keys if key in records)
    directory.write_tables(table)
    manifest = directory.manifest()
    manifest["measured"] = _facts(table, manifest["metrics"])
    directory.write_manifest(manifest)
    return Run(directory, manifest, records), table


def drawn(made: Run, warn: Callable[[str], None]) -> Sequence[Path]:
    """The pictures of a run; where they can't be drawn, that is said."""
    try:
        return draw(made)
    except Exception as error:
        warn(one_line(f"the pictures could not be drawn: {error!r}"))
        return ()


def _facts(table: pd.DataFrame, known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The facts of the metrics that were measured and that no block names: a gate reads them
    without the tasks, and so without torch.
    """
    pairs = table[["task", "metric"]].drop_duplicates().itertuples(index=False)
    return {
        metric: facts_on_rows(task, metric)
        for task, metric in pairs
        if metric and metric not in known
    }


def _warnings(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What libraries warned of, each text once, with the number of cells; of what users were told
    of each cell, what came before the colon, and of which cells.
    """
    counts, told = Counter[str](), dict[str, Counter[str]]()
    for record in records:
        for text in record["warnings"]:
            if text.startswith(NOTICE):
                what = text.removeprefix(NOTICE).partition(":")[0]
                told.setdefault(what, Counter())[record["cell_id"]] += 1
            else:
                counts[text] += 1
    yield from (f"{text} ({count} cells)" for text, count in counts.items())
    for what, cells in told.items():
        named = ", ".join(f"{name} ({count})" for name, count in cells.items())
        yield one_line(f"{what} at the end: {named}")


def _refuse_other_code(
    planned: Plan, standing: Mapping[str, dict[str, Any]], directory: RunDirectory
) -> None:
    code = {cell.key: cell.code for cell in planned.cells}
    other = sum(record["code"] != code[key] for key, record in standing.items())
    if other:
        raise UsageError(
            f"{other} of {len(standing)} finished cells in {directory.path} were measured by "
            "other code: `fresh` moves that run aside and measures all again, `keep_old` keeps "
            "its rows"
        )


def _context(planned: Plan, directory: RunDirectory, folders: tuple[str, ...]) -> Context:
    facts = environment()
    return Context(
        run=directory.path.resolve(),
        cache=cache_folder().resolve(),
        suite=planned.suite.name,
        tier=planned.view.tier,
        device=planned.device,
        versions=facts["versions"],
        commit=facts["commit"],
        dirty=facts["dirty"],
        folders=folders,
        imports=tuple(planned.suite.imports),
        checkpoint_seconds=_checkpoint_seconds(),
    )


def _checkpoint_seconds() -> float:
    text = os.environ.get("MINIMAX_CHECKPOINT_SECONDS", "")
    try:
        return float(text) if text else CHECKPOINT_SECONDS
    except ValueError:
        raise UsageError(
            f"MINIMAX_CHECKPOINT_SECONDS: expected a number of seconds, got '{text}'"
        ) from None


def _folders(suite: str) -> tuple[str, ...]:
    """Where the user's own code may be: beside the suite file, then here."""
    here = str(Path.cwd())
    if suite.endswith(".toml") and Path(suite).resolve().parent != tomlsuites.SUITES:
        return tuple(dict.fromkeys((str(user_path(suite).resolve().parent), here)))
    return (here,)


def _executor(name: str, workers: int | None, timeout: float | None, **options: object) -> Executor:
    if workers is not None and workers < 1:
        raise UsageError(f"`workers`: expected at least 1, got {workers}")
    if timeout is not None and not timeout > 0:
        raise UsageError(f"`timeout`: expected seconds above 0, got {timeout:g}")
    if name == "inline" and timeout is not None:
        raise UsageError("`timeout` needs `executor=processes`: a cell can't be cut off inline")
    part = EXECUTORS[name].part
    if not isinstance(part, type) or not issubclass(part, Executor):
        raise UsageError(f"executor '{name}' is a {type(part).__name__}: expected a class of them")
    told = {option: value for option, value in options.items() if value is not None}
    known = {one.name for one in fields(part)}
    for option in told:
        if option not in known:
            raise UsageError(
                f"`{option}` is no option of `executor={name}`: it needs {_of(option)}"
            )
    usual = (os.cpu_count() or 1) if part.here else 0
    return part(workers or usual, timeout, **told)


def _of(option: str) -> str:
    """The executors that have an option, as one types them."""
    parts = {entry.name: entry.part for entry in EXECUTORS.entries()}
    having = [name for name, part in parts.items() if option in {f.name for f in fields(part)}]
    return " or ".join(f"`executor={name}`" for name in having)
