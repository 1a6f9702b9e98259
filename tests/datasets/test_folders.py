"""Folders of images as data to train on: one set, or two domains."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image
from small import images_named, pairs_named

from bench.core.errors import UsageError


def _written(folder, names, size=(8, 8), colour=True, seed=0):
    """Images of a folder as files; uint8 arrays by name."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, arrays_ = np.random.default_rng(seed), {}
    for name in names:
        shape = (size[1], size[0], 3) if colour else (size[1], size[0])
        arrays_[name] = rng.integers(0, 256, shape, dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(arrays_[name]).save(folder / name)
    return arrays_


def _names(n, suffix=".png"):
    return [f"{i:03d}{suffix}" for i in range(n)]


def _all_of(split):
    return sorted(x.tobytes() for x in (*split.images, *split.held_images))


def test_a_folder_of_images(tmp_path):
    """All of them, bit for bit, a sixth held out; always the same ones."""
    arrays_ = _written(tmp_path / "own", _names(20))
    data = images_named(f"folder:{tmp_path / 'own'}")
    assert (data.classes, data.missing) == (0, "")
    assert (len(data.split.images), len(data.split.held_images)) == (17, 3)
    assert _all_of(data.split) == sorted(x.tobytes() for x in arrays_.values())
    again = images_named(f"folder:{tmp_path / 'own'}")
    assert again.fingerprint == data.fingerprint
    assert data.source(0).shape == (3, 8, 8)
    with pytest.raises(UsageError, match="no classes"):
        data.source(0).labelled_batches()


def test_folders_are_classes(tmp_path):
    """By name, from 0; those of an image say which it is of."""
    arrays_ = _written(
        tmp_path, [f"{c}/{name}" for c in ("cat", "ape", "dog") for name in _names(8)]
    )
    data = images_named(f"folder:{tmp_path}")
    assert data.classes == 3
    wanted = {x.tobytes(): ["ape", "cat", "dog"].index(n[:3]) for n, x in arrays_.items()}
    split = data.split
    for images, labels in ((split.images, split.labels), (split.held_images, split.held_labels)):
        assert [wanted[x.tobytes()] for x in images] == labels.tolist()
    assert data.source(0).labelled_batches().next(4)[1].max() < 3


def test_one_image_beside_the_folders_leaves_no_classes(tmp_path):
    """They are then no classes of all."""
    _written(tmp_path, [f"{c}/{name}" for c in "ab" for name in _names(8)])
    _written(tmp_path, ["beside.png"], seed=1)
    assert images_named(f"folder:{tmp_path}").classes == 0


def test_every_folder_is_a_class(tmp_path):
    """Though all its images are held out."""
    _written(tmp_path, [f"a/{name}" for name in _names(19)] + ["b/alone.png"])
    data = images_named(f"folder:{tmp_path}")
    assert {*data.split.labels, *data.split.held_labels} == {0, 1}
    assert data.classes == 2


@pytest.mark.parametrize("pairs", [False, True])
def test_images_of_several_sizes_are_refused(tmp_path, pairs):
    """The message says what brings them to one; that does."""
    places = [tmp_path / "A", tmp_path / "B"] if pairs else [tmp_path]
    for folder in places:
        _written(folder, _names(11))
        _written(folder, ["100.png"], size=(10, 6))
    named = pairs_named if pairs else images_named
    with pytest.raises(UsageError, match=r"several sizes, 10 x 6 to 8 x 8 .*the setting size=64"):
        named(f"folder:{tmp_path}").source(0)
    assert named(f"folder:{tmp_path}", 16).source(0).shape == (3, 16, 16)


def test_a_side_crops_the_middle_square(tmp_path):
    """Of broad and of tall images."""
    for name in _names(12):
        broad = np.zeros((10, 30, 3), dtype=np.uint8)
        broad[:, :10, 0], broad[:, 10:20, 1], broad[:, 20:, 2] = 255, 255, 255
        image = broad if int(name[:3]) % 2 else broad.swapaxes(0, 1)
        Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / name)
    split = images_named(f"folder:{tmp_path}", 5).split
    for image in (*split.images, *split.held_images):
        assert image.shape == (5, 5, 3)
        assert (image == [0, 255, 0]).all()


