"""Several runs as one: a table for each task and data set, rows of all of them in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.errors import UsageError
from results.rows import FINAL
from results.summary import label_of

Manifest = dict[str, Any]
Records = dict[str, dict[str, Any]]
MERGED = ("metrics", "primary", "published", "epsilons", "claims")


@dataclass(frozen=True)
class Part:
    """A run to be joined: by its name, what it planned, and its finished cells by key."""

    name: str
    manifest: Manifest
    records: Records


def join(parts: Sequence[Part]) -> tuple[Manifest, Records]:
    """A manifest and records as if one run had made them.

    Blocks of a task are one, of all their metrics; they stay apart where some run has several on
    one data set, and where a data set of one name is another's in content. A cell that several runs
    have (same key, same code) stands there once; of one that other code measured each has a row.
    Rows that would have the same label are told apart by their run. Raises UsageError for the same
    run twice.
    """
    twice = [name for name, count in Counter(part.name for part in parts).items() if count > 1]
    if twice:
        raise UsageError(f"the run {twice[0]} is named twice: expected each once")
    several = {task for part in parts for task in _several(part)}
    other = _other_code(parts)
    blocks: dict[tuple[Any, ...], Manifest] = {}
    cells: dict[tuple[str, str], Manifest] = {}
    records: Records = {}
    data: dict[tuple[Any, ...], str] = {}
    for place, part in enumerate(parts):
        names = {block["name"]: block for block in part.manifest["blocks"]}
        for cell in part.manifest["cells"]:
            block = names[cell["block"]]
            at: tuple[Any, ...] = (block["task"], block["name"] if block["task"] in several else "")
            dataset = (*at, cell["parts"].get("dataset", ""))
            same = data.setdefault(dataset, cell["fingerprint"]) == cell["fingerprint"]
            at = at if same else (*at, part.name)
            merged = _block(blocks, at, block, part.name if not same else "")
            key = f"{cell['key']}#{place}" if cell["cell_id"] in other else cell["key"]
            told = {**cell, "block": merged["name"], "key": key, "from": part.name}
            cells.setdefault((merged["name"], key), told)
            record = part.records.get(cell["key"])
            if record is not None and records.get(key, {}).get("status") not in FINAL:
                records[key] = {**record, "key": key}
    alike = _told_apart(_swept([*cells.values()]))
    return _manifest(parts, [*blocks.values()], alike), records


def _several(part: Part) -> Iterable[str]:
    """The tasks of which a run has more than one block on some data set."""
    tasks = {block["name"]: block["task"] for block in part.manifest["blocks"]}
    pairs = {
        (tasks[cell["block"]], cell["parts"].get("dataset", ""), cell["block"])
        for cell in part.manifest["cells"]
    }
    counts = Counter((task, dataset) for task, dataset, _ in pairs)
    return (task for (task, _), count in counts.items() if count > 1)


def _other_code(parts: Sequence[Part]) -> set[str]:
    """The cells that runs have measured differently: by other code, on another device."""
    found: dict[tuple[str, int], set[tuple[str, str]]] = {}
    for part in parts:
        for cell in part.manifest["cells"]:
            record = part.records.get(cell["key"])
            if record is not None:
                seen = found.setdefault((cell["cell_id"], cell["seed"]), set())
                seen.add((cell["key"], record["code"]))
    return {cell_id for (cell_id, _), ways in found.items() if len(ways) > 1}


def _block(
    blocks: dict[tuple[Any, ...], Manifest], at: tuple[Any, ...], block: Manifest, run: str
) -> Manifest:
    """The block of all runs that one of a run's goes into. run: where it is that run's alone."""
    if at not in blocks:
        taken = {known["name"] for known in blocks.values()}
        name = f"{block['name']} ({run})" if run else block["name"]
        name = name if name not in taken else f"{name} ({block['task']})"
        blocks[at] = {**block, "name": name}
        return blocks[at]
    for kind in MERGED:
        kept = blocks[at].get(kind, [])
        blocks[at][kind] = [*kept, *(one for one in block.get(kind, []) if one not in kept)]
    return blocks[at]


def _swept(cells: list[Manifest]) -> list[Manifest]:
    """Cells with all that the grid of some run varies in their block, be it theirs or not."""
    varied: dict[str, dict[str, None]] = {}
    for cell in cells:
        names = [*cell.get("swept", {}), *cell.get("unread", [])]
        varied.setdefault(cell["block"], {}).update(dict.fromkeys(names))
    found = []
    for cell in cells:
        names, settings = varied[cell["block"]], cell["settings"]
        swept = {name: settings[name] for name in names if name in settings}
        unread = [] if cell["skip"] else [name for name in names if name not in settings]
        found.append({**cell, "swept": swept, "unread": unread})
    return found


def _told_apart(cells: list[Manifest]) -> list[Manifest]:
    """Cells of the same label and of several runs that are not the same say which is whose."""
    kinds: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    for cell in cells:
        mark = cell["from"] if "#" in cell["key"] else ""
        kinds.setdefault(_place(cell), set()).add((cell["cell_id"], mark))
    return [
        {**cell, "run": cell["from"], "cell_id": _own(cell)}
        if len(kinds[_place(cell)]) > 1
        else cell
        for cell in cells
    ]


def _own(cell: Manifest) -> str:
    """The name of a cell that is not the same in another run."""
    return f"{cell['from']}: {cell['cell_id']}" if "#" in cell["key"] else cell["cell_id"]


def _place(cell: Manifest) -> tuple[str, ...]:
    return cell["block"], cell["parts"].get("dataset", ""), label_of(cell)


def _manifest(parts: Sequence[Part], blocks: list[Manifest], cells: list[Manifest]) -> Manifest:
    manifests = [part.manifest for part in parts]

    def said(name: str) -> str:
        return " + ".join(dict.fromkeys(str(manifest.get(name, "")) for manifest in manifests))

    axes: dict[str, dict[str, Any]] = {}
    for manifest in reversed(manifests):
        for axis, known in manifest.get("parts", {}).items():
            axes.setdefault(axis, {}).update(known)
    return {
        **manifests[0],
        **{name: said(name) for name in ("suite", "title", "tier", "device")},
        "blocks": blocks,
        "cells": cells,
        "parts": axes,
        "metrics": _merged(manifest["metrics"] for manifest in reversed(manifests)),
        "measured": _merged(manifest.get("measured", {}) for manifest in reversed(manifests)),
        "mixtures": _merged(manifest.get("mixtures", {}) for manifest in reversed(manifests)),
    }


def _merged(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for table in tables for name, value in table.items()}
