"""Random streams by hash: what they are for decides them, never who asked first."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


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
    torch_state, numpy_state, python_state = (
        global_state(),
        np.random.get_state(),
        random.getstate(),
    )
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        set_global_state(torch_state)
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def global_state() -> list[Tensor]:
    """The states of torch's global generators: the CPU's, then each CUDA device's in use."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *cuda]


def set_global_state(states: Sequence[Tensor]) -> None:
    """Put back what `global_state` returned."""
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state_all(list(states[1:]))
