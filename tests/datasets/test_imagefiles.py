"""One image file: upright, with all its bits, by decoders that are named, or refused by name."""

from __future__ import annotations

import ast
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench.attack.pictures import pictures_named
from bench.core.errors import UsageError
from bench.datasets.folders import class_numbers, open_folder
from bench.datasets.imagefiles import MOST_PIXELS, read_head, read_image
from bench.datasets.images import Unreadable
from bench.datasets.own import read_folder

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (6, 4, 3)).astype(np.uint8)
TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: lambda x: np.rot90(x, 1),
}
"""What each orientation of EXIF does to the stored pixels, by its standard (CIPA DC-008, 4.6.4)."""


def png(depth: int, kind: int, rows: list[bytes], width: int) -> bytes:
    """A PNG file of raw rows."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_exif_orientation_is_followed(tmp_path, turn, suffix):
    path, photo = tmp_path / f"x.{suffix}", Image.fromarray(PHOTO)
    tag = photo.getexif()
    tag[0x0112] = turn
    photo.save(path, exif=tag, lossless=True) if suffix == "webp" else photo.save(path, exif=tag)
    seen = (read_image(path).permute(1, 2, 0).numpy() * 255).round()
    np.testing.assert_array_equal(seen, TURNS[turn](PHOTO))
    head = read_head(path)
    assert head.size == seen.shape[:2]
    assert head.turned == (turn > 1)


def test_a_damaged_orientation_counts_as_upright(tmp_path):
    photo = Image.fromarray(PHOTO)
    tag = photo.getexif()
    tag[0x0112] = 99
    photo.save(tmp_path / "x.png", exif=tag)
    assert read_image(tmp_path / "x.png").shape == (3, 6, 4)


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_kept(tmp_path, kind, channels):
    """Grey, colour, and both with transparency: every level comes back."""
    deep = RNG.integers(0, 65536, (5, 7, channels)).astype(">u2")
    (tmp_path / "x.png").write_bytes(png(16, kind, [row.tobytes() for row in deep], 7))
    shown = deep[..., : 1 if channels < 3 else 3].astype(np.float64)
    seen = read_image(tmp_path / "x.png").permute(1, 2, 0).numpy().astype(np.float64)
    np.testing.assert_allclose(seen * 65535, shown, atol=0.01)


def test_sixteen_bits_stay_through_every_door(tmp_path):
    """What is attacked, and what is trained on, at their size and brought to another."""
    for index in range(14):
        folder = tmp_path / "d" / str(index % 2)
        folder.mkdir(parents=True, exist_ok=True)
        deep = RNG.integers(0, 65536, (9, 9)).astype(np.uint16)
        Image.fromarray(deep).save(folder / f"{index}.png")
    for size in (None, 5):
        attacked = pictures_named(str(tmp_path / "d"), size, 14).images
        trained = read_folder(str(tmp_path / "d"), size).images
        for images in (attacked.numpy(), trained):
            assert images.dtype == np.float32
            assert np.abs(images * 255 - (images * 255).round()).max() > 0.1


def test_a_bomb_is_refused_by_its_head_alone(tmp_path):
    side = int(MOST_PIXELS**0.5) + 1
    chunk = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    (tmp_path / "x.png").write_bytes(content + struct.pack(">I", zlib.crc32(chunk)))
    for read in (read_head, read_image):
        with pytest.raises(Unreadable, match=r"x\.png: it is no image"):
            read(tmp_path / "x.png")


def test_other_formats_are_not_tried_whatever_the_suffix(tmp_path):
    for kind in ("GIF", "TIFF", "PPM", "EPS"):
        Image.fromarray(PHOTO).save(tmp_path / "x", format=kind)
        (tmp_path / "x").rename(tmp_path / "x.png")
        with pytest.raises(Unreadable):
            read_image(tmp_path / "x.png")


def test_every_image_that_is_opened_has_its_formats_named():
    found = []
    for path in Path(bench.__file__).parents[1].glob("[!.]*/**/*.py"):
        if path.parts[-2] == "tests" or "tests" in path.parts or "site-packages" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open"):
                found.append("formats" in [keyword.arg for keyword in node.keywords])
    assert len(found) >= 4
    assert all(found)


@pytest.mark.parametrize("turned", [0, 2])
def test_turned_photos_are_told(tmp_path, turned):
    for index in range(3):
        photo = Image.fromarray(PHOTO)
        tag = photo.getexif()
        tag[0x0112] = 6 if index < turned else 1
        photo.save(tmp_path / f"{index}.png", exif=tag)
    told = [note for note in open_folder(tmp_path).notes if "upright" in note]
    assert told == ([f"2 images of {tmp_path} are turned upright, as EXIF says"] if turned else [])


def test_class_folders_are_numbered_by_their_names():
    assert class_numbers(["dog", "cat"]) == {"cat": 0, "dog": 1}
    assert class_numbers(["10", "9", "0"]) == {"0": 0, "9": 9, "10": 10}
    assert class_numbers(["dog", "cat"], ["zoo"]) == {"cat": 0, "dog": 1}
    assert class_numbers(["2", "1"], ["extra"]) == {"1": 1, "2": 2}


@pytest.mark.parametrize(
    ("names", "empty", "said"),
    [
        (
            ["0", "1", "extra"],
            [],
            "folders 0 and extra: expected class folders that are all numbers",
        ),
        (["cat", "dog"], ["bird"], "folder bird has no images, and stands before dog"),
        (["1", "01"], [], "expected each class number once"),
    ],
)
def test_a_stray_folder_never_renumbers_labels(names, empty, said):
    with pytest.raises(UsageError, match=said):
        class_numbers(names, empty)


@pytest.mark.parametrize("stray", ["ant", "extra/deep"])
def test_a_stray_folder_is_seen_by_every_door(tmp_path, stray):
    """Those that attack and those that train give the same labels, or the same line."""
    for index in range(14):
        folder = tmp_path / "d" / ("cat", "dog")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PHOTO).save(folder / f"{index}.png")
    attacked = pictures_named(str(tmp_path / "d"), None, 14)
    assert sorted(attacked.labels.tolist()) == [0] * 7 + [1] * 7
    assert attacked.classes == ["cat", "dog"]
    (tmp_path / "d" / stray).mkdir(parents=True)
    said = "folder ant has no images" if stray == "ant" else None
    for door in (
        lambda: pictures_named(str(tmp_path / "d"), None, 14).labels,
        lambda: read_folder.__wrapped__(str(tmp_path / "d"), None).labels,
    ):
        if said:
            with pytest.raises(UsageError, match=said):
                door()
        else:
            with pytest.raises(UsageError, match="folder extra has no images"):
                class_numbers(["cat", "dog", "fox"], ["extra"])
            assert torch.as_tensor(door()).max() == 1
