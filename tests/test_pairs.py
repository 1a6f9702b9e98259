"""Pairs of domains and folders of images, pictures completed, and codes looked at."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.stats import kstest, norm, truncnorm

from bench.datasets import DATASETS, emoji, scenes, shoes
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled
from bench.datasets.pairs import Domains, Pairs
from bench.errors import UsageError
from bench.latentspace import (
    PLANE,
    Sum,
    arithmetic,
    between,
    decoder_of,
    interpolation,
    plane,
    quantiles,
    read_sum,
    truncated,
)
from bench.loaders.imagesets import images_named
from bench.loaders.pairsets import pairs_named, resized
from bench.randomness import forked, stream
from bench.trees import load_tree, save_tree
from generative import RECIPES, Contested, Decoder, Training
from generative.contracts import Completer, TwoDomains
from generative.inpainting import Descent, complete, poisson, weights
from generative.recipes.pca import PcaGaussianSampler

N, HELD = 9, 5


def _bytes(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


FOUND = Domains(
    _bytes(0, N, 8, 8), _bytes(1, N, 8, 8, 3), _bytes(2, HELD, 8, 8), _bytes(3, HELD, 8, 8, 3)
)
PAIRED = Pairs("own", lambda: FOUND, True)
UNPAIRED = Pairs("own", lambda: FOUND, False)


def _places(batch, images):
    """Where each image of a batch stands among uint8 images."""
    keys = [(np.moveaxis(x, -1, 0) if x.ndim == 3 else x[None]).tobytes() for x in images]
    as_bytes = (batch * 255).round().to(torch.uint8).numpy()
    return [keys.index(x.tobytes()) for x in as_bytes]


def test_a_source_of_pairs_is_what_it_says():
    """Two domains in [0, 1], the second being the examples; no classes, no density."""
    source = PAIRED.source(0)
    assert isinstance(source, TwoDomains)
    assert (source.first_shape, source.shape) == ((1, 8, 8), (3, 8, 8))
    assert (source.box, source.modes, source.classes, source.density) == ((0.0, 1.0), 0, 0, None)
    assert source.training.dtype == torch.float32
    order = _places(source.training, FOUND.second)
    assert sorted(order) == list(range(N))
    assert _places(source.first.float() / 255, FOUND.first) == order
    assert _places(source.second.float() / 255, FOUND.second) == order
    assert _places(PAIRED.source(1).training, FOUND.second) != order
    assert _places(source.held_first, FOUND.held_first) == list(range(HELD))
    assert _places(source.held_second, FOUND.held_second) == list(range(HELD))
    fresh = source.fresh(50, stream("fresh"))
    assert set(_places(fresh, FOUND.held_second)) == set(range(HELD))
    assert torch.equal(fresh, PAIRED.source(1).fresh(50, stream("fresh")))
    with pytest.raises(UsageError, match="no classes"):
        source.labelled_batches()


@pytest.mark.parametrize("batch", [1, 4, 9, 20])
def test_pairs_stay_together(batch):
    """In every batch, across the ends of epochs; each pair once an epoch."""
    batches, seen = PAIRED.source(0).pairs(), []
    for _ in range(-(-3 * N // batch)):
        first, second = batches.next(batch)
        assert first.dtype == second.dtype == torch.float32
        assert _places(first, FOUND.first) == _places(second, FOUND.second)
        seen += _places(first, FOUND.first)
    for start in range(0, 3 * N, N):
        assert sorted(seen[start : start + N]) == list(range(N))


def test_domains_have_orders_of_their_own():
    """Whether there are pairs or not: each image once an epoch, its partner at another place."""
    large = replace(FOUND, first=_bytes(4, 13, 8, 8))
    for data in (PAIRED, UNPAIRED, Pairs("large", lambda: large, False)):
        found, batches = data.load(), data.source(0).domains()
        drawn = [batches.next(3) for _ in range(39)]
        orders = []
        for at, images in enumerate((found.first, found.second)):
            places = [p for batch in drawn for p in _places(batch[at], images)]
            orders.append(places)
            epochs = [places[i : i + len(images)] for i in range(0, 3 * len(images), len(images))]
            assert all(sorted(epoch) == list(range(len(images))) for epoch in epochs)
            assert epochs[0] != epochs[1]
        assert orders[0][:N] != orders[1][:N]


def test_unpaired_domains_have_no_pairs():
    """And the message says what can be done."""
    with pytest.raises(
        UsageError, match=r"'own' is unpaired.*train cyclegan, or bring two folders"
    ):
        UNPAIRED.source(0).pairs()


@pytest.mark.parametrize("way", ["pairs", "domains", "batches"])
def test_a_seed_has_one_order(way, tmp_path):
    """Another seed another; a position, kept in a file, leads back to the same batches."""
    batches = getattr(PAIRED.source(0), way)()
    other = getattr(PAIRED.source(1), way)()
    again = getattr(PAIRED.source(0), way)()

    def drawn(stream_, n):
        found = stream_.next(n)
        return found if isinstance(found, torch.Tensor) else torch.cat([x[:, :1] for x in found])

    first = drawn(batches, 7)
    assert torch.equal(first, drawn(again, 7))
    assert not torch.equal(first, drawn(other, 7))
    save_tree(tmp_path / "position", batches.position())
    ahead = [drawn(batches, n) for n in (5, 1, 12)]
    again.next(4)
    again.seek(load_tree(tmp_path / "position"))
    assert all(torch.equal(drawn(again, n), x) for n, x in zip((5, 1, 12), ahead, strict=True))


def test_sources_draw_from_no_global_generator():
    """Neither torch's nor NumPy's."""
    with forked(0):
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
        source = PAIRED.source(0)
        for batches in (source.pairs(), source.domains(), source.batches()):
            batches.next(3)
        source.fresh(3, stream("fresh"))
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("part", ["first", "second", "held_first", "held_second", "maps"])
def test_a_fingerprint_is_that_of_the_images(part):
    """By one value of one of them; by whether they are pairs; not by their names."""
    base = replace(FOUND, maps=np.zeros((HELD, 8, 8), dtype=np.int64))
    own = Pairs("a", lambda: base, True).fingerprint
    array = getattr(base, part).copy()
    array.flat[-1] ^= 1
    other = replace(base, **{part: array})
    assert Pairs("a", lambda: other, True).fingerprint != own
    assert Pairs("a", lambda: base, False).fingerprint != own
    named = replace(base, names=("x",) * HELD)
    assert Pairs("b", lambda: named, True).fingerprint == own
    assert Pairs("a", lambda: base, True, lambda: "not here").fingerprint == ""


PAIR_SETS = [name for name in DATASETS if isinstance(DATASETS[name].part, Pairs)]


def test_the_registered_pairs():
    """Each has a licence and an extractor; the paired ones are named."""
    assert {"scenes@digits", "edges@shoes", "sneakers@boots"} <= set(PAIR_SETS)
    assert {"emoji", "emoji-unpaired"} <= set(PAIR_SETS)
    paired = {name for name in PAIR_SETS if DATASETS[name].part.paired}
    assert paired == {"scenes@digits", "edges@shoes", "emoji"}
    for name in PAIR_SETS:
        assert DATASETS[name].facts.licence == DATASETS[name].part.licence != ""


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
    images = _bytes(0, 4, 4, 4).repeat(6, 1).repeat(6, 2)
    found = shoes.edges(images)
    assert (shoes.edges(np.ascontiguousarray(turn(images))) == turn(found)).mean() > 0.98
    assert (shoes.edges(255 - images) == found).mean() > 0.95


@pytest.fixture
def fashion(monkeypatch):
    """A few clothes in the place of Fashion-MNIST's."""
    split = Split(
        _bytes(0, 60, 28, 28), np.arange(60) % 10, _bytes(1, 20, 28, 28), np.arange(20) % 10
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
    some = emoji._drawings()[::60]
    monkeypatch.setattr(emoji, "_drawings", lambda: some)
    found = emoji.emoji.__wrapped__(24)
    kept = [name for name, path in some if emoji.drawn(path, 24) is not None]
    assert list(found.names) == [name for name in kept if emoji._is_held(name)]
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
    monkeypatch.setattr(emoji, "_is_held", lambda name: name in ("held", "green"))
    monkeypatch.setattr(
        emoji, "_drawings", lambda: list(zip(names, sorted(tmp_path.glob("*.svg")), strict=True))
    )
    found = emoji.emoji.__wrapped__(16)
    assert (len(found.first), len(found.held_first), found.names) == (1, 1, ("green",))


def test_names_of_emoji(drawing):
    """Single characters by their Unicode names, each once, an eighth of them held out."""
    names = [name for name, _ in emoji._drawings()]
    assert len(names) == len(set(names)) > 1_000
    assert "pig" in names
    assert np.mean([emoji._is_held(name) for name in names]) == pytest.approx(1 / 8, abs=0.03)


def test_absent_emoji_say_how_to_get_them(monkeypatch):
    """And can not be drawn."""
    monkeypatch.setattr(emoji.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'minimax-bench[emoji]'" in emoji.absent()
    assert DATASETS["emoji"].part.fingerprint == ""
    with pytest.raises(UsageError, match="emoji are not here"):
        emoji.emoji.__wrapped__()


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
    with pytest.raises(UsageError, match=r"several sizes, 10 x 6 to 8 x 8 .*--set size=64"):
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
    assert "--skip-unreadable" not in str(refused.value)


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
    with pytest.raises(UsageError, match=r"'ring8@pacgan' has no images: expected one of mnist5k"):
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
    with pytest.raises(UsageError, match=r"8 x 8 pixels and .* of 16 x 8: .*--set size=64"):
        pairs_named(f"folder:{tmp_path / 'sizes'}").source(0)
    assert pairs_named(f"folder:{tmp_path / 'sizes'}", 8).source(0).first_shape == (3, 8, 8)
    _two_folders(tmp_path / "few", _names(12), _names(11))
    with pytest.raises(UsageError, match="holds 11 images: expected 12 at least"):
        pairs_named(f"folder:{tmp_path / 'few'}").load()
    with pytest.raises(UsageError, match="is no folder"):
        pairs_named(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(UsageError, match=r"'ring8@pacgan' is no pair of domains: .*scenes@digits"):
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


MASKS = arrays(np.bool_, (5, 6))


@settings(max_examples=40, deadline=None)
@given(MASKS, st.sampled_from([1, 3, 5, 7]))
def test_weights_by_their_definition(known, window):
    """Equation 3 of Yeh et al. 2017: of known pixels the share of hidden ones in their window,
    as far as it is inside the image; the least there can be where there is none; 0 of hidden ones.
    """
    found, reach = weights(torch.from_numpy(known), window), window // 2
    for y, x in np.ndindex(*known.shape):
        near = known[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        wanted = max((~near).mean(), 1 / window**2) if known[y, x] else 0
        assert float(found[y, x]) == pytest.approx(wanted, abs=1e-6)


def _pictures(seed, n=2, channels=2, height=6, width=7):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, height, width, generator=generator)


def _hole(height=6, width=7, box=(slice(2, 5), slice(2, 5))):
    known = torch.ones(height, width, dtype=torch.bool)
    known[box] = False
    return known


def test_a_constant_difference_leaves_no_seam():
    """What was drawn has the right gradients: the picture itself comes out."""
    pictures = 0.2 + 0.5 * _pictures(0)
    for shift in (-0.2, 0.3):
        blended = poisson(pictures, pictures + shift, _hole())
        torch.testing.assert_close(blended, pictures, rtol=0, atol=1e-6)


def test_a_ramp_goes_on_under_a_drawing_without_gradients():
    """The solution is harmonic."""
    ramp = (torch.arange(6.0)[:, None] * 0.05 + torch.arange(7.0) * 0.08).expand(2, 1, 6, 7)
    hidden = torch.where(_hole(), ramp, torch.full_like(ramp, float("nan")))
    blended = poisson(hidden, torch.full_like(ramp, 0.7), _hole())
    torch.testing.assert_close(blended, ramp, rtol=0, atol=1e-6)


def test_a_hole_at_the_border_takes_what_is_known():
    """Nothing is beyond: a constant goes on to the edge."""
    known = torch.ones(6, 7, dtype=torch.bool)
    known[:, 4:] = False
    pictures = torch.where(known, torch.full((1, 1, 6, 7), 0.25), torch.zeros(1, 1, 6, 7))
    blended = poisson(pictures, torch.full_like(pictures, 0.9), known)
    torch.testing.assert_close(blended, torch.full_like(pictures, 0.25))


@settings(max_examples=30, deadline=None)
@given(arrays(np.bool_, (4, 5)), st.integers(0, 1_000))
def test_blending_is_least_squares(known, seed):
    """Over all pairs of neighbours of which one is hidden: the difference in the picture against
    that in the drawing, by dense least squares; known pixels bit for bit, all within [0, 1].
    """
    mask = torch.from_numpy(known)
    pictures, drawn = (_pictures(seed + k, 2, 1, 4, 5) for k in (0, 5_000))
    found = poisson(pictures, drawn, mask)
    assert found.dtype == torch.float32
    assert torch.equal(found[:, :, mask], pictures[:, :, mask])
    if not known.any():
        assert torch.equal(found, drawn)
        return
    places = [(y, x) for y, x in np.ndindex(4, 5) if not known[y, x]]
    index = {place: at for at, place in enumerate(places)}
    for own, made, result in zip(pictures[:, 0], drawn[:, 0], found[:, 0], strict=True):
        rows, wanted = [], []
        for y, x in np.ndindex(4, 5):
            for two in ((y + 1, x), (y, x + 1)):
                if two[0] > 3 or two[1] > 4 or (known[y, x] and known[two]):
                    continue
                row, right = np.zeros(len(places)), float(made[y, x] - made[two])
                for place, sign in (((y, x), 1), (two, -1)):
                    if place in index:
                        row[index[place]] = sign
                    else:
                        right -= sign * float(own[place])
                rows.append(row)
                wanted.append(right)
        if not rows:
            continue
        solved = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0].clip(0, 1)
        np.testing.assert_allclose(result[~mask].numpy(), solved, rtol=0, atol=1e-5)


def test_hidden_pixels_are_not_looked_at():
    """Whatever stands there."""
    pictures, drawn, known = _pictures(0), _pictures(1), _hole()
    nothing = torch.where(known, pictures, torch.full_like(pictures, float("nan")))
    assert torch.equal(poisson(nothing, drawn, known), poisson(pictures, drawn, known))
    assert torch.equal(poisson(pictures, drawn, torch.ones_like(known)), pictures)
    assert torch.equal(poisson(pictures, drawn, torch.zeros_like(known)), drawn)


class Linear(Decoder):
    """Images of 6 x 7 pixels in two channels, a sigmoid of a linear map of four codes."""

    def __init__(self):
        generator = torch.Generator().manual_seed(3)
        self.weight = torch.randn(4, 84, generator=generator)

    def codes(self, n, rng):
        return torch.randn(n, 4, generator=rng)

    def decode(self, z):
        return torch.sigmoid(z @ self.weight).reshape(-1, 2, 6, 7)

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def tensors(self):
        return {"weight": self.weight}


class Judged(Linear, Contested):
    """The same with a critic that likes bright images."""

    def logits(self, x):
        return 10 * x.flatten(1).mean(1)


SEARCH = Descent(steps=60, rate=0.05, perceptual=0.0, starts=20)


def _contextual(drawn, pictures, known):
    near = weights(known, SEARCH.window)
    return (near * (drawn - pictures)).abs().sum((1, 2, 3))


def test_a_picture_that_the_model_can_draw_is_found():
    """Descent improves on the best of the starts, and comes near the hidden pixels too."""
    model, known = Linear(), _hole()
    pictures = model.sample(3, stream("pictures"))
    start = complete(model, pictures, known, stream("search"), replace(SEARCH, steps=0))
    found = complete(model, pictures, known, stream("search"), replace(SEARCH, steps=200))
    assert (found.losses < 0.2 * start.losses).all()
    assert (found.images - pictures).abs().max() < 0.1
    for result in (start, found):
        assert torch.equal(result.images[:, :, known], pictures[:, :, known])
        assert 0 <= result.images.min() <= result.images.max() <= 1
        torch.testing.assert_close(result.losses, _contextual(result.drawn, pictures, known))
        assert torch.equal(result.images, poisson(pictures, result.drawn, known))


def test_a_search_begins_at_the_code_that_fits_best():
    """For each picture of its own."""
    model, known = Linear(), _hole()
    pictures = model.sample(4, stream("pictures"))
    start = complete(model, pictures, known, stream("search"), replace(SEARCH, steps=0))
    tried = model.decode(model.codes(SEARCH.starts, stream("search")))
    gaps = torch.stack([_contextual(tried, x.expand_as(tried), known) for x in pictures])
    torch.testing.assert_close(start.losses, gaps.amin(1))
    torch.testing.assert_close(start.drawn, tried[gaps.argmin(1)])


@pytest.mark.parametrize("rate", [0.05, 100.0])
def test_the_best_code_on_the_way_is_kept(rate):
    """However wild the descent, the result is not worse than its start."""
    model, known, pictures = Linear(), _hole(), _pictures(0, 5)
    search = replace(SEARCH, rate=rate)
    start = complete(model, pictures, known, stream("search"), replace(search, steps=0))
    found = complete(model, pictures, known, stream("search"), search)
    assert (found.losses <= start.losses + 1e-6).all()


def test_a_completion_does_not_depend_on_its_batch_mates():
    """Nor on what stands in the hole, nor on the global generator, which is left alone."""
    model, known, pictures = Linear(), _hole(), _pictures(0, 3)
    with forked(0):
        before = torch.get_rng_state()
        found = complete(model, pictures, known, stream("search"), SEARCH)
        assert torch.equal(torch.get_rng_state(), before)
    alone = complete(model, pictures[1:2], known, stream("search"), SEARCH)
    torch.testing.assert_close(alone.images[0], found.images[1], rtol=0, atol=1e-4)
    hidden = torch.where(known, pictures, torch.full_like(pictures, float("nan")))
    again = complete(model, hidden, known, stream("search"), SEARCH)
    assert torch.equal(again.images, found.images)
    assert not found.images.requires_grad
    assert not found.drawn.requires_grad


def test_the_critic_has_its_say():
    """By its weight: lambda log(1 - D(G(z))), which a bright image makes small. Without weight,
    it is as if there were none.
    """
    known, pictures = _hole(), _pictures(0, 3)

    def drawn(model, perceptual):
        search = replace(SEARCH, perceptual=perceptual, steps=100)
        return complete(model, pictures, known, stream("search"), search).drawn

    assert torch.equal(drawn(Judged(), 0.0), drawn(Linear(), 0.0))
    assert torch.equal(drawn(Linear(), 5.0), drawn(Linear(), 0.0))
    assert drawn(Judged(), 5.0).mean() > drawn(Judged(), 0.0).mean() + 0.02


def _gaussian(seed=0, dims=(2, 3, 4), kept=5, residual=0.01, box=None):
    """A Gaussian on five components, its mean, and its covariance with noise."""
    rng = np.random.default_rng(seed)
    d = int(np.prod(dims))
    mean, factors = 0.5 + 0.05 * rng.normal(size=d), 0.3 * rng.normal(size=(kept, d))

    blank = np.zeros((2, *dims[1:], dims[0]), dtype=np.uint8)
    source = Pairs("blank", lambda: Domains(blank, blank, blank, blank), True).source(0)
    source.box = box
    tensors = [torch.from_numpy(x).float() for x in (mean, factors, np.array(residual))]
    model = PcaGaussianSampler(*tensors, source)
    return model, mean, factors.T @ factors + residual * np.eye(d), factors


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("residual", [1e-3, 0.5])
def test_pca_completes_by_the_conditional_mean(seed, residual):
    """Of a Gaussian: mean_h + C_ho C_oo^-1 (x_o - mean_o), whatever stands in the hole."""
    model, mean, covariance, _ = _gaussian(seed, residual=residual)
    assert isinstance(model, Completer)
    known = torch.rand(3, 4, generator=stream("known", seed)) < 0.6
    seen = known.expand(2, 3, 4).flatten().numpy()
    x = _pictures(seed, 4, 2, 3, 4)
    points = x.flatten(1).double().numpy()
    gain = covariance[np.ix_(~seen, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    wanted = mean[~seen] + (points[:, seen] - mean[seen]) @ gain.T
    holed = torch.where(known, x, torch.full_like(x, float("nan")))
    found = model.complete(holed, known)
    assert torch.equal(found[:, :, known], x[:, :, known])
    np.testing.assert_allclose(found.flatten(1).numpy()[:, ~seen], wanted, rtol=0, atol=2e-4)


def test_pca_completes_nothing_and_all():
    """Where all is known the picture is; where nothing is, the mean; in the box where there is
    one.
    """
    model, mean, _, _ = _gaussian()
    x = _pictures(0, 3, 2, 3, 4)
    assert torch.equal(model.complete(x, torch.ones(3, 4, dtype=torch.bool)), x)
    nothing = model.complete(x, torch.zeros(3, 4, dtype=torch.bool))
    np.testing.assert_allclose(nothing.flatten(1).numpy(), np.tile(mean, (3, 1)), atol=1e-6)
    boxed, _, _, _ = _gaussian(box=(0.0, 1.0))
    known = torch.zeros(3, 4, dtype=torch.bool)
    known[0] = True
    found = boxed.complete(5 * x, known)
    assert (found[:, :, ~known].min(), found[:, :, ~known].max()) == (0, 1)
    assert torch.equal(found[:, :, known], 5 * x[:, :, known])


def test_a_pca_of_data_knows_what_it_leaves_out():
    """Its residual is the mean variance (over n - 1) of a value around its projection on the
    components that are kept.
    """
    blurred = _bytes(0, 90, 4, 4).repeat(3, 1).repeat(3, 2) // 2 + _bytes(1, 90, 12, 12) // 2
    split = Split(blurred, np.arange(90), blurred[:2], np.arange(2))
    data = Labelled("blurred", lambda: split).source(0)
    trainer = RECIPES["pca-gaussian"].part.trainer(Training("small-dcgan"), data.shape)
    fitted = trainer.finish(trainer.advance(trainer.start(data, stream("pca")), 1))
    tensors = fitted.tensors()
    points = data.training.flatten(1).double().numpy()
    centred = points - points.mean(0)
    basis = np.linalg.qr(tensors["factors"].double().numpy().T)[0]
    left = centred - centred @ basis @ basis.T
    wanted = (left**2).sum() / (len(points) - 1) / points.shape[1]
    assert float(tensors["residual"]) == pytest.approx(wanted, rel=1e-3, abs=1e-7)


def test_the_way_between_codes_keeps_their_length():
    """Of equally long ones, in equal angles, from the one to the other."""
    first, second = (torch.randn(6, 20, generator=stream("codes", k)) for k in (0, 1))
    second = second * (first.norm(dim=1) / second.norm(dim=1))[:, None]
    way = between(first, second, 9)
    assert way.shape == (6, 9, 20)
    torch.testing.assert_close(way[:, 0], first)
    torch.testing.assert_close(way[:, -1], second)
    torch.testing.assert_close(way.norm(dim=2), first.norm(dim=1)[:, None].expand(6, 9))
    unit = way / way.norm(dim=2, keepdim=True)
    steps = (unit[:, 1:] * unit[:, :-1]).sum(2).acos()
    torch.testing.assert_close(steps, steps[:, :1].expand(6, 8), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(way, between(second, first, 9).flip(1), rtol=1e-4, atol=1e-5)


def test_the_way_to_the_same_code_stands_still():
    """And one column is the first code."""
    first = torch.randn(3, 5, generator=stream("codes"))
    torch.testing.assert_close(between(first, first, 4), first[:, None].expand(3, 4, 5))
    torch.testing.assert_close(between(first, 2 * first, 2)[:, 1], 2 * first)
    torch.testing.assert_close(between(first, -first + 1, 1)[:, 0], first)


@pytest.mark.parametrize("latent", [1, 2, 3])
def test_the_way_stays_where_codes_are(latent):
    """As near to the middle as the farther of its ends: no model has seen what is beyond."""
    first, second = (torch.randn(500, latent, generator=stream("ends", k)) for k in (0, 1))
    way = between(first, second, 9)
    ends = torch.maximum(first.norm(dim=1), second.norm(dim=1))
    assert way.isfinite().all()
    assert (way.norm(dim=2).amax(1) <= 1.01 * ends).all()


class Plain(Decoder):
    """Codes as images of one row: what was decoded can be seen."""

    def __init__(self, latent=3, mean=0.0, spread=1.0):
        self.latent, self.mean, self.spread, self.drawn = latent, mean, spread, 0

    def codes(self, n, rng):
        self.drawn += 1
        if self.drawn > 5_000:
            raise RuntimeError("codes are drawn for ever")
        return self.mean + self.spread * torch.randn(n, self.latent, generator=rng)

    def decode(self, z):
        return z[:, None, None, :]

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def tensors(self):
        return {}


def test_a_sheet_of_ways():
    """Rows from one code to another, all of them other codes."""
    images = interpolation(Plain(16), stream("ways"), 4, 5)
    assert images.shape == (20, 1, 1, 16)
    rows = images.reshape(4, 5, 16)
    ends = Plain(16).codes(8, stream("ways"))
    torch.testing.assert_close(rows[:, 0], ends[:4])
    torch.testing.assert_close(rows[:, -1], ends[4:])


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("7-1+4", ((1, 7), (-1, 1), (1, 4))),
        ("1+1", ((1, 1), (1, 1))),
        ("-3+12", ((-1, 3), (1, 12))),
        ("+0 - 9", ((1, 0), (-1, 9))),
        ("  2 +3\t", ((1, 2), (1, 3))),
    ],
)
def test_sums_of_concepts(text, terms):
    """Sign and class of each, in order."""
    assert read_sum(text) == Sum(terms)


@pytest.mark.parametrize(
    "text", ["", "7", "-7", "7-", "-", "+", "7--1", "7+-1", "7 1", "a+b", "7*1", "1.5+2", "7-1=6"]
)
def test_what_is_no_sum(text):
    """It is quoted, beside what was expected."""
    with pytest.raises(UsageError, match="expected a sum of classes such as 7-1") as refused:
        read_sum(text)
    assert f"got '{text}'" in str(refused.value)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(0, 99)), min_size=2, max_size=6))
