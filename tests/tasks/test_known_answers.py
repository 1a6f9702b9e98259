"""Tasks that train a generative model, from end to end, with models whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tasks.byhand import (
    By,
    Given,
    Telling,
    by_hand,
    cell_of,
    experiment_of,
    row_of,
    scores_of,
    shares,
)

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.datasets.mixtures import Mixture
from bench.extractors.users import extractor
from bench.models.store import ArtifactStore
from bench.tasks.base import TASKS
from bench.tasks.generation import imagescores, stack
from bench.tasks.generation.inpainting import known_pixels
from bench.tasks.values import scored_by
from generative import RECIPES, Decoder, DensitySampler
from generative.recipes.bounds import OneImage
from metrics import JUDGES, METRICS, tally, tally_stacks, truth, truth_of
from metrics.features import Features

ME = __name__


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("known"))


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Features of training images are those of this test."""
    imagescores._training_features.cache_clear()
    stack._reference.cache_clear()


def held_out_of(at_work, n):
    """What nothing of a cell's seed is trained on: drawn by data and seed alone."""
    cell = at_work.cell
    rng = stream("data", cell.fingerprint, cell.seed, "held-out")
    return at_work.entry.part.source(cell.seed).fresh(n, rng)


def bound_on(x):
    """The rows of `Telling` on these held-out examples."""
    flat = x.flatten(1).double()
    sums, first = flat.sum(1), flat[:, 0]
    return {
        "elbo": (sums - first)[:1000].mean(),
        "elbo_reconstruction": sums[:1000].mean(),
        "elbo_divergence": first[:1000].mean(),
        "log_likelihood_importance": sums[:200].mean() + 200,
    }


CENTRES = np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0]])


class Unknown(Mixture):
    """Points whose modes nobody tells."""

    offers = frozenset({"points"})


nobodys = Unknown("nobodys", CENTRES, 0.01 * np.ones((3, 2)), np.ones(3), training_points=500)
SHIFT = torch.tensor([3.0, 4.0])


class Linear(DensitySampler, Given):
    """A log density that tells what it was asked about."""

    def log_prob(self, x):
        return x[:, 0].astype(np.float64) + 10 * x[:, 1]


def _late(data):
    """2,500 points at one mode, then as many at each in turn."""
    centres = torch.from_numpy(data.mixture.centres).float()
    return Given(torch.cat([centres[:1].repeat(2_500, 1), centres.repeat(313, 1)]))


late = by_hand(_late)
telling = by_hand(lambda data: Telling(data.training))
linear = by_hand(lambda data: Linear(data.training * 1.5))
shifted = by_hand(
    lambda data: Given(data.fresh(400, stream("data", nobodys.fingerprint, 0, "held-out")) + SHIFT)
)
points = {"dataset": "ring8@pacgan", "settings": {"samples": 5_000}}


def test_modes_are_counted_as_they_come(store):
    """One of eight in the first 2,500 samples, all of them later; each at its centre."""
    row = row_of(cell_of("mixture", model=f"{ME}:late", **points), store)
    shares(row, {"modes_raw": 1, "modes_covered": 8, "high_quality": 1, "missing_mass": 0})


def test_each_mode_metric_has_its_rule_and_its_samples():
    """Points up to three times as wide as the modes, of which each rule makes something else."""
    at_work = experiment_of(cell_of("mixture", model="oracle", **points))
    mixture = at_work.entry.part
    near = torch.from_numpy(mixture.centres).float().repeat(625, 1)
    wide = near + torch.linspace(0, 0.06, 5_000)[:, None] * torch.tensor([0.6, 0.8])
    found, wanted = scores_of(at_work, Given(wide)), {}
    for entry in scored_by(("modes",)):
        rule, n = entry.facts.rule or mixture.rule, entry.facts.samples or 5_000
        score = entry.part(truth(mixture, rule), tally(mixture, wide[:n].numpy(), rule))
        wanted[entry.name] = getattr(score, "value", score)
    shares(found, wanted)
    rules = {found[name] for name in found if name.startswith("high_quality")}
    assert len(rules) > 1
    for entry in scored_by(("density",)):
        score = entry.part(mixture, wide.numpy())
        shares(found, {entry.name: getattr(score, "value", score)})


