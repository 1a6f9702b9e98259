"""The page of a run, or of several: one HTML file, the same bytes for the same runs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.core.errors import visible
from results.bibliography import cite, entries
from results.pages.curves import TRACED, curves
from results.pages.going import underway
from results.pages.grids import as_script, grid, plain_grid
from results.pages.sheets import Room, drawn, seeds_of, sheets
from results.runs import Run, refusing_damage
from results.shown import Shown
from results.summary import strength_of
from results.tables import Layout, claims_layout, layouts
from results.traces import traced

HERE = Path(__file__).parent
SERVER_ROWS = 200
"""Rows of a table that stand in the page before its script runs; others come with the script."""
ROOM = 3_000_000
"""Bytes of pictures, unless told."""
AS_IS = ("image", "src", "copies")
"""Pictures, and tables that are harmless already and have lines."""
ROLES = ("ceiling", "model", "baseline", "floor", "published")


@dataclass(frozen=True)
class Extra:
    """Tables that are no run's: a comparison's verdicts. about: what stands above them."""

    title: str
    about: str
    layouts: Sequence[Layout]


def page(
    runs: Sequence[Run], extras: Sequence[Extra] = (), room: int = ROOM, live: str = ""
) -> str:
    """A page of runs side by side; of several the tables are joined, as `bench show` joins them.

    extras: further sections. room: bytes of pictures; what has none is named. live: what tells this
    state of the runs from others, for a page that asks its own address for news and shows the cells
    that are being measured; empty for none. Raises UsageError for a damaged run.
    """
    shown = Shown(runs)
    manifest, records = shown.joined
    taken: set[str] = set()
    space = Room(room)
    with refusing_damage(shown.name):
        blocks = list(_blocks(shown, taken, space))
        told = [claims_layout(judged) for run in runs if len(judged := _claims(run))]
    more = [_pictures(run, blocks, space) for run in runs]
    going = [each for run in runs for each in underway(run, Room(room))] if live else []
    data = {
        "blocks": blocks,
        "underway": going,
        "sections": [
            *({"title": "claims", "about": CLAIMS, "grid": plain_grid(t, taken)} for t in told),
            *(
                {"title": e.title, "about": e.about, "grid": plain_grid(layout, taken)}
                for e in extras
                for layout in e.layouts
            ),
        ],
        "live": live,
        "batch": SERVER_ROWS,
    }
    return _rendered(
        data=_harmless(data),
        title=_title(manifest),
        runs=[_about(run) for run in runs],
        findings=list(_findings(manifest, records)),
        pictures=[picture for each in more for picture in each],
        left=[visible(name) for name in space.refused],
        settings=list(_settings(manifest)),
        bibtex=_bibtex(manifest),
    )


CLAIMS = "What papers say of such numbers, held against these: bench ledger has every one."


def _claims(run: Run) -> Any:
    """Of the papers that its suite names; nothing where it names none."""
    named = any(block.get("claims") for block in run.manifest["blocks"])
    return run.claims() if named else ()


def _title(manifest: Mapping[str, Any]) -> str:
    return visible(manifest.get("title") or manifest.get("suite") or "runs")


def _blocks(shown: Shown, taken: set[str], room: Room) -> Iterator[dict[str, Any]]:
    """A block and data set each: its table, curves and samples."""
    manifest, records = shown.joined
    summary = shown.rows()
    known = manifest.get("parts", {}).get("dataset", {})
    primary = {each["name"]: each.get("primary", ()) for each in manifest["blocks"]}
    pairs: list[Any] = [key for key, _ in summary.groupby(["block", "dataset"], sort=False)]
    for (block, dataset), layout in zip(pairs, layouts(summary, manifest), strict=True):
        cells = [
            cell
            for cell in manifest["cells"]
            if cell["block"] == block and cell["parts"].get("dataset", "") == dataset
        ]
        facts, begin = known.get(dataset, {}), _file(f"{block}-{dataset}")
        yield {
            "id": _slug(f"{block}-{dataset}"),
            "block": visible(str(block)),
            "dataset": visible(str(dataset)),
            "about": visible(facts.get("summary", "")),
            "licence": visible(facts.get("licence", "")),
            "strength": strength_of(manifest, str(block)),
            "grid": grid(
                layout, manifest, str(dataset), cells, records, taken, primary.get(block, ())
            ),
            "curves": curves(
                manifest, str(dataset), cells, records, _noted(shown.runs, cells, records)
            ),
            "sheets": _sheets(shown.runs, str(dataset), facts, cells, room),
            "pictures": [
                {**picture, "name": picture["name"].removeprefix(begin)}
                for run in shown.runs
                for picture in drawn(run, lambda name, begin=begin: name.startswith(begin), room)
            ],
        }


def _sheets(
    runs: Sequence[Run],
    dataset: str,
    facts: Mapping[str, Any],
    cells: Sequence[dict[str, Any]],
    room: Room,
) -> dict[str, Any] | None:
    """The samples of every run's cells, of several runs one after another."""
    found = []
    for run in runs:
        mine = [{**c, "key": c["key"].partition("#")[0]} for c in cells if _is_of(c, run, runs)]
        found.append(sheets(run, dataset, facts, mine, room))
    kept = [each for each in found if each is not None]
    rows = [row for each in kept for row in each["rows"]]
    if not kept:
        return None
    return {"modes": kept[0]["modes"], "rows": rows, "seeds": seeds_of(rows)}


