"""Images from coarse to fine: pyramids, what they code and what they blend. Importing this package
registers every part.
"""

import sys

from bench.core.registry import import_all
from generative.pyramids.contracts import (
    BLENDS,
    CODERS,
    PYRAMIDS,
    Asked,
    Blend,
    BlendFacts,
    Coded,
    Coder,
    Pyramid,
    PyramidFacts,
)

import_all(sys.modules[__name__])

__all__ = [
    "BLENDS",
    "CODERS",
    "PYRAMIDS",
    "Asked",
    "Blend",
    "BlendFacts",
    "Coded",
    "Coder",
    "Pyramid",
    "PyramidFacts",
]
