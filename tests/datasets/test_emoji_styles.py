"""Emoji of two styles: whose picture stands where, under which category, and who is held out."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.datasets import DATASETS, emojistyles
from bench.datasets.emojistyles import CATEGORIES, NOTO, OPENMOJI, Style

SOME = {
    "🍕": "food",
    "🐻": "nature",
    "☎": "objects",
    "🚢": "travel",
    "😀": "people",
    "♥": "symbols",
}


@pytest.fixture(params=["openmoji", "noto-emoji"])
def part(request):
    found = DATASETS[request.param].part
    if found.missing:
        pytest.skip(found.missing)
    return found


def _plain(name, shade):
    """A style that draws a character as its own number in one channel, `shade` in the others."""

    def draw(character, side):
        if character == "☎" and shade:
            return None
        picture = np.full((side, side, 3), shade, dtype=np.uint8)
        picture[..., 0] = list(SOME).index(character)
        return picture

    return Style(name, "ours", lambda: "", draw)


@pytest.fixture
def plain(monkeypatch):
    """Both styles, plain, of six characters; every other one is held out."""
    found = _plain("first", 0), _plain("second", 200)
    monkeypatch.setattr(emojistyles, "categories", lambda: SOME)
    monkeypatch.setattr(emojistyles, "categories_absent", lambda: "")
    monkeypatch.setattr(emojistyles, "_is_held", lambda c: list(SOME).index(c) % 2 == 1)
    for name, style in zip(("OPENMOJI", "NOTO"), found, strict=True):
        monkeypatch.setattr(emojistyles, name, style)
    emojistyles.pictures.cache_clear()
    yield found
    emojistyles.pictures.cache_clear()


def test_a_picture_stands_under_its_own_category(plain):
    split = emojistyles.labelled(plain[0])
    assert split.images[:, 0, 0, 0].tolist() == [0, 2, 4]
    assert split.held_images[:, 0, 0, 0].tolist() == [1, 3, 5]
    kinds = list(SOME.values())
    assert [CATEGORIES[label] for label in split.labels] == kinds[::2]
    assert [CATEGORIES[label] for label in split.held_labels] == kinds[1::2]
    assert split.labels.dtype == split.held_labels.dtype == np.int64


def test_pairs_are_of_one_character_that_both_styles_have(plain):
    found = emojistyles.restyled(8)
    assert found.first[:, 0, 0].tolist() == [[0, 0, 0], [4, 0, 0]]
    assert found.second[:, 0, 0].tolist() == [[0, 200, 200], [4, 200, 200]]
    assert found.held_first[:, 0, 0].tolist() == [[1, 0, 0], [3, 0, 0], [5, 0, 0]]
    assert found.held_second[:, 0, 0].tolist() == [[1, 200, 200], [3, 200, 200], [5, 200, 200]]
    assert found.names == ("bear face", "ship", "black heart suit")
    assert found.first.shape[1:] == (8, 8, 3)


def test_one_of_several_equal_pictures_is_kept(plain, monkeypatch):
    """The first one, so that no picture that is trained on is held out, too."""
    monkeypatch.setattr(emojistyles, "categories", lambda: {"♥": "symbols", **SOME})
    alike = Style("alike", "ours", lambda: "", lambda c, side: np.zeros((side, side, 3), np.uint8))
    assert list(emojistyles.pictures(alike)) == ["♥"]


def test_pictures_of_a_style(part):
    """Every category, an eighth held out, each on white and not empty."""
    split = part.split
    assert split.images.shape[1:] == split.held_images.shape[1:] == (32, 32, 3)
    every = np.concatenate([split.images, split.held_images])
    labels = np.concatenate([split.labels, split.held_labels])
    assert len(every) > 1_200
    assert len(split.held_images) / len(every) == pytest.approx(1 / 8, abs=0.03)
    assert np.bincount(labels, minlength=7).min() > 60
    assert len({x.tobytes() for x in every}) == len(every)
    assert (every[:, 0, 0] > 200).mean() > 0.95
    assert (np.ptp(every.reshape(len(every), -1), axis=1) > 0).all()
    assert part.source(0).shape == (3, 32, 32)


def test_some_characters_look_as_they_are_called(part):
    """A red heart is red, a green one green, in either style; categories are as one reads them."""
    style = {"openmoji": OPENMOJI, "noto-emoji": NOTO}[part.name]
    for character, channel in (("❤", 0), ("💚", 1), ("💙", 2)):
        middle = style.draw(character, 32)[14:18, 14:18].mean((0, 1))
        assert middle.argmax() == channel
        assert middle.max() - middle.min() > 50
    assert {c: emojistyles.categories()[c] for c in SOME} == SOME
    assert not {"🇦", "🏁", "🏻"} & set(emojistyles.categories())


def test_what_is_not_here_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(emojistyles, "_font", lambda: None)
    said = DATASETS["noto-emoji"].part.missing
    assert "NotoColorEmoji.ttf is not here" in said
    assert "fonts-noto-color-emoji" in said
    assert DATASETS["noto-emoji"].part.fingerprint == ""
    with pytest.raises(UsageError, match=r"NotoColorEmoji.ttf is not here"):
        emojistyles._noto("☎", 8)
    monkeypatch.setattr(emojistyles.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pymdown-extensions"):
        emojistyles.categories.__wrapped__()
    (tmp_path / "no.ttf").write_text("no font")
    with pytest.raises(UsageError, match="can't read the font"):
        emojistyles._opened(str(tmp_path / "no.ttf"))


def test_a_font_of_the_data_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path))
    (tmp_path / "NotoColorEmoji.ttf").write_bytes(b"")
    assert emojistyles._font() == tmp_path / "NotoColorEmoji.ttf"
