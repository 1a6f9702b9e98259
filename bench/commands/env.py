"""bench env: what this installation is."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_rows", is_flag=True, help="Rows as JSON.")
def command(as_rows: bool) -> None:
    """Versions, devices, and what the cache holds."""
    from bench import api
    from bench.commands.output import print_rows

    print_rows(api.env(), as_rows)
    if not as_rows:
        print_rows(api.cache_contents(), False)
