"""`bench sample` draws what was scored, as a picture of it, and says what it can't draw."""

from __future__ import annotations

import itertools
import math
import struct
import zlib

import numpy as np
import pytest
from harness import bench
from PIL import Image
from unrun import untraced

from bench import api
from bench.core.errors import UsageError
from bench.datasets import DATASETS
from bench.datasets.digits import mnist5k
from results.pictures.sheets import GAP, GREY, columns_for, grid_png, tiled
from results.store import RunDirectory
from results.traces import traces_in

SUITE = """
name = "tiny"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "stacks"
task = "stack"
grid.dataset = ["stack2@optdigits"]
grid.model = ["oracle", "nsgan", "vae", "gmm"]
settings = { steps = 5, samples = 100 }

[[block]]
name = "points"
task = "mixture"
grid.dataset = ["ring8@pacgan"]
grid.model = ["oracle", "gan", "rsgan"]
settings = { steps = 5, samples = 100 }

[[when]]
model = "rsgan"
set = { generator_lr = 1e6, critic_lr = 1e6, steps = 100 }
"""
STACK = "stack2@optdigits"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of stacks and points, and the cache of what it trained."""
    home = tmp_path_factory.mktemp("measured")
    (home / "tiny.toml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(home / "cache"))
        patch.chdir(home)
        report = api.execute("tiny.toml", seeds=[3, 1], out=str(home / "run"))
    return home, report


@pytest.fixture(autouse=True)
def run(measured, tmp_path, monkeypatch):
    """The run, with the cache of what it trained, seen from an empty folder."""
    home, _ = measured
    monkeypatch.setenv("MINIMAX_CACHE", str(home / "cache"))
    monkeypatch.chdir(tmp_path)
    return str(home / "run")


def kept(measured, model, seed, dataset=STACK):
    """The arrays that a cell kept for pictures."""
    _, report = measured
    (key,) = [
        record["key"]
        for record in report.records.values()
        if (record["model"], record["seed"], record["dataset"]) == (model, seed, dataset)
    ]
    return report.run.samples(key)


def tiles(path, channels, size=8):
    """The pictures in a grid: one where the frame around it says that there is a place for one,
    unless that place is as grey as the frame.
    """
    picture = np.asarray(Image.open(path).convert("L")).astype(int)
    height, width = size + GAP, channels * size + GAP

    def fits(factor):
        small = picture[::factor, ::factor]
        places = ((len(small) - GAP) % height, (small.shape[1] - GAP) % width)
        return places == (0, 0) and np.array_equal(
            small.repeat(factor, 0).repeat(factor, 1), picture
        )

    whole = math.gcd(*picture.shape)
    factor = max(f for f in range(1, whole + 1) if whole % f == 0 and fits(f))
    small = picture[::factor, ::factor]
    corners = itertools.product(range(GAP, len(small), height), range(GAP, small.shape[1], width))
    found = [small[y : y + size, x : x + channels * size] for y, x in corners]
    return [tile for tile in found if not (tile == GREY).all()]


def refused(capfd, *arguments, code=2):
    """The one line with which the command refuses; nothing is written."""
    capfd.readouterr()
    assert bench("sample", *arguments) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert len(err.splitlines()) == 1
    assert len(err) <= 320
    return err


def test_the_run_is_what_these_tests_need(measured):
    """Models that are trained, one that diverged, one that was skipped."""
    statuses = {(r["model"], r["dataset"]): r["status"] for r in measured[1].records.values()}
    for model in ("oracle", "nsgan", "vae"):
        assert statuses[model, STACK] == "ok"
    assert statuses["gmm", STACK] == "skipped"
    assert statuses["rsgan", "ring8@pacgan"] == "diverged"
    assert statuses["gan", "ring8@pacgan"] == "ok"


@pytest.mark.parametrize("model", ["oracle", "nsgan", "vae"])
@pytest.mark.parametrize(("extra", "n"), [((), 64), (("-n", "5"), 5), (("-n", "1"), 1)])
def test_the_picture_has_a_tile_for_each_sample(run, tmp_path, capfd, model, extra, n):
    """The digits of a stack side by side, as they are."""
    arguments = ("--model", model, "--dataset", STACK, *extra, "-o", "grid.png")
    assert bench("sample", run, *arguments) == 0
    assert f"{n} samples of {model}: grid.png" in capfd.readouterr().out
    drawn = api.sample(run, model, dataset=STACK, n=n)
    found = tiles(tmp_path / "grid.png", channels=2)
    assert len(found) == n
    for tile, sample in zip(found, drawn, strict=True):
        wanted = np.concatenate(list(sample), axis=1).astype(int)
        assert np.abs(tile - wanted).max() <= 1


@pytest.mark.parametrize("model", ["oracle", "nsgan", "vae"])
@pytest.mark.parametrize("seed", [3, 1])
def test_the_samples_are_those_that_were_scored(measured, run, model, seed):
    """All that the run kept for its pictures, where as many are asked for as were scored."""
    scored = kept(measured, model, seed)["samples"]
    drawn = api.sample(run, model, dataset=STACK, seed=seed, n=100)
    assert drawn.shape == (100, 2, 8, 8)
    assert drawn.dtype == np.uint8
    assert scored.shape == (64, 2, 8, 8)
    assert np.array_equal(drawn[:64], scored)


@pytest.mark.parametrize("model", ["oracle", "gan"])
def test_the_points_are_those_that_were_scored(measured, run, model):
    scored = kept(measured, model, 3, "ring8@pacgan")["samples"]
    drawn = api.sample(run, model, dataset="ring8@pacgan", seed=3, n=100)
    assert drawn.shape == scored.shape == (100, 2)
    assert np.array_equal(drawn, scored)


@pytest.mark.parametrize("n", [7, 63])
@pytest.mark.parametrize(
    ("model", "dataset"),
    [
        ("nsgan", STACK),
        ("vae", STACK),
        ("oracle", STACK),
        ("gan", "ring8@pacgan"),
        ("oracle", "ring8@pacgan"),
    ],
)
def test_fewer_samples_are_the_first_of_the_scored(run, model, dataset, n):
    """As the documentation of `api.sample` promises: whatever the number of those scored."""
    whole = api.sample(run, model, dataset=dataset, n=100)
    assert np.array_equal(api.sample(run, model, dataset=dataset, n=n), whole[:n])


def test_the_first_seed_is_drawn_where_none_is_named(run):
    """Of the run, not the smallest; another seed has other samples."""
    first = api.sample(run, "nsgan", n=100)
    assert np.array_equal(first, api.sample(run, "nsgan", seed=3, n=100))
    assert not np.array_equal(first, api.sample(run, "nsgan", seed=1, n=100))


def test_drawing_twice_draws_the_same(run, tmp_path):
    """Whatever the global state; the picture too, byte for byte."""
    for name, state in (("a.png", 1), ("b.png", 2)):
        np.random.seed(state)
        assert bench("sample", run, "--model", "vae", "-o", name) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_points_are_a_picture_too(run, tmp_path):
    assert bench("sample", run, "--model", "gan", "-n", "50", "-o", "points.PNG") == 0
    picture = np.asarray(Image.open(tmp_path / "points.PNG").convert("RGB"))
    assert min(picture.shape[:2]) > 100
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2


def test_a_picture_goes_where_it_is_told(run, tmp_path):
    """Into a folder that is not there yet, over a file that is."""
    for _ in range(2):
        assert bench("sample", run, "--model", "vae", "-n", "4", "-o", "new/folder/grid.png") == 0
    assert [path.name for path in (tmp_path / "new/folder").iterdir()] == ["grid.png"]


def test_a_run_is_named_by_its_suite(measured, tmp_path, monkeypatch):
    """As for `bench show`."""
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "quick").symlink_to(measured[0] / "run")
    assert bench("sample", "tiny", "--model", "vae", "-o", "grid.png") == 0
    assert (tmp_path / "grid.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "nsgna"), "unknown model 'nsgna': did you mean 'nsgan'? (in this run)"),
        (("--model", "wgan"), "unknown model 'wgan'"),
        (("--model", ""), "unknown model ''"),
        (("--model", "oracle"), f"model 'oracle' was trained on {STACK}, ring8@pacgan: say which"),
        (("--model", "vae", "--dataset", "stack2@optdigit"), f"did you mean '{STACK}'"),
        (("--model", "vae", "--dataset", "ring8@pacgan"), "unknown dataset 'ring8@pacgan'"),
        (
            ("--model", "vae", "--seed", "0"),
            "seed 0 of model 'vae' is not in this run: it has 3, 1",
        ),
        (("--model", "vae", "-n", "0"), "expected 1 to 100,000 samples, got 0"),
        (("--model", "vae", "-n", "-4"), "expected 1 to 100,000 samples, got -4"),
        (("--model", "vae", "-n", "100001"), "expected 1 to 100,000 samples, got 100001"),
        (("--model", "vae", "-n", "many"), "many"),
        (("--model", "gmm"), "model 'gmm' was skipped: model 'gmm' is for points"),
        (("--model", "rsgan"), "model 'rsgan', seed 3, diverged: "),
    ],
)
def test_what_can_not_be_drawn_is_one_line(run, tmp_path, capfd, arguments, expected):
    """Says what to do, and no picture is written."""
    assert expected in refused(capfd, run, *arguments, "-o", "grid.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["grid.jpg", "grid.png.txt", "x.npz"])
def test_other_files_are_refused(run, tmp_path, capfd, name):
    message = refused(capfd, run, "--model", "vae", "-o", name)
    assert (
        f"expected a name that ends in .png, .npy, .safetensors or .pt, or a folder's without an "
        f"end, got '{name}'" in (message)
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_never_filled_twice(run, tmp_path, capfd):
    """Nor is the present one."""
    (tmp_path / "kept").mkdir()
    for name in ("kept", "."):
        message = refused(capfd, run, "--model", "vae", "--dataset", STACK, "-o", name)
        assert "is there already: expected a folder to be made" in message
    message = refused(capfd, run, "--model", "vae", "--dataset", STACK, "-o", "")
    assert "--out: the name is empty" in message
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_holds_an_image_each(run, tmp_path):
    """The same images as the array, a stack's digits side by side; so does a .npy file."""
    drawn = api.sample(run, "vae", n=5, out="made")
    files = sorted(tmp_path.glob("made/*.png"))
    assert [file.name for file in files] == [f"{index:05}.png" for index in range(5)]
    for file, image in zip(files, drawn, strict=True):
        assert np.array_equal(np.asarray(Image.open(file)), np.concatenate(list(image), axis=1))
    api.sample(run, "vae", n=5, out="made.npy")
    assert np.array_equal(np.load("made.npy"), drawn)