@pytest.mark.parametrize("seed", [0, 3])
def test_what_a_density_and_a_bound_say_of_points(store, seed):
    """Of held-out ones of the seed, as many as there are samples; of the first 1,000 and 200."""
    cell = cell_of("mixture", model=f"{ME}:linear", seed=seed, **points)
    held = held_out_of(experiment_of(cell), 5_000)
    wanted = {"log_likelihood": (held[:, 0].double() + 10 * held[:, 1]).mean()}
    shares(row_of(cell, store), wanted)
    row = row_of(cell_of("mixture", model=f"{ME}:telling", seed=seed, **points), store)
    shares(row, bound_on(held))


def test_the_noise_of_a_bound_is_the_cells():
    """By its name and seed."""

    class Noisy(Telling):
        def elbo(self, x, rng):
            return torch.rand(len(x), generator=rng), torch.zeros(len(x))

    for seed in (0, 1):
        at_work = experiment_of(cell_of("mixture", model="oracle", seed=seed, **points))
        rng = stream(at_work.cell.cell_id, seed, "elbo")
        wanted = torch.cat([torch.rand(500, generator=rng) for _ in range(2)]).double().mean()
        found = scores_of(at_work, Noisy(at_work.source.training))
        shares(found, {"elbo": wanted})


def test_points_without_modes_are_held_against_held_out_ones(store):
    """Shifted by (3, 4) they are 25 away; nothing else of their moments changed."""
    given = {"dataset": f"{ME}:nobodys", "settings": {"samples": 400}}
    row = row_of(cell_of("mixture", model=f"{ME}:shifted", **given), store)
    shares(row, {"frechet": 25, "precision": 0, "recall": 0})


def test_a_curve_of_modes_is_of_what_was_kept_on_the_way():
    at_work = experiment_of(cell_of("mixture", model="oracle", **points))
    snapshot = _late(at_work.source).sample(5_000, None).numpy()
    found = {name: getattr(s, "value", s) for name, s, _ in at_work.glance(snapshot).scores}
    shares(found, {"modes_covered": 8, "modes_near": 8, "high_quality": 1})


STACKS = {"dataset": "stack2@optdigits", "settings": {"samples": 200}}


def _digit(at_work, label):
    """A training digit that the judge reads as it is, and is sure of."""
    pool = at_work.source.stack.load()
    images = torch.from_numpy(pool.images[pool.labels == label]).float() / 255
    read = at_work.judge.read(images[:50, None])
    return images[:50][torch.from_numpy((read.labels == label) & read.passed)][0]


def test_digits_of_a_stack_are_read_in_their_places(store):
    """A sampler of one mode has one; with noise for the second digit half its digits are off."""
    at_work = experiment_of(cell_of("stack", model="oracle", **STACKS))
    three, seven = _digit(at_work, 3), _digit(at_work, 7)
    found = scores_of(at_work, Given(torch.stack([three, seven])[None]))
    shares(found, {"stack_modes_raw": 1, "stack_modes": 1, "off_manifold": 0})
    truth_ = truth_of(JUDGES["optdigits-cnn"].part.card, 2)
    counts = tally_stacks(np.array([[3, 7]] * 200), np.ones((200, 2), bool), 10)
    for entry in scored_by(("stack",)):
        score = entry.part(truth_, counts)
        shares(found, {entry.name: getattr(score, "value", score)})
    noise = torch.rand((8, 8), generator=stream("noise"))
    found = scores_of(at_work, Given(torch.stack([three, noise])[None]))
    shares(found, {"off_manifold": 1, "off_manifold_digits": 0.5})


