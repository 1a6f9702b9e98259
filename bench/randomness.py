"""Random streams by hash: what they are for decides them, never who asked first."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream_seed(*purpose: str | int) -> int:
    """A 63-bit seed from the parts of a purpose, such as ("data", "ring8@pacgan", 0)."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in purpose)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(*purpose: str | int, device: str = "cpu") -> torch.Generator:
    """A torch.Generator of its own for one purpose."""
    return torch.Generator(device=device).manual_seed(stream_seed(*purpose))


@contextmanager
def forked(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python; put them back afterwards.

    Layer initialisation, dropout and libraries without a generator argument draw from these.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)
