"""Models of images from the command line: rows, pictures, codes, weights, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from harness import bench
from PIL import Image

from bench import api
from bench.core.errors import UsageError
from bench.datasets import DATASETS
from bench.extractors import EXTRACTORS
from bench.models.generators import train
from bench.models.orders import TrainingOrder
from bench.models.store import ArtifactStore
from bench.tasks.generation.imagescores import features_of
from generative import RECIPES, ConditionalSampler, Training
from generative.latentspace import arithmetic, interpolation, plane, read_sum, truncated
from results.pictures.run import said_once

RUN = "runs/tiny/quick"
SUITE = """
name = "tiny"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "images"
task = "image"
grid.dataset = ["optdigits"]
grid.model = ["oracle", "cgan", "vae-mean", "pca-gaussian"]
settings = { steps = 12, batch = 16, evaluations = 2, protocol = "small-dcgan", latent = 2 }
metrics = ["frechet@optdigits-cnn", "class_coverage@optdigits-cnn"]

[[block]]
name = "holes"
task = "inpainting"
grid.dataset = ["optdigits"]
grid.model = ["oracle", "vae-mean", "pca-gaussian", "cgan", "one-image"]
metrics = ["same_reading@optdigits-cnn", "psnr_hidden"]
[block.settings]
steps = 12
batch = 16
evaluations = 2
protocol = "small-dcgan"
latent = 2
pictures = 12
descent_steps = 5
starts = 20
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a run of tiny models, its cache and its suite."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "tiny.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MINIMAX_CACHE", str(folder / "cache"))
        assert bench("run", "--suite", "tiny.toml", "--executor", "inline") == 0
    return folder


@pytest.fixture
def there(run, monkeypatch):
    monkeypatch.chdir(run)
    monkeypatch.setenv("MINIMAX_CACHE", str(run / "cache"))
    return run


def table_of(folder):
    return pd.read_csv(folder / "runs/tiny/quick/table.csv", dtype=str, keep_default_na=False)


def test_rows_have_scores_and_say_what_they_rest_on(run):
    table = table_of(run)
    assert set(table.status) == {"ok", "skipped"}
    skipped = table[table.status == "skipped"]
    assert set(skipped.model) == {"cgan"}
    assert skipped.reason.str.contains("told the class").all()
    found = {name.partition(":")[0] for name in table[table.task == "image"].metric}
    for name in ("frechet", "kernel_distance", "precision", "recall", "density", "coverage"):
        assert f"{name}@optdigits-cnn" in found
    for name in ("class_coverage", "class_kl", "memorisation", "label_accuracy"):
        assert f"{name}@optdigits-cnn" in found
    asked = table[table.metric.str.startswith("label_accuracy")]
    assert set(asked.model) == {"cgan"}
    assert json.loads(asked.settings.iloc[0])["latent"] == 2


def test_every_row_has_as_many_samples_and_the_oracle_has_no_copies(run):
    """300 digits are held out: the oracle is each of them once."""
    table = table_of(run)
    scored = table[table.metric.str.startswith("frechet@") & (table.step != "6")]
    finals = scored[scored.n == "300"]
    assert set(finals.model) == {"oracle", "cgan", "vae-mean", "pca-gaussian"}
    best = table[table.metric.str.startswith("recall@") & (table.model == "oracle")]
    assert float(best.value.iloc[0]) > 0.8


def test_pictures_of_images(run):
    written = {path.name for path in (run / "runs/tiny/quick/pictures").iterdir()}
    assert {"images-optdigits-samples.png", "images-optdigits-digits.png"} <= written
    assert {"images-optdigits-training.png", "holes-optdigits-samples.png"} <= written


def test_the_oracle_completes_pictures_and_the_mean_does_not(run):
    table = table_of(run)
    read = table[table.metric.str.startswith("same_reading")].set_index("model").value.astype(float)
    assert read["oracle"] == 1
    assert read["one-image"] < 1
    psnr = table[table.metric == "psnr_known"]
    assert set(psnr.model) == {"oracle", "vae-mean"}
    assert float(psnr.set_index("model").value["oracle"]) == 100


@pytest.mark.parametrize("model", ["cgan", "vae-mean"])
@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--interpolate", "-n", "16"), 16),
        (("--codes",), 400),
        (("--truncation", "0.5", "-n", "9"), 9),
    ],
)
def test_codes_are_drawn_as_sheets(there, tmp_path, model, options, count):
    sheet, array = tmp_path / "x.png", tmp_path / "x.npy"
    where = (RUN, "--model", model, "--block", "images")
    assert bench("sample", *where, *options, "-o", sheet) == 0
    with Image.open(sheet) as opened:
        assert min(opened.size) > 30
    assert bench("sample", *where, *options, "-o", array) == 0
    assert np.load(array).shape == (count, 1, 8, 8)


