"""What holds for every data set: one seed, one set of data, whoever asks and however.

A data set that has to be downloaded is skipped where it is absent, with its own reason. Of those
of 60,000 images each law that would read them again and again sees none.
"""

from dataclasses import replace
from fnmatch import fnmatch
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import chi2, chi2_contingency

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.trees import load_tree, save_tree
from bench.datasets import DATASETS, digits
from bench.datasets.batches import FreshDraws, ShuffledEpochs
from bench.datasets.labelled import Labelled
from bench.datasets.mixtures import Mixture, from_table, grid, isotropic, ring
from bench.datasets.stacks import Stack

LARGE = ("*@mnist", "*@fashion", "mnist", "fashion", "cifar10", "*@shoes", "*@boots", "emoji*")
WITHOUT_TRAINING = ("photos",)
FOR_LARGE = ("test_a_source_is_what_it_says", "test_the_number_of_modes_is_declared")

MIXTURES = [name for name in DATASETS if isinstance(DATASETS[name].part, Mixture)]
STACKS = [name for name in DATASETS if isinstance(DATASETS[name].part, Stack)]


def pytest_generate_tests(metafunc):
    """Enrol every registered data set, in the laws of mixtures and stacks those that are one."""
    enrolled = {"dataset": list(DATASETS), "mixture": MIXTURES, "stack": STACKS}
    for fixture in enrolled.keys() & set(metafunc.fixturenames):
        names = [name for name in enrolled[fixture] if _seen_by(metafunc.function.__name__, name)]
        metafunc.parametrize(fixture, names, indirect=True)


def _seen_by(law, name):
    if name in WITHOUT_TRAINING:
        return law in FOR_LARGE or not law
    return law in FOR_LARGE or not any(fnmatch(name, pattern) for pattern in LARGE)


@pytest.fixture
def dataset(request):
    """A registered data set that is here."""
    part = DATASETS[request.param].part
    if part.missing:
        pytest.skip(part.missing)
    return part


mixture = stack = dataset


def test_a_source_is_what_it_says(dataset):
    """The training set has the declared shape: float32, finite, and no gradient."""
    source = dataset.source(0)
    training = source.training
    assert training.shape[1:] == source.shape
    if dataset.name in WITHOUT_TRAINING:
        assert len(training) == 0
        training = source.fresh(20, stream("fresh"))
    assert len(training) >= (20 if dataset.name in WITHOUT_TRAINING else 500)
    assert training.dtype == torch.float32
    assert training.isfinite().all()
    assert source.device == "cpu"
    if source.box is not None:
        assert len(source.shape) == 3
        assert source.box[0] == training.min() < training.max() == source.box[1]


def test_the_number_of_modes_is_declared(dataset):
    """The facts, the source and the data themselves name the same number."""
    facts, source = DATASETS[dataset.name].facts, dataset.source(0)
    assert facts.modes == source.modes == dataset.modes
    if isinstance(dataset, Mixture):
        assert facts.modes == len(np.unique(dataset.centres, axis=0)) == source.classes
        assert source.box is None
        assert (source.density is None) == dataset.degenerate
    else:
        assert facts.modes == source.classes ** getattr(dataset, "depth", 1)
        assert source.shape[0] == getattr(dataset, "depth", source.shape[0])
        assert source.density is None
        assert facts.licence


def test_a_seed_has_one_set_of_data(dataset):
    """Two consumers see the same batches and the same training set, whatever was drawn before."""
    with forked(0):
        source = dataset.source(3)
        first = source.batches().next(64)
        half = source.training[:100].clone()
    with forked(1):
        other = dataset.source(3)
        other.fresh(10, stream("elsewhere"))
        assert torch.equal(other.training[:100], half)
        assert torch.equal(other.batches().next(64), first)
        assert torch.equal(other.batches().next(64), first)


