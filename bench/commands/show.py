"""bench show: the table of a run, or of several."""

from __future__ import annotations

import click

FORMATS = ("table", "markdown", "csv", "latex", "json")


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--along", multiple=True, metavar="SETTING", help="A column for each of its values.")
@click.option("--metric", multiple=True, metavar="NAME", help="Show this one; the suite's choice.")
@click.option("--columns", multiple=True, metavar="A,B", help="Show these: --metric for several.")
@click.option("--model", multiple=True, metavar="PATTERN", help="Rows whose name fits; all.")
@click.option("--models", multiple=True, metavar="A,B", help="--model for several.")
@click.option("--sort", default="", metavar="METRIC", help="The best of this one first.")
@click.option("--wide", is_flag=True, help="Every column, in several tables where need be.")
@click.option("--cost", is_flag=True, help="CPU seconds of training and scores as a column.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def command(
    runs: tuple[str, ...],
    along: tuple[str, ...],
    metric: tuple[str, ...],
    columns: tuple[str, ...],
    model: tuple[str, ...],
    models: tuple[str, ...],
    sort: str,
    wide: bool,
    cost: bool,
    form: str,
) -> None:
    """Means with 95 % intervals, seeds, statuses, published rows; the best in bold where the seeds
    tell it from all others. RUN: a folder, or a suite; several are joined. Along two settings there
    is a table for each model. On a terminal the columns that fit; the others are named.
    """
    from bench.commands.options import each, typed
    from bench.commands.output import print_layout
    from bench.report.show import open_shown
    from results import tables
    from results.latex import latex

    metrics, names = (*metric, *each(columns)), (*model, *each(models))
    found = open_shown(runs, along, metrics, names, sort, cost)
    for run in found.runs:
        if run.left_out:
            click.echo(f"note: {typed(run.left_out)}", err=True)
    if form == "json":
        click.echo(tables.as_json(found.rows()))
    elif form == "csv":
        click.echo(tables.as_csv(found.rows()), nl=False)
    else:
        write = {"markdown": tables.markdown, "latex": latex}.get(form)
        for layout in found.layouts():
            if write is None:
                print_layout(layout, wide=wide)
            else:
                click.echo(write(layout))
