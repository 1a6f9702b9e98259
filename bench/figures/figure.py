"""bench figure: a figure that teaches, as a table of its numbers and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError, unknown
from bench.core.files import user_path, write_atomically
from bench.core.threads import with_threads
from bench.figures import FIGURES, Shown
from generative.training import settings_of, told
from results.pictures.figures import FORMATS, as_file

DPI = 150


@dataclass(frozen=True, eq=False)
class Illustrated:
    """A figure: its table, and its picture."""

    name: str
    shown: Shown
    tolerance: float

    @property
    def table(self) -> pd.DataFrame:
        """Columns where, quantity, value, expected: NaN where no closed form says it."""
        return self.shown.table

    def picture(self, suffix: str = ".png") -> bytes:
        """As a .png, a .pdf or an .svg: equal bytes for an equal figure."""
        return as_file(self.shown.draw(), suffix, DPI)

    def _repr_png_(self) -> bytes:
        return self.picture()


@checked()
def figure(
    name: str, out: str | None = None, settings: Mapping[str, Any] = MappingProxyType({})
) -> Illustrated:
    """A registered figure, computed now. out: a file to draw it to, .png, .pdf or .svg. settings:
    of the figure's own, by name. Raises UsageError for what can't be drawn or written.
    """
    entry = FIGURES[name]
    own = settings_of(entry.part)
    for setting in settings:
        if setting not in own:
            raise unknown(f"setting of figure {name}", setting, list(own))
    if out is not None and user_path(out).suffix.lower() not in FORMATS:
        raise UsageError(f"`out`: expected a name that ends in {', '.join(FORMATS)}, got '{out}'")
    lesson = told(entry.part, dict(settings))
    with with_threads():
        found = Illustrated(name, lesson.show(), entry.facts.tolerance)
    if out is not None:
        path = user_path(out)
        write_atomically(path, found.picture(path.suffix.lower()))
    return found
