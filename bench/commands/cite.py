"""bench cite: BibTeX."""

from __future__ import annotations

import click


@click.command()
@click.argument("what", metavar="RUN|PART")
def command(what: str) -> None:
    """BibTeX for exactly what a run ran, or for one registered part."""
    from bench.catalogue.index import cited

    click.echo(cited(what))
