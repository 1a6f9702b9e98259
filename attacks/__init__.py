"""Adversarial attacks: images in, images out. Importing this package registers every part."""

import sys

from attacks.contracts import (
    ATTACKS,
    UNIT,
    Attack,
    AttackFacts,
    Box,
    FixedBudget,
    MinimalNorm,
    Model,
    Ray,
)
from attacks.ensemble import Ensemble
from bench.core.registry import import_all

import_all(sys.modules[__name__])

__all__ = [
    "ATTACKS",
    "UNIT",
    "Attack",
    "AttackFacts",
    "Box",
    "Ensemble",
    "FixedBudget",
    "MinimalNorm",
    "Model",
    "Ray",
]
