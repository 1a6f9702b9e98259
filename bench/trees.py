"""Trees of tensors as one file: safetensors, with the tree's shape as JSON in its header.

No pickle: reading a file never runs code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from bench.files import write_atomically

Tree = Any


class BrokenTreeError(ValueError):
    """The file is no tree that `save_tree` wrote, or it is cut short."""


def save_tree(path: Path, tree: Tree) -> None:
    """Write a tree of dicts (string keys), lists, tensors, numbers, strings and None."""
    tensors: dict[str, Tensor] = {}

    def outline(node: Tree) -> Any:
        if isinstance(node, Tensor):
            name = f"t{len(tensors)}"
            tensors[name] = node.detach().cpu().contiguous().clone()
            return {"tensor": name}
        if isinstance(node, dict):
            return {"dict": {str(key): outline(value) for key, value in node.items()}}
        if isinstance(node, list | tuple):
            return {"list": [outline(value) for value in node]}
        return {"leaf": node}

    shape = json.dumps(outline(tree))
    write_atomically(path, save(tensors, {"tree": shape}))


def load_tree(path: Path, device: str = "cpu") -> Tree:
    """The tree in a file. Tensors of bytes (random states) stay on the CPU.

    Raises BrokenTreeError for a file that is damaged, FileNotFoundError for none.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            shape = json.loads(file.metadata()["tree"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _fill(shape, tensors, device)
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise BrokenTreeError(f"{path.name}: {error!r}") from error


def _fill(node: dict[str, Any], tensors: dict[str, Tensor], device: str) -> Tree:
    ((kind, value),) = node.items()
    if kind == "tensor":
        tensor = tensors[value]
        return tensor if tensor.dtype == torch.uint8 else tensor.to(device)
    if kind == "dict":
        return {key: _fill(child, tensors, device) for key, child in value.items()}
    if kind == "list":
        return [_fill(child, tensors, device) for child in value]
    if kind == "leaf":
        return value
    raise BrokenTreeError(f"unknown kind of node '{kind}'")