def test_another_seed_has_other_data(dataset):
    """In the training set and in the batches."""
    one, two = dataset.source(0), dataset.source(1)
    assert not torch.equal(one.training[:100], two.training[:100])
    assert not torch.equal(one.batches().next(100), two.batches().next(100))


def test_fresh_data_were_not_trained_on(dataset):
    """They follow their generator alone, and none of them is in the training set."""
    source = dataset.source(0)
    fresh = source.fresh(500, stream("fresh"))
    assert fresh.shape == (500, *source.shape)
    assert torch.equal(fresh, dataset.source(1).fresh(500, stream("fresh")))
    known = {row.numpy().tobytes() for row in source.training[:20_000]}
    assert known.isdisjoint(row.numpy().tobytes() for row in fresh)


def test_the_global_generators_are_left_alone(dataset):
    """Nothing that a source does draws from torch's or NumPy's own state."""
    with forked(0):
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
        source = dataset.source(0)
        source.batches().next(10)
        source.fresh(10, stream("x"))
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("eaten", [[], [64], [7, 50, 1]])
def test_a_stream_goes_on_from_its_position(dataset, eaten, tmp_path):
    """A position, kept in a file while the stream moves on, leads back bit for bit."""
    batches = dataset.source(0).batches()
    for n in eaten:
        batches.next(n)
    position = batches.position()
    ahead = [batches.next(n) for n in (32, 5, 64)]
    save_tree(tmp_path / "position", position)
    resumed = dataset.source(0).batches()
    resumed.next(11)
    resumed.seek(load_tree(tmp_path / "position"))
    assert all(torch.equal(resumed.next(len(batch)), batch) for batch in ahead)


@pytest.mark.parametrize(("points", "batch"), [(12, 4), (10, 3), (7, 7), (5, 12), (1, 3), (9, 8)])
def test_every_point_once_an_epoch(points, batch):
    """Whatever the batch, each run of as many points as there are is a permutation of them."""
    data = torch.arange(points, dtype=torch.float32)[:, None]
    batches = ShuffledEpochs(data, stream("epochs"))
    drawn = [batches.next(batch) for _ in range(8 * points)]
    assert {tuple(part.shape) for part in drawn} == {(batch, 1)}
    epochs = torch.cat(drawn)[: points * 8, 0].view(8, points)
    assert torch.equal(epochs.sort(dim=1).values, data[:, 0].expand(8, -1))
    assert points < 5 or len(epochs.unique(dim=0)) == 8


@pytest.mark.parametrize("stop", range(9))
def test_seeking_near_the_end_of_an_epoch(stop):
    """At every place of an epoch, its first and last among them."""
    data = torch.arange(7, dtype=torch.float32)[:, None]
    batches = ShuffledEpochs(data, stream("epochs"))
    for _ in range(stop):
        batches.next(2)
    position = batches.position()
    ahead = [batches.next(3) for _ in range(10)]
    resumed = ShuffledEpochs(data, stream("other"))
    resumed.seek(position)
    assert all(torch.equal(resumed.next(3), batch) for batch in ahead)


def test_an_absent_data_set_has_no_fingerprint(tmp_path, monkeypatch):
    """It says why instead, and has no source."""
    monkeypatch.setenv("MINIMAX_DATA", str(tmp_path))
    stack = replace(DATASETS["stack2@mnist"].part)
    assert stack.fingerprint == ""
    assert stack.missing.startswith("MNIST is not here")
    with pytest.raises(UsageError, match=r"^MNIST is not here"):
        stack.source(0)


def test_the_kind_of_stream():
    """Fixed points come in epochs; where there are none every batch is fresh."""
    assert isinstance(DATASETS["ring8@pacgan"].part.source(0).batches(), ShuffledEpochs)
    unrolled = DATASETS["ring8@unrolled-paper"].part.source(0)
    assert isinstance(unrolled.batches(), FreshDraws)
    batches = unrolled.batches()
    assert not torch.equal(batches.next(10), batches.next(10))
    assert isinstance(DATASETS["single@optdigits"].part.source(0).batches(), ShuffledEpochs)
    assert isinstance(DATASETS["stack2@optdigits"].part.source(0).batches(), FreshDraws)


