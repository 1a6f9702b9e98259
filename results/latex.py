"""A table for a paper: LaTeX with the rules of booktabs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from results.tables import Layout, Look

PACKAGES = r"% needs \usepackage{booktabs}"
LETTERS = r"% letters beyond ASCII: UTF-8 (the default) and \usepackage[T1]{fontenc}"
INTERVALS = "Mean ± half its 95 % interval, or mean (low–high) where that is cut or asymmetric: "
DAGGER = r"^{\dagger}"
GROUPS = {"baseline": "model"}
"""Roles that stand in the group of another."""


def latex(layout: Layout) -> str:
    """A table environment: caption, label, the groups of rows apart, notes under it.

    The best of a column is bold, and those that tie carry a dagger. The caption says what stands
    behind the plus-minus; everything that comes from outside is escaped.
    """
    said = f"{layout.title}. {INTERVALS}{layout.spread}" if layout.spread else layout.title
    columns = "".join("l" if i in layout.left else "r" for i in range(len(layout.heads)))
    body = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(said)}.}}",
        rf"\label{{tab:{slug(layout.name or layout.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(escaped(head) for head in layout.heads),
        *_rows(layout),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(layout.notes),
        r"\end{table}",
    ]
    text = "\n".join(body)
    return "\n".join([PACKAGES, *([] if text.isascii() else [LETTERS]), text])


def _rows(layout: Layout) -> Iterator[str]:
    previous = None
    for i, (row, role) in enumerate(zip(layout.rows, layout.roles, strict=True)):
        group = GROUPS.get(role, role)
        if group != previous:
            yield r"\midrule"
        previous = group
        yield _line(cell(*pair, layout.look(i, j)) for j, pair in enumerate(row))


def _line(cells: Iterable[str]) -> str:
    """A line whose begin no rule or line end before it can take for its argument."""
    line = " & ".join(cells)
    shield = "{}" if line.lstrip().startswith(("[", "*")) else ""
    return rf"{shield}{line} \\"


def _notes(notes: list[str]) -> Iterator[str]:
    if notes:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
        yield from (rf"{escaped(note)}\par" for note in notes)
        yield r"\end{minipage}"


def cell(value: str, spread: str, look: Look) -> str:
    """A value with its interval: a plus-minus in mathematics where it is symmetric."""
    dagger, shown = DAGGER if look.mark == "tied" else "", escaped(value)
    bold = rf"\textbf{{{shown}}}" if look.mark == "best" else ""
    if look.half:
        unit = f" {escaped(look.unit)}" if look.unit else ""
        number = rf"{bold}${{}}" if bold else rf"${value.replace('−', '-')}{dagger}"
        return rf"{number} \pm {look.half}${unit}"
    number = bold or (f"{shown}${dagger}$" if dagger else shown)
    return f"{number} ({escaped(spread)})" if spread else number


def slug(text: str) -> str:
    """Letters, digits and single hyphens: what a label may consist of."""
    return re.sub("[^A-Za-z0-9]+", "-", text).strip("-")


_TEX = {
    "\\": r"\textbackslash{}",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "·": r"$\cdot$",
    "‖": r"$\|$",
    "†": r"$^{\dagger}$",
    "ε": r"$\varepsilon$",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\N{NO-BREAK SPACE}": "~",
}


def escaped(text: str) -> str:
    """Text as LaTeX prints it literally; a character that its fonts lack, by its code point."""
    pairs = zip(" " + text, text, strict=False)
    shown = "".join("{}-" if pair == ("-", "-") else _letter(pair[1]) for pair in pairs)
    return shown.replace(r" \%", r"\,\%")


def _letter(letter: str) -> str:
    if letter in _TEX:
        return _TEX[letter]
    if letter.isascii():
        return letter if letter.isprintable() else " "
    if "À" <= letter <= "ſ" and unicodedata.category(letter).startswith("L"):
        return letter
    return f"U+{ord(letter):04X}"