def test_features_of_a_stack_are_its_digits_side_by_side():
    at_work = experiment_of(cell_of("stack", model="oracle", **STACKS))
    stacks = at_work.source.batches().next(30)
    counts, features = stack.look(at_work.judge, (stacks * 255).round().to(torch.uint8))
    apart = [at_work.judge.read(stacks[:, at, None]) for at in (0, 1)]
    np.testing.assert_allclose(features, np.hstack([x.features for x in apart]), atol=1e-5)
    assert counts.n == 30


@pytest.mark.parametrize("seed", [0, 1])
def test_stacks_are_held_against_training_stacks_of_their_seed(seed):
    """Those themselves are no way off. One mode of ten thousand is precise and recalls little."""
    at_work = experiment_of(cell_of("stack", model="oracle", seed=seed, **STACKS))
    found = scores_of(at_work, Given(at_work.source.batches().next(200)))
    assert abs(found["frechet"]) < 1e-3
    shares(found, {"precision": 1, "recall": 1})
    few = at_work.source.fresh(200, stream("few"), [0])
    found = scores_of(at_work, Given(few))
    assert found["recall"] < 0.3 < found["precision"]
    shares(scores_of(at_work, Telling(few)), bound_on(held_out_of(at_work, 1_000)))


IMAGES = {"dataset": "optdigits"}


@pytest.mark.parametrize("seed", [1])
def test_copies_of_the_training_images_are_told(seed):
    """They are no way off, all of them are copies, and nearer than any new image; held-out ones
    are as near as themselves.
    """
    settings = {"samples": 1_497}
    at_work = experiment_of(
        cell_of("image", model="oracle", seed=seed, settings=settings, **IMAGES)
    )
    found = scores_of(at_work, Given(at_work.source.training))
    assert abs(found["frechet"]) < 1e-3
    shares(found, {"precision": 1, "recall": 1, "copies": 1, "memorisation": 1})
    found = scores_of(at_work, Given(at_work.source.held_out.repeat(5, 1, 1, 1)[:1_497]))
    assert found["frechet"] > 0.05
    assert found["copies"] < 0.1
    assert found["memorisation"] == pytest.approx(0.5, abs=0.02)
    curve = [
        next(iter(at_work.glance((images * 255).round().to(torch.uint8).numpy()).scores))[1]
        for images in (at_work.source.training, at_work.source.held_out)
    ]
    curve = [getattr(score, "value", score) for score in curve]
    assert abs(curve[0]) < 1e-3 < 0.05 < curve[1]


def test_what_is_read_in_images():
    """Digits of one class are one class, precise, and recall little; noise is no digit."""
    at_work = experiment_of(cell_of("image", model="oracle", settings={"samples": 300}, **IMAGES))
    few = at_work.source.fresh(300, stream("few"), [4])
    found = scores_of(at_work, Given(few))
    shares(found, {"class_coverage": 1})
    assert found["recall"] < 0.3 < 0.6 < found["precision"]
    noise = torch.rand((300, 1, 8, 8), generator=stream("noise"))
    assert scores_of(at_work, Given(noise))["off_manifold_images"] > 0.9


def test_classes_are_unfolded_by_the_judges_own_card():
    """Counted where it is sure, of held-out digits."""
    at_work = experiment_of(cell_of("image", model="oracle", settings={"samples": 300}, **IMAGES))
    found, judge = scores_of(at_work, Given(at_work.source.held_out)), JUDGES["optdigits-cnn"].part
    reading = judge.read(at_work.source.held_out)
    sure = reading.confidences >= judge.card["gate"]
    assert 0.8 < sure.mean() < 1
    counts = tally_stacks(reading.labels[:, None], sure[:, None], 10)
    for entry in scored_by(("classes",)):
        score = entry.part(truth_of(judge.card, 1), counts)
        shares(found, {entry.name: getattr(score, "value", score)})


