"""`bench score` and `api.score`: what they take, what they say, and what they refuse."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from harness import bench
from PIL import Image

from bench import api
from bench.core.errors import UsageError
from bench.datasets.digits import mnist5k
from bench.extractors import EXTRACTORS

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((300, 6)), RNG.standard_normal((300, 6)) + 0.3
PLAIN = "frechet,kernel_distance,precision,recall,density,coverage,memorisation,duplicates"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _digits(count, start=0):
    return mnist5k().images[start : start + count]


def _folder(name, images, suffix="png", **options):
    os.makedirs(name, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(f"{name}/{index:04}.{suffix}", **options)
    return name


def _rows(capfd, *arguments):
    capfd.readouterr()
    assert bench("score", *arguments, "--format", "json") == 0
    out, err = capfd.readouterr()
    return {row["metric"]: row for row in json.loads(out)}, err


def _refused(capfd, *arguments, code=2):
    """The one line with which the command refuses."""
    capfd.readouterr()
    assert bench("score", *arguments) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    return err


def _values(table):
    return dict(zip(table["metric"], table["value"], strict=True))


@cache
def _of_points():
    """Every score of the points."""
    return _values(api.score(*POINTS))


# ---------------------------------------------------------------- what it takes


def test_features_as_they_stand(capfd):
    """Plain names, one row each; the same from .npy, .npz, .pt, and from Python."""
    np.save("real.npy", POINTS[0])
    np.savez("fake.npz", POINTS[1])
    torch.save({"x": torch.from_numpy(POINTS[1])}, "fake.pt")
    found, _ = _rows(capfd, "real.npy", "fake.npz")
    again, _ = _rows(capfd, "real.npy", "fake.pt")
    wanted = _of_points()
    assert {name: row["value"] for name, row in found.items()} == pytest.approx(
        {name: None if np.isnan(value) else value for name, value in wanted.items()}
    )
    assert {n: r["value"] for n, r in found.items()} == {n: r["value"] for n, r in again.items()}
    assert set(PLAIN.split(",")) <= set(found)
    assert found["frechet"]["n"] == 300
    assert found["frechet"]["std_error"] > 0
    assert found["frechet"]["status"] == "ok"
    assert found["different_bins"]["status"] == "skipped"
    assert "2,000 reals" in found["different_bins"]["reason"]


@pytest.mark.parametrize("layout", ["last", "first", "grey 3-D", "float", "tensor"])
def test_images_in_any_layout(layout):
    """Channels first or last, uint8 or floats in [0, 1]: the same numbers to the last bit."""
    real, fake = _digits(40), _digits(40, 40)
    change = {
        "last": lambda x: x[..., None],
        "first": lambda x: x[:, None],
        "grey 3-D": lambda x: x,
        "float": lambda x: (x / 255).astype(np.float32)[:, None],
        "tensor": lambda x: torch.from_numpy(x)[:, None],
    }[layout]
    wanted = api.score(real, fake, features="pixels", workers=1)
    found = api.score(change(real), change(fake), features="pixels", workers=1)
    pd.testing.assert_frame_equal(found[["metric", "value"]], wanted[["metric", "value"]])


def test_a_folder_is_its_images(capfd):
    """PNG, WebP without loss (it knows no grey), in class folders, under any name: as the array;
    JPEG nearly so.
    """
    real, fake = _digits(60), _digits(60, 60)
    wanted = _values(api.score(real, fake, features="pixels"))
    _folder("real/a", real[:30])
    _folder("real/b", real[30:])
    grey = ("--features", "pixels", "--colours", "grey")
    for suffix, options in (("png", {}), ("webp", {"lossless": True})):
        name = _folder(f"fake-{suffix}", fake[::-1], suffix, **options)
        found, _ = _rows(capfd, "real", name, *grey)
        values = {n: r["value"] for n, r in found.items() if r["value"] is not None}
        assert values == pytest.approx({n: wanted[n] for n in values}, rel=1e-4, abs=1e-6)
    _folder("fake-jpg", fake, "jpg", quality=95)
    found, err = _rows(capfd, "real", "fake-jpg", "--features", "pixels")
    assert found["frechet@pixels"]["value"] == pytest.approx(wanted["frechet@pixels"], rel=0.05)
    assert "traces of compression" in err


def test_mixed_sizes_are_resized_and_told(capfd):
    images = [RNG.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(20, 30), (40, 40)] * 6]
    _folder("real", images)
    _folder("fake", images[::-1])
    assert bench("score", "real", "fake", "--features", "pixels") == 0
    out, _ = capfd.readouterr()
    assert "features: pixels; images: 32 x 32, bicubic with antialiasing; rgb" in out


def test_the_usual_features_are_the_best_there_are(monkeypatch, capfd):
    """lite0 where it is installed, else pixels; the table says which."""
    _folder("real", _digits(12))
    _folder("fake", _digits(12, 12))
    usual = "pixels" if EXTRACTORS["lite0"].part.missing else "lite0"
    assert bench("score", "real", "fake") == 0
    assert f"features: {usual};" in capfd.readouterr()[0]
    monkeypatch.setattr(type(EXTRACTORS["lite0"].part), "missing", "not here")
    found, _ = _rows(capfd, "real", "fake")
    assert "frechet@pixels" in found
    assert "not here" in _refused(capfd, "real", "fake", "--features", "lite0")


def test_a_data_set_by_its_name(capfd):
    found, _ = _rows(
        capfd, "optdigits", "optdigits:train", "--features", "optdigits-cnn", "--metrics", "frechet"
    )
    (name,) = found
    assert name == f"frechet@{EXTRACTORS['optdigits-cnn'].part.tag}"
    assert found[name]["value"] < 1


def test_features_of_the_users_own(capfd, tmp_path):
    """A callable, one batch at a time; what it prints stays off stdout."""
    (tmp_path / "mine.py").write_text(
        "import threading, torch\n"
        "turn = threading.Lock()\n"
        "def means(images):\n"
        "    assert turn.acquire(blocking=False)\n"
        "    print('hello')\n"
        "    found = images.mean((2, 3)) + torch.arange(2)\n"
        "    turn.release()\n"
        "    return found.numpy()\n"
    )
    arguments = ("--features", "mine:means", "--batch", "3", "--workers", "2")
    np.save("real.npy", _digits(60))
    np.save("fake.npy", _digits(60, 60))
    found, _ = _rows(capfd, "real.npy", "fake.npy", *arguments)
    assert found["frechet@mine:means"]["value"] >= 0
    given = api.score(
        _digits(60), _digits(60, 60), features=lambda x: x.mean((2, 3)) + torch.ones(2)
    )
    assert any(name.startswith("frechet@") for name in given["metric"])


# ---------------------------------------------------------------- the same, whatever the way


def test_neither_workers_nor_batches_nor_order_matter():
    """Pixels and arrays to the last bit; networks to 1e-4, as their rounding is, but for the
    two-sample test, whose training makes more of it.
    """
    real, fake = _digits(300), _digits(300, 300)
    tag = "digits-cnn"
    first = api.score(real, fake, features=tag, batch=1, workers=1)
    ways = [
        api.score(real, fake, features=tag, batch=512, workers=2),
        api.score(RNG.permutation(real), RNG.permutation(fake), features=tag, workers=2),
    ]
    for found in ways:
        assert list(found["metric"]) == list(first["metric"])
        values, wanted = _values(found), _values(first)
        told = next(name for name in values if name.startswith("c2st"))
        assert values.pop(told) == pytest.approx(wanted.pop(told), abs=0.02)
        assert values == pytest.approx(wanted, rel=1e-4, abs=1e-6, nan_ok=True)
    exact = api.score(real, fake, features="pixels", batch=1, workers=1)
    again = api.score(real[::-1], fake[::-1], features="pixels", batch=512, workers=2)
    pd.testing.assert_series_equal(exact["value"], again["value"], check_exact=True)


def test_single_precision_is_enough():
    """float32 features give the scores of float64 to 1e-6."""
    single = api.score(*(x.astype(np.float32) for x in POINTS))
    assert _values(single) == pytest.approx(_of_points(), rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("metric", PLAIN.split(","))
@pytest.mark.parametrize("workers", [1, 2])
def test_one_metric_alone(metric, workers):
    """As among the others, on any number of threads."""
    wanted = _of_points()[metric]
    assert _values(api.score(*POINTS, metrics=[metric], workers=workers)) == {metric: wanted}


def test_a_shift_of_the_origin_changes_nothing_of_distances():
    """Not at 1e8 either, where squares have lost the digits."""
    near = _values(api.score(*POINTS, metrics="precision,recall,density,coverage,energy_distance"))
    away = [x + 1e8 for x in POINTS]
    far = _values(api.score(*away, metrics="precision,recall,density,coverage,energy_distance"))
    assert far == pytest.approx(near, rel=1e-4, abs=1e-6)


# ---------------------------------------------------------------- kept statistics


def test_kept_statistics_stand_for_the_images(capfd):
    """All metrics, the same numbers; in the place of REAL, of FAKE and of both."""
    real, fake = _folder("real", _digits(80)), _folder("fake", _digits(80, 80))
    cnn = ("--features", "digits-cnn")
    wanted, _ = _rows(capfd, real, fake, *cnn, "--save-stats", "real.npz")
    _rows(capfd, fake, real, *cnn, "--save-stats", "fake.npz")
    for given in (
        ("real.npz", fake),
        ("real.npz", fake, *cnn),
        (real, "fake.npz"),
        ("real.npz", "fake.npz"),
    ):
        found, _ = _rows(capfd, *given)
        assert {n: r["value"] for n, r in found.items()} == {
            n: r["value"] for n, r in wanted.items()
        }
    with np.load("real.npz") as file:
        features = file["points"]
        np.testing.assert_allclose(file["mu"], features.mean(0, dtype=float), atol=1e-9)
        np.testing.assert_allclose(file["sigma"], np.cov(features.T.astype(float)), atol=1e-9)


def test_statistics_of_other_tools(capfd):
    """mu and sigma alone give the Frechet distance, and say what they don't know."""
    for name, points in zip(("real", "fake"), POINTS, strict=True):
        np.savez(f"{name}.npz", mu=points.mean(0), sigma=np.cov(points.T))
    found, err = _rows(capfd, "real.npz", "fake.npz")
    measured = {name for name, row in found.items() if row["status"] == "ok"}
    assert measured == {"frechet"}
    wanted = _of_points()["frechet"]
    assert found["frechet"]["value"] == pytest.approx(wanted, rel=1e-9)
    assert found["frechet"]["n"] is None
    assert "don't say of how many samples" in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": np.eye(5)}, "expected mu .d. and sigma .d, d."),
        ({"sigma": -np.eye(6)}, "sigma is no covariance"),
        ({"sigma": np.triu(np.ones((6, 6)))}, "sigma is no covariance"),
        ({"mu": np.full(6, np.nan)}, "mu or sigma is not finite"),
        ({"mu": np.array(list("abcdef"))}, "expected mu and sigma as real numbers"),
        ({"mu": np.ones(6, dtype=complex)}, "expected mu and sigma as real numbers"),
        ({"n": np.int64(1)}, "statistics of two samples or more"),
        ({"card": np.array("[]")}, "its card is no table"),
        ({"card": np.array("{")}, "is damaged"),
        ({"card": np.array('{"version": 9}')}, "written by a newer bench"),
        ({"points": np.ones((4, 6)), "n": np.int64(5)}, "not all of 5 samples"),
    ],
)
def test_damaged_statistics(capfd, change, message):
    np.savez("stats.npz", **{"mu": np.zeros(6), "sigma": np.eye(6), **change})
    np.save("fake.npy", POINTS[1])
    with pytest.raises(UsageError, match=message):
        api.score("stats.npz", "fake.npy")


