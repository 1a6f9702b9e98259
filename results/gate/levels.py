"""How the error rate of a gate is shared out among its tests."""

from __future__ import annotations

from dataclasses import dataclass

from results.gate.policy import Policy

PAIRED_SHARE = 0.2


@dataclass(frozen=True)
class Levels:
    """How the gate's error rate is shared out among its tests."""

    paired: float
    series: float
    joint: float


def share_out(policy: Policy, paired: int, seeded: int, least_p: float) -> Levels:
    """paired, seeded: how many primary series are tested so; least_p: the smallest p-value that the
    seeds can give. Holm's tests get nothing where they cannot fire, nor the joint test beside one
    series alone.
    """
    alpha = policy.alpha
    for_paired = 0.0 if not paired else alpha if not seeded else alpha * PAIRED_SHARE
    rest = alpha - for_paired
    joint = rest * policy.suite_share
    if seeded <= 1:
        return Levels(for_paired, rest, 0.0)
    if least_p * seeded > rest - joint:
        return Levels(for_paired, 0.0, rest)
    return Levels(for_paired, rest - joint, joint)
