"""BibTeX for what was run: references.bib, looked up by arXiv number or DOI."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from bench.core.errors import unknown

FILE = Path(__file__).parent / "published" / "references.bib"


@cache
def entries() -> dict[str, str]:
    """BibTeX entries by `arXiv:...` and `doi:...`."""
    found = {}
    for entry in re.split(r"\n(?=@)", FILE.read_text(encoding="utf-8")):
        for field, prefix in (("eprint", "arXiv"), ("doi", "doi")):
            match = re.search(rf"\b{field}\s*=\s*{{([^}}]+)}}", entry)
            if match:
                found[f"{prefix}:{match.group(1)}"] = entry.strip()
    return found


def cite(papers: Iterable[str]) -> str:
    """The entries of some papers, each once, in the order given. Raises UsageError for others."""
    chosen = []
    for paper in papers:
        if paper:
            if paper not in entries():
                raise unknown("paper", paper, entries())
            chosen.append(entries()[paper])
    return "\n\n".join(dict.fromkeys(chosen))