def test_sums_are_read_back(terms):
    """Whatever they are."""
    text = "".join(f"{'+' if sign > 0 else '-'}{number}" for sign, number in terms)
    assert read_sum(text) == read_sum(text.removeprefix("+")) == Sum(tuple(terms))


def _largest(images):
    """The place of the largest value, as a judge reads it."""
    return images[:, 0, 0].argmax(1).numpy()


def test_a_sum_of_means():
    """A row for each concept: three exemplars that are read as it, their mean, five around it; at
    last the signed sum of the means, eight around it.
    """
    images, columns = arithmetic(Plain(), _largest, read_sum("2-0+1"), stream("sum"))
    assert columns == 9
    rows = images.reshape(4, 9, 3)
    for row, concept in zip(rows[:3], (2, 0, 1), strict=True):
        assert (row[:3].argmax(1) == concept).all()
        torch.testing.assert_close(row[3], row[:3].mean(0))
        assert 0 < (row[4:] - row[3]).abs().max() <= 0.25
    total = rows[0, 3] - rows[1, 3] + rows[2, 3]
    torch.testing.assert_close(rows[3, 0], total)
    assert 0 < (rows[3, 1:] - total).abs().max() <= 0.25


def test_a_concept_that_no_sample_has():
    """How often it is read is said."""
    with pytest.raises(UsageError, match="reads class 7 in 0 of 2,000 samples: expected 3"):
        arithmetic(Plain(), _largest, read_sum("1+7"), stream("sum"))