def test_statistics_of_other_features(capfd):
    """Other features, or images that were read in another way."""
    real, fake = _folder("real", _digits(30)), _folder("fake", _digits(30, 30))
    _rows(capfd, real, fake, "--features", "digits-cnn", "--save-stats", "cnn.npz")
    _rows(capfd, real, fake, "--features", "pixels", "--size", "14", "--save-stats", "small.npz")
    told = _refused(capfd, "cnn.npz", fake, "--features", "pixels")
    assert "statistics of features 'digits-cnn:" in told
    assert "pass --features digits-cnn" in told
    assert "read with size 14 x 14, and these are read with size 28 x 28" in (
        _refused(capfd, "small.npz", fake, "--features", "pixels")
    )
    assert "expected statistics of the same features" in _refused(capfd, "cnn.npz", "small.npz")
    np.savez("foreign.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    assert "statistics of 2,048 features" in (
        _refused(capfd, "foreign.npz", fake, "--features", "digits-cnn")
    )


# ---------------------------------------------------------------- what it warns of


def _warned(real, fake, **options):
    return " | ".join(api.score(real, fake, **options).attrs["warnings"])


def test_digits_stand_in_order_of_their_quality():
    """Held-out digits against training digits, a PCA-Gaussian and noise, by Frechet."""
    split, rng = mnist5k(), np.random.default_rng(0)
    flat = split.images.reshape(len(split.images), -1) / 255
    values, axes = np.linalg.eigh(np.cov(flat.T))
    drawn = flat.mean(0) + (rng.standard_normal((1000, 784)) * np.sqrt(values.clip(0))) @ axes.T
    gaussian = (drawn.clip(0, 1) * 255).round().astype(np.uint8).reshape(-1, 28, 28)
    noise = rng.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
    asked = {"features": "digits-cnn", "metrics": "frechet,kernel_distance"}
    found = np.stack(
        [
            api.score(split.held_images, fake, **asked)["value"]
            for fake in (split.images[:1000], gaussian, noise)
        ]
    )
    assert (found[1] > 10 * np.abs(found[0])).all()
    assert (found[2] > 2 * found[1]).all()


