"""The verdicts of runs into the ledger, and its page made anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.core.errors import UsageError
from results import claims
from results.ledger import page, record
from results.ledger.listing import by_runs, listed


def update(
    runs: Sequence[str],
    file: str = "",
    verdict: str = "",
    write: bool = True,
    replace: bool = False,
) -> Iterator[str]:
    """Write results/ledger.csv and docs/ledger.md of this folder; what was done, in lines. Without
    runs the page alone is made anew. Raises UsageError, and writes nothing, for a part of the
    claims, and for a verdict against a claim that says nothing of what would overturn it.
    """
    if file or verdict:
        raise UsageError("`write` is about all claims: leave `file` and `verdict` out")
    if not write:
        raise UsageError("`replace` is about what `write` writes: give both")
    new = by_runs(runs)
    advice = {(claim.file, claim.id): claim.overturned_by for claim in claims.every()}
    bare = [key for key in new if new[key]["verdict"] == "contradicted" and not advice[key]]
    if bare:
        raise UsageError(
            f"claim {bare[0][1]} of {bare[0][0]} is contradicted: say in results/published/claims/"
            f"{bare[0][0]}.csv, column overturned_by, what would overturn that"
        )
    entries, stay = record.merged(record.read(), new, replace)
    record.write(entries)
    page.write(listed(entries, claims.every()))
    yield f"ledger: {record.HERE} ({len(new) - len(stay)} verdicts written, {len(entries)} in all)"
    if stay:
        yield f"{len(stay)} stay as they are, of more seeds or steps: `replace` puts these in place"
    yield f"page: {page.HERE}"
