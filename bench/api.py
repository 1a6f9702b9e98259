"""The verbs of the command line from Python; each returns a DataFrame.

    from bench import api
    table = api.run("mode-collapse", tier="quick")
    api.show("runs/mode-collapse/quick")

`run` works in this process unless told `executor="processes"`; a script that asks for
processes needs the usual `if __name__ == "__main__":`.
"""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch

from attacks import ATTACKS, MinimalNorm, foolbox_adapter
from attacks.classifiers import CLASSIFIERS
from attacks.diagnostics import DIAGNOSTICS
from bench import gatecheck, planted, tomlsuites, usercode
from bench.artifacts import CHECKPOINT_SECONDS, ArtifactStore
from bench.comparing import calibration, comparison, run_folder
from bench.datasets import DATASETS, torchvisions
from bench.errors import UsageError, one_line, unknown
from bench.evaluation import Request as AttackRequest
from bench.evaluation import evaluate
from bench.executors import EXECUTORS, Executor
from bench.exploring import Way, explored, truncation_curve
from bench.extractors import EXTRACTORS
from bench.files import cache_folder, write_atomically
from bench.loaders.images import pictures_of
from bench.loaders.kept import packed
from bench.loaders.models import Preparation
from bench.loaders.samples import Given, registered
from bench.planning import Plan, folder_of, make_plan, smallest_p, view_of
from bench.registry import Registry
from bench.reporting import Attacked, timed
from bench.runner import Context, Outcome
from bench.sampling import draw as draw_samples
from bench.sampling import find_cell, weights_of, with_weights
from bench.scorecard import Scored, scored
from bench.scoring import Notify, Request, guarded
from bench.scoring import score as measure
from bench.suite import Cell, load_suite
from bench.tasks import TASKS
from bench.tasks.attacking import attack_of
from bench.tasks.generation import papers_of
from generative import (
    CONSTRAINTS,
    LOSSES,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
    TRANSLATION_PROTOCOLS,
)
from metrics import JUDGES, METRICS, RULES
from metrics.judges.segmenter import SEGMENTERS
from results import bibliography, published
from results.claims import judge
from results.gate.calibration import as_rows
from results.pictures import curve_png, draw, scatter_png
from results.provenance import environment
from results.rows import BAD, FINAL, STATUSES
from results.sheets import grid_png, image_pngs
from results.store import RunDirectory, frame, is_key
from results.summary import summarise

T = TypeVar("T")
Pairs = Mapping[str, T] | Iterable[tuple[str, T]]

MAX_SAMPLES = 100_000
MAX_THREADS = 1_024
MAX_SIDE = 4_096
MAX_SEEDS = 100
MAX_SEED = 2**31 - 1
EPSILONS = ("0", "1/255", "2/255", "4/255", "8/255")

REGISTRIES: dict[str, Registry] = {
    "models": RECIPES,
    "losses": LOSSES,
    "penalties": PENALTIES,
    "constraints": CONSTRAINTS,
    "protocols": PROTOCOLS,
    "metrics": METRICS,
    "rules": RULES,
    "datasets": DATASETS,
    "judges": JUDGES,
    "features": EXTRACTORS,
    "attacks": ATTACKS,
    "classifiers": CLASSIFIERS,
    "diagnostics": DIAGNOSTICS,
}


ALSO: dict[str, Registry] = {"protocols": TRANSLATION_PROTOCOLS, "judges": SEGMENTERS}
"""What is listed with the others, and has a registry of its own."""


WEIGHTS = ".safetensors"


@dataclass
class Watcher:
    """What a run tells whoever waits: each may be replaced by a function of one's own."""

    begin: Callable[[Sequence[Cell], int], None] = lambda cells, done: None
    step: Callable[[Cell, Outcome], None] = lambda cell, outcome: None
    warn: Callable[[str], None] = lambda message: None


