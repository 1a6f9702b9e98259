"""bench merge: parts of a run, measured apart, as one run."""

from __future__ import annotations

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--out", required=True, metavar="DIR", help="A new folder.")
def command(runs: tuple[str, ...], out: str) -> None:
    """Put parts of a run together (`bench run --shard I/N`): every cell once, tables and pictures
    as if one machine had measured it. Parts of another plan, and cells that two of them measured to
    different values, are refused before anything is written.
    """
    from bench import api
    from bench.commands.options import typed

    made = api.merge(
        *runs, out=out, warn=lambda text: click.echo(f"warning: {typed(text)}", err=True)
    )
    cells = {cell["key"] for cell in made.manifest["cells"]}
    click.echo(f"{len(made.records)} of {len(cells)} cells: bench show {typed(made.name)}")
