"""bench watch: a run's page, while it goes on."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Any that is free: 0.")
@click.option("--until-eof", is_flag=True, hidden=True, help="Until its standard input ends.")
def command(run: str, port: int, until_eof: bool) -> None:
    """The page of `bench report` on this machine, for itself alone: it comes anew with every
    finished cell, shows those that are being measured, and outlives the run. Ctrl-C ends it.
    """
    from bench.report.watch import watch

    until = sys.stdin.read if until_eof else None
    watch(
        run, port=port, told=lambda address: click.echo(f"{address} (Ctrl-C ends it)"), until=until
    )
