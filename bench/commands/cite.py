"""bench cite: BibTeX."""

from __future__ import annotations

import click


@click.command()
@click.argument("what", metavar="RUN|PART")
def command(what: str) -> None:
    """BibTeX for exactly what a run ran, or for one registered part."""
    from bench.catalogue.index import cited
    from bench.commands.options import typed

    text, left_out = cited(what)
    click.echo(text)
    if left_out:
        click.echo(f"note: {typed(left_out)}", err=True)
