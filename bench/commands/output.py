"""Text for people, and rows for machines."""

from __future__ import annotations

import sys
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.commands.options import typed
from bench.core.errors import PipeClosedError, visible
from results.fitting import column_groups, fitted, head_width
from results.tables import Layout, as_json

PIPED_WIDTH = 190
STYLES = {"ceiling": "green", "floor": "dim", "baseline": "cyan", "published": "italic"}
STYLES |= {"REGRESSED": "red", "FAILED": "red", "INCOMPARABLE": "magenta", "IMPROVED": "green"}


def console(error: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough where there is none."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return _Console(stderr=error, width=width, highlight=False, emoji=False)


class _Console(Console):
    """A console that leaves a closed pipe to the command line."""

    def on_broken_pipe(self) -> None:
        raise PipeClosedError


def print_layout(layout: Layout, *, wide: bool = True) -> None:
    """A layout as a table: the value, and under it the interval.

    Where the columns do not fit, several tables stand under one another, each with the first
    column; unless it is wide, the columns that fit, on a terminal.
    """
    out = console()
    if not wide and out.is_terminal:
        layout = fitted(layout, out.width)
    out.print(layout.title, style="bold", markup=False)
    for columns in column_groups(layout, out.width) if layout.heads else ():
        out.print(_table(layout, columns))
    for note in layout.remarks:
        out.print(typed(note), style="dim", markup=False)


def _table(layout: Layout, columns: list[int]) -> Table:
    table = Table(pad_edge=False)
    for i in columns:
        head = layout.heads[i]
        justify = "left" if i in layout.left else "right"
        table.add_column(Text(head), justify=justify, min_width=head_width(head))
    previous = None
    for row, role in enumerate(layout.roles):
        if previous is not None and role != previous:
            table.add_section()
        previous = role
        table.add_row(*(_cell(layout, row, i) for i in columns), style=STYLES.get(role))
    return table


def _cell(layout: Layout, row: int, column: int) -> Text:
    """A value, bold where it is the best, and its interval under it."""
    value, spread = layout.text(row, column)
    bold = "bold" if layout.look(row, column).mark == "best" else ""
    return Text.assemble((value, bold), (f"\n{spread}" if spread else "", "dim"))


def print_rows(table: pd.DataFrame, as_rows: bool) -> None:
    """A plain table, or JSON rows."""
    if as_rows:
        click.echo(as_json(table))
        return
    out = Table(pad_edge=False)
    for name in table.columns:
        out.add_column(str(name), overflow="fold")
    for _, row in table.iterrows():
        out.add_row(*(Text(_text(value)) for value in row))
    console().print(out)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return "" if value is None else visible(value)
