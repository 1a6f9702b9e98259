"""bench check: what the scores and the gate are worth, and whether a part keeps the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pandas as pd

    from results.tables import Layout


@click.group()
def command() -> None:
    """Check the tools, on faults that are planted; or a part, by the laws of its kind."""


@command.command()
@click.option("--features", default="digits-cnn", show_default=True, metavar="NAME", help="Which.")
@click.option("--seeds", type=click.IntRange(2, 100), default=5, show_default=True, help="Draws.")
@click.option(
    "--workers", type=click.IntRange(1, 1024), metavar="N", help="At once; OMP_NUM_THREADS, or one."
)
@click.option("--weights", metavar="FILE", help="Weights of inception, dinov2-* or clip-*.")
@click.option("--download", is_flag=True, help="Fetch the weights that the features need.")
@click.option(
    "--device", default="auto", metavar="auto|cpu|cuda|mps", help="Where to compute features."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "markdown", "csv", "json")),
    default="table",
    help="How to print it.",
)
def metrics(form: str, **options: Any) -> None:
    """Plant faults in real digits; which scores see them, which are blind, which are fooled."""
    from bench import api
    from bench.commands.output import print_layout
    from bench.commands.score import progress
    from results.tables import as_json, markdown

    with progress("check") as notify:
        found = api.check_metrics(**options, notify=notify)
    if form == "json":
        click.echo(as_json(found))
    elif form == "csv":
        click.echo(found.to_csv(index=False), nl=False)
    elif form == "markdown":
        click.echo(markdown(_layout(found)))
    else:
        print_layout(_layout(found))


@command.command()
@click.option("--seeds", type=click.IntRange(6, 100), default=10, show_default=True, help="Seeds.")
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="At once; all cores.")
@click.option("--json", "rows", is_flag=True, help="As rows.")
def gate(seeds: int, workers: int | None, rows: bool) -> None:
    """Plant regressions in a small run: they must turn the gate red, shuffled seeds must not.

    Exit code 1 where the gate is wrong.
    """
    from bench import api
    from bench.commands.output import print_rows
    from bench.commands.score import progress

    with progress("check") as notify:
        found = api.check_gate(seeds=seeds, workers=workers, notify=notify)
    print_rows(found, rows)
    if not all(found["right"]):
        raise click.exceptions.Exit(1)


@command.command()
@click.argument("name", metavar="NAME|MODULE:ATTRIBUTE")
@click.option("--kind", default="", metavar="KIND", help="Of part, where several have the name.")
@click.option("--json", "rows", is_flag=True, help="As rows.")
def part(name: str, kind: str, rows: bool) -> None:
    """Put a part to every law of its kind: a loss, an attack, a metric, a data set, a recipe, ...

    NAME is a registered one; MODULE:ATTRIBUTE is your own, in the present folder or on PYTHONPATH.
    Exit code 4 where a law is broken.
    """
    from bench import api
    from bench.commands.output import print_rows

    found = api.check_part(name, kind)
    print_rows(found, rows)
    if "broken" in set(found["verdict"]):
        raise click.exceptions.Exit(4)


def _layout(found: pd.DataFrame) -> Layout:
    """A line a score, a column a fault: the value, and under it what that means."""
    from metrics import METRICS
    from results.tables import Layout, number

    faults = list(dict.fromkeys(found["fault"]))
    rows = []
    for metric, lines in found.groupby("metric", sort=False):
        facts = METRICS[str(metric).partition("@")[0]].facts
        by_fault = {line["fault"]: line for line in lines.to_dict("records")}
        suffix = str(metric).partition("@")[2]
        head = f"{facts.title}{' %' if facts.percent else ''}"
        head += " (shifts)" if suffix == "shifts" else ""
        cells = [
            (number(by_fault[fault]["value"], vars(facts)), by_fault[fault]["verdict"])
            for fault in faults
        ]
        rows.append([(head, ""), *cells])
    about = dict(zip(found["fault"], found["about"], strict=True))
    notes = [f"{fault}: {about[fault]}" for fault in faults]
    title = "what each score makes of planted faults"
    return Layout(title, ["score", *faults], rows, ["model"] * len(rows), notes)