def test_grey_among_coloured_images(tmp_path):
    """It gets three equal channels; all grey, they have one."""
    _written(tmp_path / "grey", _names(12), colour=False)
    assert images_named(f"folder:{tmp_path / 'grey'}").source(0).shape == (1, 8, 8)
    grey = _written(tmp_path / "mixed", _names(6), colour=False)
    _written(tmp_path / "mixed", [f"c{name}" for name in _names(6)])
    split = images_named(f"folder:{tmp_path / 'mixed'}").split
    every = {x.tobytes() for x in (*split.images, *split.held_images)}
    assert {np.repeat(x[..., None], 3, -1).tobytes() for x in grey.values()} <= every


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("kind", ["head", "body"])
def test_a_damaged_image_is_named(tmp_path, pairs, kind):
    """Whether it is no image at all, or one that is cut short."""
    places = [tmp_path / "A", tmp_path / "B"] if pairs else [tmp_path]
    for folder in places:
        _written(folder, _names(14), size=(32, 32))
    broken = places[-1] / "007.png"
    content = broken.read_bytes()
    broken.write_bytes(b"nothing" if kind == "head" else content[: len(content) // 2])
    named = pairs_named if pairs else images_named
    with pytest.raises(UsageError, match=r"can't read .*007\.png") as refused:
        named(f"folder:{tmp_path}").source(0)
    assert len(str(refused.value).splitlines()) == 1


def test_a_damaged_image_is_answered_with_what_can_be_done(tmp_path):
    """`bench run` can leave no images out: the option is one of `bench score`."""
    _written(tmp_path, _names(14))
    (tmp_path / "007.png").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="can't read") as refused:
        images_named(f"folder:{tmp_path}")
    assert "skip_unreadable" not in str(refused.value)


def test_folders_that_are_none(tmp_path):
    """Too few images, none, no folder, or a file."""
    with pytest.raises(UsageError, match="is no folder"):
        images_named(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no images"):
        images_named(f"folder:{tmp_path / 'empty'}")
    _written(tmp_path / "few", _names(11))
    with pytest.raises(UsageError, match="holds 11 images: expected 12 at least"):
        images_named(f"folder:{tmp_path / 'few'}")
    with pytest.raises(UsageError, match="is no folder"):
        images_named(f"folder:{tmp_path / 'few' / '000.png'}")


def test_names_that_hold_no_images():
    """Points have none; a name that nothing answers to gets the nearest."""
    with pytest.raises(UsageError, match=r"'ring8@pacgan' offers points .*expected mnist5k"):
        images_named("ring8@pacgan")
    with pytest.raises(UsageError, match="did you mean 'optdigits'"):
        images_named("optdigit")


def _two_folders(path, first, second, **settings_):
    return (
        _written(path / "A", first, seed=0, **settings_),
        _written(path / "B", second, seed=1, **settings_),
    )


def test_two_folders_with_the_same_names_are_pairs(tmp_path):
    """Whatever their format: partners stand at the same place in both, held out together, under
    their names; other folders' hidden files do not count.
    """
    first, second = _two_folders(tmp_path, _names(15), _names(15, ".bmp"))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("not an image")
    data = pairs_named(f"folder:{tmp_path}")
    found = data.load()
    assert data.paired
    assert found.truth
    assert (len(found.first), len(found.held_first)) == (13, 2)
    stems = {x.tobytes(): name[:3] for name, x in first.items()}
    others = {x.tobytes(): name[:3] for name, x in second.items()}
    for one, two in ((found.first, found.second), (found.held_first, found.held_second)):
        assert [stems[x.tobytes()] for x in one] == [others[x.tobytes()] for x in two]
    assert [stems[x.tobytes()] for x in found.held_first] == list(found.names)
    assert data.source(0).pairs().next(2)[0].shape == (2, 3, 8, 8)


def test_two_folders_with_other_names_are_unpaired(tmp_path):
    """They need not be equally large; nothing of one is lost."""
    first, second = _two_folders(tmp_path, _names(15), [f"b{name}" for name in _names(20)])
    data = pairs_named(f"folder:{tmp_path}")
    found = data.load()
    assert not data.paired
    assert not found.truth
    for arrays_, train, held, left in (
        (first, found.first, found.held_first, 2),
        (second, found.second, found.held_second, 3),
    ):
        assert len(held) == left
        every = sorted(x.tobytes() for x in (*train, *held))
        assert every == sorted(x.tobytes() for x in arrays_.values())
    with pytest.raises(UsageError, match="unpaired"):
        data.source(0).pairs()


def test_the_first_folder_by_name_is_translated(tmp_path):
    """Into the second."""
    _written(tmp_path / "zebra", _names(12), colour=True)
    _written(tmp_path / "horse", _names(12), colour=False)
    source = pairs_named(f"folder:{tmp_path}").source(0)
    assert (source.first_shape, source.shape) == ((1, 8, 8), (3, 8, 8))


@pytest.mark.parametrize("folders", [[], ["A"], ["A", "B", "C"]])
def test_two_folders_are_expected(tmp_path, folders):
    """The message says which there are."""
    for folder in folders:
        _written(tmp_path / folder, _names(12))
    got = ", ".join(folders) or "none"
    with pytest.raises(UsageError, match=rf"expected two folders of images.*got {got}$"):
        pairs_named(f"folder:{tmp_path}")


def test_pairs_that_can_not_be_had(tmp_path):
    """Folders of other sizes or of few images, and names of what is no pair."""
    _written(tmp_path / "sizes" / "A", _names(12))
    _written(tmp_path / "sizes" / "B", _names(12), size=(16, 8))
    with pytest.raises(UsageError, match=r"8 x 8 pixels and .* of 16 x 8: .*the setting size=64"):
        pairs_named(f"folder:{tmp_path / 'sizes'}").source(0)
    assert pairs_named(f"folder:{tmp_path / 'sizes'}", 8).source(0).first_shape == (3, 8, 8)
    _two_folders(tmp_path / "few", _names(12), _names(11))
    with pytest.raises(UsageError, match="holds 11 images: expected 12 at least"):
        pairs_named(f"folder:{tmp_path / 'few'}").load()
    with pytest.raises(UsageError, match="is no folder"):
        pairs_named(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(UsageError, match=r"'ring8@pacgan' offers points .*edges@digits"):
        pairs_named("ring8@pacgan")
    with pytest.raises(UsageError, match="did you mean 'scenes@digits'"):
        pairs_named("scenes@digit")


def test_pairs_need_the_same_files_in_the_same_folders(tmp_path):
    """Names that are the same by chance, below folders that are not, make no pairs."""
    a = [*(f"x/{name}" for name in _names(8)), *(f"y/{name}" for name in _names(4))]
    b = [*(f"x/{name}" for name in _names(3)), *(f"y/{n}" for n in _names(8)[3:])]
    b += [f"z/{name}" for name in _names(4)]
    _two_folders(tmp_path, a, b)
    assert not pairs_named(f"folder:{tmp_path}").paired


def test_the_fingerprint_of_folders_is_that_of_their_images(tmp_path):
    """Wherever they lie."""
    for place in ("one", "two"):
        _two_folders(tmp_path / place, _names(12), _names(12))
    one, two = (pairs_named(f"folder:{tmp_path / place}") for place in ("one", "two"))
    assert (
        one.fingerprint
        == two.fingerprint
        != pairs_named(f"folder:{tmp_path / 'one'}", 4).fingerprint
    )


def test_folders_can_be_links(tmp_path):
    """To images elsewhere, followed once."""
    _written(tmp_path / "real", _names(12))
    os.symlink(tmp_path / "real", tmp_path / "link")
    os.symlink(tmp_path / "real", tmp_path / "real" / "itself")
    split = images_named(f"folder:{tmp_path / 'link'}").split
    assert len(split.images) + len(split.held_images) == 12
