"""bench sample: a picture of what a trained model draws."""

from __future__ import annotations

import click


@click.command()
@click.argument("run")
@click.option("--model", required=True, metavar="M", help="A model of the run.")
@click.option("--dataset", metavar="D", help="Where the run trained it on several.")
@click.option("--block", metavar="B", help="Where the run trained it with several settings.")
@click.option("--seed", type=int, metavar="S", help="Of the training; the run's first.")
@click.option("-n", "count", type=int, default=64, show_default=True, help="How many samples.")
@click.option("-o", "--out", required=True, metavar="grid.png", help="The picture to write.")
def command(
    run: str,
    model: str,
    dataset: str | None,
    block: str | None,
    seed: int | None,
    count: int,
    out: str,
) -> None:
    """Samples of a trained model of RUN (a folder, or a suite) as a grid of images."""
    from bench import api

    drawn = api.sample(run, model, dataset=dataset, block=block, seed=seed, n=count, out=out)
    click.echo(f"{len(drawn)} samples of {model}: {out}")
