"""Pairs of domains: two sets of images, in step or apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from small import noise

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import load_tree, save_tree
from bench.datasets import DATASETS
from bench.datasets.digits import mnist5k
from bench.datasets.namedpairs import folder_pairs
from bench.datasets.pairs import Domains, Pairs
from bench.datasets.shoes import edges
from generative.contracts import TwoDomains

N, HELD = 9, 5


FOUND = Domains(
    noise(0, N, 8, 8),
    noise(1, N, 8, 8, 3),
    noise(2, HELD, 8, 8),
    noise(3, HELD, 8, 8, 3),
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
    large = replace(FOUND, first=noise(4, 13, 8, 8))
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
    assert {"emoji", "emoji-unpaired", "edges@digits", "openmoji@noto"} <= set(PAIR_SETS)
    paired = {name for name in PAIR_SETS if DATASETS[name].part.paired}
    assert paired == {"scenes@digits", "edges@shoes", "emoji", "openmoji@noto"}
    for name in PAIR_SETS:
        assert DATASETS[name].facts.licence == DATASETS[name].part.licence != ""


def test_edges_of_some_digits_and_other_digits_with_held_out_pairs():
    """No digit that is trained on has its edges among the others' ones."""
    data = DATASETS["edges@digits"].part
    found, source = data.load(), data.source(0)
    assert source.shape == source.first_shape == (1, 32, 32)
    np.testing.assert_array_equal(found.held_first, edges(found.held_second))
    own = {image.tobytes() for image in edges(found.second)}
    common = [image for image in found.first if image.tobytes() in own]
    assert len(common) < 0.01 * len(found.first)
    assert (len(found.first), len(found.second), len(found.held_first)) == (2_000, 2_000, 1_000)
    with pytest.raises(UsageError, match="unpaired"):
        source.pairs()


def test_classes_of_edges_are_those_of_their_digits():
    """In batches as in what they come from; pairs without classes have no such batches."""
    split, source = mnist5k(), DATASETS["edges@digits"].part.source(3)
    own = np.pad(split.images, ((0, 0), (2, 2), (2, 2)))
    known = {image.tobytes(): int(c) for image, c in zip(edges(own), split.labels, strict=True)}
    images, labels = source.labelled_first().next(300)
    drawn = (images[:, 0] * 255).round().to(torch.uint8).numpy()
    assert [known[image.tobytes()] for image in drawn] == labels.tolist()
    assert source.first_classes == 10
    assert UNPAIRED.source(0).first_classes == 0
    with pytest.raises(UsageError, match="no classes of its first domain: choose edges@digits"):
        UNPAIRED.source(0).labelled_first()


def test_epochs_of_both_domains_do_not_shift():
    """Positions of two orders are kept apart in one tree."""
    batches = UNPAIRED.source(0).domains()
    batches.next(4)
    assert set(batches.position()) == {"epoch 0", "at 0", "epoch 1", "at 1"}
    assert all(a != b for a, b in pairwise(sorted(batches.position())))


def test_domains_of_different_size_are_refused(tmp_path):
    """In a line that says what to do; brought to one size they are taken."""
    for domain, side in (("a", 16), ("b", 24)):
        (tmp_path / domain).mkdir()
        for n in range(20):
            image = Image.fromarray(noise(n, side, side))
            image.save(tmp_path / domain / f"{domain}{n}.png")
    with pytest.raises(UsageError, match=r"16 x 16 pixels and .* of 24 x 24: bring them to one"):
        folder_pairs("two", tmp_path, None).load()
    found = folder_pairs("two", tmp_path, 16).source(0)
    assert found.first_shape[1:] == found.shape[1:] == (16, 16)
