"""Scores of translations, segmentations, completions and classes against their definitions and
against torchmetrics.
"""

from math import log, log10, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.core.errors import UsageError
from metrics import METRICS, StackTally, tally_stacks
from metrics.classes import Asked
from metrics.completion import Completion
from metrics.readings import StackTruth
from metrics.segmentation import confusion
from metrics.translation import Translated

OF_TRANSLATIONS = ("l1", "psnr", "ssim")
OF_SEGMENTATIONS = ("pixel_accuracy", "class_accuracy", "class_iou")
OF_COMPLETIONS = ("psnr_hidden", "psnr_known", "same_reading")
OF_CLASSES = ("class_coverage", "class_kl", "off_manifold_images")


def score(name, real, fake):
    return METRICS[name].part(real, fake)


def value(name, real, fake):
    return score(name, real, fake).value


def _images(seed, *shape):
    """In [0, 1], smooth enough for structure."""
    rng = np.random.default_rng(seed)
    noise = rng.random(shape)
    return (noise + np.roll(noise, 1, -1) + np.roll(noise, 1, -2)) / 3


def _near(real, seed=1, sigma=0.1):
    """The same images with noise, in [0, 1]."""
    noise = np.random.default_rng(seed).normal(0, sigma, real.shape)
    return np.clip(real + noise, 0, 1)


def _made(images):
    return Translated(np.ascontiguousarray(images))


@pytest.fixture(scope="module")
def peers():
    """torchmetrics' functions of images."""
    return pytest.importorskip("torchmetrics.functional.image")


SHAPES = [(3, 1, 11, 11), (4, 3, 16, 23), (2, 2, 32, 32), (1, 3, 64, 11)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.01, 0.3])
def test_ssim_is_that_of_torchmetrics(peers, shape, sigma):
    """At every place where the window lies inside: torchmetrics goes on over the border, with
    reflected images, and means over that too.
    """
    real = _images(0, *shape)
    fake = _near(real, sigma=sigma)
    _, places = peers.structural_similarity_index_measure(
        torch.from_numpy(fake), torch.from_numpy(real), data_range=1.0, return_full_image=True
    )
    wanted = places[:, :, 5:-5, 5:-5].mean((1, 2, 3)).numpy()
    each = [value("ssim", real[i : i + 1], _made(fake[i : i + 1])) for i in range(len(real))]
    np.testing.assert_allclose(each, wanted, rtol=0, atol=1e-9)
    found = score("ssim", real, _made(fake))
    assert found.value == pytest.approx(wanted.mean(), abs=1e-9)
    assert found.n == len(real)


@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_is_that_of_torchmetrics(peers, shape):
    """Each image's, and then their mean: not that of the mean error."""
    real = _images(0, *shape)
    scale = np.linspace(0.1, 1, len(real))[:, None, None, None]
    fake = real + scale * (_near(real) - real)
    wanted = peers.peak_signal_noise_ratio(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        data_range=1.0,
        reduction="none",
        dim=(1, 2, 3),
    )
    assert value("psnr", real, _made(fake)) == pytest.approx(float(wanted.mean()), abs=1e-5)