def test_copies_are_flagged():
    """Exact ones, ones shifted by a pixel, ones with a little noise; not fresh digits."""
    split, rng = mnist5k(), np.random.default_rng(0)
    train = split.images[:800]
    shifted = np.pad(train, ((0, 0), (1, 0), (0, 0)))[:300, :28]
    grained = (train[:300] + rng.normal(0, 4, (300, 28, 28))).clip(0, 255).astype(np.uint8)
    quick = {"features": "pixels", "metrics": "exact_copies"}
    told = _warned(train, train[:300], **quick)
    assert "300 of the 300 of FAKE are exact copies from REAL" in told
    for fake in (shifted, grained):
        assert "nearly copies from REAL" in _warned(train, fake, **quick)
        held = split.held_images[:300]
        assert "nearly copies from `train`" in _warned(held, fake, train=train, **quick)
    assert "copies" not in _warned(train, split.held_images, **quick)
    assert "REAL and FAKE are the same samples" in _warned("mnist5k", "mnist5k", **quick)


def test_dense_samples_are_no_copies():
    """Samples that keep near the mean are nearer to the reals than those to one another."""
    real, fake = RNG.standard_normal((1000, 64)), 0.7 * RNG.standard_normal((1000, 64))
    told = _warned(real, fake)
    assert "copies" not in told
    assert "the samples are less varied than REAL" in told
    assert "keep to the densest places" in told


