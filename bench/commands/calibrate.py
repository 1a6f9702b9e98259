"""bench calibrate: what a gate on this run would see."""

from __future__ import annotations

import click


@click.command()
@click.argument("run")
@click.option("--policy", metavar="FILE.toml", help="As for `bench compare`.")
@click.option("--new", type=click.IntRange(1), metavar="N", help="Seeds of the new part; half.")
@click.option("--splits", type=click.IntRange(10, 100_000), default=252, show_default=True)
@click.option("--write-policy", metavar="FILE.toml", help="Margins with which it would pass.")
@click.option("--json", "as_json", is_flag=True, help="Every series as a row.")
def command(
    run: str,
    policy: str | None,
    new: int | None,
    splits: int,
    write_policy: str | None,
    as_json: bool,
) -> None:
    """Deal a run's own seeds into old and new: how often would the gate err, what would it see?

    RUN: a folder, a table, or a baseline; ten seeds or more tell most.
    """
    from bench.commands.options import typed
    from bench.commands.output import print_layout, print_rows
    from bench.commands.score import progress
    from bench.gate.compare import calibration
    from results.gate.calibration import as_rows, layout

    warned: list[str] = []
    with progress("calibrate") as notify:
        found = calibration(
            run,
            policy=policy,
            new=new,
            splits=splits,
            write_policy=write_policy,
            notify=notify,
            warn=warned.append,
        )
    for text in warned:
        click.echo(f"warning: {typed(text)}", err=True)
    if as_json:
        print_rows(as_rows(found), True)
        return
    for one in found:
        print_layout(layout(one))
    if write_policy:
        click.echo(f"policy: {write_policy}")