@dataclass(frozen=True)
class Report:
    """A finished or interrupted run. records: the finished cells by key. measured: how many
    cells this call measured.
    """

    run: RunDirectory
    table: pd.DataFrame
    records: dict[str, dict[str, Any]]
    statuses: dict[str, int]
    measured: int
    planned: int
    interrupted: bool = False
    pictures: Sequence[Path] = ()

    @property
    def bad(self) -> int:
        """Cells that failed, timed out, crashed, ran out of memory or were invalid."""
        return sum(self.statuses.get(status, 0) for status in BAD)


def list(kind: str) -> pd.DataFrame:
    """What is registered under a kind such as "models", the suites, or the published numbers."""
    if kind == "suites":
        return pd.DataFrame(tomlsuites.rows())
    if kind == "published":
        return pd.DataFrame(published.rows())
    if kind not in REGISTRIES:
        raise unknown("kind", kind, ["suites", "published", *REGISTRIES])
    rows = []
    more = ALSO[kind].entries() if kind in ALSO else []
    for entry in [*REGISTRIES[kind].entries(), *more]:
        facts = {name: value for name, value in vars(entry.facts).items() if value not in ("", ())}
        if text := getattr(entry.part, "deviations", ""):
            facts["deviations"] = text
        rows.append({"name": entry.name, "summary": entry.summary, "paper": entry.paper, **facts})
    return pd.DataFrame(rows + (foolbox_adapter.rows() if kind == "attacks" else []))


