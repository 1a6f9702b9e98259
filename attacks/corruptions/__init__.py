"""Common corruptions, in five severities each. Importing this package registers every one."""

import sys

from attacks.corruptions.contracts import CORRUPTIONS, Corruption, CorruptionFacts
from bench.core.registry import import_all

import_all(sys.modules[__name__])

__all__ = ["CORRUPTIONS", "Corruption", "CorruptionFacts"]
