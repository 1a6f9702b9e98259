"""bench watch: a run's page, while it goes on."""

from __future__ import annotations

import click


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Any that is free: 0.")
def command(run: str, port: int) -> None:
    """The page of `bench report` on this machine, for itself alone: it comes anew with every
    finished cell, shows those that are being measured, and outlives the run. Ctrl-C ends it.
    """
    from bench.report.watch import watch

    watch(run, port=port, told=lambda address: click.echo(f"{address} (Ctrl-C ends it)"))
