"""bench compare: did quality get worse?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from results.gate.verdicts import Comparison


@click.command()
@click.argument("base")
@click.argument("new")
@click.option("--policy", metavar="FILE.toml", help="Margins, error rate, what to leave out.")
@click.option(
    "--on-inconclusive",
    type=click.Choice(("fail", "pass")),
    help="What a change does that the seeds can't judge; fail, unless the policy says pass.",
)
@click.option(
    "--only", multiple=True, metavar="AXIS=GLOB", help="Narrow both sides, as the run was narrowed."
)
@click.option("--junit", metavar="FILE.xml", help="The verdicts for a CI system.")
@click.option("--markdown", metavar="FILE.md", help="The verdicts for a job's summary.")
@click.option("--json", "as_json", is_flag=True, help="Every verdict as a row.")
def command(base: str, new: str, as_json: bool, only: tuple[str, ...], **options: Any) -> None:
    """Hold NEW against BASE: run folders, tables (.csv, .parquet), or the name of a baseline.

    Exit codes: 0 nothing got worse; 3 something regressed; 4 cells failed; 5 inconclusive, or not
    comparable.
    """
    from bench.commands.options import split
    from bench.gate.compare import comparison

    chosen = [split("--only", text) for text in only]
    found = comparison(base, new, only=chosen, **options)
    if as_json:
        from results.tables import as_json as rows_as_json

        click.echo(rows_as_json(found.rows))
    else:
        print_comparison(found)
    if found.exit_code:
        raise click.exceptions.Exit(found.exit_code)


def print_comparison(found: Comparison) -> None:
    """The tables, a line that says it all, and annotations where GitHub runs us."""
    from bench.commands.output import print_layout
    from results.gate.layouts import layouts
    from results.gate.summary import workflow_commands

    for layout in layouts(found):
        print_layout(layout)
        click.echo()
    for note in found.notes:
        click.echo(f"note: {note}")
    click.echo(headline(found))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in workflow_commands(found):
            click.echo(line)


def headline(found: Comparison) -> str:
    """The verdict in a line."""
    name = Path(found.new).name if found.new.count("/") > 3 else found.new
    return f"{found.verdict}: {name} against {found.base}: {found.counted}"
