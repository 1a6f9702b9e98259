"""bench plan: what a run would do."""

from __future__ import annotations

from typing import Any

import click

from bench.commands.options import choosing, typed, view

AHEAD = ("new", "trained", "skipped")
"""States of cells that were not measured yet."""
FACTS = ("suite", "tier", "block", "task", "dataset", "model", "settings", "seed", "cell_id", "key")
FACTS += ("device", "reason", "state", "seconds", "source", "minutes", "smallest_p")
"""Columns of a plan; the others are axes that only some tasks have."""


@click.command()
@choosing
@click.option("--gpus", type=int, metavar="N", help="Of a cluster, one for a cell.")
@click.option("--json", "as_rows", is_flag=True, help="Every cell as JSON.")
def command(as_rows: bool, gpus: int | None, **options: Any) -> None:
    """The cells of a suite: what is measured, what is trained, how long the rest takes."""
    import os

    from bench import api
    from bench.commands.output import print_rows

    workers = (os.cpu_count() or 1) if options["workers"] is None else options["workers"]
    asked = {"out": options["out"], "workers": workers, "gpus": gpus}
    table = api.plan(options["suite"], **asked, **view(options))
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
    told = table.attrs["forecast"]
    minutes = 0.0 if told is None else told.seconds / 60
    on = workers if told is None else told.workers
    click.echo(
        f"{len(table)} cells, about {minutes:.1f} minutes on {on} workers{_sources(table)}; "
        f"smallest attainable p, so many seeds against as many: {table['smallest_p'].iloc[0]:.2g}"
    )
    if told is not None:
        click.echo(_gain(told))


def _sources(table: Any) -> str:
    """How much of a forecast was measured before."""
    counts = table["source"].value_counts()
    left = int(sum(counts.get(name, 0) for name in ("run", "costs", "guess")))
    known = left - int(counts.get("guess", 0))
    return f" (from measured seconds of {known} of {left} cells)" if left else ""


def _gain(told: Any) -> str:
    """The longest cell, and what more workers would gain."""
    longest = f"longest: {typed(told.longest.name)}, {told.longest.seconds / 60:.1f} minutes"
    if not told.more:
        return f"{longest}; more workers would gain nothing"
    gains = (f"{seconds / 60:.1f} on {count}" for count, seconds in told.more.items())
    return f"{longest}; more workers would take {', '.join(gains)}"
