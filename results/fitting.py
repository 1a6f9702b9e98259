"""Tables for a screen of some width: the columns that fit, the others named; one row as lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from results.tables import Layout

BORDER = 3
"""What stands between two columns."""


def head_width(head: str) -> int:
    """The letters that a head needs: it may break between words."""
    return max((len(word) for word in head.split()), default=0)


def column_groups(layout: Layout, width: int) -> list[list[int]]:
    """Columns grouped so that each group fits, the first column in all of them."""
    sizes = _sizes(layout)
    groups: list[list[int]] = [[0]]
    for i in range(1, len(sizes)):
        if sum(sizes[j] for j in groups[-1]) + sizes[i] > width - 1 and len(groups[-1]) > 1:
            groups.append([0])
        groups[-1].append(i)
    return groups


def fitted(layout: Layout, width: int) -> Layout:
    """A layout as a screen of `width` letters shows it: whole where it fits; one row as a line for
    each of its columns; else the columns of words and as many metrics as fit, in their order, and a
    note that names the others. Where no metric fits beside the words, as it is.
    """
    if sum(_sizes(layout)) <= width - 1:
        return layout
    if len(layout.rows) == 1:
        return _turned(layout)
    sizes = _sizes(layout)
    metrics = [i for i in range(1, len(sizes)) if i < len(layout.metrics) and layout.metrics[i]]
    kept = [i for i in range(len(sizes)) if i not in metrics]
    room = width - 1 - sum(sizes[i] for i in kept)
    shown: list[int] = []
    for i in metrics:
        room -= sizes[i]
        if room < 0:
            break
        shown.append(i)
    if not shown:
        return layout
    hidden = metrics[len(shown) :]
    names = ", ".join(layout.metrics[i].partition(":")[0] for i in hidden)
    told = f"not shown, for want of room: {names} (`wide` shows them, `metric` chooses)"
    return _chosen(layout, sorted([*kept, *shown]), told)


def _sizes(layout: Layout) -> list[int]:
    """The letters that each column needs, with its border."""
    return [
        max([head_width(head), *(_cell_width(layout, row, i) for row in range(len(layout.rows)))])
        + BORDER
        for i, head in enumerate(layout.heads)
    ]


def _cell_width(layout: Layout, row: int, column: int) -> int:
    return max(len(line) for line in layout.text(row, column))


def _chosen(layout: Layout, columns: Sequence[int], told: str) -> Layout:
    """Some columns of a layout, and a note."""
    return replace(
        layout,
        heads=[layout.heads[i] for i in columns],
        rows=[[row[i] for i in columns] for row in layout.rows],
        looks=[[row[i] for i in columns] for row in layout.looks],
        left=tuple(at for at, i in enumerate(columns) if i in layout.left),
        metrics=tuple(layout.metrics[i] for i in columns if i < len(layout.metrics)),
        notes=[*layout.notes, told],
    )


def _turned(layout: Layout) -> Layout:
    """A layout of one row as a line for each column but the first."""
    (row,), count = layout.rows, len(layout.heads) - 1
    return replace(
        layout,
        heads=[layout.heads[0], row[0][0]],
        rows=[[(head, ""), cell] for head, cell in zip(layout.heads[1:], row[1:], strict=True)],
        looks=[[look] * 2 for row in layout.looks for look in row[1:]],
        roles=layout.roles * count,
        ids=layout.ids * count,
        left=(0,),
        metrics=(),
    )