def test_batches_come_from_the_training_set():
    """The first epoch of a fixed set is that set in another order."""
    source = replace(DATASETS["grid25@pacgan"].part, training_points=500).source(0)
    epoch = source.batches().next(500)
    assert source.training.shape == (500, 2)
    assert torch.equal(epoch.unique(dim=0), source.training.unique(dim=0))
    assert not torch.equal(epoch, source.training)


def test_fingerprints_tell_data_sets_apart():
    """Each is a sha256, and no two are the same."""
    names = [name for name in DATASETS if _seen_by("", name)]
    prints = {DATASETS[name].part.fingerprint for name in names}
    assert len(prints) == len(names)
    assert all(len(bytes.fromhex(fingerprint)) == 32 for fingerprint in prints)


@pytest.mark.parametrize("field", ["centres", "covariances", "weights"])
def test_a_fingerprint_changes_with_every_number(mixture, field):
    """By one part in a million, in the last place of the array."""
    array = getattr(mixture, field).copy()
    array.flat[-1] += 1e-6
    assert replace(mixture, **{field: array}).fingerprint != mixture.fingerprint


def test_a_fingerprint_ignores_names(mixture):
    """The name and the note are not the data; the rule and the training set are."""
    print_ = mixture.fingerprint
    assert replace(mixture, name="other", note="other").fingerprint == print_
    assert replace(mixture, weights=mixture.weights * 4).fingerprint == print_
    assert replace(mixture, training_points=77).fingerprint != print_
    assert replace(mixture, rule="box3").fingerprint != print_


@pytest.mark.parametrize("kept", [[0], [2, 5], [6, 1, 3]])
def test_some_modes_keep_their_weights(mixture, kept):
    """Relative to one another; centres and covariances are those of the modes."""
    some = mixture.of_modes(kept)
    wanted = mixture.weights[kept] / mixture.weights[kept].sum()
    np.testing.assert_allclose(some.weights, wanted)
    assert np.array_equal(some.centres, mixture.centres[kept])
    assert np.array_equal(some.covariances, mixture.covariances[kept])
    assert (some.rule, some.training_points) == (mixture.rule, mixture.training_points)
    uneven = replace(mixture, weights=np.arange(1.0, mixture.modes + 1)).of_modes(kept)
    np.testing.assert_allclose(uneven.weights, np.add(kept, 1) / np.add(kept, 1).sum())


@pytest.mark.parametrize("kept", [[0], [2, 5], [6, 1, 3]])
def test_fresh_samples_of_some_modes(mixture, kept):
    """The nearest mode of each is one of those asked for, and all of those are there."""
    drawn = mixture.source(0).fresh(300, stream("some"), classes=kept).numpy()
    assert drawn.shape == (300, mixture.dim)
    distances = [np.linalg.norm(drawn - centre, axis=1) for centre in mixture.centres]
    assert set(np.argmin(distances, axis=0)) == set(kept)


def test_labels_follow_the_weights(mixture):
    """Their frequencies are within 5 errors of the weights."""
    n = 200_000 if mixture.dim < 10 else 5_000
    labels = mixture.sample_labelled(n, stream("labels"))[1]
    frequencies = np.bincount(labels.numpy(), minlength=mixture.modes) / n
    errors = np.sqrt(mixture.weights * (1 - mixture.weights) / n)
    assert (np.abs(frequencies - mixture.weights) < 5 * errors).all()


def test_samples_have_the_moments_of_their_mode(mixture):
    """Mean and variance of each mode's samples are within 5 errors of its own."""
    n = 100_000 if mixture.dim < 10 else 4_000
    samples, labels = mixture.sample_labelled(n, stream("moments"))
    assert samples.dtype == torch.float32
    for mode in range(mixture.modes):
        own = samples[labels == mode].double().numpy()
        variance = mixture.covariances[mode]
        error = np.sqrt(variance / len(own))
        rounding = 1e-6 * np.abs(mixture.centres[mode])
        assert (np.abs(own.mean(axis=0) - mixture.centres[mode]) <= 5 * error + rounding).all()
        spread = np.abs(own.var(axis=0, ddof=1) - variance)
        assert (spread <= 5 * variance * np.sqrt(2 / len(own)) + rounding**2).all()


