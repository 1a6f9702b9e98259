"""bench score: one set of samples against another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bench.score.knownreport import KnownScored
    from bench.score.report import Scored

FORMATS = ("table", "markdown", "csv", "json")


@click.command()
@click.argument("real")
@click.argument("fake")
@click.option(
    "--metrics",
    default="",
    metavar="a,b",
    help="Which of `bench list metrics`; unless told, the usual.",
)
@click.option("--features", default="", metavar="NAME", help="Which of `bench list features`.")
@click.option("--train", metavar="DATA", help="What the sampler was trained on, to find copies.")
@click.option("--save-stats", metavar="FILE.npz", help="Keep REAL's features and statistics.")
@click.option("--skip-unreadable", is_flag=True, help="Leave damaged images out, and count them.")
@click.option(
    "--size", type=int, metavar="PIXELS", help="Side of images for pixels and features of yours."
)
@click.option(
    "--colours", default="", metavar="grey|rgb", help="Bring all images to grey or to colour."
)
@click.option("--weights", metavar="FILE", help="Weights of inception, dinov2-* or clip-*.")
@click.option("--download", is_flag=True, help="Fetch the weights that the features need.")
@click.option(
    "--batch", type=int, default=32, show_default=True, help="How many images are read at once."
)
@click.option("--workers", type=int, metavar="N", help="How many threads; OMP_NUM_THREADS, or one.")
@click.option(
    "--device", default="auto", metavar="auto|cpu|cuda|mps", help="Where to compute features."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of functions that draw, and of data."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", help="How to print it."
)
def command(**options: Any) -> None:
    """Score the samples FAKE against the reference REAL.

    Each is a folder of images, an .npy, .npz or .pt file ([n, d] are features, [n, h, w(, c)]
    images), statistics that --save-stats or other tools kept, or a data set: mnist5k is its
    held-out images, mnist5k:train the others, torchvision:NAME and module:attribute likewise.
    Features of images: lite0 where it is installed, else pixels; only `inception` gives FID.

    Where REAL is a data set of points or stacks (grid25@pacgan, stack2@optdigits, or a mixture of
    yours, suite.toml:NAME), FAKE gets the scores that a suite gives, beside those of as many reals.
    """
    from bench.score.score import measure_score

    with progress("score") as notify:
        result = measure_score(
            options["real"],
            options["fake"],
            metrics=[name.strip() for name in options["metrics"].split(",") if name.strip()],
            features=options["features"],
            train=options["train"],
            save_stats=options["save_stats"],
            skip_unreadable=options["skip_unreadable"],
            size=options["size"],
            colours=options["colours"],
            weights=options["weights"],
            download=options["download"],
            batch=options["batch"],
            workers=options["workers"],
            device=options["device"],
            seed=options["seed"],
            notify=notify,
        )
    _print(result, options["form"])


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on the terminal while it lasts; nothing where there is none."""
    from rich.progress import Progress

    from bench.commands.output import console

    err = console(error=True)
    if not err.is_terminal:
        yield lambda what, done, total: None
        return
    with Progress(console=err, transient=True) as bars:
        bar = bars.add_task(what, total=None)

        def notify(what: str, done: int, total: int) -> None:
            bars.update(bar, description=what, completed=done, total=total or None)

        yield notify


def _print(result: Scored | KnownScored, form: str) -> None:
    from bench.commands.options import typed
    from bench.commands.output import print_layout
    from results.tables import as_json, markdown

    if form == "table":
        print_layout(result.layout())
        return
    for warning in result.table.attrs.get("warnings", []):
        click.echo(f"warning: {typed(warning)}", err=True)
    if form == "json":
        click.echo(as_json(result.told))
    elif form == "csv":
        click.echo(result.table.to_csv(index=False), nl=False)
    else:
        click.echo(markdown(result.layout()))
