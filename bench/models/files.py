"""A network that a file holds whole. Nothing in it runs but arithmetic on tensors, unless the user
trusts it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError, one_line
from bench.core.files import pointer_advice
from bench.datasets.images import shown
from bench.models.programs import code_of_program, code_of_script, is_script

PROGRAMS = (".pt2", ".pt", ".ts")
WEIGHTS = (".pth", ".safetensors")
TRUST = "`trust` runs it all the same, if you know where it comes from"


def load_program(path: Path, trust: bool) -> Callable[[Tensor], Any]:
    """The network of an exported program, of TorchScript, or, where it is trusted, of a pickle.

    Raises UsageError for what can't be read, and for what would run more than its arithmetic.
    """
    if not path.is_file():
        raise UsageError(f"{shown(path)} is not there")
    script = path.suffix != ".pt2" and is_script(path)
    if path.suffix != ".pt2" and not script:
        return _pickled(path, trust)
    kind = "a TorchScript file" if script else "an exported program"
    with warnings.catch_warnings(), _silent():
        warnings.simplefilter("ignore")
        try:
            told = "" if trust else (code_of_script if script else code_of_program)(path)
            if not told and script:
                return torch.jit.load(str(path), map_location="cpu")
            if not told:
                return torch.export.load(path).module()
        except Exception as error:  # a damaged archive makes torch raise nearly anything
            raise UsageError(
                f"can't read {shown(path)}: expected {kind} ({one_line(error, 120)})"
                f"{pointer_advice(path)}"
            ) from error
    raise UsageError(
        f"{shown(path)} is a program, and more than arithmetic: {told}; nothing of it was run: "
        f"{TRUST}"
    )


def _pickled(path: Path, trust: bool) -> nn.Module:
    """A whole network that torch.save wrote. Raises UsageError unless it is trusted."""
    if advice := pointer_advice(path):
        raise UsageError(f"can't read {shown(path)}: expected a network{advice}")
    if path.suffix in WEIGHTS and not trust:
        raise UsageError(
            f"{shown(path)} holds weights without a model: name the model (module:callable, "
            f"torchvision:NAME) and give the file by `weights={path}`"
        )
    if not trust:
        raise UsageError(
            f"{shown(path)} is no TorchScript file, and what torch.save writes is a pickle that "
            "could run code: save an exported program (torch.export.save, .pt2), or name the model "
            f"and give its weights by `weights`; {TRUST}"
        )
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # whatever the code in a pickle raises
        raise UsageError(
            f"can't read {shown(path)}: {one_line(f'{type(error).__name__}: {error}', 120)}"
        ) from error
    if not isinstance(found, nn.Module):
        raise UsageError(
            f"{shown(path)} holds a {type(found).__name__}: expected a torch.nn.Module; weights go "
            "with a model's name, by `weights`"
        )
    return found


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing logged below what is critical."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
