"""Where real data come from. Importing this package registers every data set."""

import sys

from bench.datasets.base import (
    DATASETS,
    Batches,
    Dataset,
    DatasetFacts,
    Density,
    LabelledBatches,
    Source,
)
from bench.registry import import_all

import_all(sys.modules[__name__])

__all__ = ["DATASETS", "Batches", "Dataset", "DatasetFacts", "Density", "LabelledBatches", "Source"]
