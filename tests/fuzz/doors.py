"""The functions that read what users bring, each with whole samples and how those are changed."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import torch
from fuzz import mutators
from fuzz.mutators import PLANTED, Mutator
from PIL import Image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 8, 8), dtype=np.uint8)
RGB = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
LABELS = np.arange(12) % 10


@dataclass(frozen=True)
class Sample:
    """A whole file, how it is named, and what befalls it."""

    name: str
    content: bytes
    mutate: Mutator


@dataclass(frozen=True)
class Door:
    """read: what is given the path of a changed file. count: how many of them."""

    name: str
    count: int
    samples: Callable[[], list[Sample]]
    read: Callable[[Path], Any]

    def inputs(self, count: int, folder: Path) -> Iterator[tuple[int, Path]]:
        """Changed files, one after another; the same ones each time."""
        samples = self.samples()
        for index in range(count):
            rng = Random(f"{self.name} {index}")
            sample = samples[index % len(samples)]
            path = folder / sample.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # to cut a file that is there can wait for the disk
            path.write_bytes(sample.mutate(rng, sample.content))
            yield index, path


def saved(write: Callable[[io.BytesIO], Any]) -> bytes:
    """What something writes into a file."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


@cache
def images() -> list[Sample]:
    grey, colour = Image.fromarray(GREY[0]), Image.fromarray(RGB)
    alpha, deep = Image.fromarray(np.dstack([RGB, RGB[..., :1]])), Image.fromarray(
        RNG.integers(0, 65536, (8, 8)).astype(np.uint16)
    )
    tag = colour.getexif()
    tag[0x0112] = 6
    kinds: list[tuple[str, Any, dict[str, Any]]] = [
        ("PNG", grey, {}),
        ("PNG", colour, {}),
        ("PNG", alpha, {}),
        ("PNG", deep, {}),
        ("PNG", colour.quantize(16), {"transparency": bytes(range(16))}),
        ("PNG", grey.point(lambda v: 255 * (v > 99)).convert("1"), {}),
        ("JPEG", colour, {"exif": tag, "progressive": True}),
        ("JPEG", grey, {}),
        ("JPEG", colour.convert("CMYK"), {}),
        ("WEBP", colour, {"lossless": True}),
        ("WEBP", alpha, {}),
        ("BMP", colour, {}),
    ]
    found = []
    for kind, picture, options in kinds:
        content = saved(lambda f, p=picture, k=kind, o=options: p.save(f, k, **o))
        found.append(Sample(f"x.{kind.lower()}", content, mutators.flipped))
        if kind == "PNG":
            found.append(Sample("x.png", content, mutators.png))
    found.append(Sample("x.png", _deep_colour(), mutators.png))
    return found


def _deep_colour() -> bytes:
    """A PNG file of 16 bits in colour: Pillow writes none."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    body = zlib.compress((b"\0" + bytes(range(24))) * 4)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@cache
def arrays() -> list[Sample]:
    """Images with labels, as .npz files."""
    pairs = [
        {"images": GREY, "labels": LABELS},
        {"x_test": GREY[:, None] / np.float32(255), "y_test": LABELS[:, None]},
        {"x_train": GREY, "y_train": LABELS, "x_test": GREY, "y_test": LABELS.astype(float)},
    ]
    change = mutators.archive(mutators.npy)
    found = [saved(lambda f, p=pair: np.savez(f, **p)) for pair in pairs]
    return [Sample("x.npz", content, change) for content in found]


@cache
def samples() -> list[Sample]:
    """What `bench score` reads: arrays, tensors, statistics."""
    points = RNG.normal(size=(12, 4))
    card = {"version": 1, "features": f"{PLANTED}:part", "n": 12, "dims": 4, "read": {"size": 8}}
    stats = {"mu": points.mean(0), "sigma": np.cov(points.T)}
    kept = {**stats, "n": np.int64(12), "points": points, "ids": np.arange(12, dtype=np.uint64)}
    kept |= {"thumbnails": GREY}
    npy = [saved(lambda f, a=a: np.save(f, a)) for a in (GREY, points, GREY[:, None] / 255.0)]
    packed = [stats, {**kept, "card": np.array(json.dumps(card))}, {"images": GREY}]
    npz = [saved(lambda f, p=p: np.savez(f, **p)) for p in packed]
    carded = partial(_carded, kept, card)
    tensors = [torch.from_numpy(points), {"images": torch.from_numpy(GREY)}]
    pt = [saved(lambda f, t=t: torch.save(t, f)) for t in tensors]
    return [
        *(Sample("x.npy", content, mutators.npy) for content in npy),
        *(Sample("x.npz", content, mutators.archive(mutators.npy)) for content in npz),
        Sample("x.npz", b"", carded),
        *(Sample("x.pt", content, mutators.archive(mutators.flipped)) for content in pt),
    ]


def _carded(kept: dict[str, Any], card: dict[str, Any], rng: Random, content: bytes) -> bytes:
    """Statistics whose card says otherwise."""
    text = json.dumps(mutators.tree(rng, card))
    return saved(lambda f: np.savez(f, **kept, card=np.array(text)))


class _Asks:
    """What asks to be run where a pickle is read."""

    def __reduce__(self) -> Any:
        return (eval, (f"__import__({PLANTED!r})",))


@cache
def checkpoints() -> list[Sample]:
    """Weights: of torch.save in both formats, wrapped, hostile, and as safetensors."""
    from safetensors.torch import save

    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    state = net.state_dict()
    forms = [state, {"state_dict": state, "epoch": 3, "acc": np.float64(0.5)}]
    found = [saved(lambda f, x=x: torch.save(x, f)) for x in forms]
    legacy = saved(lambda f: torch.save(state, f, _use_new_zipfile_serialization=False))
    hostile = saved(lambda f: torch.save({"state_dict": state, "x": _Asks()}, f))
    return [
        *(Sample("x.pth", content, mutators.archive(mutators.flipped)) for content in found),
        Sample("x.pth", hostile, mutators.archive(mutators.flipped)),
        Sample("x.pth", legacy, mutators.flipped),
        Sample("x.safetensors", save(dict(state)), mutators.safetensors),
    ]


class _Net(torch.nn.Module):
    """Two classes of images [n, 1, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.flatten(1))


