"""bench clean: the cache of trained models."""

from __future__ import annotations

import click


@click.command()
@click.option("--yes", is_flag=True, help="Empty it without asking.")
def command(yes: bool) -> None:
    """Show what the cache of trained models holds and empty it. Runs are left alone."""
    from bench import api
    from bench.commands.output import print_rows

    held = api.cache_contents()
    print_rows(held, False)
    if held.empty:
        click.echo("nothing to empty")
        return
    if not yes and not click.confirm("delete all of it? models are trained again when needed"):
        click.echo("nothing was deleted")
        return
    busy = api.clean().attrs["busy"]
    click.echo("emptied" + (f", but for {busy} that are being trained" if busy else ""))
