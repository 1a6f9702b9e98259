"""A comparison as Markdown for the summary of a CI job, and as annotations beside the code."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.errors import visible
from results.frames import as_dicts
from results.gate.layouts import apart, layouts, metric, shown, what
from results.gate.verdicts import SEVERITY, Comparison
from results.tables import literal, markdown

MOST_BYTES = 1_000_000
MOST_ANNOTATIONS = 10
SIGNS = {"REGRESSED": "🔴", "FAILED": "🔴", "INCOMPARABLE": "🟠", "INCONCLUSIVE": "🟡"}


def summary(found: Comparison) -> str:
    """Markdown below GitHub's limit of one mebibyte, however large the comparison is."""
    for most in (200, 50, 10, 1):
        text = _summary(found, most)
        if len(text.encode()) < MOST_BYTES:
            return text
    return _headline(found)


def _headline(found: Comparison) -> str:
    verdict = found.verdict
    return (
        f"## {SIGNS.get(verdict, '🟢')} {verdict}\n\n{_code(found.new)} against "
        f"{_code(found.base)}: {found.counted}. Exit code {found.exit_code}.\n"
    )


def _code(name: str) -> str:
    """A name as code."""
    return "`" + visible(name).replace("`", "'") + "`"


def _summary(found: Comparison, most: int) -> str:
    parts = [_headline(found)]
    for layout in layouts(found, most):
        if layout.heads:
            parts.append(markdown(layout))
        else:
            notes = "\n".join(f"{literal(note)}  " for note in layout.notes)
            parts.append(f"**{literal(layout.title)}**\n\n{notes}\n")
    return "\n".join([*parts, *(f"{literal(visible(note))}  " for note in found.notes)])


def workflow_commands(found: Comparison) -> Iterator[str]:
    """GitHub's workflow commands, the worst ten."""
    rows = [row for row in as_dicts(found.rows) if row["level"] != "suite"]
    count, told = 0, apart(row for row in rows if row["level"] == "series")
    for row in rows:
        level = _level(row["verdict"], found.policy.on_inconclusive)
        if not level or (row["level"] == "series" and not _counts(row)):
            continue
        if count == MOST_ANNOTATIONS:
            return
        count += 1
        facts = found.facts.get(row["metric"], {})
        if row["level"] == "cell":
            title, text = f"{row['verdict']}: {row['cell_id']}", str(row["reason"])
        else:
            title = f"{row['verdict']}: {what(row, told)}, {metric(row, facts)}"
            before, after = shown(row["before"], facts), shown(row["after"], facts)
            text = f"{before} before, {after} now. {row['reason']}"
        yield f"::{level} title={_escaped(title, True)}::{_escaped(text)}"


def _counts(row: dict) -> bool:
    return bool(row["primary"]) or row["verdict"] == "INCOMPARABLE"


def _level(verdict: str, on_inconclusive: str) -> str:
    if verdict == "INCONCLUSIVE":
        return "error" if on_inconclusive == "fail" else "notice"
    return "error" if SEVERITY.index(verdict) < SEVERITY.index("INCONCLUSIVE") else ""


def _escaped(text: str, inside: bool = False) -> str:
    """As the runner wants it: line ends as codes, in a property colons and commas too."""
    out = visible(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))
    return out.replace(":", "%3A").replace(",", "%2C") if inside else out