@pytest.mark.parametrize("seed", [0, 3])
def test_what_a_bound_says_of_images(store, seed):
    cell = cell_of("image", model=f"{ME}:telling", seed=seed, **IMAGES)
    shares(row_of(cell, store), bound_on(held_out_of(experiment_of(cell), 1_000)))


HOLES = {"dataset": "optdigits", "settings": {"pictures": 20, "starts": 40, "descent_steps": 0}}
HIDDEN = torch.zeros(8, 8, dtype=torch.bool)
HIDDEN[2:6, 2:6] = True


def decibels(true, made, where):
    """Of each picture over the pixels of a mask, and their mean."""
    errors = ((true - made).double() ** 2)[:, :, where].mean((1, 2))
    return float((-10 * errors.clamp(min=1e-10).log10()).mean())


def _halves(data):
    """Of each picture one that is right where it is known, and one that is right elsewhere."""
    true = data.held_out[:20]
    wrong = 1 - true
    return torch.cat([torch.where(HIDDEN, wrong, true), torch.where(HIDDEN, true, wrong)])


nearest = by_hand(lambda data: Given(_halves(data)))


def test_the_masks():
    """What they hide."""
    assert torch.equal(known_pixels("centre", 8, 8), ~HIDDEN)
    left = known_pixels("left", 6, 8)
    assert not left[:, :4].any()
    assert left[:, 4:].all()
    assert known_pixels("random", 100, 100).float().mean() == pytest.approx(0.2, abs=0.02)
    squares = known_pixels("blocks", 40, 40)
    assert torch.equal(squares, known_pixels("blocks", 40, 40))
    assert 100 <= int((~squares).sum()) <= 400


def test_the_truth_completes_every_picture(store):
    row = row_of(cell_of("inpainting", model="oracle", **HOLES), store)
    shares(row, {"psnr_hidden": 100, "psnr_known": 100, "same_reading": 1})


@pytest.mark.parametrize("seed", [0, 1])
def test_a_completion_by_the_mean_image(store, seed):
    """Held-out pictures, the mean of the training images where they are hidden."""
    cell = cell_of("inpainting", model="one-image", seed=seed, **HOLES)
    source = experiment_of(cell).source
    true, mean = source.held_out[:20], source.training.mean(0)
    made = torch.where(HIDDEN, mean, true)
    row = row_of(cell, store)
    read = [imagescores.reading_of("optdigits-cnn", x).labels for x in (true, made)]
    wanted = {
        "psnr_hidden": decibels(true, made, HIDDEN),
        "same_reading": (read[0] == read[1]).mean(),
    }
    shares(row, wanted)
    assert wanted["same_reading"] < 1
    assert "psnr_known" not in row


def test_samples_are_chosen_by_what_is_known(store):
    """And put back: right where nothing is hidden, the wrong way round where it is."""
    row = row_of(cell_of("inpainting", model=f"{ME}:nearest", **HOLES), store)
    true = experiment_of(cell_of("inpainting", model="oracle", **HOLES)).source.held_out[:20]
    shares(row, {"psnr_known": 100, "psnr_hidden": decibels(true, 1 - true, HIDDEN)})


def test_codes_are_chosen_by_what_is_known():
    """A decoder's likewise; what it drew is judged where the picture is known."""

    class Codes(Decoder):
        def __init__(self, images):
            self._images = images

        def codes(self, n, rng):
            return self._images[:n].flatten(1)

        def decode(self, z):
            return z.reshape(-1, 1, 8, 8)

        def sample(self, n, rng):
            return self.decode(self.codes(n, rng))

        def tensors(self):
            return {}

    at_work = experiment_of(cell_of("inpainting", model="oracle", **HOLES))
    found = scores_of(at_work, Codes(_halves(at_work.source)))
    shares(found, {"psnr_known": 100})
    worse = scores_of(at_work, OneImage(at_work.source.training.mean(0)))
    assert set(found) - set(worse) == {"psnr_known"}


