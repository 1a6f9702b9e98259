"""Captions of digits: a fixed vocabulary, and the way from words to attributes and back.

"a thick slanted seven" says a thickness, a slant and a digit, and nothing else: a caption and its
attributes are the same fact twice.
"""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Int

from bench.core.errors import UsageError, nearest, unknown

THICKNESSES = ("thin", "medium", "thick")
SLANTS = ("upright", "leaning", "slanted")
"""From the least lean to the right to the most."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ARTICLE = "a"
KINDS = {"thickness": THICKNESSES, "slant": SLANTS, "digit": DIGITS}
"""Of attributes, in the order of the words of a caption."""
VOCABULARY = (ARTICLE, *THICKNESSES, *SLANTS, *DIGITS)
"""Every word; a token is a place in it."""
WORDS = 1 + len(KINDS)
"""Of a caption."""
STYLES = len(THICKNESSES) * len(SLANTS)
COMBINATIONS = STYLES * len(DIGITS)

Attributes = Int[np.ndarray, "n 3"]
"""Thickness, slant and digit, each a place among its words."""

Tokens = Int[np.ndarray, "n 4"]
"""Captions, each word a place in the vocabulary."""

_STARTS = np.cumsum([1, *map(len, KINDS.values())])[:-1]


def tokens_of(attributes: Attributes) -> Tokens:
    """The captions that say them."""
    said = np.asarray(attributes, dtype=np.int64) + _STARTS
    return np.concatenate([np.zeros((len(said), 1), dtype=np.int64), said], 1)


def attributes_of(tokens: Tokens) -> Attributes:
    """What captions say."""
    return np.asarray(tokens, dtype=np.int64)[:, 1:] - _STARTS


def combinations_of(attributes: Attributes) -> Int[np.ndarray, " n"]:
    """Their numbers, 0 to 89: all styles of a digit stand together."""
    thick, slant, digit = np.asarray(attributes, dtype=np.int64).T
    return digit * STYLES + thick * len(SLANTS) + slant


def every_combination() -> Attributes:
    """By their numbers."""
    numbers = np.arange(COMBINATIONS)
    style = numbers % STYLES
    return np.stack([style // len(SLANTS), style % len(SLANTS), numbers // STYLES], 1)


def in_words(tokens: Int[np.ndarray, " words"]) -> str:
    """One caption as a person reads it."""
    return " ".join(VOCABULARY[int(token)] for token in tokens)


def read(caption: str) -> Int[np.ndarray, " words"]:
    """The tokens of a caption that a person wrote, its words in any order, with an article or
    without. Raises UsageError for a word that no caption has, naming the nearest, and for a caption
    that says an attribute twice or not at all.
    """
    words = [word for word in re.findall(r"[^\s,.]+", caption.lower()) if word not in ("a", "an")]
    foreign = [word for word in words if word not in VOCABULARY]
    if len(foreign) == 1:
        raise unknown("word", foreign[0], VOCABULARY[1:], f"(of the caption '{caption}')")
    if foreign:
        meant = [guess for word in foreign if (guess := nearest(word, VOCABULARY[1:]))]
        hint = f"did you mean {', '.join(meant)}? " if meant else ""
        raise UsageError(
            f"unknown words {', '.join(foreign)}: {hint}(of the caption '{caption}'; known: "
            f"{', '.join(VOCABULARY[1:])})"
        )
    found = []
    for kind, known in KINDS.items():
        said = [word for word in words if word in known]
        if len(said) != 1:
            raise UsageError(
                f"caption '{caption}': expected one {kind} of {', '.join(known)}, got "
                f"{' and '.join(said) or 'none'}: write such as 'a thick slanted seven'"
            )
        found.append(known.index(said[0]))
    return tokens_of(np.array([found]))[0]
