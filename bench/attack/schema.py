"""What `bench attack --json` prints, as a schema: `docs/attack-schema.json` is made of it."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from results.rows import SCHEMA_VERSION

Share = float | None


class AttackRow(BaseModel):
    """One value. What a row is not about is null, or an empty text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    schema_version: Literal[1]
    suite: Literal["attack"]
    tier: str
    task: Literal["attack"]
    series: str = Field(description="What may be compared over time: cell_id and metric@version.")
    cell_id: str = Field(description="attack/DATA/CLASSIFIER/ATTACK; with ?norm=any over norms.")
    key: str = Field(description="A sha256 over everything that was asked for.")
    artifact_key: str
    dataset: str
    dataset_fingerprint: str = Field(description="A sha256 over images and labels.")
    model: str = Field(description="The classifier as it was named, or the class of a network.")
    source_model: str
    attack: str = Field(description="An attack's name, or several with + between.")
    norm: str = Field(
        description="linf, l2, l1, l0; any: the worst case over norms; empty: of none."
    )
    epsilon: float | None = Field(description="The radius, for images in [0, 1].")
    step: int | None
    final: bool
    label: str = Field(
        description="Of class_robust_accuracy the class; of confusion LABEL>ANSWER; of a "
        "diagnostic fires, or what explains it; of norm any its radii, such as linf:8/255 l2:0.5."
    )
    settings: dict[str, str | int | float | bool | None] = Field(
        description="The attack's settings, and how many images."
    )
    seed: int
    metric: str = Field(description="Such as robust_accuracy; with its radii as NAME@0,0.1.")
    metric_version: int | None
    direction: Literal["higher", "lower", "none"] = Field(description="Which way is better.")
    value: float | None = Field(description="Shares are in [0, 1].")
    std_error: float | None
    n: int | None = Field(description="The denominator: images that the value is over.")
    status: Literal["ok"]
    reason: str
    seconds: float = Field(description="Of the whole evaluation in its norm.")
    peak_rss_mb: float
    device: str
    threads: int
    commit: str
    dirty: bool
    versions: dict[str, str]
    started_at: str = Field(description="ISO 8601, UTC.")
    outcomes: str = Field(
        description="The bits of a share, an image each: base64 of bytes, the first bit highest."
    )
    examples: str = Field(description="A digest of the images that the bits are about.")
    low: Share = Field(description="Of the 95 % interval; Wilson's of a share.")
    high: Share
    verdict: str = Field(
        description="Of an attack's figures fine, weak, doubtful or unaudited; of a diagnostic "
        "fires, explained or fine; else empty."
    )
    said: str = Field(description="Why, in words.")


class AttackRows(RootModel[list[AttackRow]]):
    """What `bench attack --json` prints on stdout: a list of rows, one a value."""


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what is printed."""
    made = AttackRows.model_json_schema()
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**about, "$comment": f"schema_version {SCHEMA_VERSION}", **made}


def schema_text() -> str:
    """The same as a file has it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