def test_blocks_of_one_trained_model_need_not_be_told_apart(there, tmp_path, capsys):
    """Inpainting completes pictures by the model that is sampled from; another one is another."""
    sheet = tmp_path / "x.png"
    assert bench("sample", RUN, "--model", "vae-mean", "-o", sheet) == 0
    text = SUITE.replace("steps = 12\nbatch", "steps = 13\nbatch")
    (tmp_path / "other.toml").write_text(text)
    assert text != SUITE
    other = tmp_path / "other"
    only = ("--only", "model=vae-mean", "--executor", "inline")
    assert bench("run", "--suite", tmp_path / "other.toml", *only, "--out", other) == 0
    capsys.readouterr()
    assert bench("sample", other, "--model", "vae-mean", "-o", sheet) == 2
    assert "--block" in capsys.readouterr().err


def test_labels_of_a_curve_share_a_place_where_points_do():
    places = [(0.1, 0.2), (0.5, 0.5), (0.51, 0.52), (0.52, 0.5)]
    said = list(said_once(places, [0.5, 1, 2, float("inf")]))
    assert said == [((0.1, 0.2), "0.5"), ((0.5, 0.5), "1, 2, none")]


def test_a_class_can_be_asked_for(there, capsys, tmp_path):
    where = (RUN, "--model", "cgan", "--block", "images")
    assert bench("sample", *where, "--class", "7", "-n", "5", "-o", tmp_path / "x.npy") == 0
    assert bench("sample", *where, "--class", "10", "-o", tmp_path / "y.npy") == 2
    assert "label 10 is outside the classes: expected 0 to 9" in capsys.readouterr().err
    plain = (RUN, "--model", "vae-mean", "--block", "images", "--class", "1")
    assert bench("sample", *plain, "-o", tmp_path / "z.npy") == 2
    assert "can't be asked for one" in capsys.readouterr().err


def test_a_truncation_curve(there, tmp_path, capsys):
    where = (RUN, "--model", "vae-mean", "--block", "images")
    assert bench("sample", *where, "--truncation", "0.5,1", "-n", "150", "-o", "c.png") == 0
    out = capsys.readouterr().out
    assert "precision@optdigits-cnn" in out
    assert "inf" in out


def test_weights_go_out_and_come_back(there, tmp_path, capsys):
    """A model's weights as safetensors draw what the model drew; those of another are refused."""
    where = (RUN, "--block", "images")
    weights, other = tmp_path / "cgan.safetensors", tmp_path / "vae.safetensors"
    assert bench("sample", *where, "--model", "cgan", "-o", weights) == 0
    assert bench("sample", *where, "--model", "vae-mean", "-o", other) == 0
    drawn = [tmp_path / "a.npy", tmp_path / "b.npy"]
    assert bench("sample", *where, "--model", "cgan", "-o", drawn[0]) == 0
    given = ("--model", "cgan", "--weights", weights)
    assert bench("sample", *where, *given, "-o", drawn[1]) == 0
    np.testing.assert_array_equal(*map(np.load, drawn))
    capsys.readouterr()
    wrong = ("--model", "cgan", "--weights", other, "-o", tmp_path / "c.npy")
    assert bench("sample", *where, *wrong) == 2
    assert "of another architecture" in capsys.readouterr().err
    assert bench("sample", *where, "--model", "vae-mean", "--weights", weights, "-o", "d.npy") == 2
    assert "of another architecture" in capsys.readouterr().err
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    junk = ("--model", "cgan", "--weights", tmp_path / "junk.safetensors", "-o", "e.npy")
    assert bench("sample", *where, *junk) == 2
    assert "expected a safetensors file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--arithmetic", "seven"), "expected a sum of classes such as 7-1+4"),
        (("--arithmetic", "7-99"), "in 0 of 2,000 samples: expected 3"),
        (("--truncation", "-1"), "expected bounds above 0"),
        (("--truncation", "x"), "expected bounds above 0"),
        (("--interpolate", "--codes"), "expected one of --interpolate, --codes"),
        (("--arithmetic", "7-1", "--class", "3"), "expected one of --arithmetic, --class"),
        (("--traverse", "0"), "--traverse: the codes of model 'vae-mean' say nothing"),
        (("--traverse", "0", "--codes"), "expected one of --codes, --traverse"),
    ],
)
def test_bad_ways_are_refused(there, tmp_path, capsys, options, message):
    where = (RUN, "--model", "vae-mean", "--block", "images")
    assert bench("sample", *where, *options, "-o", tmp_path / "x.png") == 2
    assert message in capsys.readouterr().err


