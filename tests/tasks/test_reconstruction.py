"""Images rebuilt of their codes, by models whose answers are known."""

import numpy as np
import pytest
import torch
from tasks.byhand import Given, by_hand, cell_of, experiment_of

from bench.core.errors import UsageError
from bench.models.store import ArtifactStore
from bench.tasks import TASKS, Bench
from generative import RECIPES, Autoencoder
from metrics.reconstruction import Rebuilt, error_share, scaled_error, squared_error

ME = __name__
DIGITS = {"dataset": "optdigits"}


class Shifted(Autoencoder):
    """A code is the image less .25 and decodes to itself: each value is off by .25."""

    def sample(self, n, rng):
        return torch.zeros(n, 1, 8, 8)

    def codes(self, n, rng):
        return torch.zeros(n, 64)

    def encode(self, x):
        return x.flatten(1) - 0.25

    def decode(self, z):
        return z.unflatten(1, (1, 8, 8))

    def tensors(self):
        return {}


shifted = by_hand(lambda data: Shifted())
codeless = by_hand(lambda data: Given(data.training[:5]))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("rebuilt"))


def measured(store, model, seed=0, **settings):
    """Final values by metric, with what their names end in; and what pictures get."""
    cell = cell_of("reconstruction", model=model, seed=seed, settings=settings, **DIGITS)
    found = TASKS["reconstruction"].part.measure(cell, Bench(store))
    assert (found.diverged, found.invalid) == ("", "")
    return {v.metric: v for v in found.values if v.final}, found.arrays, experiment_of(cell).source


def test_every_value_counts_and_none_has_to_be_in_the_box(store):
    """Summed over the pixels, averaged over the images."""
    found, arrays, source = measured(store, f"{ME}:shifted")
    assert found["squared_error"].value == pytest.approx(64 * 0.25**2, rel=1e-5)
    assert found["squared_error"].n == len(source.held_out) == 300
    assert found["squared_error@training"].value == pytest.approx(4, rel=1e-5)
    assert arrays["samples"].min() == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_the_mean_training_image_loses_all_there_is(store, seed):
    """And the share is about it, of held-out images; the training ones stand beside them."""
    found, arrays, source = measured(store, "one-image", seed)
    held, mean = source.held_out.double(), source.training.double().mean(0)
    assert found["error_share"].value == pytest.approx(1, rel=1e-6)
    gaps = (held - mean).square().flatten(1).sum(1)
    assert found["squared_error"].value == pytest.approx(float(gaps.mean()), rel=1e-5)
    assert found["squared_error"].std_error == pytest.approx(float(gaps.std()) / 300**0.5, rel=1e-4)
    seen = source.training[:300].double()
    wanted = float((seen - mean).square().flatten(1).sum(1).mean())
    assert found["squared_error@training"].value == pytest.approx(wanted, rel=1e-5)
    variance = (source.training.double() - mean).square().mean()
    scaled = float(gaps.mean() / variance)
    assert found["scaled_error"].value == pytest.approx(scaled, rel=1e-5)
    np.testing.assert_allclose(arrays["originals"][:, 0] / 255, held[:16, 0].numpy(), atol=1e-6)


def test_the_images_themselves_lose_nothing(store):
    found, *_ = measured(store, "oracle")
    assert all(value.value == 0 for value in found.values())


@pytest.mark.parametrize("latent", [2, 18])
def test_principal_components_by_hand(store, latent):
    """Of the training images, applied to those that are held out."""
    found, _, source = measured(store, "pca", latent=latent)
    x, held = (part.flatten(1).double() for part in (source.training, source.held_out))
    _, _, v = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    gaps = held - x.mean(0)
    left = gaps - gaps @ v[:latent].T @ v[:latent]
    errors, there = (part.square().sum(1) for part in (left, gaps))
    assert found["squared_error"].value == pytest.approx(float(errors.mean()), rel=1e-4)
    share = float(errors.sum() / there.sum())
    assert found["error_share"].value == pytest.approx(share, rel=1e-4)


def test_a_share_has_the_error_of_a_ratio():
    """As redrawing the images has it."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(400, 1, 3, 3)) * rng.uniform(0.5, 2, (400, 1, 1, 1))
    made = real + 0.3 * rng.normal(size=real.shape)
    fake = Rebuilt(made, np.zeros((1, 3, 3)), 1.0)
    drawn = [rng.integers(400, size=400) for _ in range(400)]
    again = [error_share(real[i], Rebuilt(made[i], fake.mean, 1.0)).value for i in drawn]
    assert error_share(real, fake).std_error == pytest.approx(np.std(again), rel=0.15)
    assert squared_error(real, fake).value == pytest.approx(9 * 0.09, rel=0.1)
    half = Rebuilt(made, fake.mean, 0.5)
    assert scaled_error(real, half).value == pytest.approx(2 * squared_error(real, fake).value)


def test_what_can_not_be_rebuilt_is_skipped_or_refused(store):
    task = TASKS["reconstruction"].part
    found = task.resolve({"dataset": "optdigits", "model": "dcgan"}, {}, None)
    assert found.skip == "model 'dcgan' can't encode images"
    with pytest.raises(UsageError, match="a Given does not encode: task reconstruction needs an"):
        measured(store, f"{ME}:codeless")
    with pytest.raises(
        UsageError, match="'squared_error@held' is none: expected squared_error, or"
    ):
        task.metric_facts("squared_error@held")


def test_scores_of_training_images_have_no_better():
    facts = TASKS["reconstruction"].part.metric_facts
    assert facts("squared_error")["direction"] == "lower"
    assert facts("squared_error@training")["direction"] == "none"
    assert facts("squared_error@training")["title"] == "squared error, training"


def test_every_model_that_encodes_says_so():
    """Whoever says it does, on a training of two steps."""
    names = set(TASKS["reconstruction"].part.every("model"))
    assert {"pca", "logistic-pca", "vae", "deep-autoencoder-rbm", "oracle"} <= names
    assert "dcgan" not in names
    assert all(RECIPES[name].facts.encodes for name in names - {"oracle", "one-image"})
