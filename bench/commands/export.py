"""bench export: what a run measured, for other tools."""

from __future__ import annotations

import click


@click.command()
@click.argument("run")
@click.option("--model", multiple=True, metavar="PATTERN", help="Rows whose name fits; all.")
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="x.csv|x.parquet|x.jsonl|card.md",
    help="Every measured value as a row, or the means as the model-index of a model card.",
)
def command(run: str, model: tuple[str, ...], out: str) -> None:
    """What RUN (a folder, or a suite) measured, in a file that other tools read."""
    from bench import api

    path = api.export(run, out, model=model)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e3:.0f} kB)")