def test_a_few_training_examples_among_the_reals_hide_no_copies():
    split = mnist5k()
    train = split.images[:800]
    real = np.concatenate([split.held_images[:400], train[:20]])
    near = np.clip(train[:400].astype(int) + 3, 0, 255).astype(np.uint8)
    assert "nearly copies" in _warned(real, near, train=train, features="pixels")


def test_too_few_samples_are_told():
    told = _warned(RNG.standard_normal((100, 200)), RNG.standard_normal((100, 200)))
    assert "100 samples for 200 dimensions: frechet is far too high" in told
    told = _warned(RNG.standard_normal((1000, 64)), RNG.standard_normal((1000, 64)))
    assert "too high for so few samples" in told
    told = _warned(RNG.standard_normal((1000, 64)), RNG.standard_normal((500, 64)))
    assert "1,000 real and 500 fake samples" in told


def test_duplicates_are_told():
    again = np.repeat(POINTS[1][:100], 3, axis=0)
    assert "66.7 % of FAKE are duplicates" in _warned(POINTS[0], again)
    assert "66.7 % of REAL are duplicates" in _warned(again, POINTS[0])


def test_nearly_equal_numbers_are_no_duplicates():
    """Neither features that single precision can't tell apart, nor images of less than a level."""
    close = 1e4 + 1e-4 * RNG.standard_normal((300, 4))
    found = _values(api.score(close, close + 1e-5 * RNG.standard_normal((300, 4))))
    assert found["duplicates"] == found["exact_copies"] == 0
    images = (0.5 + 0.002 * RNG.random((100, 8, 8, 1))).astype(np.float32)
    found = _values(api.score(images[:50], images[50:], features="pixels"))
    assert found["duplicates"] == found["exact_copies"] == 0


