"""The pytest fixture `bench_gate`: a suite is run and held against a baseline, in a test.

    def test_quality(bench_gate):
        bench_gate("mode-collapse", tier="quick", baseline="results/baselines/mine.csv")

pytest finds it through the entry point `pytest11`; nothing of ours is imported until it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from results.gate.verdicts import Comparison


@pytest.fixture
def bench_gate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Comparison]:
    """A function that runs a suite, compares it with a baseline, and fails the test where quality
    got worse; its result is the comparison.

    suite, tier, seeds, only, grid, set, device, workers: as for `bench.api.execute`. baseline: a
    file (from the folder where pytest was started) or a name. policy: a TOML file.
    on_inconclusive: "fail" or "pass". run: the folder of a run that is there already, in the place
    of running one.
    """

    def gate(
        suite: str,
        *,
        baseline: str | Path,
        run: str | Path | None = None,
        policy: str | Path | None = None,
        on_inconclusive: str | None = None,
        **view: Any,
    ) -> Comparison:
        from bench.core.errors import BenchError
        from bench.gate.compare import comparison

        try:
            folder = str(run) if run is not None else _measured(suite, tmp_path_factory, view)
            found = comparison(
                str(baseline),
                folder,
                policy=None if policy is None else str(policy),
                on_inconclusive=on_inconclusive,
                only=_pairs(view.get("only", ())),
            )
            text = _explained(found, suite) if found.exit_code else ""
        except BenchError as error:
            found, text = None, f"bench: {error}"
        if text or found is None:
            pytest.fail(text, pytrace=False)
        return found

    return gate


def _pairs(only: Any) -> list[tuple[str, str]]:
    return list(only.items() if isinstance(only, dict) else only)


def _measured(suite: str, folders: pytest.TempPathFactory, view: dict[str, Any]) -> str:
    """Run a suite in a folder of its own; trained models come from the cache where they are."""
    from bench.run.run import execute

    folder = str(folders.mktemp("bench") / "run")
    execute(suite, out=folder, **{"executor": "processes", **view})
    return folder


def _explained(found: Comparison, suite: str) -> str:
    """The verdicts as a failure that can be read in a terminal or a log."""
    from bench.core.errors import visible
    from results.frames import as_dicts
    from results.gate.layouts import is_shown, metric, shown, what

    lines = [f"{found.verdict}: {suite} against {found.base} (exit code {found.exit_code})", ""]
    for row in as_dicts(found.rows):
        facts = found.facts.get(row["metric"], {})
        if row["level"] == "suite":
            lines.append(f"  {row['verdict']} {row['suite']} ({row['tier']}): {row['reason']}")
        elif row["level"] == "cell":
            lines.append(f"  {row['verdict']} {row['cell_id']} seed {row['seed']:.0f}")
            lines.append(f"      {row['reason']}")
        elif is_shown(row):
            before, after = shown(row["before"], facts), shown(row["after"], facts)
            name = f"{what(row)}, {metric(row, facts)}"
            decides = "" if row["primary"] else " (not deciding)"
            lines.append(f"  {row['verdict']}{decides} {name}: {before} → {after}")
            lines += [f"      {text}" for text in _why(row, facts)]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.counts.items())
    lines = [visible(line) for line in lines]
    return "\n".join([*_cut(lines), "", f"deciding series: {counts}"])


def _why(row: dict[str, Any], facts: dict[str, Any]) -> Sequence[str]:
    from results.gate.layouts import shown

    if row["verdict"] == "INCOMPARABLE":
        return [str(row["reason"])]
    margin = f"allowed {shown(row['margin'], facts)}"
    tested = "" if row["p_adjusted"] != row["p_adjusted"] else f", p = {row['p_adjusted']:.2g}"
    return [margin + tested, *filter(None, [str(row["reason"])])]


def _cut(lines: list[str], most: int = 60) -> list[str]:
    rest = len(lines) - most
    return lines if rest <= 0 else [*lines[:most], f"  … {rest} more lines: bench compare"]