def test_labelled_and_plain_samples_are_the_same(mixture):
    """`sample` is `sample_labelled` without the labels."""
    labelled, _ = mixture.sample_labelled(50, stream("a"))
    assert torch.equal(mixture.sample(50, stream("a")), labelled)


LABELLED = [name for name in DATASETS if isinstance(DATASETS[name].part, Labelled)]


@pytest.mark.parametrize("name", [name for name in LABELLED if _seen_by("", name)])
def test_labels_belong_to_their_images(name):
    """In the order of a seed, and held out; classes count from 0 and none is missing."""
    data = DATASETS[name].part
    source, split = data.source(1), data.split
    known = {
        image.tobytes(): label for image, label in zip(split.images, split.labels, strict=True)
    }
    training = _bytes(source.training)[:, 0] if len(source.training) else []
    found = [known[image.tobytes()] for image in training]
    assert found == source.training_labels.tolist()
    assert np.array_equal(source.held_out_labels.numpy(), split.held_labels)
    pictures = np.moveaxis(_bytes(source.held_out), 1, -1).reshape(split.held_images.shape)
    assert np.array_equal(pictures, split.held_images)
    if name not in WITHOUT_TRAINING:
        assert set(found) == set(split.held_labels.tolist()) == set(range(data.classes))


def test_threes_and_sevens():
    """The two classes of mnist5k, called 0 and 1."""
    both, few = DATASETS["mnist5k"].part.split, DATASETS["mnist5k-3v7"].part.split
    for digit, label in ((3, 0), (7, 1)):
        wanted = both.held_images[both.held_labels == digit]
        assert np.array_equal(few.held_images[few.held_labels == label], wanted)
    assert len(few.images) == 800
    assert len(few.held_images) == 200


def test_the_photos_are_cropped_in_the_middle():
    """20 colour images of 224 x 224 with their ImageNet classes."""
    split = DATASETS["photos"].part.split
    assert split.held_images.shape == (20, 224, 224, 3)
    assert split.held_images.std(axis=(1, 2)).min() > 5
    assert len(set(split.held_labels.tolist())) > 10
    assert 0 <= split.held_labels.min() <= split.held_labels.max() < 1_000


def _bytes(images):
    """Images in [0, 1] as uint8; every value is a multiple of 1/255."""
    scaled = np.asarray(images, dtype=np.float64) * 255
    whole = np.rint(scaled)
    assert np.abs(scaled - whole).max() < 1e-4
    assert 0 <= whole.min() <= whole.max() <= 255
    return whole.astype(np.uint8)


def _labels(images, known_images, known_labels):
    """The labels of stacks [n, depth, h, w], each digit looked up among known ones."""
    known = {
        image.tobytes(): label for image, label in zip(known_images, known_labels, strict=True)
    }
    return np.array([[known[digit.tobytes()] for digit in one] for one in _bytes(images)])


def _chi_square_is_usual(observed, expected, freedom):
    """Within its range but for one time in ten thousand at either end."""
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return chi2.ppf(1e-4, freedom) < statistic < chi2.ppf(1 - 1e-4, freedom)


def test_a_stack_is_of_known_digits(stack):
    """Batches and training set of the training digits, fresh draws of those held out."""
    split, source = stack.load(), stack.source(0)
    for drawn in (source.training[:500], source.batches().next(500)):
        assert set(_labels(drawn, split.images, split.labels).flat) == set(range(10))
    fresh = source.fresh(500, stream("fresh"))
    assert set(_labels(fresh, split.held_images, split.held_labels).flat) == set(range(10))


