"""Digits from files: read as torchvision reads them, and refused in one line where damaged."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest
from harness import bench, table
from torchvision.datasets import MNIST, FashionMNIST

from bench.core.errors import UsageError
from bench.datasets import DATASETS, digits

TRAIN, HELD_OUT = 60, 20
PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
KINDS = {"MNIST": (MNIST, digits.mnist), "FashionMNIST": (FashionMNIST, digits.fashion)}

SUITE = """
name = "stacks"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "stacks"
task = "stack"
grid.dataset = [{datasets}]
grid.model = ["oracle", "nsgan"]
settings = {{ steps = 2, samples = 100 }}
metrics = ["stack_modes@digits-cnn"]
"""


def idx(array):
    """An array of bytes as an IDX file: magic number, dimensions, values."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def written(folder, *, size=28, packed=(), seed=0):
    """The four files of a small data set, some of them packed; the arrays in them."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    arrays = []
    for n in (TRAIN, HELD_OUT):
        arrays.append(rng.integers(0, 256, (n, size, size), dtype=np.uint8))
        arrays.append(rng.permutation(np.arange(n, dtype=np.uint8) % 10))
    for part, array in zip(PARTS, arrays, strict=True):
        if part in packed:
            (folder / f"{part}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / f"{part}-ubyte").write_bytes(idx(array))
    return arrays


def assert_is(split, arrays):
    """The arrays of a split, and their types."""
    found = (split.images, split.labels, split.held_images, split.held_labels)
    assert [array.dtype for array in found] == [np.uint8, np.int64] * 2
    for array, wanted in zip(found, arrays, strict=True):
        assert np.array_equal(array, wanted)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """The folder of the data sets, empty; none is installed elsewhere."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("MINIMAX_DATA", str(folder))
    monkeypatch.setattr(digits, "FASHION_PACKAGE", tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    yield folder
    for name in ("stack2@mnist", "stack3@mnist"):
        vars(DATASETS[name].part).pop("_fingerprint", None)


@pytest.mark.parametrize("packed", [(), PARTS, PARTS[1:3]], ids=["raw", "packed", "mixed"])
@pytest.mark.parametrize("name", list(KINDS))
def test_what_is_read_is_what_was_written(data, name, packed):
    arrays = written(data / name / "raw", packed=packed)
    assert_is(KINDS[name][1](), arrays)


@pytest.mark.parametrize("name", list(KINDS))
def test_it_is_what_torchvision_reads(data, name):
    written(data / name / "raw", size=28)
    reader, load = KINDS[name]
    split = load()
    train, held = (reader(data, train=train, download=False) for train in (True, False))
    tensors = (train.data, train.targets, held.data, held.targets)
    assert_is(split, [tensor.numpy() for tensor in tensors])


def test_the_package_of_fashion_is_found_where_it_is(data, tmp_path, monkeypatch):
    """Debian's folder holds packed files; torchvision's come first."""
    monkeypatch.setattr(digits, "FASHION_PACKAGE", tmp_path / "package")
    packaged = written(tmp_path / "package", packed=PARTS, seed=1)
    assert_is(digits.fashion(), packaged)
    own = written(data / "FashionMNIST" / "raw", seed=2)
    assert_is(digits.fashion(), own)


def test_the_cache_is_where_data_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("MINIMAX_DATA")
    monkeypatch.setenv("MINIMAX_CACHE", str(tmp_path / "cache"))
    arrays = written(tmp_path / "cache" / "data" / "MNIST" / "raw")
    assert_is(digits.mnist(), arrays)


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("missing", [None, *PARTS])
def test_what_is_absent_says_how_to_get_it(data, name, missing):
    """With all of its files or with one of them away."""
    if missing is not None:
        written(data / name / "raw")
        (data / name / "raw" / f"{missing}-ubyte").unlink()
    with pytest.raises(UsageError) as caught:
        KINDS[name][1]()
    message = str(caught.value)
    assert message.startswith(f"{name} is not here: expected its files in {data / name / 'raw'};")
    assert f"torchvision.datasets.{name}(FOLDER, download=True)" in message
    assert "MINIMAX_DATA=FOLDER" in message
    assert ("dataset-fashion-mnist" in message) == (name == "FashionMNIST")
    assert len(message.splitlines()) == 1


def _word(content, at, value):
    return content[:at] + struct.pack(">I", value) + content[at + 4 :]


DAMAGE = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "magic cut": lambda content: content[:3],
    "head cut": lambda content: content[:9],
    "no values": lambda content: content[:16],
    "a byte short": lambda content: content[:-1],
    "a byte more": lambda content: content + b"\0",
    "of floats": lambda content: b"\0\0\x0d" + content[3:],
    "not zeros": lambda content: b"\1" + content[1:],
    "no dimensions": lambda content: b"\0\0\x08\0",
    "other count": lambda content: _word(content, 4, 61),
    "count beyond int32": lambda content: _word(content, 4, 2**31),
    "huge": lambda content: _word(_word(content, 4, 2**31 - 1), 8, 2**31 - 1),
    "text": lambda content: b"<html>not found</html>",
}


