"""Names that file systems and trackers take."""

from __future__ import annotations

import re

LONGEST = 100


def filename(text: str) -> str:
    """A text as the name of a file: letters, digits and `._@=+,-`, others as an underscore."""
    return re.sub(r"[^A-Za-z0-9._@=+,-]", "_", text)[:LONGEST].lstrip(".") or "_"


def metric_name(text: str) -> str:
    """A metric as every tracker takes it: what is after `@` is what a slash leads to."""
    return re.sub(r"[^A-Za-z0-9._/ -]", "_", text.replace("@", "/"))


def cells_of(*texts: object) -> str:
    """A row of a table of Markdown, whatever its texts hold."""
    shown = (" ".join(str(text).split()).replace("|", "\\|") for text in texts)
    return "| " + " | ".join(shown) + " |"
