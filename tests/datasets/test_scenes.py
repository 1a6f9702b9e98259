"""Scenes of digits and their label maps."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from PIL import Image

from bench.datasets import DATASETS, scenes
from bench.datasets.namedpairs import resized
from bench.datasets.pairs import Domains


def _strokes(n=30):
    """Digits that are a bright square on black, of ten classes."""
    images = np.zeros((n, 28, 28), dtype=np.uint8)
    images[:, 8:20, 8:20] = 255
    return images, np.arange(n) % 10


def test_a_scene_is_four_digits():
    """Of each tile one class, where there is ink, and paper elsewhere; photos have dark ink."""
    photos, maps = scenes.draw(*_strokes(), 40, np.random.default_rng(0))
    assert (photos.shape, photos.dtype) == ((40, 32, 32, 3), np.uint8)
    assert (maps.shape, maps.dtype) == ((40, 32, 32), np.int64)
    ink = np.zeros((16, 16), dtype=bool)
    ink[5:11, 5:11] = True
    for scene, down, across in product(maps, range(2), range(2)):
        tile = scene[16 * down : 16 * down + 16, 16 * across : 16 * across + 16]
        assert (tile[~ink] == scenes.PAPER).all()
        assert len(set(tile[ink])) == 1
        assert 0 <= tile[ink][0] < 10
    assert set(np.unique(maps)) == set(range(11))
    everywhere = np.tile(ink, (2, 2))
    assert (photos[:, everywhere].mean((1, 2)) < photos[:, ~everywhere].mean((1, 2))).all()


def test_what_a_map_does_not_say():
    """The same digits under other light: ink, paper and grain differ, the classes do not."""
    one = _strokes(1)
    (first, maps), (second, again) = (
        scenes.draw(*one, 5, np.random.default_rng(seed)) for seed in (0, 1)
    )
    assert np.array_equal(maps, again)
    assert not np.array_equal(first, second)
    again, _ = scenes.draw(*one, 5, np.random.default_rng(0))
    assert np.array_equal(first, again)


def test_ink_begins_at_a_grey():
    """Of the mean of 2 x 2 pixels, as the module says."""
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 10:12, 10:12], image[0, 10:12, 14:16] = scenes.INK, scenes.INK - 1
    _, maps = scenes.draw(image, np.array([7]), 1, np.random.default_rng(0))
    assert sorted(zip(*np.nonzero(maps[0] == 7), strict=True)) == [
        (6 + 16 * i, 6 + 16 * j) for i, j in product(range(2), range(2))
    ]


def test_the_palette_can_be_read_back():
    """Eleven colours, each nearest to itself by far."""
    assert len(set(scenes.PALETTE)) == 11
    maps = np.random.default_rng(0).integers(0, 11, (3, 8, 8))
    colours = scenes.painted(maps)
    assert colours.dtype == np.uint8
    gaps = np.abs(colours[:, :, :, None].astype(int) - np.array(scenes.PALETTE)).sum(-1)
    assert np.array_equal(gaps.argmin(-1), maps)
    assert np.sort(gaps, -1)[..., 1].min() > 100


@pytest.mark.slow
def test_the_scenes_are_of_digits_that_are_kept_apart():
    """4,000 and 500; maps are those of the held-out photos, and every class is in them."""
    found = scenes.scenes()
    assert found.first.shape == found.second.shape == (4_000, 32, 32, 3)
    assert found.held_first.shape == found.held_second.shape == (500, 32, 32, 3)
    assert found.truth
    assert np.array_equal(scenes.painted(found.maps), found.held_first)
    assert set(np.unique(found.maps)) == set(range(11))
    seen = {image.tobytes() for image in found.first}
    assert seen.isdisjoint(image.tobytes() for image in found.held_first)


def test_scenes_of_another_side():
    """By Pillow's bicubic filter; class maps and the segmenter are left behind; their own side
    changes nothing.
    """
    photos, maps = scenes.draw(*_strokes(), 5, np.random.default_rng(0))
    labels = scenes.painted(maps)
    some = Domains(labels[:3], photos[:3], labels[3:], photos[3:], maps=maps[3:])
    data = replace(DATASETS["scenes@digits"].part, load=lambda: some)
    assert resized(data, 32) is data
    other = resized(data, 16)
    found = other.load()
    assert (other.segmenter, other.extractor, found.maps) == ("", "pixels", None)
    assert found.first.shape == (3, 16, 16, 3)
    wanted = Image.fromarray(some.second[1]).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(found.second[1], np.asarray(wanted))
