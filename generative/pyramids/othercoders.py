"""What a pyramid's code is held against: cosines of blocks, and JPEG."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generative.pyramids.borders import padded
from generative.pyramids.contracts import CODERS, Asked, Coded, Coder
from generative.pyramids.quantising import restored, rounded, to_bytes

SIDE = 8


def cosines(side: int = SIDE) -> Tensor:
    """The orthonormal DCT-II, float64 [side, side], a row for each frequency."""
    at = torch.arange(side, dtype=torch.float64)
    found = torch.cos(math.pi / side * at[:, None] * (at + 0.5)) * math.sqrt(2 / side)
    found[0] /= math.sqrt(2)
    return found


@dataclass(frozen=True)
class BlockCosines(Coder):
    """Cosines of blocks of 8 x 8, rounded to multiples of one step.

    Each of the 64 frequencies has a code of its own. Sides that are no multiple of 8 are filled by
    their last pixels.
    """

    reads = ("step",)

    def code(self, images: Tensor, asked: Asked) -> Coded:
        n, c, h, w = images.shape
        grown = images
        for dim, side in ((2, h), (3, w)):
            lacking = -side % SIDE
            grown = padded(grown, lacking, "repeat", dim).narrow(dim, lacking, side + lacking)
        rows, columns = (side // SIDE for side in grown.shape[2:])
        blocks = grown.reshape(n, c, rows, SIDE, columns, SIDE).transpose(3, 4)
        basis = cosines().to(images)
        symbols = rounded(basis @ blocks @ basis.T, asked.step)
        decoded = basis.T @ restored(symbols, asked.step, images) @ basis
        whole = decoded.transpose(3, 4).reshape(grown.shape)[..., :h, :w]
        return Coded(whole, tuple(symbols.flatten(-2).reshape(n, -1, SIDE**2).unbind(2)))


@dataclass(frozen=True)
class Jpeg(Coder):
    """Baseline JPEG files as Pillow writes them, all their bytes counted.

    The tables of its Huffman codes are fitted to each image; the header is about 300 bytes.
    """

    reads = ("quality",)

    def code(self, images: Tensor, asked: Asked) -> Coded:
        decoded, bits = [], []
        for image in to_bytes(images[:, 0]).cpu().numpy():
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=asked.quality, optimize=True)
            bits.append(8 * file.tell())
            decoded.append(np.asarray(Image.open(file, formats=("JPEG",))))
        values = torch.from_numpy(np.stack(decoded)[:, None]).to(images)
        return Coded(values, bits=torch.tensor(bits, dtype=torch.float64, device=images.device))


CODERS.register(
    "dct8",
    paper="doi:10.1109/T-C.1974.223784",
    summary="Cosines of blocks of 8 x 8, rounded to multiples of one step",
)(BlockCosines())
CODERS.register("jpeg", paper="doi:10.1109/30.125072")(Jpeg())
