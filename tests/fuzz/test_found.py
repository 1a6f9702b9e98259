"""What fuzzing and a look by hand found, an input each."""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from fuzz import doors, tables
from fuzz.arguments import Net
from harness import bench

from bench import api
from bench.core.errors import UsageError
from bench.datasets.arrays import as_images, read_archive, training_part
from bench.datasets.imagefiles import read_head, read_image
from results.gate.policy import read_policy
from results.rows import check_record

PIXELS, LABELS = doors.GREY, doors.LABELS % 2


def deep(path, *, body=None, head=None, crc=0, twice=False):
    """A PNG file of 16 bits in colour, 4 x 4, something of it changed."""

    def chunk(kind, body):
        told = zlib.crc32(kind + body) ^ (crc if kind == b"IDAT" else 0)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", told)

    rows = (b"\0" + bytes(range(24))) * 4
    head = head or struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    packed = zlib.compress(rows) if body is None else body
    parts = [chunk(b"IHDR", head)] * (2 if twice else 1) + [chunk(b"IDAT", packed)]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    return path


def test_a_whole_deep_picture(tmp_path):
    found = read_image(deep(tmp_path / "x.png"))
    assert found.shape == (3, 4, 4)
    assert float(found[0, 0, 0] * 65535) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": zlib.compress((b"\0" + bytes(24)) * 4)[:-6]},
        {"body": zlib.compress((b"\0" + bytes(24)) * 3)},
        {"body": zlib.compress((b"\7" + bytes(24)) * 4)},
        {"body": b"no zlib stream"},
        {"head": struct.pack(">IIBBBBB", 4, 4000, 16, 2, 0, 0, 0)},
        {"crc": 1},
        {"twice": True},
    ],
)
def test_a_damaged_deep_picture_ends_no_process(tmp_path, changes):
    """libpng, as torchvision calls it, ended it with SIGSEGV."""
    with pytest.raises(UsageError, match=r"can't read .*x\.png"):
        read_image(deep(tmp_path / "x.png", **changes))


def test_an_interlaced_deep_picture(tmp_path):
    """Adam7 of 4 x 4: one pixel, none, none, one, a row of two, two rows of two, two of four."""
    sizes = [(1, 1), (0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (4, 2)]
    rows = b"".join((b"\0" + bytes([9] * 6 * w)) * h for w, h in sizes if w and h)
    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 1)
    found = read_image(deep(tmp_path / "x.png", body=zlib.compress(rows), head=head))
    assert torch.equal(found, torch.full((3, 4, 4), (9 * 257) / 65535))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for read in (read_head, read_image):
        with pytest.raises(UsageError, match="it is no regular file"):
            read(tmp_path / "x.png")


def test_names_of_no_encoding(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    for label in ("0", "1"):
        (tmp_path / label).mkdir()
        picture = Image.fromarray(PIXELS[int(label)])
        picture.save(os.fsencode(tmp_path / label / "a") + b"\xff\xfe.png", format="PNG")
    table = api.attack(Net().eval(), str(tmp_path), epsilons=0.1, audit=False, threads=1)
    assert len(table)


def test_deep_tables_in_a_policy(tmp_path):
    (tmp_path / "p.toml").write_text("x = " + "[" * 5000)
    with pytest.raises(UsageError, match="is not valid TOML"):
        read_policy(str(tmp_path / "p.toml"))


def test_lists_in_a_table(tmp_path):
    table = tables.rows()
    table.assign(dataset=[[1]] * len(table)).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="dataset: expected words, got a ndarray"):
        api.compare(str(tmp_path / "x.parquet"), str(tmp_path / "x.parquet"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("model", "\ud800", "surrogates"), ("threads", 2**63, "too large"), ("seed", -(2**70), "too")],
)
def test_cells_that_no_table_can_hold(field, value, said):
    from harness import record

    with pytest.raises(ValueError, match=said):
        check_record(record(**{field: value}), "a" * 64)


def test_papers_that_are_no_text(tmp_path, capfd):
    manifest, _ = tables.made_run()
    changed = json.loads(manifest)
    next(iter(changed["metrics"].values()))["paper"] = {"a": 1}
    (tmp_path / "manifest.json").write_text(json.dumps(changed))
    assert bench("cite", str(tmp_path)) == 2
    assert "is damaged" in capfd.readouterr().err


def test_members_that_are_no_arrays(tmp_path):
    import zipfile

    np.savez(tmp_path / "x.npz", x_test=PIXELS, y_test=LABELS, x_train=PIXELS)
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as packed:
        packed.writestr("y_train.npy", b"no array")
    with pytest.raises(UsageError, match="'y_train' is no array"):
        training_part(tmp_path / "x.npz")


