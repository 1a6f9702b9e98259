"""What holds for every data set: one seed, one set of data, whoever asks and however."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.datasets import DATASETS
from bench.datasets.mixtures import Mixture, grid, isotropic, ring
from bench.datasets.points import FreshDraws, ShuffledEpochs
from bench.errors import UsageError
from bench.randomness import forked, stream
from bench.tasks.mixture import from_table
from bench.trees import load_tree, save_tree

MIXTURES = [name for name in DATASETS if isinstance(DATASETS[name].part, Mixture)]


def pytest_generate_tests(metafunc):
    """Enrol every registered data set, in the laws of mixtures those that are one."""
    for fixture, names in (("dataset", list(DATASETS)), ("mixture", MIXTURES)):
        if fixture in metafunc.fixturenames:
            params = [pytest.param(DATASETS[name].part, id=name) for name in names]
            metafunc.parametrize(fixture, params)


def test_a_source_is_what_it_says(dataset):
    """The training set has the declared shape: float32, finite, and no gradient."""
    source = dataset.source(0)
    training = source.training
    assert training.shape[1:] == source.shape
    assert len(training) >= 1_000
    assert training.dtype == torch.float32
    assert training.isfinite().all()
    assert source.device == "cpu"


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_number_of_modes_is_declared(name):
    """The facts, the source and the data themselves name the same number."""
    entry = DATASETS[name]
    assert entry.facts.modes == entry.part.source(0).modes
    if isinstance(entry.part, Mixture):
        assert entry.facts.modes == entry.part.modes == len(np.unique(entry.part.centres, axis=0))
        assert entry.part.name == name


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


def test_the_kind_of_stream():
    """Fixed points come in epochs; where there are none every batch is fresh."""
    assert isinstance(DATASETS["ring8@pacgan"].part.source(0).batches(), ShuffledEpochs)
    unrolled = DATASETS["ring8@unrolled-paper"].part.source(0)
    assert isinstance(unrolled.batches(), FreshDraws)
    batches = unrolled.batches()
    assert not torch.equal(batches.next(10), batches.next(10))


def test_batches_come_from_the_training_set():
    """The first epoch of a fixed set is that set in another order."""
    source = replace(DATASETS["grid25@pacgan"].part, training_points=500).source(0)
    epoch = source.batches().next(500)
    assert source.training.shape == (500, 2)
    assert torch.equal(epoch.unique(dim=0), source.training.unique(dim=0))
    assert not torch.equal(epoch, source.training)


def test_fingerprints_tell_data_sets_apart():
    """Each is a sha256, and no two are the same."""
    prints = {dataset.part.fingerprint for dataset in DATASETS.entries()}
    assert len(prints) == len(DATASETS)
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
