"""What a run measured, written for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.arguments import checked
from bench.core.errors import UsageError
from bench.core.files import user_path, write_atomically
from bench.report.opened import opened
from results.chosen import of_models
from results.export import WRITERS
from results.runs import refusing_damage


@checked()
def export(run: str, out: str, *, model: str | Sequence[str] = ()) -> Path:
    """Write what a run measured: every value as a row (.csv, .parquet, .jsonl), or its means as the
    `model-index` of a model card (.md). Returns where.

    run: a folder, a suite's name, a table or a baseline. model: patterns of rows as tables call
    them, all unless told. Raises UsageError for another kind of file, and a pattern that fits
    nothing.
    """
    path = user_path(out)
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        known = ", ".join(WRITERS)
        raise UsageError(f"`out`: expected a name that ends in one of {known}, got '{out}'")
    patterns = (model,) if isinstance(model, str) else tuple(model)
    whole = opened(run)
    of_models(whole.summary(), patterns)
    with refusing_damage(whole.name):
        content = write(whole, patterns)
    write_atomically(path, content)
    return path
