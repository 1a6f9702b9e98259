"""bench sample: what a trained model draws, as a picture, an array or a folder of images."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from bench.commands.options import split


@click.command()
@click.argument("run")
@click.option("--model", metavar="M", help="A model of the run.")
@click.option("--dataset", metavar="D", help="Which data set, where the run trained it on several.")
@click.option("--block", metavar="B", help="Which block, where it has several settings.")
@click.option("--seed", type=int, metavar="S", help="Seed of the training; the run's first.")
@click.option(
    "--only",
    multiple=True,
    metavar="SETTING=VALUE",
    help="Which of several trainings, such as critic_lr=1e-4 of a sweep.",
)
@click.option("-n", "count", type=int, default=64, show_default=True, help="How many samples.")
@click.option("--class", "label", type=int, metavar="C", help="Samples of this class alone (cgan).")
@click.option("--interpolate", is_flag=True, help="Ways from one code to another, 8 images each.")
@click.option(
    "--arithmetic", metavar="7-1+4", help="A sum of classes, each the mean of three codes."
)
@click.option(
    "--level",
    type=int,
    metavar="K",
    help="Coarse image, residual and sum at a level (lapgan); of a caption, stage 0 (stackgan).",
)
@click.option(
    "--mixing", type=int, metavar="K", help="Styles of rows, of columns from layer K on (style)."
)
@click.option("--codes", is_flag=True, help="All of a plane of codes, of a model with latent=2.")
@click.option(
    "--truncation",
    metavar="B[,B...]",
    help="Codes within a bound, or psi (style); of several, precision against recall.",
)
@click.option(
    "--caption",
    metavar="WORDS",
    help='What to draw, such as "a thin upright seven" (suite text-to-image).',
)
@click.option("--to", metavar="WORDS", help="The way from the caption to this one, 8 images each.")
@click.option(
    "--traverse",
    type=int,
    metavar="K",
    help="A row for each category of codes, their number K from -1 to 1 across (infogan).",
)
@click.option(
    "--film",
    is_flag=True,
    help="The training frame by frame (of a run with --set film=60); --model A,B side by side.",
)
@click.option(
    "--weights", metavar="FILE", help="Weights to take: those that -o x.safetensors gave."
)
@click.option("--trust", is_flag=True, help="Import the code of yours that the run names.")
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="grid.png|x.npy|FOLDER|x.safetensors|x.pt|x.webp",
    help="What to write: a sheet, an array, a file for each image, the model's weights, or its "
    "generator as TorchScript of codes, a film (.webp, .gif, .mp4).",
)
def command(**options: Any) -> None:
    """Samples of a trained model of RUN (a folder, or a suite): a grid, an array, or PNG files.

    Without --model, images of data in the place of RUN: mnist5k (held out), mnist5k:train, a
    folder, an .npz file, torchvision:NAME.
    """
    from bench import api
    from bench.sample.sample import PROGRAM, WEIGHTS

    run, model, out = (options.pop(name) for name in ("run", "model", "out"))
    options["only"] = [split("--only", text) for text in options["only"]]
    if options.pop("film"):
        _film(run, model, out, options)
        return
    count, bounds = options.pop("count"), _bounds(options.pop("truncation"))
    if len(bounds) > 1:
        _curve(run, model, bounds, count, out, options)
        return
    drawn = api.sample(
        run, model, n=count, out=out, truncation=bounds[0] if bounds else None, **options
    )
    if out.lower().endswith((WEIGHTS, PROGRAM)):
        what = "weights" if out.lower().endswith(WEIGHTS) else "generator"
        click.echo(f"the {what} of {model}: {out}")
        return
    what = f"samples of {model}" if model else f"images of {run}"
    click.echo(f"{len(drawn)} {what}: {out}")


def _film(run: str, model: str | None, out: str, options: dict[str, Any]) -> None:
    """A film of one model, or of several side by side."""
    from bench import api
    from bench.core.errors import UsageError

    others = ("label", "interpolate", "arithmetic", "codes", "level", "mixing", "caption", "to")
    for name in (*others, "traverse", "weights", "truncation"):
        if options[name] is not None and options[name] is not False:
            raise UsageError(f"--film shows a training: leave --{name} out")
    if not _is_usual("count"):
        raise UsageError("--film shows the samples that a run has kept: leave -n out")
    if model is None:
        raise UsageError("--model: whose training?")
    names = [name.strip() for name in model.split(",") if name.strip()]
    where = {name: options[name] for name in ("dataset", "block", "seed", "only", "trust")}
    path = api.film(run, names, out, **where)
    click.echo(f"the training of {', '.join(names)}: {path} ({path.stat().st_size / 1e3:.0f} kB)")


def _is_usual(option: str) -> bool:
    """Whether nobody said it."""
    return click.get_current_context().get_parameter_source(option) == ParameterSource.DEFAULT


def _curve(
    run: str,
    model: str | None,
    bounds: list[float],
    count: int,
    out: str,
    options: dict[str, Any],
) -> None:
    """Scores of several truncations: a table to stdout, the curve to a file."""
    from bench import api
    from bench.core.errors import UsageError

    others = ("interpolate", "arithmetic", "codes", "level", "mixing", "caption", "traverse")
    if any(options[name] is not None and options[name] is not False for name in (*others, "label")):
        told = ", ".join(f"--{name}" for name in (*others, "truncation"))
        raise UsageError(f"expected one of {told}")
    if model is None:
        raise UsageError("--model: which one? (a data set has no codes to look at)")
    usual = _is_usual("count")
    where = {name: options[name] for name in ("dataset", "block", "seed", "only", "trust")}
    table = api.truncations(run, model, bounds, n=1_000 if usual else count, out=out, **where)
    click.echo(table.pivot(index="truncation", columns="metric", values="value").to_string())
    click.echo(f"precision against recall: {out}", err=True)


def _bounds(given: str | None) -> list[float]:
    from bench.core.errors import UsageError

    try:
        bounds = [] if given is None else [float(part) for part in given.split(",")]
    except ValueError:
        bounds = [-1.0]
    if any(not bound > 0 for bound in bounds):
        raise UsageError(f"--truncation: expected bounds above 0 such as 0.5,1,2, got '{given}'")
    return bounds
