"""Emoji, drawn and outlined."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.datasets import DATASETS, emoji

DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">'
    '<g id="color"><rect x="10" y="10" width="50" height="50" fill="#ff0000"/></g>'
    '<g id="line"><rect x="10" y="10" width="50" height="50" fill="none" stroke="#000000" '
    'stroke-width="4"/></g></svg>'
)


@pytest.fixture
def drawing():
    """The part of the data set, where the extra is installed."""
    part = DATASETS["emoji"].part
    if part.missing:
        pytest.skip(part.missing)
    return part


def test_lines_and_picture_of_an_emoji(drawing, tmp_path):
    """Black lines on white alone, and with the colours; nothing where there are no lines, or
    nothing but.
    """
    (tmp_path / "a.svg").write_text(DRAWING)
    lines, picture = emoji.drawn(tmp_path / "a.svg", 36)
    assert lines.shape == picture.shape == (36, 36, 3)
    assert lines.dtype == picture.dtype == np.uint8
    assert np.ptp(lines.astype(int), axis=-1).max() == 0
    assert (lines[0, 0] == 255).all()
    assert (lines[18, 18] == 255).all()
    assert picture[18, 18].tolist() == [255, 0, 0]
    dark = lines.max(-1) < 20
    assert dark.any()
    assert np.abs(picture[dark].astype(int) - lines[dark]).max() < 20
    for old, new in (('id="line"', 'id="other"'), ('fill="#ff0000"', 'fill="none"')):
        (tmp_path / "b.svg").write_text(DRAWING.replace(old, new))
        assert emoji.drawn(tmp_path / "b.svg", 36) is None


def test_some_emoji(drawing, monkeypatch):
    """Drawn at any side; the held-out ones have the names that the hash chooses, in order."""
    some = emoji.drawings()[::60]
    monkeypatch.setattr(emoji, "drawings", lambda: some)
    found = emoji.emoji.__wrapped__(24)
    kept = [name for name, path in some if emoji.drawn(path, 24) is not None]
    assert list(found.names) == [name for name in kept if emoji.is_held(name)]
    assert len(found.held_first) == len(found.held_second) == len(found.names) > 0
    assert len(found.first) == len(found.second) == len(kept) - len(found.names)
    assert found.first.shape[1:] == (24, 24, 3)
    assert found.first.mean() > found.second.mean()
    assert drawing.load is drawing.drawn is emoji.emoji


def test_the_same_picture_is_drawn_once(drawing, tmp_path, monkeypatch):
    """Under the name that comes first: none is both learnt from and held out."""
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.svg").write_text(DRAWING)
    (tmp_path / "d.svg").write_text(DRAWING.replace("#ff0000", "#00ff00"))
    names = ["one", "held", "other", "green"]
    monkeypatch.setattr(emoji, "is_held", lambda name: name in ("held", "green"))
    monkeypatch.setattr(
        emoji, "drawings", lambda: list(zip(names, sorted(tmp_path.glob("*.svg")), strict=True))
    )
    found = emoji.emoji.__wrapped__(16)
    assert (len(found.first), len(found.held_first), found.names) == (1, 1, ("green",))


def test_names_of_emoji(drawing):
    """Single characters by their Unicode names, each once, an eighth of them held out."""
    names = [name for name, _ in emoji.drawings()]
    assert len(names) == len(set(names)) > 1_000
    assert "pig" in names
    assert np.mean([emoji.is_held(name) for name in names]) == pytest.approx(1 / 8, abs=0.03)


def test_absent_emoji_say_how_to_get_them(monkeypatch):
    """And can not be drawn."""
    monkeypatch.setattr(emoji.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'minimax-bench[emoji]'" in emoji.absent()
    assert DATASETS["emoji"].part.fingerprint == ""
    with pytest.raises(UsageError, match="emoji are not here"):
        emoji.emoji.__wrapped__()
