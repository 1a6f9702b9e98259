"""Tasks about images themselves: what codes them, blends them and takes them apart."""

import sys

from bench.core.registry import import_all

import_all(sys.modules[__name__])
