"""Scores: arrays in, numbers out. Importing this package registers every metric."""

import sys

from bench.registry import import_all
from metrics.contracts import METRICS, Metric, MetricFacts, Score
from metrics.rules import RULES, Rule
from metrics.tally import ModeTally, ModeTruth, tally, truth

import_all(sys.modules[__name__])

__all__ = [
    "METRICS",
    "RULES",
    "Metric",
    "MetricFacts",
    "ModeTally",
    "ModeTruth",
    "Rule",
    "Score",
    "tally",
    "truth",
]