class Told(ConditionalSampler):
    """Images that are the class they are told, and the first value of their code."""

    classes, prior = 3, "normal"

    def codes(self, n, rng):
        return torch.randn(n, 2, generator=rng)

    def decode(self, z, condition=None):
        told = torch.arange(len(z)) % 3 if condition is None else condition
        return torch.stack([told.float(), z[:, 0]], 1)[:, :, None, None]

    def sample(self, n, rng, condition=None):
        return self.decode(self.codes(n, rng), condition)

    def tensors(self):
        return {}


def test_a_way_between_codes_is_of_one_class():
    model, rng = Told(), torch.Generator().manual_seed(0)
    told = interpolation(model, rng, 4, 8)[:, 0, 0, 0].reshape(4, 8)
    assert torch.equal(told, torch.tensor([0.0, 1, 2, 0])[:, None].expand(4, 8))
    assert (interpolation(model, rng, 2, 8, label=2)[:, 0] == 2).all()
    assert (plane(model, rng)[:, 0] == 0).all()
    assert (plane(model, rng, label=1)[:, 0] == 1).all()
    many = truncated(model, 2_000, rng, 1.0)[:, 0, 0, 0]
    assert torch.equal(many, torch.arange(2_000) % 3.0)
    with pytest.raises(UsageError, match="is told the class"):
        arithmetic(model, lambda images: np.zeros(len(images)), read_sum("1-0"), rng)


def test_codes_of_a_uniform_prior_are_looked_at_in_their_cube():
    """Great circles and normal quantiles are for normal codes."""
    model, rng = Told(), torch.Generator().manual_seed(0)
    model.prior = "uniform"
    first = plane(model, rng)[:, 1].flatten()
    assert float(first.max()) == pytest.approx(0.95)
    assert float(first.min()) == pytest.approx(-0.95)
    way = interpolation(model, rng, 1, 9)[:, 1].flatten()
    torch.testing.assert_close(way.diff(), way.diff()[:1].expand(8))


def test_weights_of_another_kind_are_refused(there, tmp_path, capsys):
    where = (RUN, "--block", "images")
    weights = tmp_path / "cgan.safetensors"
    assert bench("sample", *where, "--model", "cgan", "-o", weights) == 0
    wrong = ("--model", "pca-gaussian", "--weights", weights, "-o", tmp_path / "x.npy")
    assert bench("sample", *where, *wrong) == 2
    assert "are not those of a model 'pca-gaussian'" in capsys.readouterr().err


def test_pixels_of_large_images_are_brought_to_32():
    """As `bench score` does, so that one name is one quantity."""
    images = torch.randint(0, 255, (3, 1, 80, 80), dtype=torch.uint8)
    part = EXTRACTORS["pixels"].part
    assert features_of(part, images, "cpu").shape == (3, 32 * 32)
    assert features_of(part, images[:, :, :64, :64], "cpu").shape == (3, 64 * 64)


def folder_of_images(path, n, size, colour=False):
    """`n` PNG files of noise."""
    path.mkdir(parents=True)
    rng = np.random.default_rng(n)
    for index in range(n):
        shape = (size, size, 3) if colour else (size, size)
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(path / f"{index}.png")
    return path


def test_a_folder_of_images_is_a_data_set(tmp_path, monkeypatch):
    """In colour, without a judge: scores rest on features that are asked for, here one's own."""
    folder_of_images(tmp_path / "pictures", 130, 8, colour=True)
    suite = SUITE.split('[[block]]\nname = "holes"')[0].replace(
        '"optdigits"', f'"folder:{tmp_path}/pictures"'
    )
    suite = suite.replace('metrics = ["frechet@optdigits-cnn", "class_coverage@optdigits-cnn"]', "")
    suite = suite.replace("latent = 2", 'latent = 2, features = "own_features:some"')
    own = "def some(images):\n    return images.flatten(1)[:, :20]\n"
    (tmp_path / "own_features.py").write_text(own)
    (tmp_path / "own.toml").write_text(suite.replace('"cgan", ', '"nsgan", "cgan", '))
    monkeypatch.chdir(tmp_path)
    table = api.run("own.toml")
    assert set(table[table.status == "skipped"].model) == {"cgan"}
    assert set(table.status) == {"ok", "skipped"}
    assert "frechet@own_features:some" in set(table[table.model == "nsgan"].metric)


