"""bench show: the table of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("table", "markdown", "csv", "latex", "json")


@click.command()
@click.argument("run")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def command(run: str, form: str) -> None:
    """Means with 95 % intervals, seeds, statuses, published rows; the best in bold where the seeds
    tell it from all others. RUN: a folder, or a suite.
    """
    from bench import api

    summary, manifest = api.summary_of(run)
    judged = api.claims(run)
    with api.refusing_damage(run):
        _print(summary, manifest, judged, form)


def _print(
    summary: pd.DataFrame, manifest: dict[str, Any], judged: pd.DataFrame, form: str
) -> None:
    from bench.commands.output import print_layout
    from results import tables
    from results.latex import latex

    if form == "json":
        click.echo(tables.as_json(summary))
    elif form == "csv":
        click.echo(tables.as_csv(summary), nl=False)
    else:
        write = {"markdown": tables.markdown, "latex": latex}.get(form)
        for layout in tables.every_layout(summary, manifest, judged):
            if write is None:
                print_layout(layout)
            else:
                click.echo(write(layout))
