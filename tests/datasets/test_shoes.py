"""Shoes and their edges."""

from __future__ import annotations

import numpy as np
import pytest
from small import noise

from bench.datasets import DATASETS, shoes
from bench.datasets.digits import Split


def _step(height, down=False):
    """An image that is black on one side."""
    image = np.zeros((1, 12, 12), dtype=np.uint8)
    image[0, :, 6:] = height
    return image.swapaxes(1, 2) if down else image


def test_edges_of_a_step():
    """A line of a pixel or two where the brightness jumps, whichever way, and nothing else."""
    found = shoes.edges(_step(200))
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 255}
    columns = np.nonzero((found[0] == 0).any(0))[0]
    assert set(columns) <= {5, 6}
    assert (found[0, :, columns] == 0).all()
    assert np.array_equal(shoes.edges(_step(200, down=True)), found.swapaxes(1, 2))


def test_a_small_step_is_no_edge():
    """The gradient of a step is its height: from `EDGE` on it counts, up to the smoothing."""
    assert (shoes.edges(_step(0)) == 255).all()
    assert (shoes.edges(_step(shoes.EDGE // 2)) == 255).all()
    assert (shoes.edges(_step(2 * shoes.EDGE)) == 0).any()


def test_edges_of_an_image_are_its_own():
    """Whatever other images there are."""
    images = np.concatenate([_step(200), _step(200, down=True), _step(0)])
    alone = np.concatenate([shoes.edges(image[None]) for image in images])
    assert np.array_equal(shoes.edges(images), alone)


@pytest.mark.parametrize("turn", [lambda x: x[:, ::-1], lambda x: x.swapaxes(1, 2)])
def test_edges_turn_with_the_image(turn):
    """And do not care which side is bright, but for rounding."""
    images = noise(0, 4, 4, 4).repeat(6, 1).repeat(6, 2)
    found = shoes.edges(images)
    assert (shoes.edges(np.ascontiguousarray(turn(images))) == turn(found)).mean() > 0.98
    assert (shoes.edges(255 - images) == found).mean() > 0.95


@pytest.fixture
def fashion(monkeypatch):
    """A few clothes in the place of Fashion-MNIST's."""
    split = Split(
        noise(0, 60, 28, 28),
        np.arange(60) % 10,
        noise(1, 20, 28, 28),
        np.arange(20) % 10,
    )
    monkeypatch.setattr(shoes, "fashion", lambda: split)
    return split


def test_shoes_are_paired_with_their_edges(fashion):
    """Sandals, sneakers and boots, in their order."""
    found = shoes.shoes.__wrapped__()
    wanted = fashion.images[np.isin(fashion.labels, (5, 7, 9))]
    assert np.array_equal(found.second, wanted)
    assert np.array_equal(found.first, shoes.edges(wanted))
    assert np.array_equal(found.held_first, shoes.edges(found.held_second))
    assert (len(found.second), len(found.held_second)) == (18, 6)
    assert found.truth


def test_sneakers_and_boots_are_apart(fashion):
    """One class each, and nothing says which belong together."""
    found = shoes.sneakers.__wrapped__()
    assert np.array_equal(found.first, fashion.images[fashion.labels == 7])
    assert np.array_equal(found.second, fashion.images[fashion.labels == 9])
    assert np.array_equal(found.held_second, fashion.held_images[fashion.held_labels == 9])
    assert not found.truth


@pytest.mark.slow
def test_the_real_shoes():
    """As many as the summary says."""
    part = DATASETS["sneakers@boots"].part
    if part.missing:
        pytest.skip(part.missing)
    found = part.load()
    assert len(found.first) == len(found.second) == 6_000
    assert len(found.held_first) == len(found.held_second) == 1_000
