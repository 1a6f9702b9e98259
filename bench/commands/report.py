"""bench report: a run, or several, as one HTML file."""

from __future__ import annotations

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--output", default="report.html", show_default=True, metavar="FILE")
@click.option(
    "--pictures",
    type=click.FloatRange(0, 1_000),
    default=3.0,
    show_default=True,
    metavar="MB",
    help="Room for pictures.",
)
def command(runs: tuple[str, ...], output: str, pictures: float) -> None:
    """Tables to sort and filter, charts, samples, claims, settings: a file that needs no network.
    RUN: a folder, a suite, a table or a baseline; several stand side by side, of two the page says
    what changed.
    """
    from bench import api
    from bench.commands.options import typed

    path = api.report(*runs, output=output, pictures=pictures)
    click.echo(f"wrote {typed(str(path))} ({path.stat().st_size / 1e6:.1f} MB)")
