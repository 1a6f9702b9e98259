"""The 86 names of the GAN zoo, and what each is here. Standard library only."""

from __future__ import annotations

import csv
from pathlib import Path

FILE = Path(__file__).with_suffix(".csv")
STATUSES = ("recipe", "not here", "out of scope")
"""A model of `bench list models`; a method that could stand here and does not; one about data that
are not images, or that can't be had.
"""


def rows() -> list[dict[str, str]]:
    """Each name with its status, the models that stand for it, with spaces between, and what it is
    about.
    """
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