@pytest.mark.parametrize("classes", [[3], [9, 0], [1, 2, 4, 5, 6, 7, 8]])
def test_fresh_stacks_of_some_classes(stack, classes):
    """Every place holds those digits, and only those."""
    split = stack.load()
    drawn = stack.source(0).fresh(300, stream("some"), classes=classes)
    labels = _labels(drawn, split.held_images, split.held_labels)
    assert labels.shape == (300, stack.depth)
    assert all(set(place) == set(classes) for place in labels.T)


def test_the_places_of_a_stack_are_balanced_and_independent(stack):
    """Every digit as often in every place, whatever is in the others."""
    split, n = stack.load(), 5_000
    drawn = stack.source(0).fresh(n, stream("balance"))
    labels = _labels(drawn, split.held_images, split.held_labels)
    for place in labels.T:
        assert _chi_square_is_usual(np.bincount(place, minlength=10), n / 10, 9)
    for one, other in combinations(labels.T, 2):
        table = np.bincount(10 * one + other, minlength=100).reshape(10, 10)
        assert chi2_contingency(table).pvalue > 1e-4


def test_every_held_out_image_is_drawn_as_often():
    """Of the 100 of its class; the last of each among them."""
    stack = DATASETS["single@mnist5k"].part
    n, split = 20_000, stack.load()
    index = {image.tobytes(): at for at, image in enumerate(split.held_images)}
    drawn = stack.source(0).fresh(n, stream("uniform"))
    counts = np.bincount([index[image.tobytes()] for image in _bytes(drawn)], minlength=1_000)
    assert counts.min() > 0
    assert _chi_square_is_usual(counts, n / 1_000, 999)


def test_a_single_digit_is_trained_on_once_an_epoch():
    """The training set is every training image once, in an order that the seed decides."""
    stack = DATASETS["single@optdigits"].part
    wanted = sorted(image.tobytes() for image in stack.load().images)
    training = _bytes(stack.source(4).training)
    epoch = _bytes(stack.source(4).batches().next(len(wanted)))
    assert sorted(image.tobytes() for image in training) == wanted
    assert sorted(image.tobytes() for image in epoch) == wanted
    assert not np.array_equal(training[:, 0], stack.load().images)


@pytest.mark.parametrize(
    ("load", "train", "held", "size"),
    [(digits.mnist5k, [400] * 10, 100, 28), (digits.digits8, None, 30, 8)],
    ids=["mnist5k", "optdigits"],
)
def test_the_splits_of_the_digits(load, train, held, size):
    """As many of each class held out; no image on both sides; labels belong to their images."""
    split = load()
    assert split.images.dtype == split.held_images.dtype == np.uint8
    assert split.images.shape[1:] == split.held_images.shape[1:] == (size, size)
    counts = np.bincount(split.labels).tolist()
    assert counts == train if train else sum(counts) == 1_497
    assert np.bincount(split.held_labels).tolist() == [held] * 10
    trained = {image.tobytes() for image in split.images}
    assert trained.isdisjoint(image.tobytes() for image in split.held_images)
    centroids = np.stack([split.images[split.labels == c].mean(axis=0) for c in range(10)])
    gaps = np.linalg.norm(split.held_images[:, None].astype(float) - centroids, axis=(2, 3))
    assert (gaps.argmin(axis=1) == split.held_labels).mean() > 0.75


def test_a_split_is_stratified():
    """As many of each class aside, every example on one side, the same each time."""
    labels = np.repeat([0, 1, 2], [5, 9, 6])
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1)
    split, again = (digits.stratified(images, labels, 2) for _ in range(2))
    assert np.bincount(split.held_labels).tolist() == [2, 2, 2]
    assert np.bincount(split.labels).tolist() == [3, 7, 4]
    both = np.concatenate([split.images, split.held_images]).ravel()
    assert sorted(both) == list(range(20))
    found = np.concatenate([split.labels, split.held_labels])
    assert np.array_equal(found, labels[both])
    assert np.array_equal(split.images, again.images)
    assert np.array_equal(split.held_images, again.held_images)


