"""What a source gives through each of its doors, told by the pixels: training or held out, whose
label, in which order, of which seed.
"""

import numpy as np
import pytest
import torch

from bench.core.randomness import stream
from bench.datasets.digits import Split
from bench.datasets.labelled import Labelled
from bench.datasets.mixtures import Mixture
from bench.datasets.pairs import Domains, Pairs
from bench.datasets.stacks import Stack

CLASSES = 10


def _named(n, held, low):
    """Images that tell which they are: the number in the first pixel, held out or not in the
    second, the class in the third.
    """
    images = np.zeros((n, 2, 2), np.uint8)
    images[:, 0, 0] = np.arange(n)
    images[:, 0, 1] = 200 * held
    images[:, 1, 0] = (np.arange(n) * 7 + low) % CLASSES
    return images


def told(images):
    """Number, held out or not, and class of images in [0, 1] or of bytes, one channel."""
    found = images if images.dtype == torch.uint8 else (images * 255).round()
    flat = found.reshape(-1, 4).long()
    return flat[:, 0], flat[:, 1] > 0, flat[:, 2]


TRAIN, HELD = _named(150, False, 1), _named(60, True, 3)
SPLIT = Split(TRAIN, TRAIN[:, 1, 0].astype(np.int64), HELD, HELD[:, 1, 0].astype(np.int64))
IMAGES = Labelled("told", lambda: SPLIT)
STACKS = Stack("told", 3, "none", lambda: SPLIT, estimated=4 * 3 * 200)
DIGITS = Stack("told", 1, "none", lambda: SPLIT)
FIRST, SECOND = _named(40, False, 0), _named(40, False, 5)
HELD_FIRST, HELD_SECOND = _named(30, True, 0), _named(30, True, 5)
PAIRS = Pairs("told", lambda: Domains(FIRST, SECOND, HELD_FIRST, HELD_SECOND), True)
POINTS = Mixture(
    "told", np.array([[0.0], [5.0]]), np.full((2, 1), 0.01), np.ones(2), training_points=90
)


@pytest.mark.parametrize("seed", [0, 3])
def test_images_to_train_on(seed):
    """Each once an epoch, another order in every epoch, and each with its own label."""
    source = IMAGES.source(seed)
    number, held, label = told(source.training_bytes)
    assert not held.any()
    assert number.sort().values.tolist() == list(range(150))
    assert torch.equal(label, source.training_labels)
    assert torch.equal(told(source.training)[0], number)
    batches, labelled, epochs = source.batches(), source.labelled_batches(), []
    for _ in range(3):
        parts = [labelled.next(50) for _ in range(3)]
        images, labels = (torch.cat(x) for x in zip(*parts, strict=True))
        assert torch.equal(told(images)[2], labels)
        assert torch.equal(torch.cat([batches.next(30) for _ in range(5)]), images)
        epochs.append(told(images)[0].tolist())
        assert sorted(epochs[-1]) == list(range(150))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_a_batch_that_an_epoch_ends_in_goes_on_with_the_next():
    """No example is left out, none comes twice before all have come once."""
    batches = IMAGES.source(0).batches()
    seen = torch.cat([told(batches.next(40))[0] for _ in range(15)]).reshape(4, 150)
    assert all(sorted(epoch.tolist()) == list(range(150)) for epoch in seen)


@pytest.mark.parametrize("seed", [0, 3])
def test_images_that_are_held_out(seed):
    """In the order of the file, whatever the seed; fresh ones are among them, of their classes."""
    source = IMAGES.source(seed)
    number, held, label = told(source.held_out)
    assert held.all()
    assert number.tolist() == list(range(60))
    assert torch.equal(label, source.held_out_labels)
    assert told(source.fresh(200, stream("fresh")))[1].all()
    _, held, label = told(source.fresh(30, stream("fresh"), [2, 5]))
    assert held.all()
    assert set(label.tolist()) == {2, 5}


SOURCES = {
    "images": (IMAGES, lambda s: told(s.batches().next(50))[0]),
    "labelled": (IMAGES, lambda s: told(s.labelled_batches().next(50)[0])[0]),
    "training": (IMAGES, lambda s: told(s.training)[0]),
    "stacks": (STACKS, lambda s: s.batches().next(50)),
    "training stacks": (STACKS, lambda s: s.training),
    "digits": (DIGITS, lambda s: told(s.batches().next(50))[0]),
    "points": (POINTS, lambda s: s.batches().next(50)),
    "training points": (POINTS, lambda s: s.training),
    "pairs": (PAIRS, lambda s: told(s.pairs().next(30)[0])[0]),
    "first": (PAIRS, lambda s: told(s.domains().next(30)[0])[0]),
    "second": (PAIRS, lambda s: told(s.domains().next(30)[1])[0]),
    "of the second": (PAIRS, lambda s: told(s.batches().next(30))[0]),
}


@pytest.mark.parametrize("door", SOURCES)
def test_the_seed_decides_what_is_trained_on_and_in_which_order(door):
    """The same again for the same."""
    data, look = SOURCES[door]
    first, again, other = (look(data.source(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("data", [STACKS, DIGITS], ids=["three", "one"])
def test_stacks_are_of_independent_digits_of_their_own_side(data):
    """Every class as often in every place, and every image of a class."""
    source = data.source(0)
    for stacks, side in (
        (source.training, False),
        (source.batches().next(150), False),
        (source.fresh(2_000, stream("fresh")), True),
    ):
        number, held, label = (x.reshape(len(stacks), -1) for x in told(stacks))
        assert (held == side).all()
        if side:
            assert len(number.unique()) == 60
            counts = torch.stack([(label == c).float().mean(0) for c in range(CLASSES)])
            assert (counts - 0.1).abs().max() < 0.04
            assert data.depth == 1 or (number[:, 0] == number[:, 1]).float().mean() < 0.1
    assert set(told(source.fresh(50, stream("some"), [4]))[2].tolist()) == {4}


def test_pairs_stay_together_and_domains_do_not():
    """Images of the training sets alone, each once an epoch."""
    source = PAIRS.source(0)
    pairs, domains = source.pairs(), source.domains()
    for batches, together in ((pairs, True), (domains, False)):
        first, second = batches.next(40)
        numbers = [told(x)[0] for x in (first, second)]
        assert not any(told(x)[1].any() for x in (first, second))
        assert (told(first)[2] != told(second)[2]).any()
        assert all(sorted(x.tolist()) == list(range(40)) for x in numbers)
        assert torch.equal(*numbers) == together
    assert torch.equal(told(source.first)[0], told(source.second)[0])


def test_held_out_pairs():
    """In the order of the file, each at its partner's place."""
    source = PAIRS.source(2)
    for images, second in ((source.held_first, False), (source.held_second, True)):
        number, held, label = told(images)
        assert held.all()
        assert number.tolist() == list(range(30))
        assert label[0] == (5 if second else 0)
    assert told(source.fresh(50, stream("fresh")))[1].all()


def test_points_of_a_fixed_training_set_come_in_epochs():
    source = POINTS.source(0)
    batches = source.batches()
    for _ in range(2):
        seen = torch.cat([batches.next(45), batches.next(45)])
        assert torch.equal(seen.sort(0).values, source.training.sort(0).values)
