"""Text for people, and rows for machines."""

from __future__ import annotations

import sys
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.table import Table

from results.tables import Layout, as_json

PIPED_WIDTH = 150
STYLES = {"ceiling": "green", "floor": "dim", "baseline": "cyan", "published": "italic"}


def console(error: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough where there is none."""
    stream = sys.stderr if error else sys.stdout
    return Console(stderr=error, width=None if stream.isatty() else PIPED_WIDTH, highlight=False)


def print_layout(layout: Layout) -> None:
    """A layout as a table: the value, and under it the interval."""
    table = Table(title=layout.title, title_justify="left", title_style="bold", pad_edge=False)
    for index, head in enumerate(layout.heads):
        table.add_column(head, justify="right" if index else "left", overflow="fold")
    previous = None
    for row, role in zip(layout.rows, layout.roles, strict=True):
        if previous is not None and role != previous:
            table.add_section()
        previous = role
        cells = [f"{value}\n[dim]{spread}[/dim]" if spread else value for value, spread in row]
        table.add_row(*(cell.replace("[", "\\[", 1) if i == 0 else cell
                        for i, cell in enumerate(cells)), style=STYLES.get(role))  # fmt: skip
    out = console()
    out.print(table)
    for note in layout.notes:
        out.print(note, style="dim", markup=False)


def print_rows(table: pd.DataFrame, as_rows: bool) -> None:
    """A plain table, or JSON rows."""
    if as_rows:
        click.echo(as_json(table))
        return
    out = Table(pad_edge=False)
    for name in table.columns:
        out.add_column(str(name), overflow="fold")
    for _, row in table.iterrows():
        out.add_row(*(_text(value) for value in row))
    console().print(out, markup=False)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return "" if value is None else str(value).replace("[", "\\[")
