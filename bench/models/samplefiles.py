"""Samples that a generator of the user's own drew before: as they must be for a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.datasets.arrayfiles import read_array
from bench.datasets.folders import open_folder
from bench.datasets.images import as_unit, shown
from bench.datasets.pixels import in_channels
from bench.models.generatorfiles import FromFile
from generative import Data, Sampler, Training
from generative.recipes.ready import Unfit


def samples_in(path: Path, shape: tuple[int, ...], n: int | None = None) -> Tensor:
    """The first `n` samples of a file or of a folder of images, all without `n`, as float32
    [n, *shape]. Raises UsageError where they are fewer, or not of that shape and range.
    """
    if path.is_dir():
        return _of_folder(path, shape, n)
    return as_samples(read_array(path), shape, shown(path), n)


def as_samples(
    array: np.ndarray, shape: tuple[int, ...], origin: str, n: int | None = None
) -> Tensor:
    """The first `n` samples of an array, as float32 [n, *shape]: points [n, d]; images with their
    channels first or last, or left out where there is one, uint8, uint16 or floats in [0, 1].

    Raises UsageError, with the index at fault, for what is none.
    """
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{origin}: expected numbers, got {array.dtype}")
    places = _places(array.shape, shape, origin)
    refuse_few(len(array), n, origin)
    taken = np.asarray(array[:n])
    if len(shape) > 1:
        taken = as_unit(taken, origin)
    taken = np.moveaxis(taken, -1, 1) if places == "last" else taken
    samples = np.array(taken, dtype=np.float32).reshape(len(taken), *shape)
    broken = ~np.isfinite(samples.reshape(len(samples), -1)).all(1)
    if broken.any():
        raise UsageError(
            f"{origin}: {int(broken.sum())} of {len(samples)} samples are not finite, the first is "
            f"sample {int(broken.argmax())}: expected numbers"
        )
    return torch.from_numpy(samples)


def _places(got: tuple[int, ...], shape: tuple[int, ...], origin: str) -> str:
    """Where the channels are: first, last, or left out. Raises Unfit for other shapes."""
    one, (first, *rest) = got[1:], shape
    if one == shape:
        return "first"
    if rest and one == (*rest, first):
        return "last"
    if first == 1 and got and one == tuple(rest):
        return "left out"
    others = f" or [n, {', '.join(map(str, (*rest, first)))}]" if rest else ""
    raise Unfit(
        f"{origin}: expected samples of the shape of the data, [n, {', '.join(map(str, shape))}]"
        f"{others}, got {list(got)}"
    )


def refuse_few(held: int, asked: int | None, origin: str) -> None:
    """Raise UsageError for fewer samples than are asked for."""
    if held < (asked or 1):
        raise UsageError(
            f"{origin} has {held:,} samples, and {asked or 1:,} are asked for: give as many, or "
            f"ask for fewer (the setting samples={held})"
        )


def _of_folder(path: Path, shape: tuple[int, ...], n: int | None) -> Tensor:
    """The images below a folder, by name; grey ones as colours where the data are in colour."""
    if len(shape) != 3:
        raise Unfit(f"{shown(path)} is a folder of images, and the data are points {shape}")
    found = open_folder(path)
    refuse_few(len(found), n, found.origin)
    if found.sizes != {shape[1:]}:
        height, width = next(iter(found.sizes - {shape[1:]}))
        raise Unfit(
            f"{found.origin}: expected images of {shape[2]} x {shape[1]} pixels, as the data are, "
            f"got one of {width} x {height}"
        )
    if shape[0] not in (1, 3) or (shape[0] == 1 and found.coloured):
        kind = "grey images" if shape[0] == 1 else f"stacks of {shape[0]}, as an array"
        raise Unfit(f"{found.origin}: expected {kind}, got a folder of images")
    images = [found.read(index) for index in range(len(found) if n is None else n)]
    return torch.cat([in_channels(image[None], shape[0]) for image in images])


@dataclass(frozen=True)
class Drawn(FromFile):
    """Samples that were drawn before."""

    @property
    def once(self) -> bool:
        return True

    def load(self, training: Training, data: Data, seed: int) -> Sampler:
        return Stored(self.place(seed), tuple(data.shape))

    def refuse(self, training: Training, shape: tuple[int, ...], samples: int) -> None:
        for path in self.places():
            samples_in(path, shape, samples)


class Stored(Sampler):
    """The first samples of a file, whatever the generator of random numbers."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._path, self._shape = path, shape

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return samples_in(self._path, self._shape, n).to(rng.device)

    def tensors(self) -> dict[str, Tensor]:
        return {}