def test_a_swap_is_told(capfd):
    """By names; by precision far below recall."""
    np.save("fake_samples.npy", POINTS[0])
    np.save("test_set.npy", POINTS[1])
    _, err = _rows(capfd, "fake_samples.npy", "test_set.npy")
    assert "look swapped, by their names" in err
    for names in (("real_samples.npy", "fake_data.npy"), ("test_samples.npy", "model_test.npy")):
        for name in names:
            np.save(name, RNG.standard_normal((100, 3)))
        assert "swapped, by" not in _rows(capfd, *names)[1]
    wide = 1.6 * RNG.standard_normal((500, 8))
    assert "when REAL and FAKE are swapped" in _warned(RNG.standard_normal((500, 8)), wide)


def test_what_a_mean_hides_is_told():
    """Class means match by kernel distance at a coarse look; the two-sample test does not agree."""
    split = mnist5k()
    means = np.stack([split.images[split.labels == c].mean(0) for c in range(10)])
    fake = means[RNG.integers(10, size=600)] + RNG.normal(0, 2, (600, 28, 28))
    told = _warned(split.held_images, fake.clip(0, 255).astype(np.uint8), features="pixels")
    assert "less varied than REAL" in told


def test_what_folders_hold_besides_is_told(capfd):
    _folder("real", _digits(20))
    _folder("fake", [np.stack([image] * 3, -1) for image in _digits(20, 20)])
    _folder("fake/.ipynb_checkpoints", _digits(3))
    Image.fromarray(_digits(1)[0]).save("fake/grey.png")
    Image.fromarray(_digits(1)[0]).convert("RGBA").save("fake/clear.png")
    Path("fake/notes.txt").touch()
    os.symlink(os.getcwd() + "/fake", "fake/loop")
    found, err = _rows(capfd, "real", "fake", "--features", "pixels", "--colours", "rgb")
    assert found["frechet@pixels"]["n"] == 22
    assert "1 of the 22 images of fake are grey" in err
    assert "1 images of fake have transparency" in err
    assert "left out: 1 .txt" in err


# ---------------------------------------------------------------- what it prints


def test_every_format(capfd):
    """A table with value, interval, n and features; Markdown, CSV and JSON of the same."""
    np.save("real.npy", POINTS[0])
    np.save("fake.npy", POINTS[1])
    told = {}
    for form in ("table", "markdown", "csv", "json"):
        capfd.readouterr()
        assert bench("score", "real.npy", "fake.npy", "--format", form) == 0
        told[form] = capfd.readouterr()[0]
    assert "95 % interval" in told["table"]
    assert "features: the arrays as they stand" in told["table"]
    assert "| Frechet ↓ | " in told["markdown"]
    lines = list(csv.DictReader(io.StringIO(told["csv"])))
    rows = json.loads(told["json"])
    assert [line["metric"] for line in lines] == [row["metric"] for row in rows]
    assert rows[0]["task"] == "score"
    assert {row["dataset"] for row in rows} == {"real.npy"}
    assert rows[0]["settings"]["n_fake"] == 300
    at = next(row for row in rows if row["std_error"])
    assert at["low"] < at["value"] < at["high"]
    assert isinstance(rows[0]["settings"]["warnings"], list)


