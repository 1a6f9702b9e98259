"""Tasks that attack a classifier and ask what is left of it."""

import sys

from bench.core.registry import import_all

import_all(sys.modules[__name__])
