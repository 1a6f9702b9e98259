"""bench plot: a picture of a run for a paper."""

from __future__ import annotations

import click


@click.command()
@click.argument("run")
@click.option("-o", "--out", required=True, metavar="x.pdf|x.svg|x.png", help="The file.")
@click.option(
    "--picture",
    default="intervals",
    show_default=True,
    metavar="KIND",
    help="intervals, or one of those that a run draws: curves, radii, samples, way, along, ...",
)
@click.option("--metrics", multiple=True, metavar="A,B", help="Of these; the table's.")
@click.option("--models", multiple=True, metavar="A,B", help="Rows whose names fit; all.")
@click.option("--block", default="", metavar="NAME", help="Of this block, where there are several.")
@click.option("--dataset", default="", metavar="NAME", help="On these data, likewise.")
@click.option("--width", type=float, default=0.0, metavar="INCHES", help="Of the whole picture.")
def command(
    run: str,
    out: str,
    picture: str,
    metrics: tuple[str, ...],
    models: tuple[str, ...],
    block: str,
    dataset: str,
    width: float,
) -> None:
    """Draw one picture of RUN (a folder, or a suite): means with 95 % intervals, or any of the
    pictures that a run keeps, of chosen models and metrics, to the width of a page.
    """
    from bench import api
    from bench.commands.options import each

    path = api.plot(
        run,
        out,
        picture=picture,
        metrics=each(metrics),
        models=each(models),
        block=block,
        dataset=dataset,
        width=width,
    )
    click.echo(f"wrote {path} ({path.stat().st_size / 1e3:.0f} kB)")