def test_points_fill_no_folder(run, tmp_path, capfd):
    message = refused(capfd, run, "--model", "gan", "-o", "made")
    assert "points are no images: expected a .png or .npy file, got 'made'" in message
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_stands_for_a_run(tmp_path, monkeypatch, capfd):
    """Its held-out images, or those to train on; not more than there are, and no other data set."""
    monkeypatch.chdir(tmp_path)
    split = mnist5k()
    assert bench("sample", "mnist5k", "-n", "7", "-o", "real") == 0
    assert len(list(tmp_path.glob("real/*.png"))) == 7
    assert np.array_equal(api.sample("mnist5k", n=7)[:, 0], split.held_images[:7])
    assert np.array_equal(api.sample("mnist5k:train", n=7)[:, 0], split.images[:7])
    capfd.readouterr()
    assert "has 1,000 images" in refused(capfd, "mnist5k", "-n", "1001", "-o", "many")
    assert "and a sheet needs images" in refused(capfd, "ring8@pacgan", "-o", "many")
    assert "expected mnist5k, its held-out images, or mnist5k:train" in (
        refused(capfd, "mnist5k:test", "-o", "many")
    )


def test_the_options_that_are_needed(run, capfd):
    assert "--model: which one of" in refused(capfd, run, "-o", "grid.png")
    assert "--out" in refused(capfd, run, "--model", "vae")
    assert "no run 'absent'" in refused(capfd, "absent", "--model", "vae", "-o", "grid.png")


