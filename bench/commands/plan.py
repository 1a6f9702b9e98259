"""bench plan: what a run would do."""

from __future__ import annotations

from typing import Any

import click

from bench.commands.options import choosing, typed, view

AHEAD = ("new", "trained", "skipped")
"""States of cells that were not measured yet."""
FACTS = ("suite", "tier", "block", "task", "dataset", "model", "settings", "seed", "cell_id", "key")
FACTS += ("device", "reason", "state", "minutes", "smallest_p")
"""Columns of a plan; the others are axes that only some tasks have."""


@click.command()
@choosing
@click.option("--json", "as_rows", is_flag=True, help="Every cell as JSON.")
def command(as_rows: bool, **options: Any) -> None:
    """The cells of a suite: what is measured, what is trained, how long the rest takes."""
    import os

    from bench import api
    from bench.commands.output import print_rows

    workers = (os.cpu_count() or 1) if options["workers"] is None else options["workers"]
    table = api.plan(options["suite"], out=options["out"], workers=workers, **view(options))
    if as_rows:
        print_rows(table, True)
        return
    axes = [name for name in table if name not in FACTS]
    table = table.fillna(dict.fromkeys(axes, ""))
    grouped = table.groupby(["block", "dataset", "model", *axes], sort=False)
    rows = grouped.agg(
        seeds=("seed", "count"),
        measured=("state", lambda states: sum(state not in AHEAD for state in states)),
        trained=("state", lambda states: sum(state == "trained" for state in states)),
        skipped=("reason", lambda reasons: sum(bool(reason) for reason in reasons)),
        minutes=("minutes", "sum"),
        cell=("cell_id", "first"),
    )
    print_rows(rows.reset_index(), False)
    for reason, cells in table[table["reason"] != ""].groupby("reason", sort=False):
        names = ", ".join(dict.fromkeys(cells["model"]))
        click.echo(f"skipped: {len(cells)} of {names}: {typed(str(reason))}")
    click.echo(
        f"{len(table)} cells, about {table['minutes'].sum():.1f} minutes on {workers} workers; "
        f"smallest attainable p, so many seeds against as many: {table['smallest_p'].iloc[0]:.2g}"
    )
