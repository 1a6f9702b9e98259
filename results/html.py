"""A table as HTML, for a notebook."""

from __future__ import annotations

from html import escape

from results.tables import Layout

STYLE = (
    "<style>.minimax td,.minimax th{text-align:right;padding:.2em .6em}"
    ".minimax .words{text-align:left}.minimax small{display:block;opacity:.7}"
    ".minimax caption{text-align:left;font-weight:bold}.minimax .note{font-size:.85em;opacity:.8}"
    "</style>"
)


def html(layout: Layout) -> str:
    """A layout as a table: its title, the best in bold, intervals under values, notes below.

    Whatever the names in it are, they show as text.
    """
    heads = "".join(
        f'<th scope="col"{_side(layout, i)}>{escape(head)}</th>'
        for i, head in enumerate(layout.heads)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(layout, row, i) for i in range(len(layout.heads)))}</tr>"
        for row in range(len(layout.rows))
    )
    notes = "".join(f'<div class="note">{escape(note)}</div>' for note in layout.remarks)
    table = f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>" if layout.heads else ""
    caption = f"<caption>{escape(layout.title)}</caption>"
    return f'<div class="minimax"><table>{caption}{table}</table>{notes}</div>'


def _side(layout: Layout, column: int) -> str:
    return ' class="words"' if column in layout.left else ""


def _cell(layout: Layout, row: int, column: int) -> str:
    value, spread = layout.text(row, column)
    best = layout.look(row, column).mark == "best"
    told = f"<b>{escape(value)}</b>" if best else escape(value)
    under = f"<small>{escape(spread)}</small>" if spread else ""
    return f"<td{_side(layout, column)}>{told}{under}</td>"
