"""The committed record of verdicts: a CSV, one row a claim that was judged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError, one_line
from bench.core.files import user_path, write_atomically
from results import claims
from results.judging import FOUND, JUDGED

HERE = Path("results") / "ledger.csv"
"""Where a project keeps its ledger, seen from its root."""

SHIPPED = Path(__file__).parent.parent / "ledger.csv"
NUMBERS = ("larger", "smaller", "low", "high")
COLUMNS = ("file", "id", *FOUND)
DIGITS = 6
Entry = dict[str, Any]
Key = tuple[str, str]


def place() -> Path:
    """The project's own ledger, or the one that ships with us."""
    return HERE if user_path(HERE).is_file() else SHIPPED


def read(path: Path | None = None) -> dict[Key, Entry]:
    """The entries by file and id. Raises UsageError for what is no ledger, or one that was cut."""
    path = place() if path is None else path
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [*reader]
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(one_line(f"{path} can't be read: {error}")) from error
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise UsageError(
            f"{path} is no ledger: expected the columns {', '.join(COLUMNS[:4])} ...; move it "
            "away, or work in another folder"
        )
    return {(row["file"], row["id"]): _entry(path, row) for row in rows}


def _entry(path: Path, row: dict[str, Any]) -> Entry:
    """A row with numbers for numbers."""
    try:
        if row["verdict"] not in JUDGED or None in row.values():
            raise ValueError(f"verdict {row['verdict']!r}")
        return {**row, **{name: float(row[name]) if row[name] else None for name in NUMBERS}}
    except ValueError as error:
        raise UsageError(
            one_line(f"{path}: {row['file']}, {row['id']}: {error}: was the file cut or edited?")
        ) from None


def text(entries: dict[Key, Entry]) -> str:
    """The file: entries of claims that there are, in the order of their files."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for claim in claims.every():
        entry = entries.get((claim.file, claim.id))
        if entry is not None:
            numbers = {name: _number(entry[name]) for name in NUMBERS}
            writer.writerow({**entry, **numbers, "file": claim.file, "id": claim.id})
    return out.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.{DIGITS}g}"


def write(entries: dict[Key, Entry], path: Path = HERE) -> None:
    """Replace the ledger of this project."""
    write_atomically(path, text(entries).encode())


def merged(
    old: dict[Key, Entry], new: dict[Key, Entry], replace: bool
) -> tuple[dict[Key, Entry], list[Key]]:
    """Old entries with new ones in their place, and the keys of those that stay, because they rest
    on more seeds, or on as many and more steps; unless told to replace them.
    """
    stay = [key for key in new if key in old and strength(old[key]) > strength(new[key])]
    taken = new if replace else {key: entry for key, entry in new.items() if key not in stay}
    return {**old, **taken}, [] if replace else stay


def strength(entry: Entry) -> tuple[int, int]:
    """Seeds, and the fewest steps of its rows: what an entry rests on."""
    return len(seeds(entry)), min(steps(entry), default=0)


def seeds(entry: Entry) -> list[str]:
    """Those that its interval is over."""
    return [seed for seed in str(entry["seeds"]).split(",") if seed]


def steps(entry: Entry) -> Iterable[int]:
    """Of each of its rows that is trained so."""
    for name in ("settings", "larger_settings", "smaller_settings"):
        found = json.loads(entry[name] or "{}")
        if "steps" in found:
            yield int(found["steps"])
