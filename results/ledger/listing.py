"""Every claim with its verdict: of the committed record, or of runs that are asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.core.arguments import checked
from bench.core.errors import UsageError, unknown
from results import claims
from results.claims import Claim
from results.frames import among, column, pick
from results.judging import FOUND, JUDGED, VERDICTS, judged
from results.ledger.record import Entry, Key, read, strength
from results.ledger.witnesses import witness

ABOUT = ("file", "id", "paper", "source", "claim", "dataset", "published")
ADVICE = ("overturned_by", "measure")
COLUMNS = (*ABOUT, *FOUND, *ADVICE)
NUMBERS = dict.fromkeys(("larger", "smaller", "low", "high"), "float64")


@checked()
def ledger(runs: Sequence[str] = (), file: str = "", verdict: str = "") -> pd.DataFrame:
    """What papers claimed, a row each, with its verdict: by the committed record, or where `runs`
    are named (folders, suites, tables, baselines) by those alone, each claim by the one that has
    most seeds of it. `file` and `verdict` keep one file's claims, or one verdict's.

    Raises UsageError for an unknown file, verdict or run, and for a damaged one.
    """
    if file and file not in claims.names():
        raise unknown("claims", file, claims.names())
    if verdict and verdict not in VERDICTS:
        raise unknown("verdict", verdict, VERDICTS)
    if isinstance(runs, str):
        raise UsageError(f"`runs`: expected a list of runs, got the text '{runs}'")
    entries = by_runs(runs) if runs else read()
    return listed(entries, claims.load(file) if file else claims.every(), verdict)


def by_runs(runs: Iterable[str]) -> dict[Key, Entry]:
    """The entries that some runs make, each claim by the run that tells most of it."""
    found: dict[Key, Entry] = {}
    for evidence in map(witness, runs):
        for claim in claims.every():
            entry = judged(claim, evidence)
            key = claim.file, claim.id
            better = key not in found or strength(entry) >= strength(found[key])
            if entry["verdict"] in JUDGED and better:
                found[key] = {"file": claim.file, "id": claim.id, **entry}
    return found


def listed(entries: dict[Key, Entry], known: Iterable[Claim], verdict: str = "") -> pd.DataFrame:
    """Some claims with their entries; without one a claim is not measured, or not comparable."""
    rows = [_row(claim, entries.get((claim.file, claim.id))) for claim in known]
    kept = [row for row in rows if verdict in ("", row["verdict"])]
    return pd.DataFrame(kept, columns=list(COLUMNS)).astype(NUMBERS)


def judged_alone(listed: pd.DataFrame) -> pd.DataFrame:
    """The claims of a list that something was measured of."""
    return pick(listed, among(column(listed, "verdict"), JUDGED))


def _row(claim: Claim, entry: Entry | None) -> dict[str, Any]:
    found: Entry = FOUND if entry is None else entry
    if claim.not_comparable:
        found = {**FOUND, "verdict": "not comparable", "note": claim.not_comparable}
    return {
        **found,
        "file": claim.file,
        "id": claim.id,
        "paper": claim.paper,
        "source": claim.source,
        "claim": claim.text,
        "dataset": claim.dataset,
        "published": claim.printed,
        "overturned_by": claim.overturned_by,
        "measure": claim.measure,
    }
