"""The doors of tables, suites, policies and runs: what needs no torch."""

from __future__ import annotations

import tomllib
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
from fuzz import doors, mutators
from fuzz.doors import Door, Sample
from harness import MIXTURE, SMALL

POLICY = """
alpha = 0.05
suite_share = 0.2
on_inconclusive = "pass"
primary = ["score"]

[[margin]]
metric = "score"
absolute = 0.1
relative = 0.1

[[ignore]]
model = "model1"
reason = "known"
"""


@cache
def suites() -> list[Sample]:
    text = SMALL.replace('["ring8@pacgan"]', '["ring8@pacgan", "two"]') + MIXTURE
    return [Sample("x.toml", text.encode(), mutators.toml_of(tomllib.loads(text)))]


@cache
def policies() -> list[Sample]:
    return [Sample("x.toml", POLICY.encode(), mutators.toml_of(tomllib.loads(POLICY)))]


@cache
def rows() -> pd.DataFrame:
    """A small table of a run."""
    import numpy as np
    import simulated

    values = np.random.default_rng(0).normal(size=(4, 2)).round(3)
    return simulated.rows(values)


@cache
def tables() -> list[Sample]:
    text = rows().to_csv(index=False).encode()
    return [
        Sample("x.csv", text, mutators.csv),
        Sample("x.csv", text, mutators.csv),
        Sample("x.parquet", b"", partial(doors.parquet, rows())),
    ]


@cache
def made_run() -> tuple[bytes, dict[str, bytes]]:
    """The manifest of a small finished run, and the files of its cells by name."""
    import tempfile

    from harness import cell_files, faulty_suite

    from bench.run.run import execute

    with tempfile.TemporaryDirectory() as folder:
        suite = faulty_suite(Path(folder), "several", "raises", seeds=2)
        run = execute(suite, out=f"{folder}/run").run
        cells = {
            str(path.relative_to(run.path)): path.read_bytes() for path in cell_files(run.path)
        }
        return (run.path / "manifest.json").read_bytes(), cells


@cache
def manifests() -> list[Sample]:
    return [Sample("run/manifest.json", made_run()[0], mutators.json_file)]


@cache
def cells() -> list[Sample]:
    return [Sample(f"run/{name}", content, doors.signed) for name, content in made_run()[1].items()]


def read_suite(path: Path) -> None:
    from bench.suites.schema import load_suite

    load_suite(str(path))


def read_policy(path: Path) -> None:
    from results.gate.policy import read_policy, unmatched

    policy = read_policy(str(path))
    series = rows().assign(absolute=0.1, relative=0.1).to_dict("records")
    unmatched(policy, series)
    for one in series[:2]:
        policy.margin_at(one, 1.0)
        policy.ignored(one)


def read_table(path: Path) -> None:
    """A table as a side, as a baseline, and held against itself."""
    from results.gate.baselines import about
    from results.gate.contents import contents, layout
    from results.gate.sides import read_side

    read_side(path, lambda task, metric: {})
    about(str(path))
    layout(contents(str(path)))


def read_run(path: Path) -> None:
    """All that is read of a run without torch."""
    from bench.catalogue.index import cited
    from bench.gate.compare import side_of
    from results.runs import open_run

    place = str(path.parent)
    for _ in range(2):
        open_run(place).layouts()
    cited(place)
    side_of(place)


def read_cell(path: Path) -> None:
    from results.rows import rows_of
    from results.store import RunDirectory, frame

    run = RunDirectory(path.parents[2])
    found, warned = run.read_cells([path.stem])
    assert len(found) + len(warned) == 1
    for record in found.values():
        rows_of(record)
        frame([record])


DOORS: dict[str, Door] = {
    door.name: door
    for door in (
        Door("images", 28_000, doors.images, doors.read_picture),
        Door("arrays", 10_000, doors.arrays, doors.read_pair),
        Door("samples", 14_000, doors.samples, doors.read_samples),
        Door("weights", 9_000, doors.checkpoints, doors.read_checkpoint),
        Door("code", 4_000, doors.programs, doors.read_code),
        Door("programs", 600, doors.programs, doors.read_program),
        Door("trees", 5_000, doors.trees, doors.read_tree),
        Door("suites", 8_000, suites, read_suite),
        Door("policies", 6_000, policies, read_policy),
        Door("tables", 1_500, tables, read_table),
        Door("manifests", 1_500, manifests, read_run),
        Door("cells", 5_000, cells, read_cell),
    )
}


def answer(door: Door, path: Path) -> Any:
    """None, or an error of ours; whatever else is raised passes."""
    from bench.core.errors import BenchError

    try:
        door.read(path)
    except BenchError as error:
        return error
    return None