def test_a_plane_of_codes():
    """At the middles of twenty equal shares of N(0, 1) each way, from the top left."""
    images = plane(Plain(2), stream("plane"))
    grid = images.reshape(PLANE, PLANE, 2).numpy()
    wanted = norm.ppf((np.arange(PLANE) + 0.5) / PLANE)
    np.testing.assert_allclose(grid[..., 0], np.tile(wanted, (PLANE, 1)), atol=1e-5)
    np.testing.assert_allclose(grid[..., 1], np.tile(wanted[::-1, None], (1, PLANE)), atol=1e-5)
    shares = torch.tensor([0.001, 0.5, 0.9])
    np.testing.assert_allclose(quantiles(shares), norm.ppf(shares.numpy()), atol=1e-4)
    with pytest.raises(UsageError, match=r"2 dimensions of codes, this one has 3: .*latent=2"):
        plane(Plain(3), stream("plane"))


@pytest.mark.parametrize("bound", [0.02, 0.5, 2.0, float("inf")])
def test_truncated_codes_stay_within_their_bound(bound):
    """And follow the truncated normal distribution there."""
    drawn = truncated(Plain(2), 1_500, stream("truncated"), bound)
    assert drawn.shape == (1_500, 1, 1, 2)
    values = drawn.flatten().numpy()
    assert np.abs(values).max() <= bound
    assert kstest(values, truncnorm(-bound, bound).cdf).pvalue > 1e-3
    if bound == float("inf"):
        plain = Plain(2).codes(1_500, stream("truncated"))
        assert torch.equal(drawn[:, 0, 0], plain)


