"""Scores: arrays in, numbers out. Importing this package registers every metric."""

import sys

from bench.core.registry import import_all
from metrics.contracts import METRICS, Metric, MetricFacts, Score
from metrics.judges import JUDGES, Judge, Reading
from metrics.readings import StackTally, StackTruth, tally_stacks, truth_of
from metrics.rules import RULES, Rule
from metrics.tally import ModeTally, ModeTruth, tally, truth

import_all(sys.modules[__name__])

__all__ = [
    "JUDGES",
    "METRICS",
    "RULES",
    "Judge",
    "Metric",
    "MetricFacts",
    "ModeTally",
    "ModeTruth",
    "Reading",
    "Rule",
    "Score",
    "StackTally",
    "StackTruth",
    "tally",
    "tally_stacks",
    "truth",
    "truth_of",
]
