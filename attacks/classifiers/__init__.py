"""Classifiers to attack. Importing this package registers every one."""

import sys

from attacks.classifiers.contracts import (
    CLASSIFIERS,
    AnyClassifier,
    Classifier,
    ClassifierFacts,
    Decoder,
    Defended,
    Ensemble,
    Prior,
    Ready,
)
from bench.core.registry import import_all

import_all(sys.modules[__name__])

__all__ = [
    "CLASSIFIERS",
    "AnyClassifier",
    "Classifier",
    "ClassifierFacts",
    "Decoder",
    "Defended",
    "Ensemble",
    "Prior",
    "Ready",
]
