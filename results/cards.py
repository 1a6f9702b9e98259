"""A run as the metadata of a model card: the `model-index` that a hub of models reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pandas as pd

from bench.core.errors import UsageError
from results.frames import column, pick

KINDS = {
    "mixture": "unconditional-sample-generation",
    "stack": "unconditional-image-generation",
    "image": "unconditional-image-generation",
    "translation": "image-to-image",
    "text-to-image": "text-to-image",
    "inpainting": "image-to-image",
    "attack": "image-classification",
    "audit": "image-classification",
    "bracket": "image-classification",
}
"""What a hub calls the task of a row; others keep our name."""


def card(summary: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """YAML front matter with an entry for each measured model: every mean, with its interval, how
    many seeds it is over, task and data set. Values are plain numbers; what has none is left out.
    Raises UsageError where nothing has.
    """
    there = (column(summary, "source") == "measured") & ~pd.isna(column(summary, "value"))
    measured = pick(summary, there)
    if measured.empty:
        raise UsageError("nothing was measured that a card could tell: expected a finished cell")
    lines = ["---", "model-index:"]
    for model, rows in measured.groupby("model", sort=False):
        lines += [f"- name: {_text(model)}", "  results:"]
        for key, part in rows.groupby(["block", "dataset"], sort=False):
            block, dataset = cast(tuple[str, str], key)
            lines += _result(block, dataset, cast(pd.DataFrame, part), manifest)
    return "\n".join([*lines, "---", ""])


def _result(
    block: str, dataset: str, part: pd.DataFrame, manifest: Mapping[str, Any]
) -> Iterator[str]:
    task = next(known["task"] for known in manifest["blocks"] if known["name"] == block)
    yield f"  - task: {{type: {_text(KINDS.get(task, task))}, name: {_text(f'{task} ({block})')}}}"
    yield f"    dataset: {{type: {_text(dataset)}, name: {_text(dataset)}}}"
    yield "    metrics:"
    for row in part.to_dict("records"):
        facts = manifest["metrics"].get(row["metric"], {})
        yield f"    - type: {_text(row['metric'])}"
        yield f"      name: {_text(_named(row, facts))}"
        yield f"      value: {json.dumps(float(row['value']))}"


def _named(row: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """A metric's title, at which radius, over how many seeds, with its interval."""
    title = facts.get("title") or row["metric"]
    at = "" if pd.isna(row["epsilon"]) else f" at {row['epsilon']:g}"
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    inside = "" if pd.isna(row["low"]) else f", 95 % {row['low']:.4g} to {row['high']:.4g}"
    return f"{title}{at} ({seeds}{inside})"


def _text(value: object) -> str:
    """A text as YAML: a JSON string is one."""
    return json.dumps(str(value), ensure_ascii=True)