def _noted(
    runs: Sequence[Run], cells: Sequence[dict[str, Any]], records: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What was noted of single steps of every run's trainings."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        mine = [
            {**c, "key": c["key"].partition("#")[0]}
            for c in cells
            if _is_of(c, run, runs) and c["key"] in records
        ]
        for name, rows in traced(run, mine, TRACED).items():
            found.setdefault(name, {}).update(rows)
    return found


def _is_of(cell: Mapping[str, Any], run: Run, runs: Sequence[Run]) -> bool:
    return len(runs) == 1 or cell.get("from") == run.name


def _pictures(
    run: Run, blocks: Iterable[Mapping[str, Any]], room: Room
) -> Iterator[dict[str, Any]]:
    """What a run drew that belongs to no block and data set."""
    begins = tuple(_file(f"{each['block']}-{each['dataset']}") for each in blocks)
    yield from drawn(run, lambda name: not name.startswith(begins), room)


def _file(name: str) -> str:
    """How the file of a picture begins."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) + "-"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "block"


def _about(run: Run) -> dict[str, Any]:
    """What stands about a run at the head of its page."""
    manifest, records = run.manifest, run.records
    keys = {cell["key"] for cell in manifest["cells"]}
    counts = Counter(record["status"] for key, record in records.items() if key in keys)
    environment = manifest.get("environment", {})
    seconds = sum(record.get("seconds") or 0 for record in records.values())
    return {
        "name": visible(run.name),
        "suite": visible(str(manifest.get("suite", ""))),
        "tier": visible(str(manifest.get("tier", ""))),
        "seeds": ", ".join(map(str, manifest.get("seeds", []))),
        "device": visible(str(manifest.get("device", ""))),
        "cells": len(keys),
        "counts": dict(counts),
        "left": len(keys) - sum(counts.values()),
        "hours": seconds / 3600,
        "commit": visible(str(environment.get("commit") or "")),
        "dirty": bool(environment.get("dirty")),
        "environment": [
            (visible(str(name)), visible(str(value)))
            for name, value in _flat(environment)
            if name not in ("commit", "dirty")
        ],
        "left_out": visible(run.left_out),
        "failed": [
            (
                visible(record["cell_id"]),
                record["seed"],
                record["status"],
                visible(record["reason"]),
            )
            for record in records.values()
            if record["status"] not in ("ok", "skipped") and record["key"] in keys
        ],
    }


def _flat(environment: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in environment.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value


def _findings(
    manifest: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, str]]:
    """Diagnostics that fired, each with the cells where it did."""
    known = {**manifest.get("measured", {}), **manifest["metrics"]}
    fired: dict[str, list[str]] = {}
    for record in records.values():
        for value in record["values"]:
            if value.get("label") == "fires":
                where = f"{record['cell_id']}, seed {record['seed']}"
                fired.setdefault(value["metric"], []).append(where)
    for metric, where in fired.items():
        facts = known.get(metric, {})
        yield {
            "title": visible(facts.get("title") or metric),
            "about": visible(facts.get("estimator", "")),
            "where": visible("; ".join(dict.fromkeys(where))),
        }


def _settings(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Axis, name and what is known of every part."""
    for axis, parts in manifest.get("parts", {}).items():
        for name, facts in parts.items():
            papers = ", ".join(facts.get("papers", []))
            said = " ".join(filter(None, [facts.get("summary", ""), papers and f"({papers})"]))
            yield visible(axis), visible(name), visible(said)


def _bibtex(manifest: Mapping[str, Any]) -> str:
    """Of every part that names a paper."""
    papers = [
        paper
        for parts in manifest.get("parts", {}).values()
        for facts in parts.values()
        for paper in facts.get("papers", [])
    ]
    papers += [facts.get("paper", "") for facts in manifest["metrics"].values()]
    return cite(paper for paper in dict.fromkeys(papers) if paper in entries())


@cache
def _library() -> tuple[str, str]:
    """The library that draws, packed for a page, and the hash that a browser lets it run by."""
    import plotly

    code = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()
    # the text of an element has no other line ends, and no byte order mark
    code = code.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").encode()
    packed = base64.b64encode(gzip.compress(code, 9, mtime=0)).decode()
    return packed, hash_of(code)


def hash_of(code: bytes) -> str:
    """What a Content-Security-Policy names a script by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code).digest()).decode()}'"


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "assets"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("report.html")


def _harmless(data: Any) -> Any:
    """The same with texts that nothing in them turns round or hides."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, dict):
        return {key: value if key in AS_IS else _harmless(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_harmless(value) for value in data]
    return data


def _rendered(data: dict[str, Any], **about: Any) -> str:
    script = (HERE / "assets" / "report.js").read_text(encoding="utf-8")
    library, library_hash = _library()
    sources = {
        "script-src": f"{hash_of(script.encode())} {library_hash}",
        "style-src": "'unsafe-inline'",
    }
    sources |= {"img-src": "data: blob:", "connect-src": "'self'" if data["live"] else "'none'"}
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; " + "; ".join(
        f"{name} {source}" for name, source in sources.items()
    )
    made = _template().render(
        data=data,
        script=script,
        style=(HERE / "assets" / "report.css").read_text(encoding="utf-8"),
        library=library,
        payload=as_script(data),
        policy=policy,
        roles=ROLES,
        **about,
    )
    return made.lstrip()
