"""The built-in suites' tables as they are in their files. Standard library only."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

SUITES = Path(__file__).parent


def names() -> list[str]:
    """The built-in suites."""
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def rows() -> list[dict[str, Any]]:
    """Each suite's name, title, description and tiers."""
    fields = ("name", "title", "description", "tiers")
    tables = [tomllib.loads((SUITES / f"{n}.toml").read_text(encoding="utf-8")) for n in names()]
    return [{field: table[field] for field in fields} for table in tables]
