"""Numbers that tell samples apart by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

CHUNK = 65_536
"""Rows that are looked at together."""


def row_ids(points: np.ndarray) -> np.ndarray:
    """A number for each row that its values decide, whatever their type, [n]."""
    found, begun = np.empty(len(points), "<u8"), _begun(points.shape[1:])
    for start in range(0, len(points), CHUNK):
        part = slice(start, start + CHUNK)
        exact = np.ascontiguousarray(points[part], dtype=np.float64) + 0.0
        found[part] = np.frombuffer(b"".join(_digests(exact, begun)), "<u8")
    return found.astype(np.uint64)


def _digests(rows: np.ndarray, begun: Any) -> Iterator[bytes]:
    """What `content_id` makes of each row, as bytes."""
    raw, width = memoryview(rows.tobytes()), rows[0].nbytes
    for start in range(0, len(raw), width):
        digest = begun.copy()
        digest.update(raw[start : start + width])
        yield digest.digest()


def image_id(image: Tensor) -> int:
    """A number that the values of an image decide: as bytes where they are whole 255ths."""
    levels = (image * 255).round()
    whole = bool((levels - image * 255).abs().max() < 1e-3)
    return content_id((levels.to(torch.uint8) if whole else image).numpy())


def content_id(values: np.ndarray) -> int:
    """64 bits that the shape and the bytes of an array decide."""
    digest = _begun(values.shape)
    digest.update(np.ascontiguousarray(values).tobytes())
    return int.from_bytes(digest.digest(), "little")


def _begun(shape: tuple[int, ...]) -> Any:
    return hashlib.blake2b(str(shape).encode(), digest_size=8)
