"""Whatever is in a file, the answer is a result or an error that names it, and never a path
outside the run directory.
"""

from __future__ import annotations

import copy
import hashlib
import json
import tomllib
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pytest
from harness import MIXTURE, SMALL, bench, cell_files, faulty_suite, record, value
from hypothesis import HealthCheck, given, settings

from bench import api
from bench.core.errors import BenchError, UsageError
from bench.run.plan import Plan, folder_of, make_plan, view_of
from bench.run.run import execute, plan_of
from bench.suites import builtin as tomlsuites
from bench.suites.grid import parse_seeds
from bench.suites.schema import Suite, load_suite, parse_suite
from results.rows import rows_of
from results.store import BODY, HEAD, RunDirectory, frame

DEFAULT = 100
EXAMPLES = [DEFAULT, pytest.param(2_000, marks=pytest.mark.slow)]
TABLE = tomllib.loads(SMALL.replace('["ring8@pacgan"]', '["ring8@pacgan", "two"]') + MIXTURE)

PATHS = ["../../x", "/etc/passwd", "..", "a/../../b", "~/x", "x\0y", "C:\\x", "a" * 300]
WORDS = ["", "*", "gan", "mixture", "two", "math:pi", ":", "a:b", "standard", "é", "\n", *PATHS]
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**70), 10**400, 10**9]),
    st.floats(),
    st.sampled_from([1e308, -1e-320]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.sampled_from(WORDS), st.text(max_size=10))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), inner, max_size=3),
    ),
    max_leaves=8,
)


def fuzz(examples: int, *strategies: Any):
    """Run a check on so many examples; few ones are the same each time."""
    profile = settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples <= DEFAULT,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    def run(check: Any) -> None:
        profile(given(*strategies)(check))()

    return run


def places(node: Any, path: tuple = ()) -> list[tuple]:
    """The path of every entry of a nested table."""
    children = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, child in children:
        found.append((*path, key))
        if isinstance(child, dict | list):
            found += places(child, (*path, key))
    return found


@st.composite
def mutated(draw: Any, base: Any) -> Any:
    """A nested table in which some entries were replaced, removed, renamed or added."""
    table = copy.deepcopy(base)
    for _ in range(draw(st.integers(1, 3))):
        known = places(table)
        if not known:
            break
        *path, last = draw(st.sampled_from(known))
        node = table
        for step in path:
            node = node[step]
        action = draw(st.sampled_from(["replace", "replace", "remove", "rename", "add"]))
        if action == "replace":
            node[last] = draw(VALUES)
        elif action == "remove":
            del node[last]
        elif isinstance(node, dict):
            name = draw(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)))
            node[name] = node.pop(last) if action == "rename" else draw(VALUES)
        else:
            node.append(draw(VALUES))
    return table


@st.composite
def mangled(draw: Any, base: bytes) -> bytes:
    """Bytes with a few cut out, repeated, replaced or put in."""
    content = bytearray(base)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        content[start:end] = draw(
            st.one_of(st.binary(max_size=6), st.just(bytes(content[start:end]) * 2))
        )
    return bytes(content)


def attempt(work: Callable[[], Any]) -> Any:
    """What a piece of work gives, or None where it is refused in one line."""
    try:
        return work()
    except UsageError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1
    return None


def planned(suite: Suite) -> None:
    """A suite is planned for one seed, or refused; the plan stays where it belongs."""

    def plan_and_describe() -> Plan:
        made = make_plan(suite, view_of(suite, seeds=(0,)))
        made.manifest()
        return made

    plan = attempt(plan_and_describe)
    if plan is None:
        return
    folder = folder_of(suite, plan.view.tier, None)
    assert ".." not in folder.parts
    assert folder.parts[0] == "runs"
    assert len(folder.parts) == 3
    for cell in plan.cells:
        assert RunDirectory(folder).cell_path(cell.key).is_relative_to(folder)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_mutated_tables_are_suites_or_refused(examples):
    @fuzz(examples, mutated(TABLE))
    def check(table: Any) -> None:
        suite = attempt(lambda: parse_suite(table, "mine.toml"))
        if suite is not None:
            planned(suite)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_mutated_mixtures_are_mixtures_or_refused(examples):
    @fuzz(examples, mutated(TABLE["mixture"][0]))
    def check(mixture: Any) -> None:
        table = {**TABLE, "mixture": [mixture]}
        suite = attempt(lambda: parse_suite(table, "mine.toml"))
        if suite is not None:
            planned(suite)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_values_that_are_no_table_are_refused(examples):
    @fuzz(examples, VALUES)
    def check(table: Any) -> None:
        with pytest.raises(UsageError):
            parse_suite(table, "mine.toml")


