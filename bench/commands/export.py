"""bench export: what a run measured, for other tools."""

from __future__ import annotations

import click


@click.command()
@click.argument("run")
@click.option("--model", multiple=True, metavar="PATTERN", help="Rows whose name fits; all.")
@click.option(
    "-o",
    "--out",
    metavar="x.csv|x.parquet|x.jsonl|card.md",
    help="Every measured value as a row, or the means as the model-index of a model card.",
)
@click.option(
    "--log",
    multiple=True,
    metavar="TRACKER[=PLACE]",
    help="Where its cells are told to instead; `bench list trackers`.",
)
def command(run: str, model: tuple[str, ...], out: str | None, log: tuple[str, ...]) -> None:
    """What RUN (a folder, or a suite) measured, in a file that other tools read, or a tracker."""
    from bench import api

    if out is None and not log:
        raise click.UsageError("expected `--out FILE` or `--log TRACKER`")
    if out is not None:
        path = api.export(run, out, model=model)
        click.echo(f"wrote {path} ({path.stat().st_size / 1e3:.0f} kB)")
    if log:
        found = api.log(run, log, model=model, warn=lambda text: click.echo(text, err=True))
        for where, count in found.items():
            click.echo(f"logged {count} cells that it had not: {where}")
