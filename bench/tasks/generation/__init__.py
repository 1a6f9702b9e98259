"""Tasks that train a generative model and score what it makes."""

import sys

from bench.core.registry import import_all

import_all(sys.modules[__name__])