DOMAINS = {"dataset": "scenes@digits"}


def half_of(partners):
    """A translator to the half of each true partner."""
    return lambda x, rng: 0.5 * partners[: len(x)]


def grey(x, rng):
    """One grey for all images, by the noise."""
    return torch.rand(1, generator=rng).expand(len(x), 3, *x.shape[2:])


TRANSLATORS = {
    "halved": lambda data: By(half_of(data.held_second), half_of(data.held_first)),
    "grey": lambda data: By(grey, grey),
}


@pytest.fixture
def few(monkeypatch):
    """Thirty held-out images are translated, by models of this test too."""
    monkeypatch.setattr("bench.tasks.generation.translation.MOST", 30)
    for name, make in TRANSLATORS.items():
        entry = replace(RECIPES["identity"], name=name, part=by_hand(make))
        monkeypatch.setitem(RECIPES._entries, name, entry)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_half_of_the_truth(store, few, direction):
    """As far from the held-out partners as their other half; its features against those of the
    training images of the domain that is translated into.
    """
    settings = {"direction": direction}
    cell = cell_of("translation", model="halved", settings=settings, **DOMAINS)
    at_work = experiment_of(cell)
    source, forward = at_work.source, direction == "forward"
    partners = (source.held_second if forward else source.held_first)[:30]
    row = row_of(cell, store)
    wanted = {"l1": (0.5 * partners).mean(), "noise_spread": 0}
    shares(
        row,
        {**wanted, "psnr": decibels(partners, 0.5 * partners, torch.ones(partners.shape[2:]) > 0)},
    )
    part = extractor(at_work.data.extractor if forward else "pixels")
    real = (source.second if forward else source.first)[:30]
    made = (0.5 * partners * 255).round().to(torch.uint8)
    sets = [Features(imagescores.features_of(part, x, "cpu")) for x in (real, made)]
    score = METRICS["frechet"].part(*sets)
    shares(row, {"frechet": getattr(score, "value", score)})


def test_the_noise_of_a_translator_is_drawn_four_times(store, few):
    """By the cell's name and seed, and the number of the draw."""
    for seed in (0, 1):
        cell = cell_of("translation", model="grey", seed=seed, **DOMAINS)
        draws = [torch.rand(1, generator=stream(cell.cell_id, seed, "noise", i)) for i in range(4)]
        shares(row_of(cell, store), {"noise_spread": torch.cat(draws).double().std()})


def test_what_is_read_in_translations_and_in_their_truths(store, few, monkeypatch):
    """A model that gives every other digit its partner and the others a partner of another class:
    half of them are read as they should be; the way back no judge reads.
    """
    judge = "digits-cnn"

    def partners(data):
        true = data.held_second[:30]
        labels = imagescores.reading_of(judge, true).labels
        strangers = [next(j for j, other in enumerate(labels) if other != own) for own in labels]
        even = torch.arange(30)[:, None, None, None] % 2 == 0
        return lambda x, rng: torch.where(even, true, true[strangers])[: len(x)]

    own = by_hand(lambda data: By(partners(data), grey))
    entry = replace(RECIPES["identity"], name="half-right", part=own)
    monkeypatch.setitem(RECIPES._entries, "half-right", entry)
    cell = cell_of("translation", model="half-right", dataset="edges@digits")
    shares(row_of(cell, store), {"same_reading": 0.5})
    turned = cell_of(
        "translation", model="halved", settings={"direction": "backward"}, dataset="edges@digits"
    )
    assert not [name for name in row_of(turned, store) if name.startswith("same_reading")]
    with pytest.raises(UsageError, match="'psnr_hidden' is not for this task: nothing is masked"):
        TASKS["translation"].part.metric_facts("psnr_hidden")