@cache
def programs() -> list[Sample]:
    """Networks that files hold whole."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = torch.zeros(2, 1, 8, 8)
        script = saved(partial(torch.jit.save, torch.jit.trace(_Net().eval(), shown)))
        batch = {"images": {0: torch.export.Dim("n", min=1, max=64)}}
        made = torch.export.export(_Net().eval(), (shown,), dynamic_shapes=batch)
        exported = saved(lambda f: torch.export.save(made, f))
    pickled = saved(lambda f: torch.save(_Net(), f))
    return [
        Sample("x.pt2", exported, mutators.archive(mutators.json_file)),
        Sample("x.pt", script, mutators.archive(mutators.flipped)),
        Sample("x.pt", pickled, mutators.archive(mutators.flipped)),
    ]


def read_picture(path: Path) -> None:
    """An image, twice: its head and its pixels agree where both can be had."""
    from bench.core.errors import UsageError
    from bench.datasets.imagefiles import read_head, read_image

    try:
        head = read_head(path)
    except UsageError:
        head = None
    pixels = read_image(path)
    assert torch.isfinite(pixels).all()
    assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
    assert head is None or pixels.shape[1:] == head.size
    assert head is None or len(pixels) == (1 if head.grey else 3)


def read_pair(path: Path) -> None:
    from bench.datasets.arrays import as_images, read_archive, training_part

    found = as_images(*read_archive(path), "x.npz")
    assert len(found[0]) == len(found[1])
    assert 0 <= found[0].min() <= found[0].max() <= 1
    training_part(path)


def read_samples(path: Path) -> None:
    from bench.datasets.images import Images
    from bench.score.samples import open_samples

    found = open_samples(str(path), "REAL")
    if isinstance(found, Images):
        for index in range(min(3, len(found))):
            found.read(index)


def read_checkpoint(path: Path) -> None:
    from bench.models.weights import fit, read_weights

    fit(torch.nn.Linear(4, 3), read_weights(path), "x")


def read_code(path: Path) -> None:
    """What a program would run, looked at as data; raises what its caller turns into a line."""
    from bench.models.programs import code_of_program, code_of_script, is_script

    if path.suffix != ".pt2" and not is_script(path):
        return
    try:
        (code_of_program if path.suffix == ".pt2" else code_of_script)(path)
    except (RecursionError, MemoryError, AssertionError):
        raise
    except Exception:
        return


def read_program(path: Path) -> None:
    from bench.core.usercode import blamed
    from bench.models.files import load_program

    model = load_program(path, trust=False)
    with blamed("x"):
        model(torch.zeros(2, 1, 8, 8))


def read_tree(path: Path) -> None:
    from bench.core.trees import BrokenTreeError, load_tree

    try:
        load_tree(path)
    except BrokenTreeError:
        return


@cache
def trees() -> list[Sample]:
    from bench.core.trees import dump

    tree = {"a": torch.ones(3), "b": [1, None, {"c": torch.zeros(2, dtype=torch.int64)}]}
    return [
        Sample("x.safetensors", dump(tree), mutators.safetensors),
        Sample("x.safetensors", b"", partial(_regrown, dump(tree))),
    ]


def _regrown(content: bytes, rng: Random, _: bytes) -> bytes:
    """A kept tree whose outline says otherwise, within a file that is whole."""
    from safetensors.torch import load, save

    tensors = load(content)
    outline = json.loads(tensors["tree"].numpy().tobytes())
    text = json.dumps(mutators.tree(rng, outline)).encode()
    tensors["tree"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return save(tensors)


def rezipped(content: bytes) -> list[str]:
    """The members of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return packed.namelist()


def parquet(table: pd.DataFrame, rng: Random, _: bytes) -> bytes:
    """A table whose columns were dropped, renamed, doubled or retyped; or its bytes changed."""
    found = table.copy()
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(list(found.columns))
        action = rng.randrange(5)
        if action == 0:
            found = found.drop(columns=name)
        elif action == 1:
            found = found.rename(columns={name: rng.choice(mutators.NAMES[:6])})
        elif action == 2:
            found = found.assign(**{name: rng.choice((0, "x", 1.5, None, True, -1, "1" * 20))})
        elif action == 3:
            found = found.assign(**{name: [[1]] * len(found)})
        else:
            found = found.iloc[: rng.randrange(len(found) + 1)]
        if not len(found.columns):
            break
    try:
        content = saved(lambda f: found.to_parquet(f, index=False))
    except Exception:  # pyarrow writes no such table: another befalls the bytes
        content = saved(lambda f: table.to_parquet(f, index=False))
    return mutators.flipped(rng, content) if rng.random() < 0.4 else content


def signed(rng: Random, content: bytes) -> bytes:
    """A cell's file whose record was changed, its digest right; or its bytes."""
    from results.store import BODY, HEAD

    if rng.random() < 0.3:
        return mutators.flipped(rng, content)
    start = len(HEAD) + 64 + len(BODY)
    body = json.dumps(mutators.tree(rng, json.loads(content[start:-2]))).encode()
    return HEAD + hashlib.sha256(body).hexdigest().encode() + BODY + body + b"}\n"