@pytest.mark.parametrize("bound", [0.019, 0.0, -1.0, float("nan")])
def test_bounds_that_nothing_is_within(bound):
    """They are refused rather than waited for."""
    with pytest.raises(UsageError, match=r"expected bounds of 0\.02 at least"):
        truncated(Plain(), 10, stream("truncated"), bound)


def test_codes_that_are_never_within_the_bound():
    """An autoencoder's may lie anywhere: refused, too."""
    with pytest.raises(UsageError, match="truncation"):
        truncated(Plain(3, mean=6.0, spread=0.1), 10, stream("truncated"), 0.5)


def test_models_without_codes_are_refused():
    """By name."""
    model, _, _, _ = _gaussian()
    with pytest.raises(UsageError, match="model 'pca' has no codes: expected a GAN"):
        decoder_of(model, "pca")
    assert decoder_of(Plain(), "plain").latent == 3


def test_folders_can_be_links(tmp_path):
    """To images elsewhere, followed once."""
    _written(tmp_path / "real", _names(12))
    os.symlink(tmp_path / "real", tmp_path / "link")
    os.symlink(tmp_path / "real", tmp_path / "real" / "itself")
    split = images_named(f"folder:{tmp_path / 'link'}").split
    assert len(split.images) + len(split.held_images) == 12


def test_epochs_of_both_domains_do_not_shift():
    """Positions of two orders are kept apart in one tree."""
    batches = UNPAIRED.source(0).domains()
    batches.next(4)
    assert set(batches.position()) == {"epoch 0", "at 0", "epoch 1", "at 1"}
    assert all(a != b for a, b in pairwise(sorted(batches.position())))
