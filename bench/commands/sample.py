"""bench sample: what a trained model draws, as a picture, an array or a folder of images."""

from __future__ import annotations

import click


@click.command()
@click.argument("run")
@click.option("--model", metavar="M", help="A model of the run.")
@click.option("--dataset", metavar="D", help="Where the run trained it on several.")
@click.option("--block", metavar="B", help="Where the run trained it with several settings.")
@click.option("--seed", type=int, metavar="S", help="Of the training; the run's first.")
@click.option("-n", "count", type=int, default=64, show_default=True, help="How many samples.")
@click.option("-o", "--out", required=True, metavar="grid.png|x.npy|FOLDER", help="What to write.")
def command(
    run: str,
    model: str | None,
    dataset: str | None,
    block: str | None,
    seed: int | None,
    count: int,
    out: str,
) -> None:
    """Samples of a trained model of RUN (a folder, or a suite): a grid, an array, or PNG files.

    Without --model, images of a data set in the place of RUN: mnist5k, or mnist5k:train.
    """
    from bench import api

    drawn = api.sample(run, model, dataset=dataset, block=block, seed=seed, n=count, out=out)
    what = f"samples of {model}" if model else f"images of {run}"
    click.echo(f"{len(drawn)} {what}: {out}")