def test_a_place_that_can_not_be_written_is_one_line(run, tmp_path, capfd):
    (tmp_path / "grid.png").mkdir()
    assert "grid.png" in refused(capfd, run, "--model", "vae", "-o", "grid.png", code=1)


def test_an_emptied_cache_says_how_to_fill_it(run, tmp_path, capfd, monkeypatch):
    """Nothing is trained by drawing."""
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "empty"))
    message = refused(capfd, run, "--model", "vae", "-o", "grid.png")
    assert "model 'vae', seed 3, is not in the cache of trained models" in message
    assert "`bench run` trains it again" in message
    assert not (tmp_path / "grid.png").exists()


def test_a_task_without_samples_says_so(tmp_path, capfd):
    """Its models are none that draw."""
    from harness import faulty_suite

    suite = faulty_suite(tmp_path, "number")
    assert bench("run", "--suite", suite, "--executor", "inline", "--out", "faulty") == 0
    message = refused(capfd, "faulty", "--model", "number", "-o", "grid.png", "--trust")
    assert "trains nothing that draws samples" in message


def test_a_damaged_manifest_is_one_line(tmp_path, capfd):
    """Also where only what drawing needs is missing."""
    (tmp_path / "run").mkdir()
    head = '{"schema_version": 1, "suite": "s", "tier": "t", "metrics": {}, "blocks": [], '
    (tmp_path / "run" / "manifest.json").write_text(head + '"cells": [{"parts": {"model": "m"}}]}')
    assert "manifest.json" in refused(capfd, "run", "--model", "m", "-o", "grid.png")