@pytest.mark.parametrize("part", ["images", "labels", "held_images", "held_labels"])
def test_a_fingerprint_changes_with_every_byte(part):
    """Of the images and of the labels, to train on and held out."""
    stack = DATASETS["stack2@optdigits"].part
    split = stack.load()
    array = getattr(split, part).copy()
    array.flat[-1] ^= 1
    changed = replace(stack, load=lambda: replace(split, **{part: array}))
    same = replace(stack, load=lambda: replace(split, **{part: array.copy()}))
    assert changed.fingerprint != stack.fingerprint
    assert changed.fingerprint == same.fingerprint
    assert replace(stack, depth=3).fingerprint != stack.fingerprint
    assert replace(stack, name="other").fingerprint == stack.fingerprint


def test_a_degenerate_mixture_has_no_density():
    """The source says so, and asking all the same is an error."""
    flat = DATASETS["hd10@veegan"].part
    assert flat.degenerate
    assert flat.source(0).density is None
    with pytest.raises(ValueError, match=r"hd10@veegan.* is degenerate: it has no density"):
        flat.log_prob(np.zeros((1, 1200)))


def test_the_notebook_ring_has_seven_modes():
    """The angles of `linspace(0, 2 pi, 8)`, whose first and last are one point."""
    angles = np.linspace(0, 2 * np.pi, 8)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mixture = DATASETS["ring@unrolled-notebook"].part
    nearest = np.linalg.norm(points[:, None] - mixture.centres[None], axis=2)
    assert nearest.min(axis=1).max() < 1e-12
    weights = np.bincount(nearest.argmin(axis=1), minlength=7) / 8
    assert np.array_equal(weights, [2 / 8, *[1 / 8] * 6])
    np.testing.assert_allclose(mixture.weights, weights)


@pytest.mark.parametrize(
    ("name", "modes", "radius", "sigma", "points"),
    [
        ("ring8@pacgan", 8, 1, 0.01, 100_000),
        ("ring8@unrolled-paper", 8, 2, 0.02, None),
        ("grid25@pacgan", 25, np.sqrt(32), 0.05, 100_000),
    ],
)
def test_the_published_targets(name, modes, radius, sigma, points):
    """Number, place and width of the modes are those of the papers' code."""
    mixture = DATASETS[name].part
    assert mixture.centres.shape == (modes, 2)
    assert np.linalg.norm(mixture.centres, axis=1).max() == pytest.approx(radius)
    np.testing.assert_allclose(mixture.covariances, sigma**2)
    np.testing.assert_allclose(mixture.weights, 1 / modes)
    np.testing.assert_allclose(mixture.centres.sum(axis=0), 0, atol=1e-12)
    assert mixture.training_points == points


def test_rings_and_grids():
    """A ring starts at angle 0 and turns left; a grid holds every pair of its ticks."""
    np.testing.assert_allclose(ring(4, 2.0), [[2, 0], [0, 2], [-2, 0], [0, -2]], atol=1e-12)
    assert {tuple(point) for point in grid(-1, 0, 3)} == {
        (x, y) for x in (-1, 0, 3) for y in (-1, 0, 3)
    }
    assert isotropic("one", np.zeros((1, 3)), 0.5).covariances.tolist() == [[0.25] * 3]


