"""Where to compute."""

from __future__ import annotations

import torch

from bench.core.errors import UsageError, unknown


def device_named(name: str) -> str:
    """What PyTorch calls a device: `auto` is a GPU where there is one. Raises UsageError for one
    that this machine has not.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return "cuda" if available["cuda"] else "cpu"
    if name not in available:
        raise unknown("device", name, ["auto", *available])
    if not available[name]:
        here = [known for known, there in available.items() if there]
        raise UsageError(f"device '{name}' is not there: this machine has {', '.join(here)}")
    return name
