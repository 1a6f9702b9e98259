"""Every entry of the bibliography is whole: what is cited can be pasted."""

import re

import pytest

from results import bibliography

ENTRIES = re.split(r"\n(?=@)", bibliography.FILE.read_text(encoding="utf-8").strip())
KEYS = [re.match(r"@\w+\{([^,]+),", entry).group(1) for entry in ENTRIES]  # pyright: ignore


@pytest.mark.parametrize("entry", ENTRIES, ids=KEYS)
def test_an_entry_is_closed_and_says_what_it_is(entry):
    lines = entry.strip().splitlines()
    assert lines[-1] == "}"
    assert all(re.fullmatch(r"  \w+ = \{.*\},", line) for line in lines[1:-1])
    assert all(line.count("{") == line.count("}") for line in lines[1:-1])
    fields = {line.split()[0] for line in lines[1:-1]}
    assert {"title", "author", "year"} <= fields
    assert fields & {"eprint", "doi"}


def test_a_key_and_a_paper_stand_there_once():
    assert len(KEYS) == len(set(KEYS))
    assert len(bibliography.entries()) >= len(ENTRIES)
