"""How a cell of one kind is measured. Importing this package registers every task and part."""

import sys

from bench.core.registry import discover, import_all
from bench.tasks.base import (
    TASKS,
    Bench,
    Measurement,
    Resolved,
    SamplingTask,
    Task,
    Value,
)

import_all(sys.modules[__name__])
discover()

__all__ = ["TASKS", "Bench", "Measurement", "Resolved", "SamplingTask", "Task", "Value"]
