"""bench claims: what papers claimed, held against what was measured."""

from __future__ import annotations

import click

FORMATS = ("table", "markdown", "csv", "json")


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--file", default="", metavar="NAME", help="The claims of one file, such as pacgan.")
@click.option("--verdict", default="", metavar="V", help="One verdict's, such as contradicted.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option(
    "--write", is_flag=True, help="Put the verdicts into results/ledger.csv and the page."
)
@click.option(
    "--replace", is_flag=True, help="Also where the ledger's rest on more seeds or steps."
)
def command(
    runs: tuple[str, ...], file: str, verdict: str, form: str, write: bool, replace: bool
) -> None:
    """What papers claimed, each with its verdict here: by the committed ledger, or by RUNs
    (folders, suites, tables, baselines), which need not name the claims: their rows are enough.
    """
    from bench.commands.output import print_layout
    from results import tables
    from results.ledger.layouts import layout
    from results.ledger.listing import judged_alone, ledger
    from results.ledger.update import update

    if write or replace:
        for line in update(runs, file, verdict, write, replace):
            click.echo(line, err=True)
        runs = ()
    listed = ledger(runs, file, verdict)
    if runs and not verdict:
        every, listed = len(listed), judged_alone(listed)
        if every > len(listed):
            left = every - len(listed)
            click.echo(f"note: {left} claims are about rows that are not there", err=True)
    if form == "json":
        click.echo(tables.as_json(listed))
    elif form == "csv":
        click.echo(tables.as_csv(listed), nl=False)
    elif form == "markdown":
        click.echo(tables.markdown(layout(listed)))
    else:
        print_layout(layout(listed))