CENTRES = [[0.0, 0.0], [1.0, 1.0]]
SQUARE = [[1.0, 0.2], [0.2, 1.0]]
BAD = [
    ({"centres": [[0.0, np.nan], [1.0, 1.0]]}, "finite centres"),
    ({"centres": [[0.0, np.inf], [1.0, 1.0]]}, "finite centres"),
    ({"centres": [[0.0, 0.0], [1.0]]}, "expected numbers as centres"),
    ({"centres": [[], []]}, "at least one centre"),
    ({"centres": [0.0, 1.0]}, "centres of one shape"),
    ({"centres": [["a", 0.0], [1.0, 1.0]]}, "expected numbers as centres"),
    ({"weights": [1.0, np.nan]}, "finite weights"),
    ({"weights": [1.0, -1.0]}, "positive weights"),
    ({"weights": [1.0, 0.0]}, "positive weights"),
    ({"weights": [1.0]}, "2 centres of dimension 2 need 2 weights"),
    ({"weights": [[1.0], [1.0]]}, "weights of one shape"),
    ({"covariances": [[1.0, np.nan], [1.0, 1.0]]}, "finite covariances"),
    ({"covariances": [[1.0, -1.0], [1.0, 1.0]]}, "positive variances"),
    ({"covariances": [[0.0, 0.0], [1.0, 1.0]]}, "positive variances"),
    ({"covariances": [[1.0, 1.0]]}, "need 2 weights and covariances, got 2 and 1"),
    ({"covariances": [[1.0], [1.0]]}, r"of shape \(1,\)"),
    ({"covariances": [1.0, 1.0]}, "covariances of one shape"),
    ({"covariances": [[1.0, 1.0], SQUARE]}, "expected numbers as covariances"),
    ({"covariances": [[[1.0, 0.2], [0.3, 1.0]], SQUARE]}, "symmetric covariances"),
    ({"covariances": [[[1.0, 2.0], [2.0, 1.0]], SQUARE]}, "not positive definite"),
    ({"covariances": [[[1.0, 1.0], [1.0, 1.0]], SQUARE]}, "not positive definite"),
    ({"covariances": [[[-1.0, 0.0], [0.0, 1.0]], SQUARE]}, "not positive definite"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_mixture_is_refused(changes, message):
    """By name, with what was expected of which field."""
    good = {"centres": CENTRES, "covariances": [[1.0, 1.0]] * 2, "weights": [1.0, 1.0]}
    values = {key: _ragged(value) for key, value in {**good, **changes}.items()}
    with pytest.raises(UsageError, match=rf"^mixture 'mine': .*{message}"):
        Mixture("mine", **values)


def _ragged(rows):
    """An array of whatever shape the rows have; of objects where they have none."""
    try:
        return np.array(rows)
    except ValueError:
        return np.array(rows, dtype=object)


def _table(**changes):
    table = {
        "name": "mine",
        "centres": CENTRES,
        "covariances": [0.5, 0.5],
        "weights": None,
        "rule": "euclid3",
        "training_points": 1_000,
    }
    return from_table({**table, **changes})


def test_a_table_is_a_mixture():
    """Variances, lists and matrices mean what they say, also side by side."""
    assert _table().covariances.tolist() == [[0.5, 0.5]] * 2
    assert _table(covariances=[0.5, [1.0, 2.0]]).covariances.tolist() == [[0.5, 0.5], [1.0, 2.0]]
    mixed = _table(covariances=[0.5, SQUARE]).covariances.tolist()
    assert mixed == [[[0.5, 0.0], [0.0, 0.5]], SQUARE]
    assert _table(weights=[3.0, 1.0]).weights.tolist() == [0.75, 0.25]
    assert _table(training_points=0).training_points is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "euclid"}, r"unknown rule 'euclid': did you mean 'euclid3'\? .*mine"),
        ({"centres": []}, "mixture 'mine'"),
        ({"centres": [[0.0, 0.0], [1.0]]}, "numbers as centres"),
        ({"covariances": [1.0]}, "need 2 weights"),
        ({"covariances": [[], []]}, "mixture 'mine'"),
        ({"covariances": [[1.0], [1.0, 2.0]]}, "numbers as covariances"),
        ({"covariances": [SQUARE, [[1.0]]]}, "numbers as covariances"),
        ({"weights": [1.0]}, "need 2 weights"),
    ],
)
def test_a_bad_table_is_refused(changes, message):
    """As a usage error that names the mixture."""
    with pytest.raises(UsageError, match=message):
        _table(**changes)