def test_ssim_of_one_window_by_hand():
    """An image of 11 x 11 has one place for the window: means, variances and covariance under its
    weights (Wang et al. 2004, equations 13 to 16).
    """
    real, fake = _images(0, 1, 1, 11, 11), _images(1, 1, 1, 11, 11)
    ticks = np.arange(-5, 6)
    weights = np.exp(-(ticks[:, None] ** 2 + ticks[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    x, y = real[0, 0], fake[0, 0]
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x = (weights * (x - mean_x) ** 2).sum()
    var_y = (weights * (y - mean_y) ** 2).sum()
    both = (weights * (x - mean_x) * (y - mean_y)).sum()
    first, second = 0.01**2, 0.03**2
    wanted = (2 * mean_x * mean_y + first) * (2 * both + second)
    wanted /= (mean_x**2 + mean_y**2 + first) * (var_x + var_y + second)
    assert value("ssim", real, _made(fake)) == pytest.approx(wanted, abs=1e-12)


def test_ssim_knows_structure():
    """1 of the same image, symmetric, negative of the negative, and about 1 of another brightness
    where L1 is not.
    """
    real = _images(0, 3, 3, 16, 16)
    fake = _near(real)
    assert value("ssim", real, _made(real)) == pytest.approx(1, abs=1e-12)
    there, back = value("ssim", real, _made(fake)), value("ssim", fake, _made(real))
    assert there == pytest.approx(back, abs=1e-12)
    assert value("ssim", real, _made(1 - real)) < 0
    assert value("ssim", 0.5 * real, _made(0.5 * real + 0.05)) > 0.9
    flat = np.full_like(real, 0.5)
    assert value("ssim", flat, _made(flat)) == pytest.approx(1)


@pytest.mark.parametrize("side", [(10, 11), (11, 10), (8, 8)])
def test_ssim_needs_room_for_its_window(side):
    """The message says how much there was."""
    real = _images(0, 2, 1, *side)
    with pytest.raises(UsageError, match=rf"11 pixels a side at least, got \[2, 1, {side[0]}"):
        score("ssim", real, _made(real))


IMAGES = arrays(np.float64, (3, 2, 4, 5), elements=st.floats(0, 1))


@settings(max_examples=40, deadline=None)
@given(IMAGES, IMAGES)
def test_l1_and_psnr_by_their_definitions(real, fake):
    """Loops over every value; the error over the images."""
    gaps, errors = [], []
    for x, y in zip(real, fake, strict=True):
        differences = [a - b for a, b in zip(x.ravel(), y.ravel(), strict=True)]
        gaps.append(sum(abs(d) for d in differences) / 40)
        errors.append(-10 * log10(max(sum(d * d for d in differences) / 40, 1e-10)))
    for name, wanted in (("l1", gaps), ("psnr", errors)):
        found = score(name, real, _made(fake))
        assert found.value == pytest.approx(np.mean(wanted), abs=1e-9)
        assert found.std_error == pytest.approx(np.std(wanted, ddof=1) / sqrt(3), abs=1e-9)
        assert found.n == 3


@pytest.mark.parametrize("gap", [0.001, 0.1, 1.0])
def test_a_constant_difference(gap):
    """L1 is it, PSNR is 20 log10 of one over it."""
    real = np.zeros((2, 3, 12, 12))
    assert value("l1", real, _made(real + gap)) == pytest.approx(gap)
    assert value("psnr", real, _made(real + gap)) == pytest.approx(-20 * log10(gap))


@pytest.mark.parametrize("name", OF_TRANSLATIONS)
def test_equal_images_are_the_best_there_is(name):
    """0, 100 decibels, and 1; without an error."""
    real = _images(0, 4, 1, 12, 12)
    found = score(name, real, _made(real.copy()))
    assert found.value == pytest.approx({"l1": 0, "psnr": 100, "ssim": 1}[name], abs=1e-9)
    assert found.std_error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", OF_TRANSLATIONS)
def test_scores_of_translations(name):
    """In the declared range; worse for more noise; of any order and precision; the mean of parts;
    without an error for one image.
    """
    facts, real = METRICS[name].facts, _images(0, 6, 3, 12, 12)
    assert facts.takes == "translated"
    values = [value(name, real, _made(_near(real, sigma=s))) for s in (0.02, 0.1, 0.5)]
    assert sorted(values, reverse=facts.direction == "higher") == values
    for extreme in (np.zeros_like(real), np.ones_like(real), 1 - real):
        found = value(name, real, _made(extreme))
        assert facts.low is None or found >= facts.low
        assert facts.high is None or found <= facts.high
    fake = _near(real)
    whole = score(name, real, _made(fake))
    assert value(name, real[::-1], _made(fake[::-1])) == pytest.approx(whole.value, abs=1e-12)
    halves = [value(name, real[part], _made(fake[part])) for part in (slice(3), slice(3, 6))]
    assert np.mean(halves) == pytest.approx(whole.value, abs=1e-12)
    single = value(name, real.astype(np.float32), _made(fake.astype(np.float32)))
    assert single == pytest.approx(whole.value, abs=1e-5)
    assert score(name, real[:1], _made(fake[:1]))[1:] == (None, 1)
    assert whole.std_error > 0


@pytest.mark.parametrize("name", OF_TRANSLATIONS)
@pytest.mark.parametrize("shape", [(3, 3, 12, 12), (4, 1, 12, 12), (4, 3, 12, 13)])
def test_images_of_another_shape_are_refused(name, shape):
    """Rather than broadcast."""
    real = _images(0, 4, 3, 12, 12)
    with pytest.raises(UsageError, match=r"shape of the truth, \[4, 3, 12, 12\], got \["):
        score(name, real, _made(_images(1, *shape)))


def _drawn(draws):
    draws = np.asarray(draws, dtype=np.float64)
    return Translated(draws[0], draws)


def test_noise_spread_by_its_definition():
    """The standard deviation over draws of each value, averaged over values, then over images."""
    draws = np.random.default_rng(0).random((5, 3, 2, 4, 4))
    wanted = []
    for image in range(3):
        deviations = []
        for series in draws[:, image].reshape(5, -1).T:
            mean = sum(series) / 5
            deviations.append(sqrt(sum((x - mean) ** 2 for x in series) / 4))
        wanted.append(np.mean(deviations))
    found = score("noise_spread", draws[0], _drawn(draws))
    assert found.value == pytest.approx(np.mean(wanted))
    assert found.std_error == pytest.approx(np.std(wanted, ddof=1) / sqrt(3))
    assert found.n == 3


def test_noise_spread_is_the_deviation_of_the_noise():
    """In expectation, up to the bias of a deviation of many draws; 0 where it does nothing."""
    noise = np.random.default_rng(0).normal(0, 0.05, (40, 2, 1, 16, 16))
    real = np.full((2, 1, 16, 16), 0.5)
    assert value("noise_spread", real, _drawn(0.5 + noise)) == pytest.approx(0.05, rel=0.02)
    assert value("noise_spread", real, _drawn([real] * 4)) == 0


def test_noise_spread_needs_several_draws():
    """One says nothing."""
    real = _images(0, 2, 1, 4, 4)
    for fake in (_made(real), _drawn([real])):
        with pytest.raises(UsageError, match="several draws"):
            score("noise_spread", real, fake)


@pytest.mark.parametrize("draws", [2, 4])
def test_noise_spread_is_in_its_range(draws):
    """Even of noise that makes every value black or white, half of the time each."""
    facts, real = METRICS["noise_spread"].facts, np.zeros((2, 1, 4, 4))
    flipped = np.arange(draws)[:, None, None, None, None] % 2 + np.zeros((draws, *real.shape))
    assert facts.low <= value("noise_spread", real, _drawn(flipped)) <= facts.high + 1e-12


CLASSES = 4
MAPS = arrays(np.int64, (2, 3, 4), elements=st.integers(0, CLASSES - 1))


def _counted(real, fake):
    """n_ij of Long et al. 2015, section 5: pixels of class i that are read as j, by loops."""
    counts = {}
    for image, other in zip(real, fake, strict=True):
        for row, read in zip(image, other, strict=True):
            for one, two in zip(row, read, strict=True):
                counts[int(one), int(two)] = counts.get((int(one), int(two)), 0) + 1
    return counts


def _long(real, fake):
    """Their pixel accuracy, mean accuracy and mean IU, over the classes in the ground truth."""
    counts = _counted(real, fake)
    there = sorted({i for i, _ in counts})
    total = {i: sum(n for (one, _), n in counts.items() if one == i) for i in there}
    read = {i: sum(n for (_, two), n in counts.items() if two == i) for i in there}
    hits = {i: counts.get((i, i), 0) for i in there}
    return {
        "pixel_accuracy": sum(hits.values()) / sum(total.values()),
        "class_accuracy": np.mean([hits[i] / total[i] for i in there]),
        "class_iou": np.mean([hits[i] / (total[i] + read[i] - hits[i]) for i in there]),
    }


@settings(max_examples=60, deadline=None)
@given(MAPS, MAPS)
def test_segmentations_as_long_et_al_score_them(real, fake):
    """Whichever classes occur, in either."""
    wanted = _long(real, fake)
    for name in OF_SEGMENTATIONS:
        found = score(name, real, fake)
        assert found.value == pytest.approx(wanted[name], abs=1e-12), name
        assert found.n == 2


@settings(max_examples=30, deadline=None)
@given(MAPS, MAPS)
def test_the_confusion_of_pixels(real, fake):
    """Rows are true classes, columns those that were read, and every pixel counts once."""
    found, wanted = confusion(real, fake), _counted(real, fake)
    assert found.sum() == real.size
    for (i, j), n in np.ndenumerate(found):
        assert n == wanted.get((i, j), 0)
    assert np.array_equal(confusion(fake, real), found.T)


@settings(max_examples=20, deadline=None)
@given(MAPS, MAPS, st.permutations(range(CLASSES)), st.integers(0, 5))
def test_the_names_of_classes_do_not_matter(real, fake, order, shift):
    """Nor do gaps between their numbers, nor the order of images, nor the type of integer."""
    renamed = [(np.array(order)[x] + shift)[::-1].astype(np.int32) for x in (real, fake)]
    for name in OF_SEGMENTATIONS:
        other = value(name, *renamed)
        assert other == pytest.approx(value(name, real, fake), abs=1e-12), name


@pytest.mark.parametrize("name", OF_SEGMENTATIONS)
def test_perfect_and_hopeless_segmentations(name):
    """1 and 0, though one class alone occurs."""
    real = np.random.default_rng(0).integers(0, 5, (3, 6, 6))
    assert value(name, real, real.copy()) == 1
    assert value(name, real, (real + 1) % 5) == 0
    assert value(name, np.full((2, 3, 3), 7), np.full((2, 3, 3), 7)) == 1
    assert value(name, np.full((2, 3, 3), 7), np.full((2, 3, 3), 9)) == 0


def test_what_each_score_of_segmentations_sees():
    """Reading everything as the commonest class: three quarters of pixels, half of the classes,
    3/8 of the unions. A class that does not occur but is read makes unions no larger.
    """
    real = np.zeros((1, 2, 4), dtype=np.int64)
    real[0, 0, :2] = 1
    fake = np.zeros_like(real)
    found = [value(name, real, fake) for name in OF_SEGMENTATIONS]
    assert found == pytest.approx([3 / 4, 1 / 2, 3 / 8])
    fake[0, 1, :2] = 2
    found = [value(name, real, fake) for name in OF_SEGMENTATIONS]
    assert found == pytest.approx([1 / 2, 1 / 3, (4 / 8) / 2])


def test_the_error_of_pixel_accuracy():
    """Over images; unknown for one."""
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 3, (2, 7, 5, 5))
    shares = (real == fake).reshape(7, -1).mean(1)
    assert score("pixel_accuracy", real, fake).std_error == pytest.approx(
        shares.std(ddof=1) / sqrt(7)
    )
    assert score("pixel_accuracy", real[:1], fake[:1])[1:] == (None, 1)


KNOWN = np.ones((4, 5), dtype=bool)
KNOWN[1:3, 1:4] = False


def _completion(images, drawn=None, known=KNOWN, **read):
    return Completion(np.asarray(images), drawn, known, **read)


@settings(max_examples=30, deadline=None)
@given(IMAGES, IMAGES)
def test_psnr_of_hidden_and_known_pixels_by_loops(real, fake):
    """Over all channels; what is hidden by the completed pictures, what is known by the drawn."""
    for name, where, made in (
        ("psnr_hidden", ~KNOWN, _completion(fake)),
        ("psnr_known", KNOWN, _completion(real, fake)),
    ):
        wanted = []
        for x, y in zip(real, fake, strict=True):
            errors = [
                (x[c, i, j] - y[c, i, j]) ** 2
                for c in range(2)
                for i in range(4)
                for j in range(5)
                if where[i, j]
            ]
            wanted.append(-10 * log10(max(sum(errors) / len(errors), 1e-10)))
        found = score(name, real, made)
        assert found.value == pytest.approx(np.mean(wanted), abs=1e-9)
        assert found.std_error == pytest.approx(np.std(wanted, ddof=1) / sqrt(3), abs=1e-9)
        assert found.n == 3


def test_the_other_pixels_do_not_matter():
    """Nor does what was drawn, to the hidden ones; 100 decibels where they are equal."""
    real = _images(0, 3, 2, 4, 5)
    fake = np.where(KNOWN, 1 - real, real)
    assert value("psnr_hidden", real, _completion(fake, 1 - real)) == pytest.approx(100)
    fake = np.where(KNOWN, real, 1 - real)
    assert value("psnr_known", real, _completion(1 - real, fake)) == pytest.approx(100)
    assert value("psnr_hidden", real, _completion(fake, real)) < 30


def test_completions_that_have_no_score():
    """Each says why."""
    real = _images(0, 2, 1, 4, 5)
    every = np.ones_like(KNOWN)
    with pytest.raises(UsageError, match="no such pixels"):
        score("psnr_hidden", real, _completion(real, known=every))
    with pytest.raises(UsageError, match="no such pixels"):
        score("psnr_known", real, _completion(real, real, known=~every))
    with pytest.raises(UsageError, match="draws no pixels"):
        score("psnr_known", real, _completion(real))
    for read in ({}, {"wanted": np.arange(2)}, {"read": np.arange(2)}):
        with pytest.raises(UsageError, match="no judge"):
            score("same_reading", real, _completion(real, **read))


@pytest.mark.parametrize("hits", [0, 3, 8])
def test_same_reading_is_a_share(hits):
    """Its error is that of Agresti and Coull, never 0."""
    wanted, n = np.arange(8), 8
    read = np.where(np.arange(8) < hits, wanted, wanted + 1)
    real = _images(0, n, 1, 4, 5)
    found = score("same_reading", real, _completion(real, wanted=wanted, read=read))
    centre = (hits + 2) / (n + 4)
    assert found == pytest.approx((hits / n, sqrt(centre * (1 - centre) / n), n))


def _truth(classes=10, leak=0.0, passing=1.0):
    """A judge that misreads every class as the next one, with a probability."""
    sure = (1 - leak) * np.eye(classes) + leak * np.roll(np.eye(classes), 1, 1)
    return StackTruth(1, sure, np.full(classes, passing))


def _tally(counts, rejected=0):
    """So many images of each class pass, and some of the first are rejected."""
    classes = len(counts)
    labels = np.repeat(np.arange(classes), counts)
    labels = np.concatenate([labels, np.zeros(rejected, dtype=np.int64)])[:, None]
    passed = np.arange(len(labels))[:, None] < sum(counts)
    return tally_stacks(labels, passed, classes)


@pytest.mark.parametrize("kept", [1, 4, 10])
def test_classes_that_are_there(kept):
    """Evenly: as many are counted, and the divergence is log(10 / kept)."""
    fake = _tally([100] * kept + [0] * (10 - kept))
    assert value("class_coverage", _truth(), fake) == kept
    assert value("class_kl", _truth(), fake) == pytest.approx(log(10 / kept), abs=1e-2)
    assert value("off_manifold_images", _truth(), fake) == 0
    for name in OF_CLASSES:
        assert score(name, _truth(), fake).n == 100 * kept


def test_a_misread_class_is_not_there():
    """Of a thousand images of every class but one, 2 % of its neighbour's are read as it."""
    real, leak = _truth(leak=0.02), 20
    read = [1_000 - leak, *[1_000] * 8, leak]
    fake = _tally(read)
    assert value("class_coverage", real, fake) == 9
    assert value("class_coverage", _truth(), fake) == 10
    unfolded = value("class_kl", real, fake)
    assert unfolded == pytest.approx(log(10 / 9), abs=2e-3)


def test_uneven_classes_by_their_entropy():
    """sum q log q + log 10, of shares q, where the judge is always right."""
    counts = np.array([500, 200, 100, 100, 50, 20, 10, 10, 5, 5])
    shares = counts / counts.sum()
    wanted = (shares * np.log(shares)).sum() + log(10)
    assert value("class_kl", _truth(), _tally(counts)) == pytest.approx(wanted, abs=1e-2)
    assert value("class_coverage", _truth(), _tally(counts)) == 10


def test_real_images_that_the_gate_rejects_cost_nothing():
    """5 % of real images do not pass: as many of a sampler's are as they should be."""
    real = _truth(passing=0.95)
    assert value("class_kl", real, _tally([95] * 10, rejected=50)) == pytest.approx(0, abs=1e-6)
    assert value("class_kl", real, _tally([100] * 10)) == pytest.approx(-log(0.95), abs=1e-3)
    found = score("off_manifold_images", real, _tally([95] * 10, rejected=50))
    assert found.value == pytest.approx(0.05)


def test_images_that_nothing_can_be_read_in():
    """No class is there, all are off the manifold, and the divergence is large and finite."""
    real, fake = _truth(passing=0.95), _tally([0] * 10, rejected=200)
    assert value("class_coverage", real, fake) == 0
    assert value("off_manifold_images", real, fake) == 1
    assert value("class_kl", real, fake) == pytest.approx(log(1 / 0.05), abs=1e-2)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_classes_of_no_images(name):
    """There is nothing to score."""
    nothing = StackTally(
        np.zeros(10, dtype=np.int64), np.zeros(10, dtype=np.int64), np.zeros((1, 11), dtype=int), 0
    )
    with pytest.raises(ValueError, match="at least one sample"):
        score(name, _truth(), nothing)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_label_accuracy_is_a_share(pairs):
    """Of samples in which what was asked for is read, however sure the judge is."""
    wanted, read = np.array(pairs).T
    hits, n = sum(a == b for a, b in pairs), len(pairs)
    centre = (hits + 2) / (n + 4)
    for passed in (np.ones(n, dtype=bool), np.zeros(n, dtype=bool)):
        found = score("label_accuracy", None, Asked(wanted, read, passed))
        assert found == pytest.approx((hits / n, sqrt(centre * (1 - centre) / n), n))


def test_every_metric_is_here():
    """Of what translations, segmentations, completions and classes are scored by."""
    takes = ("translated", "segmented", "completed", "classes", "asked")
    found = {entry.name for entry in METRICS.entries() if entry.facts.takes in takes}
    here = (*OF_TRANSLATIONS, *OF_SEGMENTATIONS, *OF_COMPLETIONS, *OF_CLASSES)
    assert found >= {*here, "noise_spread", "label_accuracy"}
