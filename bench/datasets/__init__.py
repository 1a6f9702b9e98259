"""Where real data come from. Importing this package registers every data set."""

import sys

from bench.core.registry import import_all
from bench.datasets.base import (
    DATASETS,
    OFFERED,
    Batches,
    Dataset,
    DatasetFacts,
    Density,
    LabelledBatches,
    Source,
)

import_all(sys.modules[__name__])

__all__ = [
    "DATASETS",
    "OFFERED",
    "Batches",
    "Dataset",
    "DatasetFacts",
    "Density",
    "LabelledBatches",
    "Source",
]
