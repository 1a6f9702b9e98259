"""Encoders whose answers are known, and what of the data each score looks at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from swapped import digits, others, retrained, usual  # noqa: F401
from tasks.byhand import Given, by_hand, cell_of, experiment_of

from bench.core.errors import UsageError
from bench.core.randomness import stream
from bench.models.store import ArtifactStore
from bench.tasks import TASKS, Bench
from generative import RECIPES, Autoencoder
from metrics.inference import code_error_share, nearest_labels

ME = __name__
POINTS = "ring8@pacgan"
relabelled = digits("relabelled", labels=lambda s: np.roll(s.labels, 1))
unlabelled = replace(usual, name="unlabelled", classes=0)
misread = digits("misread", held_labels=lambda s: np.roll(s.held_labels, 1))


class By(Autoencoder):
    """Functions: of examples to codes, and back. Codes are drawn from N(0, I)."""

    def __init__(self, encode, decode, latent):
        self._encode, self._decode, self._latent = encode, decode, latent

    def sample(self, n, rng):
        return self.decode(self.codes(n, rng))

    def codes(self, n, rng):
        return torch.randn(n, self._latent, generator=rng)

    def encode(self, x):
        return self._encode(x)

    def decode(self, z):
        return self._decode(z)

    def tensors(self):
        return {}


def image(z):
    return z.unflatten(1, (1, 8, 8))


def turn(n):
    return torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(0)))[0]


def tall(z):
    """Two numbers as the first two pixels, the rest 0."""
    return image(torch.cat([z, torch.zeros(len(z), 62)], 1))


def wide(x):
    """Of 64 values the first 80 linear combinations."""
    return torch.cat([x.flatten(1), x.flatten(1)[:, :16]], 1)


inverse = by_hand(
    lambda data: By(lambda x: x.flatten(1) @ turn(64), lambda z: image(z @ turn(64).T), 64)
)
shifted = by_hand(lambda data: By(lambda x: x.flatten(1) - 0.25, image, 64))
narrow = by_hand(lambda data: By(lambda x: x.flatten(1)[:, :2], tall, 2))
broad = by_hand(lambda data: By(wide, lambda z: image(z[:, :64]), 80))
codeless = by_hand(lambda data: Given(data.training[:5]))


def normal(x):
    """Codes of examples that are draws of N(0, I), whatever they are."""
    return torch.randn(len(x), 2, generator=torch.Generator().manual_seed(len(x)))


like_prior = by_hand(lambda data: By(normal, tall, 2))
shifted_prior = by_hand(lambda data: By(lambda x: normal(x) + 2, tall, 2))


def known_by_heart(data):
    """Training examples come back, others do not."""
    training = data.training.flatten(1)

    def encode(x):
        near = torch.cdist(x.flatten(1), training).min(1)
        seen = (near.values < 1e-4)[:, None]
        return torch.where(seen, x.flatten(1), torch.full_like(x.flatten(1), 7.0))

    return By(encode, lambda z: z.unflatten(1, data.shape), training.shape[1])


by_heart = by_hand(known_by_heart)
flat = by_hand(lambda data: By(lambda x: x - 0.5, lambda z: z, 2))
turned = by_hand(lambda data: By(lambda x: x @ turn(2), lambda z: z @ turn(2).T, 2))
still = by_hand(lambda data: By(lambda x: 0 * x + 1, lambda z: z, 2))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("inferred"))


def measured(store, model, dataset=f"{ME}:usual", task="inference", seed=0, **settings):
    """Final values by metric, the arrays, and the cell."""
    named = model if model in RECIPES else f"{ME}:{model}"
    cell = cell_of(task, dataset=dataset, model=named, seed=seed, settings=settings)
    found = TASKS[task].part.measure(cell, Bench(store))
    assert (found.diverged, found.invalid) == ("", "")
    return {v.metric: v for v in found.values if v.final}, found.arrays, cell


def of_points(store, model, **settings):
    return measured(store, model, POINTS, "inference-points", samples=500, **settings)


def test_an_encoder_that_undoes_its_generator_loses_nothing(store):
    found, arrays, cell = measured(store, "inverse")
    assert found["squared_error"].value == pytest.approx(0, abs=1e-6)
    assert found["code_error_share"].value == pytest.approx(0, abs=1e-6)
    held = experiment_of(cell).source.held_out
    assert found["squared_error"].n == found["code_error_share"].n == len(held) == 300
    np.testing.assert_allclose(arrays["originals"] / 255, held[:16].numpy(), atol=3e-3)
    assert found["mmd@codes"].n == 300


def test_every_number_of_a_code_counts(store):
    """Each is off by .25, of a variance of 1."""
    found, *_ = measured(store, "shifted")
    assert found["squared_error"].value == pytest.approx(64 * 0.25**2, rel=1e-5)
    assert found["code_error_share"].value == pytest.approx(0.25**2, rel=0.03)


def test_either_way_round_is_a_score_of_its_own(store):
    """Two pixels as a code come back, and most of the image does not; of a code that has its first
    numbers twice every image comes back, and most codes do not.
    """
    found, _, cell = measured(store, "narrow")
    assert found["code_error_share"].value == pytest.approx(0, abs=1e-9)
    held = experiment_of(cell).source.held_out.flatten(1).double()
    wanted = float(held[:, 2:].square().sum(1).mean())
    assert found["squared_error"].value == pytest.approx(wanted, rel=1e-5)
    found, *_ = measured(store, "broad")
    assert found["squared_error"].value == pytest.approx(0, abs=1e-9)
    # Sixteen of eighty codes are another's: their squared distance has a mean of 2.
    assert found["code_error_share"].value == pytest.approx(16 * 2 / 80, rel=0.06)


def test_codes_of_examples_are_held_against_the_prior(store):
    """And not the prior against itself, nor the codes of samples."""
    like, _, _ = measured(store, "like_prior")
    off, _, _ = measured(store, "shifted_prior")
    assert abs(like["mmd@codes"].value) < 5 * like["mmd@codes"].std_error
    assert off["mmd@codes"].value > 0.5
    # Samples of `narrow` have the codes of the prior, and digits have a blank corner.
    assert measured(store, "narrow")[0]["mmd@codes"].value > 0.1


def test_what_is_rebuilt_and_compared_was_not_trained_on(store):
    found, *_ = measured(store, "by_heart")
    assert found["squared_error"].value > 100
    found, *_ = of_points(store, "by_heart")
    assert found["squared_error"].value > 10


def test_neighbours_by_an_independent_library(store):
    """Of codes: held-out digits have the class of the nearest training digit."""
    found, _, cell = measured(store, "oracle")
    source = experiment_of(cell).source
    sets = [x.flatten(1).double().numpy() for x in (source.training, source.held_out)]
    nearest = KNeighborsClassifier(1).fit(sets[0], source.training_labels.numpy())
    wanted = float((nearest.predict(sets[1]) == source.held_out_labels.numpy()).mean())
    assert 0.9 < wanted < 1
    assert found["neighbour_accuracy"].value == pytest.approx(wanted, abs=1e-12)
    assert found["neighbour_accuracy"].n == 300


def test_neighbours_are_those_of_codes(store):
    """An encoder that keeps all distances reads as pixels do; one that looks at a corner cannot."""
    pixels = measured(store, "oracle")[0]["neighbour_accuracy"].value
    assert measured(store, "inverse")[0]["neighbour_accuracy"].value == pytest.approx(pixels)
    assert measured(store, "narrow")[0]["neighbour_accuracy"].value < 0.3
    assert measured(store, "one-image")[0]["neighbour_accuracy"].value == pytest.approx(0.1)


@pytest.mark.parametrize("dataset", ["relabelled", "misread"])
def test_labels_of_either_side_count(store, dataset):
    found, *_ = measured(store, "inverse", f"{ME}:{dataset}")
    assert found["neighbour_accuracy"].value < 0.3


def test_other_held_out_images_change_every_score_of_examples(store):
    """Darker ones: what is lost of them, what their codes are, and what lies near."""
    first, _, _ = measured(store, "shifted")
    other, _, _ = measured(store, "narrow")
    darker = {name: measured(store, name, f"{ME}:others")[0] for name in ("shifted", "narrow")}
    assert darker["narrow"]["squared_error"].value < 0.5 * other["squared_error"].value
    assert darker["shifted"]["mmd@codes"].value != first["mmd@codes"].value
    assert darker["shifted"]["neighbour_accuracy"].value != first["neighbour_accuracy"].value


def test_components_are_compared_as_long_as_they_are(store):
    """All of them keep every distance between images: not whitened."""
    pixels = measured(store, "oracle")[0]["neighbour_accuracy"].value
    found = measured(store, "pca", latent=64)[0]["neighbour_accuracy"].value
    assert found == pytest.approx(pixels, abs=1 / 300)


def test_images_without_classes_have_no_neighbours_to_speak_of(store):
    found, *_ = measured(store, "inverse", f"{ME}:unlabelled")
    assert set(found) == {"squared_error", "error_share", "code_error_share", "mmd@codes"}
    parts = {"dataset": f"{ME}:unlabelled", "model": f"{ME}:inverse"}
    assert "neighbour_accuracy" not in TASKS["inference"].part.resolve(parts, {}, None).gives


def test_the_bounds_have_no_codes(store):
    for model, share in (("oracle", 0.0), ("one-image", 1.0)):
        found, *_ = measured(store, model)
        assert set(found) == {"squared_error", "error_share", "neighbour_accuracy"}
        assert found["error_share"].value == pytest.approx(share, abs=1e-6)


def test_points(store):
    """New ones, as many as samples are scored; no classes."""
    found, _, cell = of_points(store, "turned")
    assert set(found) == {"squared_error", "error_share", "code_error_share", "mmd@codes"}
    assert found["squared_error"].n == 500
    assert found["error_share"].value == pytest.approx(0, abs=1e-9)
    assert found["code_error_share"].value == pytest.approx(0, abs=1e-9)
    found, *_ = of_points(store, "flat")
    assert found["squared_error"].value == pytest.approx(0.5, rel=1e-4)
    assert found["code_error_share"].value == pytest.approx(0.25, rel=0.1)
    found, *_ = of_points(store, "still")
    held = experiment_of(cell).examples.held_out.double()
    assert found["squared_error"].value == pytest.approx(
        float((held - 1).square().sum(1).mean()), rel=1e-5
    )
    assert found["code_error_share"].value == pytest.approx(2, rel=0.1)
    about = held - experiment_of(cell).source.training.double().mean(0)
    share = float((held - 1).square().sum() / about.square().sum())
    assert found["error_share"].value == pytest.approx(share, rel=1e-5)


def test_a_code_is_scored_about_the_mean_of_codes():
    rng = np.random.default_rng(0)
    z = rng.normal(3, 1, (4_000, 5))
    assert code_error_share(z, np.tile(z.mean(0), (4_000, 1))).value == pytest.approx(1)
    assert code_error_share(z, z + 0.1).value == pytest.approx(0.01, rel=0.05)
    off = z + rng.normal(0, 0.3, z.shape)
    drawn = [rng.integers(400, size=400) for _ in range(300)]
    again = [code_error_share(z[:400][i], off[:400][i]).value for i in drawn]
    assert code_error_share(z[:400], off[:400]).std_error == pytest.approx(np.std(again), rel=0.2)


def test_of_neighbours_as_near_the_first_counts():
    known = np.array([[0.0], [2.0], [2.0]])
    found = nearest_labels(known, np.array([7, 8, 9]), np.array([[0.4], [1.9], [5.0], [1.0]]))
    assert found.tolist() == [7, 8, 8, 7]


def test_what_has_no_encoder_is_skipped_or_refused(store):
    for task, dataset in (("inference", "optdigits"), ("inference-points", POINTS)):
        found = TASKS[task].part.resolve({"dataset": dataset, "model": "nsgan"}, {}, None)
        assert found.skip == "model 'nsgan' has no encoder: choose one that encodes"
    with pytest.raises(UsageError, match=r"^a Given does not encode: task inference needs an Auto"):
        measured(store, "codeless")
    with pytest.raises(UsageError, match="'probe_accuracy' is not for this task; known: squared_"):
        TASKS["inference"].part.metric_facts("probe_accuracy")
    with pytest.raises(UsageError, match="'scaled_error' is not for this task"):
        TASKS["inference"].part.metric_facts("scaled_error")


def test_the_names_of_scores():
    facts = TASKS["inference"].part.metric_facts
    assert facts("mmd@codes")["title"] == "MMD^2 of codes"
    assert facts("neighbour_accuracy")["direction"] == "higher"
    given = (
        TASKS["inference"].part.resolve({"dataset": "optdigits", "model": "ali"}, {}, None).gives
    )
    assert given == {
        "squared_error",
        "error_share",
        "code_error_share",
        "mmd@codes",
        "neighbour_accuracy",
    }


@pytest.mark.parametrize("name", ["ali", "bigan", "veegan", "latent-regressor", "aae", "vae-gan"])
def test_every_model_with_an_encoder_is_measured(store, name):
    """From training to row, in a few steps: the same weights as those that draw."""
    rows = {}
    for task, dataset in (("inference", "optdigits"), ("inference-points", POINTS)):
        told = {"protocol": "dense"} if task == "inference" else {"samples": 500}
        named = {"steps": 3, "batch": 8, "evaluations": 1, **told}
        cell = cell_of(task, dataset=dataset, model=name, settings=named)
        other = {"inference": "image", "inference-points": "mixture"}[task]
        drawn = cell_of(other, dataset=dataset, model=name, settings=named)
        keys = [TASKS[each.task].part.artifact(each) for each in (cell, drawn)]
        assert keys[0] == keys[1]
        found = TASKS[task].part.measure(cell, Bench(store))
        rows[task] = {v.metric for v in found.values if v.final}
        assert (
            rows[task]
            >= TASKS[task].part.resolve({"dataset": dataset, "model": name}, named, None).gives
        )


def test_a_seed_decides_the_codes_that_are_drawn(store):
    values = [measured(store, "broad", seed=seed)[0]["code_error_share"].value for seed in (0, 1)]
    again = measured(store, "broad", seed=0)[0]["code_error_share"].value
    assert values[0] == again != values[1]


def test_codes_are_drawn_by_the_stream_of_the_cell(store):
    found, _, cell = measured(store, "shifted")
    rng = stream(cell.cell_id, cell.seed, "codes")
    z = torch.randn(300, 64, generator=rng).double()
    wanted = 64 * 300 * 0.25**2 / float((z - z.mean(0)).square().sum())
    assert found["code_error_share"].value == pytest.approx(wanted, rel=1e-5)