@pytest.mark.parametrize("examples", EXAMPLES)
def test_mangled_files_are_suites_or_refused(tmp_path, examples):
    text = (tomlsuites.SUITES / "mode-collapse.toml").read_bytes()
    path = tmp_path / "mangled.toml"

    @fuzz(examples, st.one_of(mangled(text), mangled(SMALL.encode()), st.binary(max_size=60)))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        suite = attempt(lambda: load_suite(str(path)))
        if suite is not None:
            planned(suite)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_seeds_are_read_or_refused(examples):
    @fuzz(examples, st.one_of(st.text(max_size=12), st.text("0123456789,- ", max_size=12)))
    def check(text: str) -> None:
        try:
            seeds = parse_seeds(text)
        except UsageError:
            return
        assert seeds
        assert min(seeds) >= 0
        assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_view_of_a_suite_is_planned_or_refused(examples):
    names = st.one_of(
        st.sampled_from([*WORDS, "model", "dataset", "g*", "[", "[!g]*", "steps"]),
        st.text(max_size=6),
    )
    pairs = st.lists(st.tuples(names, names), max_size=2)

    @fuzz(
        examples,
        pairs,
        st.lists(st.tuples(names, st.lists(names, max_size=2)), max_size=2),
        st.lists(st.tuples(names, st.one_of(st.booleans(), NUMBERS, names)), max_size=2),
        st.one_of(st.none(), names),
    )
    def check(only: Any, grid: Any, changes: Any, tier: Any) -> None:
        view = {"only": only, "grid": grid, "set": dict(changes), "tier": tier, "seeds": (0,)}
        plan = attempt(lambda: plan_of("smoke", **view))
        assert plan is None or plan.cells


@pytest.fixture
def run(tmp_path):
    """A small finished run."""
    report = execute(
        faulty_suite(tmp_path, "several", "raises", seeds=2), out=str(tmp_path / "run")
    )
    return report.run


@pytest.mark.parametrize("examples", EXAMPLES)
def test_mangled_cells_are_read_or_damaged(run, examples):
    path = cell_files(run.path)[0]
    whole = path.read_bytes()
    before = run.read_cell(path.stem)

    @fuzz(examples, mangled(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            assert run.read_cell(path.stem) == before
        except ValueError:
            return
        assert content == whole


@pytest.mark.parametrize("examples", EXAMPLES)
def test_signed_cells_with_other_content_are_read_or_damaged(tmp_path, examples):
    """Content that no release of ours wrote, under a digest that is right."""
    run = RunDirectory(tmp_path / "run")
    key = "a" * 64
    path = run.cell_path(key)
    path.parent.mkdir(parents=True)

    @fuzz(examples, st.one_of(mutated(record(key, values=[value(), value(step=1)])), VALUES))
    def check(content: Any) -> None:
        body = json.dumps(content).encode()
        path.write_bytes(HEAD + hashlib.sha256(body).hexdigest().encode() + BODY + body + b"}\n")
        try:
            kept = run.read_cell(key)
        except ValueError:
            return
        assert kept["key"] == key
        assert rows_of(kept) or kept["status"] == "ok"
        frame([kept])


@pytest.mark.parametrize("examples", EXAMPLES)
def test_mutated_manifests_are_shown_or_refused(run, examples):
    path = run.path / "manifest.json"
    base = json.loads(path.read_bytes())

    @fuzz(examples, mutated(base))
    def check(manifest: Any) -> None:
        path.write_text(json.dumps(manifest))
        for verb in (api.show, api.cite):
            shown = attempt(lambda verb=verb: verb(str(run.path)))
            assert isinstance(shown, pd.DataFrame | str | None)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_mutated_manifests_are_printed_or_refused(run, capfd, examples):
    path = run.path / "manifest.json"
    forms = st.sampled_from(["table", "markdown", "latex", "csv", "json"])

    @fuzz(examples, mutated(json.loads(path.read_bytes())), forms)
    def check(manifest: Any, form: str) -> None:
        path.write_text(json.dumps(manifest))
        code = bench("show", str(run.path), "--format", form)
        assert code in (0, 2), capfd.readouterr().err


@pytest.mark.parametrize("examples", EXAMPLES)
def test_mangled_manifests_are_shown_or_refused(run, examples):
    path = run.path / "manifest.json"

    @fuzz(examples, st.one_of(mangled(path.read_bytes()), st.binary(max_size=40)))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        attempt(lambda: api.show(str(run.path)))


def test_keys_in_a_manifest_never_lead_out_of_the_run(run, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    path = run.path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for key in ("../../../secret", "../" * 21 + "x", "/" * 64, "z" * 64, "A" * 64, None, 5, [], {}):
        manifest["cells"][0]["key"] = key
        path.write_text(json.dumps(manifest))
        try:
            shown = api.show(str(run.path))
        except UsageError:
            continue
        assert len(shown)


ARGUMENTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["run", "plan", "show", "list", "cite", "--suite", "smoke", "--only", "--grid", "--set",
             "--seeds", "--tier", "model=gna", "model=", "=", "steps=x", "--json", "--format", "-h",
             "--fresh", "--workers", "0", "--device", "tpu", "--out", "/dev/null", "--", "-",
             "models"]
        ),
        st.sampled_from(PATHS),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    ),
    max_size=6,
)  # fmt: skip


@pytest.mark.parametrize("examples", EXAMPLES)
def test_no_command_line_is_answered_with_a_traceback(tmp_path, monkeypatch, capfd, examples):
    """Commands that would measure for long are cut short: their answer is not looked at."""
    monkeypatch.chdir(tmp_path)

    class Begun(BenchError):
        exit_code = 77

    def begun(*arguments: Any) -> None:
        raise Begun

    monkeypatch.setattr("bench.run.run._drive", begun)

    @fuzz(examples, ARGUMENTS)
    def check(arguments: list[str]) -> None:
        arguments = [argument.replace("\0", "") for argument in arguments]
        code = bench(*arguments)
        captured = capfd.readouterr()
        assert code in (0, 2, 77), (arguments, captured.err)
        assert "Traceback" not in captured.err
        if code == 2:
            assert captured.err.strip()
