"""PNG files of 16 bits a channel in colour, or with transparency: Pillow would cut them to 8.

libpng, as torchvision calls it, ends the process where the pixels of a file are damaged: so they
are unpacked and counted here first, and it is given nothing but them.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {2: 3, 4: 2, 6: 4}
"""By the colour type of the head."""
ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2))
ADAM7 += ((0, 1, 1, 2),)
"""Of each pass of an interlaced file: the first column and the step to the next, and of rows."""
FILTERS = 4
"""The highest number of a filter."""


def deep_colours(path: Path) -> np.ndarray | None:
    """uint16 [h, w] or [h, w, 3] of such a file; None of every other PNG file. Raises ValueError or
    zlib.error for a damaged one.
    """
    with path.open("rb") as file:
        depth, kind = file.read(26)[24:26]
    if depth < 16 or kind == 0:
        return None
    content = np.frombuffer(bytearray(_pixels_alone(path.read_bytes())), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision is about to hand its decoders to torchcodec
        from torchvision.io import ImageReadMode, decode_png

        found = decode_png(torch.from_numpy(content), ImageReadMode.UNCHANGED).numpy()
    return found[0] if len(found) < 3 else np.moveaxis(found[:3], 0, -1)


def _pixels_alone(content: bytes) -> bytes:
    """A PNG file with the head and the pixels of another, which are all there."""
    parts = list(_chunks(content))
    heads = [body for kind, body in parts if kind == b"IHDR"]
    if len(heads) != 1 or parts[0][0] != b"IHDR" or len(heads[0]) != 13:
        raise ValueError("expected one head of a PNG file")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", heads[0])
    if depth != 16 or kind not in CHANNELS or interlaced > 1 or not width or not height:
        raise ValueError(f"a PNG file of {depth} bits and colour type {kind}")
    rows = _rows(width, height, 2 * CHANNELS[kind], bool(interlaced))
    expected = sum(rows)
    packed = b"".join(body for kind, body in parts if kind == b"IDAT")
    pixels = zlib.decompressobj().decompress(packed, expected)
    if len(pixels) < expected:
        raise ValueError(f"its pixels are cut: {len(pixels):,} bytes of {expected:,}")
    starts = [0, *accumulate(rows)][:-1]
    if max(pixels[start] for start in starts) > FILTERS:
        raise ValueError("its pixels are filtered in an unknown way")
    made = ((b"IHDR", heads[0]), (b"IDAT", zlib.compress(pixels, 0)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, body) for kind, body in made)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kinds and contents of a file's parts. Raises ValueError for one that was changed."""
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        body, told = content[at + 8 : at + 8 + size], content[at + 8 + size : at + 12 + size]
        if kind in (b"IHDR", b"IDAT") and struct.pack(">I", zlib.crc32(kind + body)) != told:
            raise ValueError(f"its part {kind.decode()} is cut or was changed")
        yield kind, body
        at += 12 + size


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _rows(width: int, height: int, pixel: int, interlaced: bool) -> list[int]:
    """How many bytes each row takes, with that of its filter, in the order of the file."""
    if not interlaced:
        return [1 + width * pixel] * height
    found = []
    for left, across, top, down in ADAM7:
        columns, rows = -((left - width) // across), -((top - height) // down)
        found += [1 + columns * pixel] * rows if columns > 0 and rows > 0 else []
    return found
