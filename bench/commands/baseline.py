"""bench baseline: what a run is held against."""

from __future__ import annotations

import click

from bench.commands.options import typed


@click.group()
def command() -> None:
    """Baselines: committed tables in results/baselines, each a run and the reason it was set."""


@command.command("set")
@click.argument("run")
@click.option("--reason", required=True, help="Why it changes; kept in the file.")
@click.option("--out", metavar="FILE.csv", help="results/baselines/<suite>-<tier>.csv.")
@click.option(
    "--probe/--no-probe",
    default=True,
    help="Measure once more what says it is deterministic; what is not is counted as seeded.",
)
@click.option("--all-metrics", is_flag=True, help="Keep every metric, not only those shown.")
@click.option("--trust", is_flag=True, help="Import code of yours that the run names, to probe.")
def set_(
    run: str, reason: str, out: str | None, probe: bool, all_metrics: bool, trust: bool
) -> None:
    """Make a finished run the baseline. RUN: a folder, or a suite that was run here."""
    from bench.gate.baseline import set_baseline

    def warn(text: str) -> None:
        click.echo(f"warning: {typed(text)}", err=True)

    path = set_baseline(run, reason, out, probe, all_metrics, warn, trust)
    click.echo(f"baseline: {path}")
    click.echo(f"compare: bench compare {path} RUN")


@command.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Every series as a row.")
def show(name: str, as_json: bool) -> None:
    """What a baseline holds: where from, why, and each deciding series with its margin."""
    from bench.commands.output import print_layout, print_rows
    from results.gate.baselines import about
    from results.gate.contents import contents, layout

    rows = contents(name)
    if as_json:
        print_rows(rows, True)
        return
    for key, value in about(name).items():
        if value not in ("", 0):
            click.echo(f"{key}: {value}")
    click.echo()
    print_layout(layout(rows))


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As rows.")
def list_(as_json: bool) -> None:
    """The baselines of this project, and those that ship with bench."""
    import pandas as pd

    from bench.commands.output import print_rows
    from results.gate.baselines import about, names

    found = [about(name) for name in names()]
    if not found:
        click.echo("no baselines yet: bench baseline set RUN --reason WHY")
        return
    short = ("name", "suite", "tier", "seeds", "cells", "deciding", "date", "reason")
    rows = found if as_json else [{name: row[name] for name in short} for row in found]
    print_rows(pd.DataFrame(rows), as_json)
