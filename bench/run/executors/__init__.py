"""How cells are run: one after the other here, or in processes of their own."""

import sys

from bench.core.registry import import_all
from bench.run.executors.base import EXECUTORS, Executor

import_all(sys.modules[__name__])

__all__ = ["EXECUTORS", "Executor"]