def plan_of(
    suite: str,
    *,
    tier: str | None = None,
    only: Pairs[str] = (),
    grid: Pairs[Sequence[str]] = (),
    seeds: int | Sequence[int] | None = None,
    set: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Plan:
    """A suite resolved into cells. Raises UsageError for what is not known."""
    for folder in _folders(suite):
        usercode.add_folder(folder)
    loaded = load_suite(suite)
    for module in loaded.imports:
        usercode.import_module(module)
    view = view_of(
        loaded,
        tier,
        _seeds(seeds),
        _pairs(only),
        [(axis, tuple(names)) for axis, names in _pairs(grid)],
        (set or {}).items(),
    )
    return make_plan(loaded, view, _device(device))


def _seeds(seeds: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if seeds is None:
        return None
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not chosen or min(chosen) < 0:
        raise UsageError(f"expected seeds of 0 or more, at least one, got {seeds}")
    return chosen


def _pairs(given: Pairs[T]) -> Iterable[tuple[str, T]]:
    pairs: Any = given.items() if isinstance(given, Mapping) else given
    return pairs


def plan(suite: str, *, out: str | None = None, workers: int = 1, **view: Any) -> pd.DataFrame:
    """Every cell with its resolved settings, whether it is measured or trained already, and
    forecasts: minutes on `workers`, and the smallest p-value that so many seeds can give.
    """
    if workers < 1:
        raise UsageError(f"--workers: expected at least 1, got {workers}")
    planned = plan_of(suite, **view)
    run_directory = RunDirectory(folder_of(planned.suite, planned.view.tier, out))
    done, _ = run_directory.read_cells(cell.key for cell in planned.cells)
    store = ArtifactStore(cache_folder())
    rows, counted = [], {key: cell.block for key, cell in planned.unique().items()}
    for cell in planned.cells:
        artifact = TASKS[cell.task].part.artifact(cell)
        trained = artifact is not None and store.has(*artifact)
        state = done[cell.key]["status"] if cell.key in done else "trained" if trained else "new"
        todo = 0.0 if state in FINAL or counted[cell.key] != cell.block else cell.seconds
        rows.append({**_plan_row(planned, cell), "state": state, "minutes": todo / 60 / workers})
    table = pd.DataFrame(rows)
    return table.assign(smallest_p=smallest_p(len(planned.view.seeds)))


def _plan_row(planned: Plan, cell: Cell) -> dict[str, Any]:
    return {
        "suite": planned.suite.name,
        "tier": planned.view.tier,
        "block": cell.block,
        "task": cell.task,
        "dataset": cell.part("dataset"),
        "model": cell.part("model"),
        "settings": cell.settings,
        "seed": cell.seed,
        "cell_id": cell.cell_id,
        "key": cell.key,
        "device": cell.device,
    }


def run(suite: str, **options: Any) -> pd.DataFrame:
    """Measure a suite and return its table; the options are those of `execute`."""
    return execute(suite, **options).table


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
    watcher: Watcher | None = None,
    **view: Any,
) -> Report:
    """Measure what a suite asks and is not measured yet; write the tables; report. `download`: data
    sets of torchvision's that are not here are fetched first.

    Raises UsageError before anything is written where the request can't be carried out,
    StoreError where results can't be kept. An interrupt ends the run early, with what was
    finished in the report.
    """
    watch = watcher or Watcher()
    driver = _executor(executor, workers, timeout)
    planned = plan_of(suite, **view)
    if download:
        absent = {cell.part("dataset") for cell in planned.cells if cell.skip}
        for name in sorted(filter(torchvisions.source_of, absent)):
            torchvisions.fetch(name)
        planned = plan_of(suite, **view)
    directory = RunDirectory(folder_of(planned.suite, planned.view.tier, out))
    if fresh and directory.exists():
        directory = RunDirectory(directory.path.resolve())
        _set_aside(planned, directory, watch)
    directory.claim(planned.suite.name, planned.view.tier)
    with directory.lock():
        return _drive(planned, directory, driver, keep_old, watch, _folders(suite))


def _set_aside(planned: Plan, directory: RunDirectory, watch: Watcher) -> None:
    if not directory.is_run():
        raise UsageError(
            f"{directory.path} holds a manifest.json that is no run's: choose another --out"
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
) -> Report:
    records, damaged = directory.read_cells(cell.key for cell in planned.cells)
    for message in damaged:
        watch.warn(f"{message}; it is measured again")
    standing = {key: record for key, record in records.items() if record["status"] in FINAL}
    if not keep_old:
        _refuse_other_code(planned, standing, directory)
    directory.write_manifest(planned.manifest())
    unique = planned.unique()
    todo = [cell for key, cell in unique.items() if key not in standing]
    watch.begin(todo, len(standing))
    context = _context(planned, directory, folders)
    measured, interrupted = [], False
    by_key = {cell.key: cell for cell in todo}
    try:
        if todo:
            longest_first = sorted(todo, key=lambda cell: -cell.seconds)
            for outcome in driver.run(longest_first, context):
                measured.append(outcome.key)
                watch.step(by_key[outcome.key], outcome)
    except KeyboardInterrupt:
        interrupted = True
    new, _ = directory.read_cells(cell.key for cell in todo)
    return _finish(planned, directory, {**standing, **new}, len(measured), interrupted, watch)


def _finish(
    planned: Plan,
    directory: RunDirectory,
    records: dict[str, dict[str, Any]],
    measured: int,
    interrupted: bool,
    watch: Watcher,
) -> Report:
    for message in _warnings(records.values()):
        watch.warn(message)
    keys = planned.unique()
    table = frame(records[key] for key in keys if key in records)
    directory.write_tables(table)
    pictures: Sequence[Path] = ()
    if measured or not (directory.path / "pictures").is_dir():
        try:
            pictures = draw(directory, directory.manifest(), records)
        except Exception as error:
            watch.warn(one_line(f"the pictures could not be drawn: {error!r}"))
    counts = Counter(record["status"] for record in records.values())
    return Report(
        directory,
        table,
        records,
        {s: counts[s] for s in STATUSES if counts[s]},
        measured,
        len(keys),
        interrupted,
        pictures,
    )


def _warnings(records: Iterable[dict[str, Any]]) -> Iterable[str]:
    """What libraries warned of, each text once, with the number of cells."""
    counts = Counter(text for record in records for text in record["warnings"])
    return (f"{text} ({count} cells)" for text, count in counts.items())


def _refuse_other_code(
    planned: Plan, standing: Mapping[str, dict[str, Any]], directory: RunDirectory
) -> None:
    code = {cell.key: cell.code for cell in planned.cells}
    other = sum(record["code"] != code[key] for key, record in standing.items())
    if other:
        raise UsageError(
            f"{other} of {len(standing)} finished cells in {directory.path} were measured by "
            "other code: --fresh moves that run aside and measures all again, --keep-old keeps "
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
        return tuple(dict.fromkeys((str(Path(suite).expanduser().resolve().parent), here)))
    return (here,)


def _device(name: str) -> str:
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return "cuda" if available["cuda"] else "cpu"
    if name not in available:
        raise unknown("device", name, ["auto", *available])
    if not available[name]:
        here = [known for known, there in available.items() if there]
        raise UsageError(f"device '{name}' is not there: this machine has {', '.join(here)}")
    return name


def _executor(name: str, workers: int | None, timeout: float | None) -> Executor:
    if workers is not None and workers < 1:
        raise UsageError(f"--workers: expected at least 1, got {workers}")
    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout: expected seconds above 0, got {timeout:g}")
    if name == "inline" and timeout is not None:
        raise UsageError("--timeout needs --executor processes: a cell can't be cut off inline")
    return EXECUTORS[name].part(workers or os.cpu_count() or 1, timeout)


def records_of(run: str) -> tuple[RunDirectory, dict[str, Any], dict[str, dict[str, Any]]]:
    """A run's directory, manifest and finished cells; a run that is still going, too.

    `run` is a folder, or a suite's name for the last tier of it that was run here.
    """
    directory = RunDirectory(run_folder(run))
    manifest = directory.manifest()
    records, _ = directory.read_cells(
        cell["key"]
        for cell in manifest["cells"]
        if isinstance(cell, dict) and is_key(cell.get("key"))
    )
    return directory, manifest, records


def show(run: str) -> pd.DataFrame:
    """The summary of a run: means, intervals, counts, published rows."""
    return summary_of(run)[0]


def summary_of(run: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The summary of a run and its manifest. Raises UsageError for a damaged one."""
    _, manifest, records = records_of(run)
    with refusing_damage(run):
        return summarise(manifest, records), manifest


def claims(run: str) -> pd.DataFrame:
    """What papers say of a run's numbers, held against them; empty where its suite names none.

    A row a claim: both numbers (means over seeds), the 95 % interval of their difference, the
    published numbers, and the verdict: ok, contradicted, not resolvable or not measured.
    """
    _, manifest, records = records_of(run)
    with refusing_damage(run):
        return judge(manifest, records)


@contextmanager
def refusing_damage(run: str) -> Iterator[None]:
    """What goes wrong inside is the fault of a damaged manifest: a UsageError that says so."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        text = f"manifest.json of {run} is damaged ({error!r}): run the suite with --fresh"
        raise UsageError(one_line(text)) from error


def compare(base: str, new: str, **options: Any) -> pd.DataFrame:
    """Hold a run against a baseline; a row for each suite, series and failed cell, the worst first.
    The options are those of `comparison`.
    """
    return comparison(base, new, **options).rows


def calibrate(run: str, **options: Any) -> pd.DataFrame:
    """What a gate on a run's own seeds would see of each deciding series; a row for each. The
    options are those of `calibration`.
    """
    return as_rows(calibration(run, **options))


def sample(
    run: str,
    model: str | None = None,
    *,
    dataset: str | None = None,
    block: str | None = None,
    seed: int | None = None,
    n: int = 64,
    out: str | None = None,
    label: int | None = None,
    interpolate: bool = False,
    arithmetic: str | None = None,
    codes: bool = False,
    truncation: float | None = None,
    weights: str | None = None,
) -> np.ndarray:
    """`n` samples of a trained model of a run: points [n, d], or images uint8 [n, c, h, w].

    They are the first that its scores were computed from. `run` may be a data set with images in
    the place of a run and a model, such as mnist5k or mnist5k:train: the first `n` of its images.
    `out`: where to write them: a .png, a grid of images, a stack's digits side by side; a .npy, the
    array; or a folder that is not there yet, a PNG for each image; or a .safetensors, the model's
    weights in the place of samples. `weights`: such a file, whose weights are taken.

    In the place of plain samples of a model of images: `label`, samples of that class of a
    conditional model; `interpolate`, ways between codes; `arithmetic`, a sum of classes such as
    7-1+4, each the mean of three codes; `codes`, all of a plane of codes; `truncation`, samples of
    codes within that bound. Raises UsageError where the model was not trained, or its trained
    weights have left the cache.
    """
    bounds = () if truncation is None else (truncation,)
    way = Way(label, interpolate, arithmetic, codes, bounds)
    if not 1 <= n <= MAX_SAMPLES:
        raise UsageError(f"expected 1 to {MAX_SAMPLES:,} samples, got {n}")
    if out is not None:
        _refuse_output(out)
    columns, colour = 0, False
    if model is None:
        if way.asked:
            raise UsageError("--model: which one? (a data set has no codes to look at)")
        drawn = _real(run, n)
        colour = drawn.shape[1] == 3
    else:
        cell, colour = _trained_cell(run, model, dataset, block, seed)
        store = ArtifactStore(cache_folder(), cell.device)
        if weights is not None:
            store = with_weights(store, weights)
        if out is not None and Path(out).suffix.lower() == WEIGHTS:
            write_atomically(Path(out).expanduser(), weights_of(cell, store))
            return np.empty(0)
        if way.asked:
            drawn, columns = explored(cell, n, store, way)
        else:
            drawn = draw_samples(cell, n, store)
    if out is not None:
        _write_samples(drawn, Path(out).expanduser(), colour, columns)
    return drawn


def truncations(
    run: str,
    model: str,
    bounds: Sequence[float],
    *,
    dataset: str | None = None,
    block: str | None = None,
    seed: int | None = None,
    n: int = 1_000,
    out: str | None = None,
) -> pd.DataFrame:
    """Quality against diversity of a trained model of images as its codes keep to the middle: a
    row for each bound and score, and for no bound. `out`: a .png of precision against recall.
    """
    if not 100 <= n <= MAX_SAMPLES:
        raise UsageError(f"expected 100 to {MAX_SAMPLES:,} samples for scores, got {n}")
    if out is not None and Path(out).suffix.lower() != ".png":
        raise UsageError(f"expected a name that ends in .png for a curve, got '{out}'")
    cell, _ = _trained_cell(run, model, dataset, block, seed)
    table = truncation_curve(cell, n, ArtifactStore(cache_folder(), cell.device), bounds)
    if out is not None:
        write_atomically(Path(out).expanduser(), curve_png(table, model))
    return table


def _trained_cell(
    run: str, model: str, dataset: str | None, block: str | None, seed: int | None
) -> tuple[Cell, bool]:
    """A cell of a run by the names on its table, and whether its images are in colour."""
    usercode.add_folder(Path.cwd())
    _, manifest, _ = records_of(run)
    with refusing_damage(run):
        for module in manifest.get("imports", []):
            usercode.import_module(module)
        cell = find_cell(manifest, model, seed, dataset, block)
        facts = manifest["parts"].get("dataset", {}).get(cell.part("dataset"), {})
    return cell, bool(facts.get("colour"))


def _real(name: str, n: int) -> np.ndarray:
    """The first images of a data set, uint8 [n, c, h, w]."""
    if name.partition(":")[0] not in DATASETS:
        raise UsageError(
            f"--model: which one of {name}? (without it, expected a data set with images, such as "
            "mnist5k)"
        )
    images = registered(name)
    if n > len(images):
        raise UsageError(f"{name} has {len(images):,} images, expected so many at most, got {n:,}")
    return np.moveaxis(images.array[:n], -1, 1)


def _refuse_output(out: str) -> None:
    suffix = Path(out).suffix.lower()
    if suffix not in ("", ".png", ".npy", WEIGHTS):
        raise UsageError(
            f"expected a name that ends in .png, .npy or {WEIGHTS}, or a folder's without an end, "
            f"got '{out}'"
        )
    if not suffix and Path(out).expanduser().exists():
        raise UsageError(f"{out} is there already: expected a folder to be made")


def _write_samples(drawn: np.ndarray, path: Path, colour: bool, columns: int) -> None:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, drawn)
        write_atomically(path, buffer.getvalue())
    elif suffix == ".png":
        grid = drawn.ndim == 4
        write_atomically(path, grid_png(drawn, colour, columns) if grid else scatter_png(drawn))
    elif drawn.ndim != 4:
        raise UsageError(f"points are no images: expected a .png or .npy file, got '{path}'")
    else:
        for index, content in enumerate(image_pngs(drawn, colour)):
            write_atomically(path / f"{index:05}.png", content)


Classifier = str | torch.nn.Module
Data = str | Path | tuple[np.ndarray, np.ndarray]


def attack(classifier: Classifier, data: Data, **options: Any) -> pd.DataFrame:
    """Attack a classifier on images; its rows. The options are those of `evaluate_attack`."""
    return evaluate_attack(classifier, data, **options).table


def evaluate_attack(
    classifier: Classifier,
    data: Data,
    *,
    attack: str = "fgsm",
    epsilons: str | float | Sequence[float | str] | None = None,
    norm: str | None = None,
    settings: Mapping[str, Any] | None = None,
    clip: bool = True,
    range: tuple[float, ...] = (0.0, 1.0),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    weights: str | None = None,
    size: int | None = None,
    images: int = 1_000,
    seed: int = 0,
    device: str = "auto",
    audit: bool = True,
    download: bool = False,
    threads: int = 0,
    figure: str | None = None,
    curve: str | None = None,
    save_adversarials: str | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> Attacked:
    """Attack a classifier of the user's own, or a registered one, on images with labels.

    The names are those of `bench attack`; a network may come as it is, and images with labels as
    two arrays ([n, h, w(, c)] or channels first in [0, 1], and [n]). epsilons: radii in rising
    order, in units of images in [0, 1]; 0 to 8/255 where none are given, and not for a search.
    norm: linf, or the first that the attack knows. settings: of the attack. range, mean, std: what
    the classifier expects of its inputs. threads: of the CPU; 0: one for a registered classifier,
    every core for a user's. figure, curve, save_adversarials: files to write. notify: is told what
    is being done. Raises UsageError for what can't be used.
    """
    files = {"figure": figure, "curve": curve, "save_adversarials": save_adversarials}
    _refuse_files(files)
    for what, number, low, high in (
        ("-n: images", images, 1, MAX_SAMPLES),
        ("--threads", threads, 0, MAX_THREADS),
        ("--seed", seed, 0, MAX_SEED),
    ):
        if not isinstance(number, int) or not low <= number <= high:
            raise UsageError(f"{what}: expected {low} to {high}, got {number!r}")
    asked = _asked(attack, epsilons, norm, settings or {}, clip)
    if len(range) != 2:
        raise UsageError(f"--range: expected two rising numbers, got {range}")
    if "radii" not in asked and curve is not None:
        raise UsageError(
            f"--curve: {attack} searches for the smallest perturbation, over no radius"
        )
    usercode.add_folder(Path.cwd())
    named = classifier if isinstance(classifier, str) else type(classifier).__name__
    request = AttackRequest(
        classifier=named,
        data="arrays" if isinstance(data, tuple) else str(data),
        attack=attack,
        settings=asked,
        preparation=Preparation(range[0], range[1], tuple(mean), tuple(std)),
        weights=weights,
        size=size,
        images=images,
        seed=seed,
        device=_device(device),
        audits=audit,
        download=download,
        threads=threads,
    )
    store = ArtifactStore(cache_folder(), request.device)
    network = None if isinstance(classifier, str) else classifier
    pictures = pictures_of(*data, "arrays", images) if isinstance(data, tuple) else None
    result = timed(request, lambda: evaluate(request, store, notify, network, pictures))
    made = {"figure": result.figure, "curve": result.curve}
    made["save_adversarials"] = result.adversarials
    for name, path in files.items():
        if path is not None:
            write_atomically(Path(path).expanduser(), made[name]())
    return result


def _refuse_files(files: Mapping[str, str | None]) -> None:
    """Raise UsageError for a file that could not be written in the end."""
    paths = [Path(path).expanduser().resolve() for path in files.values() if path is not None]
    for name, path in files.items():
        if path is None:
            continue
        option, suffix = name.replace("_", "-"), ".npz" if name.startswith("save_") else ".png"
        whole = Path(path).expanduser().resolve()
        if whole.suffix.lower() != suffix:
            raise UsageError(f"--{option}: expected a name that ends in {suffix}, got '{path}'")
        if not os.access(whole.parent, os.W_OK) or not whole.parent.is_dir() or whole.is_dir():
            raise UsageError(
                f"--{option}: can't write {path}: expected a file in a folder that is there"
            )
        if paths.count(whole) > 1:
            raise UsageError(f"--{option}: {path} is named twice")


def _asked(
    attack: str,
    epsilons: str | float | Sequence[float | str] | None,
    norm: str | None,
    settings: Mapping[str, Any],
    clip: bool,
) -> dict[str, Any]:
    """The settings of a cell, from the options of `bench attack`."""
    options = {"norm": "--norm", "radii": "--epsilons", "clip": "--no-clip", "images": "-n"}
    for name in settings:
        if name in options:
            raise UsageError(f"--set {name}: it has an option of its own, {options[name]}")
    asked: dict[str, Any] = {**settings, "clip": clip}
    if norm is not None:
        asked["norm"] = norm
    if isinstance(attack_of(attack).part, MinimalNorm):
        if epsilons is not None:
            raise UsageError(
                f"--epsilons: {attack} searches for the smallest perturbation, whatever its size: "
                "leave them out"
            )
        return asked
    if isinstance(epsilons, str):
        asked["radii"] = epsilons
    elif isinstance(epsilons, int | float):
        asked["radii"] = repr(float(epsilons))
    else:
        radii = EPSILONS if epsilons is None else epsilons
        asked["radii"] = ",".join(e if isinstance(e, str) else repr(float(e)) for e in radii)
    return asked


def score(real: Given, fake: Given, **options: Any) -> pd.DataFrame:
    """Score samples against a reference; its rows. The options are those of `measure_score`."""
    return measure_score(real, fake, **options).table


def measure_score(
    real: Given,
    fake: Given,
    *,
    metrics: str | Sequence[str] = (),
    features: str | Callable[..., Any] = "",
    train: Given | None = None,
    save_stats: str | None = None,
    skip_unreadable: bool = False,
    size: int | None = None,
    colours: str = "",
    weights: str | None = None,
    download: bool = False,
    batch: int = 32,
    workers: int | None = None,
    device: str = "auto",
    notify: Notify = lambda what, done, total: None,
) -> Scored:
    """Score samples against a reference: folders, files, arrays or tensors.

    The names are those of `bench score`. An array [n, d] is features as it stands, [n, h, w(, c)]
    or [n, c, h, w] images, uint8 or floats in [0, 1]. train: what the sampler was trained on, where
    that is not the reference. save_stats: an .npz file for the reference's features and
    statistics. notify: told what is being done, how much of it is done and of how much. Raises
    UsageError for what can't be used.
    """
    if save_stats is not None:
        _refuse_files({"save_stats": save_stats})
        given = [Path(x).expanduser() for x in (real, fake, train) if isinstance(x, str | Path)]
        if Path(save_stats).expanduser().resolve() in [path.resolve() for path in given]:
            raise UsageError(f"--save-stats: {save_stats} is what is to be scored: name another")
    limits = (
        ("--batch", batch, MAX_SAMPLES),
        ("--size", size, MAX_SIDE),
        ("--workers", workers, MAX_THREADS),
    )
    for option, number, most in limits:
        if number is not None and not (isinstance(number, int) and 1 <= number <= most):
            raise UsageError(f"{option}: expected 1 to {most:,}, got {number!r}")
    if colours not in ("", "grey", "rgb"):
        raise UsageError(f"--colours: expected grey or rgb, got '{colours}'")
    usercode.add_folder(Path.cwd())
    request = Request(
        real=real,
        fake=fake,
        train=train,
        features=features,
        metrics=tuple(metrics.split(",") if isinstance(metrics, str) else metrics),
        weights=weights,
        download=download,
        size=size,
        colours=colours,
        batch=batch,
        workers=workers or os.cpu_count() or 1,
        device=_device(device),
        skip_unreadable=skip_unreadable,
    )
    started = time.perf_counter()
    with guarded():
        found = measure(request, notify)
    result = scored(request, found, time.perf_counter() - started)
    if save_stats is not None:
        write_atomically(Path(save_stats).expanduser(), packed(found.real))
    return result


def check_metrics(
    *,
    features: str = "digits-cnn",
    seeds: int = 5,
    workers: int | None = None,
    notify: Notify = lambda what, done, total: None,
) -> pd.DataFrame:
    """What each score makes of faults planted in real digits, a row for each pair, with a verdict:
    sees, blind or fooled; changes or the same where arguments are swapped.
    """
    if not 2 <= seeds <= MAX_SEEDS:
        raise UsageError(f"--seeds: expected 2 to {MAX_SEEDS}, got {seeds}")
    return planted.check_metrics(features, seeds, workers or os.cpu_count() or 1, notify)


def check_gate(
    *,
    seeds: int = 10,
    workers: int | None = None,
    notify: Notify = lambda what, done, total: None,
) -> pd.DataFrame:
    """Plant regressions in a small run: a row for each with what must come of it and what came, and
    one for shuffled seeds, where nothing may.
    """
    if not gatecheck.LEAST_SEEDS <= seeds <= MAX_SEEDS:
        raise UsageError(f"--seeds: expected {gatecheck.LEAST_SEEDS} to {MAX_SEEDS}, got {seeds}")
    with gatecheck.measured(execute, seeds, workers or os.cpu_count() or 1) as made:
        return gatecheck.check_gate(made, notify)


def cite(what: str) -> str:
    """BibTeX for exactly what a run ran, or for one registered part."""
    if what.startswith(foolbox_adapter.PREFIX):
        known = foolbox_adapter.names()
        if what not in known:
            raise unknown("attack", what, known)
        return bibliography.cite([foolbox_adapter.PAPER])
    for registry in (*REGISTRIES.values(), *ALSO.values()):
        if what in registry:
            entry = registry[what]
            return bibliography.cite([entry.paper, *papers_of(getattr(entry.facts, "parts", ()))])
    _, manifest, _ = records_of(what)
    with refusing_damage(what):
        parts = [facts for axis in manifest["parts"].values() for facts in axis.values()]
        papers = [paper for facts in parts for paper in facts.get("papers", [])]
        papers += [facts.get("paper", "") for facts in manifest["metrics"].values()]
        return bibliography.cite(papers)


def env() -> pd.DataFrame:
    """Versions, devices and folders, a name and a value a row."""
    facts = environment()
    rows = {**facts.pop("versions"), **facts}
    rows["cuda"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    rows["mps"] = str(torch.backends.mps.is_available())
    rows["cache"] = str(cache_folder())
    return pd.DataFrame([{"name": name, "value": str(value)} for name, value in rows.items()])


def cache_contents() -> pd.DataFrame:
    """What the artifact store holds, by kind."""
    return pd.DataFrame(
        ArtifactStore(cache_folder()).contents(),
        columns=["kind", "artifacts", "unfinished", "bytes"],
    )


def clean() -> pd.DataFrame:
    """Empty the artifact store; what it held. Runs are left alone."""
    held = cache_contents()
    ArtifactStore(cache_folder()).empty()
    return held
