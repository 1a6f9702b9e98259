"""Paired outcomes: the same examples, the same trained model, before and after."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from results.statistics import wilson


@dataclass(frozen=True)
class Change:
    """Of n outcomes, how many got worse and how many better. p_worse, p_better: exact, one-sided.

    loss: the share lost; low, high: its bounds, from Wilson's intervals of both shares over the
    examples there are, however many seeds saw them; cautious.
    """

    n: int
    worse: int
    better: int
    p_worse: float
    p_better: float
    loss: float
    low: float
    high: float


def bits(packed: str, n: int) -> np.ndarray:
    """Outcomes as bool [n]. Raises ValueError where they are not so many."""
    try:
        raw = np.frombuffer(b64decode(packed, validate=True), np.uint8)
    except Error as error:
        raise ValueError(f"outcomes are no base64: {error}") from None
    if len(raw) != (n + 7) // 8:
        raise ValueError(f"expected the outcomes of {n} examples, got {8 * len(raw)}")
    return np.unpackbits(raw, count=n).astype(bool)


def change(
    old: Sequence[np.ndarray], new: Sequence[np.ndarray], examples: Sequence[str], sign: int
) -> Change:
    """What became of outcomes, [n] for each seed; sign: +1 where a set bit is good.

    McNemar's exact test (1947). Seeds that share their examples count as one draw of them: an
    example goes with its net change, so that one example cannot count several times.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for i, (name, bits_of) in enumerate(zip(examples, old, strict=True)):
        groups.setdefault((name, len(bits_of)), []).append(i)
    nets, worse, better = [], 0, 0
    for places in groups.values():
        before, after = (np.stack([side[i] for i in places]) for side in (old, new))
        down, up = (before & ~after, after & ~before)[::sign]
        nets.append(up.sum(0, dtype=int) - down.sum(0, dtype=int))
        worse, better = worse + int(down.sum()), better + int(up.sum())
    n = sum(len(one) for one in old)
    net = np.concatenate(nets)
    down, up = int((net < 0).sum()), int((net > 0).sum())
    lost, won = _bounds(worse / n, len(net)), _bounds(better / n, len(net))
    return Change(
        n,
        worse,
        better,
        _tail(down, up),
        _tail(up, down),
        (worse - better) / n,
        lost[0] - won[1],
        lost[1] - won[0],
    )


def _bounds(share: float, n: int) -> tuple[float, float]:
    at = wilson(share, n)
    return at.low or 0.0, 1.0 if at.high is None else at.high


def _tail(count: int, others: int) -> float:
    """That so many of all discordant examples went one way: the tail of a fair binomial."""
    total = count + others
    return float(bdtrc(count - 1, total, 0.5)) if count else 1.0
