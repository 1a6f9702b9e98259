"""Trees of tensors as bytes: safetensors, with the tree's shape as JSON in a tensor of its own.

No pickle: reading a file never runs code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bench.core.files import write_atomically

Tree = Any
SHAPE = "tree"


class BrokenTreeError(ValueError):
    """The file is no tree that `save_tree` wrote, or it is cut short."""


def dump(tree: Tree) -> bytes:
    """A tree of dicts (string keys), lists, tensors, numbers, strings and None, as bytes."""
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

    shape = json.dumps(outline(tree)).encode()
    tensors[SHAPE] = torch.frombuffer(bytearray(shape), dtype=torch.uint8)
    return save(tensors)


def parse(content: bytes, device: str = "cpu") -> Tree:
    """The tree that `dump` made bytes of. Random states, which are bytes, stay on the CPU.

    Raises BrokenTreeError for bytes that are no such tree.
    """
    try:
        tensors = load(content)
        shape = json.loads(tensors[SHAPE].numpy().tobytes())
        return _fill(shape, tensors, device)
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenTreeError(repr(error)) from error


def save_tree(path: Path, tree: Tree) -> None:
    """Write a tree to a file, whole or not at all."""
    write_atomically(path, dump(tree))


def load_tree(path: Path, device: str = "cpu") -> Tree:
    """The tree in a file. Raises BrokenTreeError for a damaged one, OSError for none."""
    return parse(path.read_bytes(), device)


def _fill(node: dict[str, Any], tensors: dict[str, Tensor], device: str) -> Tree:
    ((kind, value),) = node.items()
    if kind == "tensor":
        tensor = tensors[value]
        stays = tensor.dtype == torch.uint8 or (device == "mps" and tensor.dtype == torch.float64)
        return tensor if stays else tensor.to(device)
    if kind == "dict":
        return {key: _fill(child, tensors, device) for key, child in value.items()}
    if kind == "list":
        return [_fill(child, tensors, device) for child in value]
    if kind == "leaf":
        return value
    raise BrokenTreeError(f"unknown kind of node '{kind}'")