def test_only_inception_gives_fid(capfd):
    np.save("real.npy", POINTS[0])
    np.save("fake.npy", POINTS[1])
    assert "only the 2015 Inception features give fid" in (
        _refused(capfd, "real.npy", "fake.npy", "--metrics", "fid")
    )
    _folder("real", _digits(5))
    _folder("fake", _digits(5, 5))
    told = _refused(capfd, "real", "fake", "--metrics", "fid")
    assert "need the 2015 weights" in told
    assert "--download" in told
    Path("other.pth").write_bytes(b"no weights")
    told = _refused(capfd, "real", "fake", "--features", "inception", "--weights", "other.pth")
    assert "expected weights with sha256 6726825d..." in told
    told = _refused(capfd, "real", "fake", "--features", "pixels", "--metrics", "fid")
    assert "only the 2015 Inception features" in told
    told = _refused(capfd, "real", "fake", "--features", "pixels", "--weights", "other.pth")
    assert "--weights is for features clip-b32, clip-l14, dinov2-s" in told
    assert "inception, and these are pixels" in told


# ---------------------------------------------------------------- what it refuses


def _bomb(path, side=60_000):
    """A PNG whose head claims to be huge."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        )


def test_damaged_images_are_named_and_can_be_skipped(capfd):
    _folder("real", _digits(20))
    _folder("fake", _digits(20, 20))
    whole = Path("fake/0007.png").read_bytes()
    Path("fake/0007.png").write_bytes(whole[: len(whole) // 2])
    Path("fake/empty.png").touch()
    _bomb("fake/zbomb.png")
    os.symlink("nowhere.png", "fake/gone.png")
    told = _refused(capfd, "real", "fake", "--features", "pixels")
    assert "can't read fake/" in told
    assert "--skip-unreadable" in told
    found, _ = _rows(capfd, "real", "fake", "--features", "pixels", "--skip-unreadable")
    assert found["frechet@pixels"]["n"] == 19
    assert found["frechet@pixels"]["settings"]["unreadable in fake"] == 4
    assert found["frechet@pixels"]["settings"]["size"] == "28 x 28"
    bench("score", "real", "fake", "--features", "pixels", "--skip-unreadable")
    assert "unreadable files" in capfd.readouterr()[0]


def test_a_decompression_bomb_is_named(capfd):
    _folder("real", _digits(4))
    _folder("fake", _digits(4))
    _bomb("fake/bomb.png")
    assert "fake/bomb.png" in _refused(capfd, "real", "fake", "--features", "pixels")


def test_grey_against_colour(capfd):
    _folder("real", _digits(20))
    _folder("fake", [np.stack([image] * 3, -1) for image in _digits(20, 20)])
    told = _refused(capfd, "real", "fake", "--features", "pixels")
    assert "real grey, fake in colour" in told
    assert "--colours grey" in told
    found, _ = _rows(capfd, "real", "fake", "--features", "pixels", "--colours", "grey")
    wanted = _values(api.score(_digits(20), _digits(20, 20), features="pixels"))
    assert found["frechet@pixels"]["value"] == pytest.approx(wanted["frechet@pixels"], rel=1e-4)


def test_a_pickle_is_never_run(capfd):
    class Evil:
        def __reduce__(self):
            return os.mkdir, ("ran",)

    torch.save({"x": Evil()}, "evil.pt")
    np.save("fake.npy", POINTS[1])
    assert "reading it could run code" in _refused(capfd, "evil.pt", "fake.npy")
    np.save("evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    assert "can't read evil.npy" in _refused(capfd, "evil.npy", "fake.npy")
    assert not os.path.exists("ran")


IMAGES = np.zeros((4, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((20, 4), np.nan), "20 of 20 rows are not finite, the first is row 0"),
        (np.ones((20, 4)), "all 20 samples have the same features"),
        (np.full((20, 4), 1e30) * RNG.random((20, 4)), "features reach"),
        (np.zeros((0, 4)), "it is empty"),
        (np.zeros((20, 0)), "expected two or more features"),
        (np.zeros((1, 4)), "expected two or more features"),
        (np.zeros(3), r"expected features \[n, d\] or images"),
        (np.zeros((2, 2, 2, 2, 2)), r"expected features \[n, d\] or images"),
        (np.array("x"), "expected"),
        (np.ones((20, 4), dtype=complex), "expected an array of numbers, got complex128"),
        (np.array([["a", "b"]] * 5), "expected an array of numbers"),
        (IMAGES[..., :2], "images of 1 or 3 channels"),
        (IMAGES[0], "looks like one image"),
        (IMAGES[:, :0], "a pixel at least"),
        (IMAGES[:1], "holds one image"),
        (IMAGES.astype(int), "images as uint8, uint16, or floats"),
        (
            IMAGES - 1.0,
            r"values of -1 to -1: expected uint8, or floats in \[0, 1\]; \(x \+ 1\) / 2",
        ),
        (IMAGES + 255.0, "values of 255 to 255"),
        (IMAGES + np.nan, "values that are not finite"),
        (IMAGES + 1.0001, "values of 1.0001 to 1.0001"),
        (torch.zeros(4, 4).to_sparse(), "all 4 samples have the same"),
        (torch.zeros(4, 4, device="meta"), "expected a plain tensor"),
        (torch.zeros(1, 1).expand(10**9, 1000), "GiB of numbers"),
        ([[1, 2], [3]], "REAL"),
        (None, "expected"),
        ("", "the name is empty"),
        ("nowhere", "is not there"),
    ],
)
def test_what_is_no_set_of_samples(array, message):
    with pytest.raises(UsageError, match=message):
        api.score(array, array, features="pixels" if _is_images(array) else "")


def _is_images(array):
    return isinstance(array, np.ndarray) and array.ndim == 4


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_any_float_is_taken(kind):
    real, fake = (torch.from_numpy(x).to(kind).requires_grad_() for x in POINTS)
    wanted = _values(api.score(*POINTS, metrics="frechet"))["frechet"]
    assert _values(api.score(real, fake, metrics="frechet"))["frechet"] == pytest.approx(
        wanted, rel=0.02
    )


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut", b"\x93NUMPY\x01\x00v\x00{'descr'", b"x" * 99]
)
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_damaged_files(capfd, content, suffix):
    with open(f"bad{suffix}", "wb") as file:
        file.write(content)
    np.save("fake.npy", POINTS[1])
    assert f"bad{suffix}" in _refused(capfd, f"bad{suffix}", "fake.npy")


def test_an_archive_that_was_cut(capfd):
    np.savez_compressed("real.npz", x=POINTS[0])
    whole = Path("real.npz").read_bytes()
    for cut in (30, 90, len(whole) // 2, len(whole) - 30):
        with open("cut.npz", "wb") as file:
            file.write(whole[:cut] + b"\0" * (len(whole) - cut if cut % 2 else 0))
        np.save("fake.npy", POINTS[1])
        assert "cut.npz" in _refused(capfd, "cut.npz", "fake.npy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metrics", "frechett"), "unknown metric 'frechett': did you mean 'frechet'?"),
        (("--metrics", "robust_accuracy"), "unknown metric 'robust_accuracy'"),
        (("--metrics", "frechet@lite0"), "here it rests on features"),
        (("--metrics", "inception_score"), "no class probabilities"),
        (("--metrics", "different_bins"), "100 bins need"),
        (("--features", "pixels"), "--features is for images"),
        (("--size", "32"), "--size is for images"),
        (("--batch", "0"), "--batch: expected 1 to"),
        (("--workers", "0"), "--workers: expected 1 to"),
        (("--colours", "blue"), "--colours: expected grey or rgb"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--save-stats", "real.npy"), "expected a name that ends in .npz"),
        (("--save-stats", "no/where.npz"), "can't write no/where.npz"),
    ],
)
def test_options_that_make_no_sense(capfd, arguments, message):
    np.save("real.npy", POINTS[0])
    np.save("fake.npy", POINTS[1])
    assert message in _refused(capfd, "real.npy", "fake.npy", *arguments)


def test_what_is_scored_is_never_overwritten(capfd):
    np.savez("real.npz", POINTS[0])
    np.save("fake.npy", POINTS[1])
    told = _refused(capfd, "real.npz", "fake.npy", "--save-stats", "./real.npz")
    assert "is what is to be scored" in told
    with np.load("real.npz") as file:
        assert file.files == ["arr_0"]


def test_images_against_features(capfd):
    _folder("real", _digits(5))
    np.save("fake.npy", POINTS[1])
    assert "expected both as images or both as features" in _refused(capfd, "real", "fake.npy")
    np.save("other.npy", POINTS[1][:, :5])
    assert "6 of the real and 5 of the fake" in _refused(capfd, "fake.npy", "other.npy")


def test_folders_that_are_none(capfd):
    os.makedirs("empty")
    _folder("real", _digits(5))
    _folder("one", _digits(1))
    assert "empty holds no images" in _refused(capfd, "empty", "real")
    assert "one holds one image" in _refused(capfd, "real", "one", "--features", "pixels")
    assert "is not there" in _refused(capfd, "real", "nowhere")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def f(x): raise RuntimeError('no')", "RuntimeError: no"),
        ("def f(x): raise SystemExit(3)", "SystemExit: 3"),
        ("def f(x): return x", "expected [12, d] for 12 images"),
        ("def f(x): return x.flatten(1)[:, :2].tolist()", "got list"),
        ("def f(x): return x.flatten(1) * float('nan')", "not finite"),
        ("def f(x): return x.flatten(1) * 1j", "complex"),
        (
            "def f(x): return x.flatten(1)[:, : int(4 + x[0, 0].sum() % 5)]",
            "as many for every image",
        ),
        ("f = 3", "no callable"),
        ("import torch\nclass f(torch.nn.Module):\n  def __init__(self, a): pass", "can't be made"),
    ],
)
def test_features_that_fail(capfd, tmp_path, monkeypatch, code, message):
    name = f"mine{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(code + "\n")
    np.save("real.npy", _digits(36))
    options = ("--features", f"{name}:f", "--batch", "12", "--workers", "1")
    assert message in _refused(capfd, "real.npy", "real.npy", *options)


def test_names_that_no_terminal_shows(capfd):
    """A new line or bytes that are no text in a folder's name break neither table nor rows."""
    for name in ("two\nlines", os.fsdecode(b"bad\xff")):
        _folder(name, _digits(6))
        found, _ = _rows(capfd, name, name, "--features", "pixels", "--metrics", "precision")
        assert len(found) == 1
        assert bench("score", name, name, "--features", "pixels", "--format", "markdown") == 0
        assert capfd.readouterr()[0].startswith("**REAL ")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_gan_stands_between_real_digits_and_a_gaussian():
    """As the tables of suites have it too, and by folders that `bench sample` wrote."""
    view = {
        "tier": "mnist",
        "grid": {"dataset": ["single@mnist5k"], "model": ["nsgan", "pca-gaussian", "noise"]},
        "seeds": 1,
        "set": {"steps": 1500},
    }
    table = api.run("mode-collapse", out="run", **view)
    tag = EXTRACTORS["digits-cnn"].part.tag
    final = table[(table["metric"] == f"frechet@{tag}") & table["final"]]
    by_model = dict(zip(final["model"], final["value"], strict=True))
    assert by_model["nsgan"] < by_model["pca-gaussian"] < by_model["noise"]
    found = [
        api.score("mnist5k", "mnist5k:train", features="digits-cnn", metrics="frechet")["value"][0]
    ]
    for model in ("nsgan", "pca-gaussian", "noise"):
        api.sample("run", model, n=1000, out=model)
        scores = api.score("mnist5k", model, features="digits-cnn", metrics="frechet")
        found.append(scores["value"][0])
    assert found == sorted(found)
