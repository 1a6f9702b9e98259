"""bench list: what there is."""

from __future__ import annotations

import json

import click

from bench.core.errors import unknown

KINDS = (
    "suites",
    "models",
    "losses",
    "penalties",
    "constraints",
    "views",
    "terms",
    "dynamics",
    "critics",
    "generators",
    "networks",
    "protocols",
    "pyramids",
    "coders",
    "blends",
    "metrics",
    "rules",
    "datasets",
    "encoders",
    "judges",
    "features",
    "attacks",
    "certificates",
    "corruptions",
    "patches",
    "classifiers",
    "diagnostics",
    "figures",
    "trackers",
    "published",
    "zoo",
)
COLUMNS = ("name", "summary", "paper")
OF_MODELS = "on_points"
"""What models have otherwise on points, where one does."""
OF_GAMES = ("losses", "constraints", "views", "terms", "dynamics", "critics", "generators")
"""Parts whose settings are shown."""
ZOO = ("name", "status", "models", "about")
PUBLISHED = ("table", "dataset", "model", "metric", "value", "spread", "paper", "source")


@click.command()
@click.argument("kind", default="suites", metavar="[" + "|".join(KINDS) + "]")
@click.option("--json", "as_rows", is_flag=True, help="Rows as JSON.")
def command(kind: str, as_rows: bool) -> None:
    """What there is of a kind, suites by default."""
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    if kind == "suites":
        _suites(as_rows)
        return
    from bench.catalogue.index import listed
    from bench.commands.output import print_rows

    table = listed(kind)
    shown: list[str] = list({"published": PUBLISHED, "zoo": ZOO}.get(kind, COLUMNS))
    more = "settings" if kind in OF_GAMES else OF_MODELS if kind == "models" else ""
    if more in table:
        shown.append(more)
        table = table.fillna({more: ""})
    print_rows(table if as_rows else table.filter(shown), as_rows)


def _suites(as_rows: bool) -> None:
    """Without pandas and torch, for speed."""
    from bench.suites.builtin import rows

    found = rows()
    if as_rows:
        click.echo(json.dumps(found, indent=1))
        return
    for row in found:
        click.echo(f"{row['name']:<16}{row['title']}")
        for tier, facts in row["tiers"].items():
            click.echo(f"{'':<16}  {tier}: {facts['seeds']} seeds, {facts['about']}")