def test_a_picture_is_a_whole_png(run, tmp_path):
    """Signature, header and checksums, read without a library."""
    assert bench("sample", run, "--model", "oracle", "--dataset", STACK, "-o", "grid.png") == 0
    content, at, kinds = (tmp_path / "grid.png").read_bytes(), 8, []
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + length]
        (checksum,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length])
        assert zlib.crc32(body) == checksum
        kinds.append(body[:4])
        at += 12 + length
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"


def test_the_pictures_of_a_run(measured):
    """Of stacks samples, digits, curves and the way; of points all of it but digits."""
    _, report = measured
    names = {path.name for path in (report.run.path / "pictures").iterdir()}
    assert names == {
        *(
            f"stacks-stack2_optdigits-{kind}.png"
            for kind in ("samples", "digits", "curves", "losses", "way")
        ),
        *(f"points-ring8_pacgan-{kind}.png" for kind in ("samples", "curves", "losses", "way")),
    }
    assert {path.name for path in report.pictures} == names
    for path in report.pictures:
        with Image.open(path) as picture:
            assert min(picture.size) > 100


def test_what_a_cell_keeps_for_pictures(measured):
    """Images as bytes, how often each digit was read in each place, and of a training its way."""
    way = {"way_steps", "way_shares", "way_covered"}
    players = {"oracle": set(), "nsgan": {"critic", "generator"}, "vae": {"coder"}}
    for model in ("oracle", "nsgan", "vae"):
        arrays = kept(measured, model, 1)
        assert untraced(arrays) == {"samples", "digits"} | (way if model != "oracle" else set())
        losses = {f"{player}_loss" for player in players[model]}
        assert {name for name in traces_in(arrays) if name.endswith("_loss")} == losses
        assert arrays["digits"].shape == (2, 11)
        assert arrays["digits"].sum(axis=1).tolist() == [100, 100]


def test_a_sheet_is_exact():
    """Rows of images, the channels of each side by side, a grey frame around each."""
    images = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)
    sheet = tiled(images, 2)
    assert sheet.shape == (2 * (2 + GAP) + GAP, 2 * (6 + GAP) + GAP)
    assert sheet.dtype == np.uint8
    wanted = np.full(sheet.shape, GREY)
    for index, (y, x) in enumerate([(0, 0), (0, 1), (1, 0)]):
        for channel in range(2):
            for row in range(2):
                for column in range(3):
                    at = (GAP + y * (2 + GAP) + row, GAP + x * (6 + GAP) + 3 * channel + column)
                    wanted[at] = images[index, channel, row, column]
    assert np.array_equal(sheet, wanted)


def test_a_sheet_of_one_and_of_none():
    one = tiled(np.full((1, 1, 2, 2), 7, dtype=np.uint8), 1)
    assert one[GAP:-GAP, GAP:-GAP].tolist() == [[7, 7], [7, 7]]
    assert (one[:GAP] == GREY).all()
    assert tiled(np.empty((0, 1, 2, 2), dtype=np.uint8), 1).shape[0] == GAP


@pytest.mark.parametrize(
    ("n", "channels", "columns"), [(64, 1, 8), (64, 3, 5), (1, 3, 1), (2, 1, 1), (10_000, 1, 100)]
)
def test_a_sheet_is_about_square(n, channels, columns):
    assert columns_for(n, channels) == columns


def test_a_picture_keeps_every_grey(tmp_path):
    """From black to white, enlarged by a whole factor."""
    images = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    (tmp_path / "grid.png").write_bytes(grid_png(images))
    (tile,) = tiles(tmp_path / "grid.png", channels=1, size=16)
    assert np.array_equal(tile, images[0, 0])


def test_a_model_of_several_seeds_keeps_its_own(measured):
    """The arrays of one seed are not those of another, the data set's size is theirs."""
    first, other = (kept(measured, "oracle", seed)["samples"] for seed in (3, 1))
    assert first.shape[1:] == DATASETS[STACK].part.source(0).shape
    assert not np.array_equal(first, other)
    assert isinstance(measured[1].run, RunDirectory)


def test_the_api_refuses_as_the_command_does(run):
    with pytest.raises(UsageError, match=r"unknown model 'nsgna': did you mean 'nsgan'"):
        api.sample(run, "nsgna")
    with pytest.raises(UsageError, match=r"expected 1 to 100,000 samples"):
        api.sample(run, "vae", n=0)