@pytest.mark.parametrize(
    ("task", "model", "make", "message"),
    [
        ("image", "dcgan", lambda p: folder_of_images(p, 20, 4), "height and width are at least 5"),
        ("image", "dcgan", lambda p: folder_of_images(p, 3, 16), "holds 3 images: expected 12"),
        ("image", "dcgan", lambda p: p.mkdir(), "holds no images"),
        (
            "translation",
            "pix2pix",
            lambda p: [folder_of_images(p / "a", 20, 16), folder_of_images(p / "b", 24, 16)],
            "is unpaired: nothing says which images belong together",
        ),
        (
            "translation",
            "cyclegan",
            lambda p: [folder_of_images(p / "a", 20, 4), folder_of_images(p / "b", 20, 4)],
            "bring them to another size",
        ),
        ("translation", "pix2pix", lambda p: folder_of_images(p, 20, 16), "expected two folders"),
        (
            "translation",
            "dtn",
            lambda p: [folder_of_images(p / "a", 20, 16), folder_of_images(p / "b", 24, 16)],
            "no classes of its first domain",
        ),
    ],
)
def test_bad_images_are_refused(tmp_path, monkeypatch, capsys, task, model, make, message):
    """One line, exit code 2, before anything is trained."""
    make(tmp_path / "pictures")
    (tmp_path / "bad.toml").write_text(
        f'name = "bad"\n[[block]]\nname = "b"\ntask = "{task}"\n'
        f'grid.dataset = ["folder:{tmp_path}/pictures"]\ngrid.model = ["{model}"]\n'
    )
    monkeypatch.chdir(tmp_path)
    assert bench("run", "--suite", "bad.toml") == 2
    error = capsys.readouterr().err
    assert message in error.replace("\n", " ")
    assert "Traceback" not in error


def test_images_of_which_none_is_to_train_on_are_refused(tmp_path, capsys):
    """Before anything is trained, as are grey features of images in colour."""
    folder_of_images(tmp_path / "pictures", 20, 16, colour=True)
    for dataset, settings, message in (
        ("photos", "", "has no images to train on"),
        (f"folder:{tmp_path}/pictures", 'features = "digits-cnn"', "are of grey images"),
    ):
        (tmp_path / "bad.toml").write_text(
            f'name = "bad"\n[[block]]\nname = "b"\ntask = "image"\ngrid.dataset = ["{dataset}"]\n'
            f'grid.model = ["dcgan"]\nsettings = {{ {settings} }}\n'
        )
        assert bench("run", "--suite", tmp_path / "bad.toml") == 2
        assert message in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("model", ["cgan", "cgan-projection"])
def test_a_conditional_training_goes_on_bit_for_bit(tmp_path, monkeypatch, model):
    """Cut off inside its steps, it ends with the same weights."""
    source = DATASETS["optdigits"].part.source(0)
    training = Training("small-dcgan", steps=12, batch=8)
    order = TrainingOrder(model, training, DATASETS["optdigits"].part.fingerprint, 0, 2)
    whole = train(order, source, ArtifactStore(tmp_path / "whole"))
    monkeypatch.setattr("bench.models.trainings.STRIDE", 2)
    store, calls = ArtifactStore(tmp_path / "cut", checkpoint_seconds=0.0), []
    trainer = type(RECIPES[model].part.trainer(training, source.shape))
    advance = trainer.advance

    def cut(self, state, steps):
        calls.append(steps)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return advance(self, state, steps)

    monkeypatch.setattr(trainer, "advance", cut)
    with pytest.raises(KeyboardInterrupt):
        train(order, source, store)
    assert len(list((tmp_path / "cut").rglob("*.partial.json"))) == 1
    resumed = train(order, source, store)
    assert sum(calls) == 12 + calls[2]
    first, second = whole.fitted.tensors(), resumed.fitted.tensors()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_label_outside_the_classes_is_refused():
    source = DATASETS["optdigits"].part.source(0)
    trainer = RECIPES["cgan"].part.trainer(Training("small-dcgan", steps=1, batch=4), source.shape)
    rng = torch.Generator().manual_seed(0)
    fitted = trainer.finish(trainer.start(source, rng))
    with pytest.raises(UsageError, match="label -1 is outside the classes: expected 0 to 9"):
        fitted.sample(2, rng, torch.tensor([3, -1]))
    with pytest.raises(UsageError, match="expected a label for each of 3 samples, got 2"):
        fitted.sample(3, rng, torch.tensor([3, 1]))


def test_images_are_bytes_until_the_batch(monkeypatch):
    """A batch is floats, and an estimator gets as many as it may hold; the stream sees them all."""
    monkeypatch.setattr("bench.datasets.labelled.ESTIMATOR_VALUES", 64 * 100)
    source = DATASETS["optdigits"].part.source(0)
    assert source.training_bytes.dtype == torch.uint8
    assert len(source.training) == 100 < len(source.training_bytes) == len(source.training_labels)
    batch = source.batches().next(len(source.training_bytes))
    assert batch.dtype == torch.float32
    seen = {image.numpy().tobytes() for image in (batch * 255).round().to(torch.uint8)}
    assert seen == {image.numpy().tobytes() for image in source.training_bytes}
    images, labels = source.labelled_batches().next(50)
    assert torch.equal(images, source.batches().next(50))
    assert labels.dtype == torch.int64
