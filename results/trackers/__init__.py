"""Where people keep their curves: trackers that finished cells are logged to."""

import sys

from bench.core.registry import import_all
from results.trackers.contracts import TRACKERS, Logged, Tracker

import_all(sys.modules[__name__])

__all__ = ["TRACKERS", "Logged", "Tracker"]
