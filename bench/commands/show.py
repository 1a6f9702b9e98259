"""bench show: the table of a run."""

from __future__ import annotations

import click

FORMATS = ("table", "markdown", "csv", "latex", "json")


@click.command()
@click.argument("run")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def command(run: str, form: str) -> None:
    """Means with 95 % intervals, seeds, statuses, published rows; the best in bold where the seeds
    tell it from all others. RUN: a folder, or a suite.
    """
    from bench.commands.options import typed
    from bench.commands.output import print_layout
    from results import tables
    from results.latex import latex
    from results.runs import open_run

    found = open_run(run)
    if found.left_out:
        click.echo(f"note: {typed(found.left_out)}", err=True)
    if form == "json":
        click.echo(tables.as_json(found.summary()))
    elif form == "csv":
        click.echo(tables.as_csv(found.summary()), nl=False)
    else:
        write = {"markdown": tables.markdown, "latex": latex}.get(form)
        for layout in found.layouts():
            if write is None:
                print_layout(layout)
            else:
                click.echo(write(layout))
