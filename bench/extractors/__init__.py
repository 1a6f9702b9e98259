"""What turns images into features. Importing this package registers every extractor."""

import sys

from bench.core.registry import import_all
from bench.extractors.base import EXTRACTORS, Extractor, Loading, Reader, Seen

import_all(sys.modules[__name__])

__all__ = ["EXTRACTORS", "Extractor", "Loading", "Reader", "Seen"]
