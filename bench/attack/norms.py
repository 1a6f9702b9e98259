"""One attack in several norms, and the worst case of them image by image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np
import pandas as pd
from jaxtyping import Bool

from attacks.norms import NORMS
from bench.attack.evaluate import Evaluation
from bench.attack.report import Attacked, Report, npz
from bench.attack.verdict import Verdict, with_verdicts
from bench.core.errors import UsageError, unknown
from bench.tasks.base import Value
from bench.tasks.robustness.base import with_bits
from bench.tasks.values import value_of
from metrics.robustness import share
from results.statistics import wilson
from results.store import frame
from results.tables import Layout, radius_text

ANY = "any"
"""What rows call the worst case of all norms."""
WORDS = ("weak", "doubtful", "unaudited", "fine")
"""Verdicts, the worst first."""


@final
@dataclass(frozen=True, eq=False)
class AttackedInNorms(Report):
    """The reports of one attack in several norms, of the same images."""

    members: tuple[Attacked, ...]

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        return tuple(member.evaluation for member in self.members)

    @property
    def evaluation(self) -> Evaluation:
        """That of the first norm."""
        return self.members[0].evaluation

    @cached_property
    def robust(self) -> Bool[np.ndarray, " n"]:
        """Which images withstood the largest radius of every norm."""
        return np.logical_and.reduce([made.robust for made in self.evaluations])

    @property
    def subject(self) -> str:
        return self.members[0].subject

    @property
    def rows(self) -> pd.DataFrame:
        return self.table

    @cached_property
    def table(self) -> pd.DataFrame:
        """The rows of every norm, then those of any."""
        tables = [*(member.table for member in self.members), self._any]
        whole = pd.concat(tables, ignore_index=True)
        notes = list(dict.fromkeys(note for made in self.evaluations for note in made.notes))
        whole.attrs = {"verdict": self.verdict.word, "said": self.verdict.said, "notes": notes}
        return whole

    @cached_property
    def _any(self) -> pd.DataFrame:
        first = self.members[0]
        right = first.evaluation.right
        bits = {"robust_accuracy": self.robust, "attack_success": ~self.robust[right]}
        values = [self._value(name, found) for name, found in bits.items()]
        norms = ",".join(made.asked.settings.norm for made in self.evaluations)
        settings = {"norms": norms, "images": len(right)}
        record = {**first.record, "settings": settings, "values": [asdict(v) for v in values]}
        keys = "".join(member.record["key"] for member in self.members)
        record["key"] = hashlib.sha256(keys.encode()).hexdigest()
        return frame([record | {"cell_id": f"{first.record['cell_id']}?norm={ANY}"}])

    def _value(self, name: str, bits: Bool[np.ndarray, " n"]) -> Value:
        value = replace(value_of(name, share(bits)), norm=ANY, label=self.where)
        return with_bits(value, bits, self.evaluation.examples)

    @property
    def where(self) -> str:
        """The largest radius of each norm, as `epsilons` takes them."""
        made = self.evaluations
        return " ".join(
            f"{one.asked.settings.norm}:{radius_text(one.largest or 0)}" for one in made
        )

    @property
    def verdict(self) -> Verdict:
        """The worst of any norm, and what is said of each."""
        found = [member.verdict for member in self.members]
        norms = [made.asked.settings.norm for made in self.evaluations]
        lines = (f"{n}: {line}" for n, v in zip(norms, found, strict=True) for line in v.lines)
        return Verdict(min((v.word for v in found), key=WORDS.index), tuple(lines))

    @property
    def told(self) -> pd.DataFrame:
        own = with_verdicts(self._any, self.evaluation, self.verdict)
        tables = [*(member.told for member in self.members), own]
        return pd.concat(tables, ignore_index=True)

    def layouts(self) -> Iterator[Layout]:
        """Those of each norm, then the worst case of them."""
        for member in self.members:
            yield from member.layouts()
        rows = [
            [
                (made.asked.settings.norm, ""),
                (radius_text(made.largest or 0), ""),
                _cell(made.robust),
            ]
            for made in self.evaluations
        ]
        rows.append([("any norm", ""), ("", ""), _cell(self.robust)])
        roles = [*["model"] * (len(rows) - 1), "floor"]
        note = "any norm: right before, and at every radius of every norm"
        yield Layout(
            "worst case over norms", ["norm", "ε", "robust accuracy % ↑"], rows, roles, [note]
        )

    def adversarials(self) -> bytes:
        return npz(self.members)


def _cell(bits: Bool[np.ndarray, " n"]) -> tuple[str, str]:
    at = wilson(float(bits.mean()), len(bits))
    assert at.low is not None
    assert at.high is not None
    return f"{100 * at.mean:.1f}", f"{100 * at.low:.1f}–{100 * at.high:.1f}"


def asked_norms(norm: Any, epsilons: Any) -> dict[str | None, Any]:
    """The radii of each norm that is asked for, None where none are given; a norm of None is the
    attack's usual one. norm: a text with commas between, or several. epsilons: radii, or each with
    its norm, such as linf:8/255, or a table of them. Raises UsageError for what does not say which
    radii are of which norm.
    """
    parts = norm.split(",") if isinstance(norm, str) else (norm or ())
    named = list(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))
    for one in named:
        if one not in NORMS:
            raise unknown("norm", one, NORMS)
    radii, plain = _told_apart(epsilons)
    if not radii:
        if plain and len(named) > 1:
            raise UsageError(
                f"`epsilons`: {plain[0]} is of which norm? expected them with their norms, such as "
                f"{named[0]}:8/255 and {named[1]}:0.5"
            )
        return {one: tuple(plain) or None for one in named or [None]}
    if plain:
        raise UsageError(f"`epsilons`: expected all with their norms or none, got {plain[0]} alone")
    for one in radii:
        if one not in NORMS:
            known = ", ".join(NORMS)
            raise UsageError(f"`epsilons`: expected one of {known} before the colon, got '{one}'")
        if named and one not in named:
            said = ",".join(named)
            raise UsageError(f"`epsilons`: {one} has radii and is no norm of {said}: add it there")
    return {one: tuple(radii.get(one, ())) or None for one in named or radii}


def _told_apart(epsilons: Any) -> tuple[dict[str, list[Any]], list[Any]]:
    """Radii by norm, and those without."""
    if isinstance(epsilons, Mapping):
        return {str(name): [*_several(some)] for name, some in epsilons.items()}, []
    radii: dict[str, list[Any]] = {}
    plain: list[Any] = []
    for one in _several(epsilons):
        norm, colon, rest = one.partition(":") if isinstance(one, str) else ("", "", one)
        (radii.setdefault(norm.strip(), []) if colon else plain).append(rest if colon else one)
    return radii, plain


def _several(given: Any) -> Sequence[Any]:
    if given is None:
        return ()
    return given if isinstance(given, tuple | list) else (given,)
