"""WordPiece: words as pieces of a vocabulary, as BERT reads them (Devlin et al. 2019)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FIRST, LAST, UNKNOWN, PADDING = "[CLS]", "[SEP]", "[UNK]", "[PAD]"
INSIDE = "##"
"""Before a piece that does not begin a word."""
LONGEST = 100
"""Letters of a word; longer ones are unknown."""


@dataclass(frozen=True)
class WordPiece:
    """Reads text without case and accents. pieces: the number of each."""

    pieces: Mapping[str, int]

    def numbers(self, text: str, most: int) -> list[int]:
        """Of the first pieces of a text, between those of its ends: `most` at most in all."""
        found = [self.pieces[piece] for word in words(text) for piece in self._split(word)]
        return [self.pieces[FIRST], *found[: most - 2], self.pieces[LAST]]

    def _split(self, word: str) -> list[str]:
        """The longest piece that a word begins with, then the longest of the rest; a word that
        can't be put together so is unknown as a whole.
        """
        found, at = [], 0
        while at < len(word):
            ends = range(len(word), at, -1)
            named = (f"{INSIDE if at else ''}{word[at:end]}" for end in ends)
            piece = next((each for each in named if each in self.pieces), None)
            if piece is None or len(word) > LONGEST:
                return [UNKNOWN]
            found.append(piece)
            at += len(piece) - len(INSIDE) * bool(at)
        return found


def read_vocabulary(path: Path) -> WordPiece:
    """Of a file with a piece in each line; its number is that of the line, from 0."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return WordPiece({piece: number for number, piece in enumerate(lines) if piece})


def words(text: str) -> Iterator[str]:
    """In small letters without accents; each punctuation mark and each Chinese character is one."""
    spaced = "".join(f" {c} " if _ideograph(c) else c for c in text if not _control(c))
    plain = unicodedata.normalize("NFD", "".join(letter.lower() for letter in spaced))
    for word in "".join(c for c in plain if unicodedata.category(c) != "Mn").split():
        start = 0
        for at, letter in enumerate(word):
            if _mark(letter):
                yield from filter(None, (word[start:at], letter))
                start = at + 1
        if word[start:]:
            yield word[start:]


def _control(letter: str) -> bool:
    if letter in "\t\n\r":
        return False
    return letter == "�" or unicodedata.category(letter).startswith("C")


def _mark(letter: str) -> bool:
    """Punctuation, and every sign of ASCII that is neither letter nor digit."""
    ascii_sign = "!" <= letter <= "~" and not letter.isalnum()
    return ascii_sign or unicodedata.category(letter).startswith("P")


IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def _ideograph(letter: str) -> bool:
    return any(low <= ord(letter) <= high for low, high in IDEOGRAPHS)
