"""How many threads torch and BLAS may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController

from bench.core.limits import MAX_THREADS

THREADS = 1
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def usual_threads() -> int:
    """As many as the user's environment says (OMP_NUM_THREADS, else MKL_NUM_THREADS), else one: a
    second one on a busy machine costs more than it gives.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        first = os.environ.get(name, "").partition(",")[0].strip()
        if first.isascii() and first.isdigit() and int(first):
            return min(int(first), MAX_THREADS)
    return THREADS


@contextmanager
def with_threads(count: int = THREADS) -> Iterator[None]:
    """So many torch and BLAS threads inside, one unless told; what it was outside.

    The variables are for libraries that are loaded inside, and read them then.
    """
    threads = torch.get_num_threads()
    variables = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    torch.set_num_threads(count)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(count)))
    try:
        with _pools(len(sys.modules)).limit(limits=count):
            yield
    finally:
        torch.set_num_threads(threads)
        for name, value in variables.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@lru_cache(maxsize=1)
def _pools(modules: int) -> ThreadpoolController:
    """The thread pools there are; looked for again when modules were imported."""
    return ThreadpoolController()