def test_images_and_labels_of_one_part(tmp_path):
    """A file with x_test and y_test beside other images: those that belong together."""
    np.savez(tmp_path / "x.npz", x_test=PIXELS, y_test=LABELS, data=PIXELS[::-1])
    images, labels = read_archive(tmp_path / "x.npz")
    np.testing.assert_array_equal(images, PIXELS)
    np.testing.assert_array_equal(labels, LABELS)


def test_labels_of_half_precision():
    assert as_images(PIXELS, LABELS.astype(np.float16), "arrays")[1].tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("labels", "said"),
    [(np.full(12, 1e300), "label 0 is 1e\\+300"), (np.full(12, 2**63, np.uint64), "label 0 is")],
)
def test_labels_of_no_class(labels, said):
    with pytest.raises(UsageError, match=said):
        as_images(PIXELS, labels, "arrays")


def test_masked_values_are_no_values():
    with pytest.raises(UsageError, match="some values are masked"):
        as_images(np.ma.masked_array(PIXELS, PIXELS > 9), LABELS, "arrays")


def attacked(**changes):
    usual = {"epsilons": (0.1,), "audit": False, "threads": 1}
    return api.evaluate_attack(Net().eval(), (PIXELS, LABELS), **{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"range": (1, 0)}, "`range`: expected two rising numbers"),
        ({"range": (0, 0)}, "`range`: expected two rising numbers"),
        ({"mean": (0,), "std": (float("inf"),)}, "expected finite numbers"),
        ({"mean": (0,), "std": (0,)}, "`std`: expected numbers above 0"),
        ({"std": 10**400, "mean": 0}, "`std`: expected numbers"),
        ({"attack": "pgd", "settings": {"steps": 10**400}}, "setting 'steps' of pgd: expected"),
    ],
)
def test_arguments_that_gave_a_figure_or_a_traceback(changes, said):
    with pytest.raises(UsageError, match=said):
        attacked(**changes)


def test_a_class_is_no_network():
    with pytest.raises(UsageError, match="got the class Net: make one of it"):
        api.attack(Net, (PIXELS, LABELS))


@pytest.mark.parametrize(
    "images", [(PIXELS > 99) * np.uint8(1), PIXELS / 255 / 255, PIXELS.astype(np.uint16)]
)
def test_images_that_are_all_but_black(images):
    """Zeros and ones as bytes, a division by 255 too many, bytes as 16 bits."""
    made = api.evaluate_attack(Net().eval(), (images, LABELS), epsilons=0, audit=False, threads=1)
    scored = api.score(images, images[::-1], features="pixels", metrics="duplicates", workers=1)
    for notes in (made.evaluation.notes, scored.attrs["warnings"]):
        assert any("is brighter than 1/255" in note for note in notes)


def test_images_that_are_bright_or_black_are_not_spoken_of():
    for images in (PIXELS, PIXELS * 0, PIXELS > 99):
        assert not as_notes(images)


def as_notes(images):
    from bench.datasets.images import ImageArray

    return ImageArray("x", images[..., None], True).notes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "file/x"), "file is a file"),
        (("-o", "x.safetensors"), "whose weights?"),
    ],
)
def test_where_samples_can_not_be_written(tmp_path, monkeypatch, capfd, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert bench("sample", "optdigits", "-n", "2", *arguments) == 2
    assert said in capfd.readouterr().err


def test_an_executor_that_is_none(tmp_path, capfd):
    suite = tmp_path / "s.toml"
    suite.write_text("")
    assert bench("run", "--suite", str(suite), "--executor", "math:pi") == 2
    assert "executor 'math:pi' is a float" in capfd.readouterr().err


@pytest.mark.parametrize("features", [{}, [None], 5, slice(2)])
def test_features_that_are_none(features):
    with pytest.raises(UsageError, match="`features`: expected a name or a function"):
        api.score(np.ones((20, 4)), np.ones((20, 4)), features=features)


def test_names_of_metrics_with_spaces():
    rng = np.random.default_rng(0)
    two = rng.normal(size=(2, 20, 4))
    table = api.score(*two, metrics=" frechet, ", workers=1)
    assert isinstance(table, pd.DataFrame)
    assert set(table["metric"]) == {"frechet"}


def test_what_is_no_array_is_named():
    with pytest.raises(UsageError, match="got a generator"):
        api.score((one for one in "ab"), np.ones((20, 4)))


def test_a_palette_with_transparency_warns_of_nothing(tmp_path):
    """Warnings are errors in tests."""
    from PIL import Image

    picture = Image.fromarray(doors.RGB).quantize(16)
    picture.save(tmp_path / "x.png", transparency=bytes(range(16)))
    wanted = np.asarray(picture.convert("RGB"))
    seen = (read_image(tmp_path / "x.png").permute(1, 2, 0) * 255).round().numpy()
    np.testing.assert_array_equal(seen, wanted)


def test_the_module_that_was_planted_is_not_there():
    assert "planted_by_fuzz" not in sys.modules