@pytest.mark.parametrize("damage", list(DAMAGE))
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
def test_a_damaged_file_is_one_line(data, damage, packed):
    """That names it."""
    written(data / "MNIST" / "raw", packed=PARTS if packed else ())
    path = data / "MNIST" / "raw" / f"train-images-idx3-ubyte{'.gz' if packed else ''}"
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    broken = DAMAGE[damage](content)
    path.write_bytes(gzip.compress(broken) if packed else broken)
    _refused(path)


@pytest.mark.parametrize("cut", [0, 5, 100, -4])
def test_a_damaged_packed_file_is_one_line(data, cut):
    """Cut off, or no gzip at all."""
    written(data / "MNIST" / "raw", packed=PARTS)
    path = data / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[:cut] if cut else b"no gzip" + content)
    _refused(path)


def test_a_packed_file_with_a_flipped_byte_is_one_line(data):
    """In the middle of the compressed stream."""
    written(data / "MNIST" / "raw", packed=PARTS)
    path = data / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    _refused(path)


def _refused(path):
    with pytest.raises(UsageError) as caught:
        digits.mnist()
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(("part", "n"), [(PARTS[1], TRAIN - 1), (PARTS[3], HELD_OUT + 1)])
def test_files_that_do_not_belong_together_are_one_line(data, part, n):
    """Other numbers of images than of labels."""
    folder = data / "MNIST" / "raw"
    written(folder)
    (folder / f"{part}-ubyte").write_bytes(idx(np.zeros(n)))
    with pytest.raises(UsageError, match=r"don't belong together: images and labels differ") as c:
        digits.mnist()
    assert str(folder) in str(c.value)
    assert len(str(c.value).splitlines()) == 1


def suite(tmp_path, *datasets):
    path = tmp_path / "stacks.toml"
    path.write_text(SUITE.format(datasets=", ".join(f'"{name}"' for name in datasets)))
    return str(path)


def test_an_absent_data_set_is_a_skipped_row(data, tmp_path, capfd):
    """With its reason; a run of nothing else says so by its exit code."""
    chosen = suite(tmp_path, "stack2@mnist", "stack3@mnist")
    assert bench("run", "--suite", chosen, "--executor", "inline", "--out", "run") == 4
    rows = table(tmp_path / "run")
    assert len(rows) == 4
    assert set(rows["status"]) == {"skipped"}
    assert set(rows["reason"]) == {digits.how_to_get("MNIST")}
    capfd.readouterr()
    assert bench("show", "run") == 0
    assert "1 skipped" in capfd.readouterr().out
    assert bench("plan", "--suite", chosen) == 0


def test_images_of_another_size_are_refused(data, tmp_path, capfd):
    """Before anything runs, with both sizes."""
    written(data / "MNIST" / "raw", size=20)
    for verb in ("plan", "run"):
        capfd.readouterr()
        assert bench(verb, "--suite", suite(tmp_path, "stack2@mnist"), "--out", "run") == 2
        err = capfd.readouterr().err
        assert err.startswith("Error: dataset 'stack2@mnist'")
        assert "20 x 20" in err
        assert "28 x 28" in err
        assert "'digits-cnn'" in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_damaged_data_are_refused_before_anything_runs(data, tmp_path, capfd):
    """In one line that names the file."""
    written(data / "MNIST" / "raw")
    (data / "MNIST" / "raw" / "t10k-images-idx3-ubyte").write_bytes(b"damaged")
    for verb in ("plan", "run"):
        capfd.readouterr()
        assert bench(verb, "--suite", suite(tmp_path, "stack2@mnist"), "--out", "run") == 2
        err = capfd.readouterr().err
        assert err.startswith("Error: ")
        assert "t10k-images-idx3-ubyte is damaged" in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_registered_stack_reads_the_files_that_are_there(data, monkeypatch):
    """Its digits and its fingerprint are theirs."""
    arrays = written(data / "MNIST" / "raw")
    stack = DATASETS["stack2@mnist"].part
    assert stack.missing == ""
    assert_is(stack.load(), arrays)
    assert stack.source(0).shape == (2, 28, 28)
    fingerprint = stack.fingerprint
    assert len(bytes.fromhex(fingerprint)) == 32
    written(data / "other" / "MNIST" / "raw", seed=5)
    monkeypatch.setenv("MINIMAX_DATA", str(data / "other"))
    assert replace(stack).fingerprint != fingerprint


def test_a_fingerprint_follows_the_files(data):
    """Of a data set that was downloaded after somebody asked for it."""
    stack = DATASETS["stack2@mnist"].part
    assert stack.fingerprint == ""
    written(data / "MNIST" / "raw")
    assert stack.missing == ""
    assert stack.fingerprint != ""
