"""Series that need no seeds: the same examples under the same trained models, or under models that
came with their weights, each of which is itself what is judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from results.gate.outcomes import Change, bits, change
from results.gate.seeded import BEYOND, SAME, Tested, families
from results.gate.state import State
from results.gate.verdicts import Verdict
from results.ranks import holm

ROUNDING = 1e-9


def undetermined(state: State, place: int) -> str:
    """Why a metric that says it is deterministic is tested as if it were not, or empty."""
    pairs = state.every_pair(place)
    if not pairs or not all(old.same_input(new) for old, new in pairs):
        return "counted as seeded: not the same artifacts and examples"
    twins = [(old, new) for old, new in pairs if old.same_code(new)]
    if any(old.value != new.value for old, new in twins):
        return "counted as seeded: the same seed and code gave two values"
    if not twins and not all(old.probed for old, _ in pairs):
        return "counted as seeded: no same-seed probe has shown otherwise"
    return ""


def deterministic(state: State, place: int) -> dict[str, Any]:
    """No test: what changed beyond the absolute margin changed."""
    tolerance = state.policy.margins(state.about[place])[0]
    sign = state.sign[place]
    losses = [sign * (new.value - old.value) for old, new in state.every_pair(place)]
    loss = max(losses, key=abs)
    verdict: Verdict = "REGRESSED" if abs(loss) > tolerance else "PASS"
    return {
        **state.row(place),
        "kind": "deterministic",
        "verdict": verdict,
        "shift": sign * loss,
        "loss": loss,
        "low": loss,
        "high": loss,
        "margin": tolerance,
        "reason": f"deterministic: the largest change of {len(losses)} seeds",
    }


def paired(state: State, place: int) -> Change | None:
    """What became of the outcomes, where both sides have those of the same examples."""
    pairs = state.every_pair(place)
    chosen = bool(state.about[place]["conditional"])
    if not pairs or not all(old.paired_with(new) for old, new in pairs):
        return None
    if chosen and not state.same_model(place):
        return None  # each model has its own examples
    try:
        before, after = (
            [bits(seed.outcomes, int(seed.n)) for seed in side] for side in zip(*pairs, strict=True)
        )
    except ValueError:
        return None
    known = [
        (seed.value, found)
        for pair, *both in zip(pairs, before, after, strict=True)
        for seed, found in zip(pair, both, strict=True)
    ]
    means = ((value, np.count_nonzero(found) / max(len(found), 1)) for value, found in known)
    if any(abs(value - mean) > ROUNDING for value, mean in means):
        return None
    names = [f"{old.examples}{i if chosen else ''}" for i, (old, _) in enumerate(pairs)]
    return change(before, after, names, -int(state.sign[place]))


def paired_rows(
    state: State, found: list[tuple[int, Change]], level: float
) -> Iterator[dict[str, Any]]:
    """The rows of paired series. Where the model is the same, a change for the better is a fault
    too: nothing was trained.
    """
    for family, alpha in families(state, [place for place, _ in found], level):
        some = [item for item in found if item[0] in family]
        same = [state.same_model(place) for place, _ in some]
        p = np.array([_tails(one, both) for (_, one), both in zip(some, same, strict=True)])
        adjusted = np.stack([holm(side) for side in p.T], axis=1)
        for i, (place, one) in enumerate(some):
            tested = Tested(
                one.loss,
                one.low,
                one.high,
                state.margin(place),
                (p[i, 0], p[i, 1]),
                (adjusted[i, 0], adjusted[i, 1]),
                alpha,
                both=same[i],
            )
            row = {**state.row(place), **tested.row(state.sign[place]), "kind": "paired"}
            text = f"{one.worse} of {one.n} outcomes worse, {one.better} better (McNemar)"
            why = SAME if same[i] else BEYOND
            said = why if tested.verdict == "REGRESSED" else ""
            yield {**row, "reason": "; ".join(filter(None, [text, said]))}


def _tails(one: Change, both: bool) -> tuple[float, float]:
    """p-values that outcomes got worse, and better; both: of either, where either is a fault."""
    either = min(1.0, 2 * min(one.p_worse, one.p_better))
    return (either, either) if both else (one.p_worse, one.p_better)
