"""bench figure: figures that teach."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.option("-o", "--out", metavar="x.png|x.pdf|x.svg", help="NAME.png if it isn't said.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the figure."
)
@click.option("--json", "as_rows", is_flag=True, help="Its numbers as JSON; draw only with -o.")
def command(name: str, out: str | None, settings: tuple[str, ...], as_rows: bool) -> None:
    """Draw the figure NAME of `bench list figures`, and print its numbers.

    Where a closed form says what a number should be, it stands beside it.
    """
    from bench import api
    from bench.commands.options import setting
    from bench.commands.output import print_layout
    from bench.figures.listing import layout_of
    from results.tables import as_json

    path = out or (None if as_rows else f"{name}.png")
    found = api.figure(name, path, dict(setting(text) for text in settings))
    if as_rows:
        click.echo(as_json(found.table))
        return
    print_layout(layout_of(found))
    click.echo(f"wrote {path}")
