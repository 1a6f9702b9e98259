"""How cells are run: one after the other here, or in processes of their own."""

import sys

from bench.executors.base import EXECUTORS, Executor
from bench.registry import import_all

import_all(sys.modules[__name__])

__all__ = ["EXECUTORS", "Executor"]
