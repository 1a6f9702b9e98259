"""Classes read off layers, by probes and models whose answers are known."""

import numpy as np
import pytest
import torch
from swapped import digits, usual
from tasks.byhand import Given, by_hand, cell_of, experiment_of, row_of

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.models.store import ArtifactStore
from bench.tasks import TASKS
from bench.tasks.generation.linearprobes import probed, units_of
from bench.tasks.generation.probing import layer_of
from generative import RECIPES, Training

ME = __name__
codeless = by_hand(lambda data: Given(data.training[:5]))
relabelled = digits("relabelled", labels=lambda s: np.roll(s.labels, 1))
misread = digits("misread", held_labels=lambda s: np.roll(s.held_labels, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("probed"))


def accuracy(store, dataset="usual", model="oracle", **settings):
    cell = cell_of("probing", dataset=f"{ME}:{dataset}", model=model, settings=settings)
    return row_of(cell, store)["probe_accuracy"]


@pytest.mark.parametrize("probe", ["logistic", "svm"])
def test_raw_digits_are_read_by_a_linear_probe(store, probe):
    assert accuracy(store, probe=probe, labels=500) > 0.9


def test_what_is_told_is_what_is_read(store):
    """Other labels of training digits, or of the held-out ones, and nothing is right any more."""
    assert accuracy(store, "relabelled", labels=500) < 0.3
    assert accuracy(store, "misread", labels=500) < 0.3


def test_more_labels_are_more_accurate(store):
    few, many = (accuracy(store, labels=count) for count in (20, 1000))
    assert few < many - 0.1


def test_the_labels_are_those_of_the_first_training_images(store, monkeypatch):
    seen = []

    def spied(probe, features, labels, held):
        seen.append((features, labels, held))
        return labels[:1].repeat(len(held))

    monkeypatch.setattr("bench.tasks.generation.probing.probed", spied)
    cell = cell_of("probing", dataset=f"{ME}:usual", model="oracle", settings={"labels": 30})
    row_of(cell, store)
    source, ((features, labels, held),) = experiment_of(cell).source, seen
    np.testing.assert_allclose(features, source.training[:30].flatten(1).numpy())
    np.testing.assert_array_equal(labels, source.training_labels[:30].numpy())
    np.testing.assert_allclose(held, source.held_out.flatten(1).numpy())


def test_units_are_those_of_the_labelled_features():
    rng = np.random.default_rng(0)
    own, other = rng.normal(2, 3, (50, 7)), rng.normal(size=(20, 7))
    units = units_of(own)
    np.testing.assert_allclose(units(own).mean(0), 0, atol=1e-12)
    assert np.square(units(own)).sum(1).mean() == pytest.approx(1)
    shift = units(other + 1) - units(other)
    np.testing.assert_allclose(shift, shift[0, 0])


def test_labels_of_one_class_are_refused():
    with pytest.raises(ValueError, match="labelled examples of two classes at least"):
        probed("svm", np.ones((20, 2)), np.zeros(20, dtype=np.int64), np.ones((3, 2)))


def small(**settings):
    """Layers of stacked autoencoders of 8 x 8 digits, in a few steps."""
    told = {"layer_steps": 3, "batch": 8, "latent": 20, **settings}
    return Training("vincent-2008", **told)


def stacked(name="stacked-denoising-autoencoder", **settings):
    source = usual.source(0)
    trainer = RECIPES[name].part.trainer(small(**settings), source.shape)
    with forked(0):
        state = trainer.start(source, stream("stacked"))
        return trainer.finish(trainer.advance(state, trainer.steps)), source, trainer


def test_layers_are_those_of_the_encoder():
    """As many as there are, the last is the code, each by the weights of its own."""
    model, source, trainer = stacked()
    x, tensors = source.held_out[:9], model.tensors()
    found = model.layers(x)
    assert [layer.shape[1] for layer in found] == [500, 500, 20]
    weights = [v for k, v in tensors.items() if k.startswith("encoder") and k.endswith("weight")]
    biases = [v for k, v in tensors.items() if k.startswith("encoder") and k.endswith("bias")]
    h = x.flatten(1)
    for weight, bias, layer in zip(weights, biases, found, strict=True):
        h = torch.sigmoid(h @ weight.T + bias)
        torch.testing.assert_close(layer, h)
    torch.testing.assert_close(model.encode(x), h)
    assert trainer.steps == 9


def test_masking_is_a_setting_that_counts():
    plain, other = stacked(masking=0.0)[0].tensors(), stacked(masking=0.5)[0].tensors()
    same = stacked("stacked-autoencoder")[0].tensors()
    assert all(torch.equal(plain[name], same[name]) for name in plain)
    first = next(name for name in plain if name.startswith("encoder") and name.endswith("weight"))
    assert not torch.equal(plain[first], other[first])


def test_a_layer_is_probed_by_its_number(store):
    """Layers of one training, which differ; and none that is not there."""
    told = {"layer_steps": 40, "latent": 20, "labels": 300}
    name = "stacked-denoising-autoencoder"
    found = [accuracy(store, model=name, layer=at, **told) for at in (1, 2, 3)]
    assert len(set(found)) == 3
    task = TASKS["probing"].part
    for model, layer, layers in ((name, 4, 3), ("pca", 2, 1)):
        skip = task.resolve({"dataset": "optdigits", "model": model}, {"layer": layer}, None).skip
        assert skip == f"layer {layer} of model '{model}': it has {layers}"


def test_components_are_probed_as_they_are_and_not_whitened():
    """All of them keep every distance between images."""
    source = usual.source(0)
    trainer = RECIPES["pca"].part.trainer(Training("vincent-2008", latent=64), source.shape)
    model, x = trainer.finish(trainer.start(source, stream("pca"))), source.held_out[:20]
    found = torch.cdist(*2 * [layer_of(model, x, 1)])
    torch.testing.assert_close(found, torch.cdist(*2 * [x.flatten(1)]), rtol=1e-3, atol=5e-3)


def test_what_does_not_encode_is_refused(store):
    task = TASKS["probing"].part
    assert task.resolve({"dataset": "optdigits", "model": "dcgan"}, {}, None).skip
    with pytest.raises(UsageError, match="a Given does not encode: task probing needs an"):
        accuracy(store, model=f"{ME}:codeless")
