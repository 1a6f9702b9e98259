"""From images to features: decoded, resized and read in chunks, by several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bench.core.errors import UsageError
from bench.datasets.images import Images, Unreadable
from bench.datasets.pixels import in_channels
from bench.extractors import Extractor, Reader, Seen
from bench.score.identity import image_id
from bench.score.kept import Kept
from metrics.features import Features

THUMBNAIL = 32
"""The most pixels a side at which copies are looked for."""
ALIKE = 1e-3
"""A share of the features' size by which those of one image may differ from batch to batch."""
ADVICE = "`skip_unreadable` leaves such files out and counts them"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Extracted:
    """Of n images: features [n, d]; probabilities [n, classes] of a classifier; ids [n], which
    their content decides; thumbnails uint8 [n, h, w], grey. unreadable: what was left out.
    """

    features: np.ndarray
    probabilities: np.ndarray | None
    ids: np.ndarray
    thumbnails: np.ndarray
    unreadable: list[str]
    notes: tuple[str, ...] = ()

    def kept(self, origin: str, tag: str, read: Mapping[str, str | int]) -> Kept:
        """As features with what is known of them. Raises UsageError where they are not finite."""
        try:
            features = Features(self.features)
        except UsageError as error:
            raise UsageError(f"{origin}: {error}") from error
        more = (self.ids, self.thumbnails, self.probabilities)
        return Kept(origin, features, tag, True, *more, read, self.notes)


@dataclass(frozen=True)
class Way:
    """How images are read. size: what they are brought to; None: as they come. channels: 1 or 3.
    thumbnail: the size of thumbnails. skip: leave out what can't be read. sizes: that occur.
    """

    extractor: Extractor
    size: tuple[int, int] | None
    channels: int
    thumbnail: tuple[int, int]
    batch: int = 32
    device: str = "cpu"
    skip: bool = False
    sizes: frozenset[tuple[int, int]] = frozenset()

    @property
    def resizes(self) -> bool:
        """Whether any image is brought to another size."""
        return self.size is not None and self.sizes != {self.size}


def way_of(
    extractor: Extractor,
    sets: list[Images],
    side: int | None = None,
    colours: str = "",
    batch: int = 32,
    device: str = "cpu",
    skip: bool = False,
) -> Way:
    """One way for all the sets. side: of the square that `pixels` and users' own features get.
    colours: "grey" or "rgb", to bring all to it. Raises UsageError where grey meets colour.
    """
    sizes = set().union(*(images.sizes for images in sets))
    if not sizes:
        raise UsageError(next(text for images in sets for text in images.broken))
    wanted = extractor.usual_size(sizes) if side is None else (side, side)
    if side is not None and extractor.size:
        raise UsageError(
            f"`size`: features '{extractor.tag}' read {extractor.size[0]} x {extractor.size[1]} "
            "always: leave it out"
        )
    channels = 1 if _grey(extractor, sets, colours) else extractor.channels or 3
    height, width = wanted or next(iter(sizes))
    scale = min(1.0, THUMBNAIL / max(height, width))
    thumbnail = (max(1, round(height * scale)), max(1, round(width * scale)))
    return Way(extractor, wanted, channels, thumbnail, batch, device, skip, frozenset(sizes))


def _grey(extractor: Extractor, sets: list[Images], colours: str) -> bool:
    """Whether all are read as grey. Raises UsageError where they differ, or must be and are not."""
    kinds = [colours == "grey"] if colours else [images.grey for images in sets]
    if len(set(kinds)) > 1:
        told = ", ".join(f"{s.origin} {'grey' if s.grey else 'in colour'}" for s in sets)
        raise UsageError(
            f"expected both grey or both in colour, got {told}: `colours=grey` or `colours` "
            "rgb brings both to one"
        )
    if extractor.channels == 1 and not kinds[0]:
        raise UsageError(
            f"features '{extractor.tag}' read grey images, and these are in colour: `colours=grey` "
            "makes them so"
        )
    return kinds[0]


def extract(
    images: Images,
    way: Way,
    read: Reader,
    pool: ThreadPoolExecutor,
    progress: Progress = lambda done, total: None,
) -> Extracted:
    """Read all of a set. Raises Unreadable for the first that can't be, unless they are skipped."""
    if images.broken and not way.skip:
        raise Unreadable(f"{images.broken[0]}; {ADVICE}")
    starts = range(0, len(images), way.batch)
    found, done = [], 0
    for part in pool.map(lambda start: _chunk(images, start, way, read), starts):
        found.append(part)
        done += way.batch
        progress(min(done, len(images)), len(images))
    unreadable = [*images.broken, *(text for part in found for text in part.unreadable)]
    full = [part for part in found if len(part.features)]
    widths = {part.features.shape[1] for part in full}
    if len(widths) > 1:
        raise UsageError(
            f"features '{way.extractor.tag}': expected as many for every image, got "
            f"{' and '.join(map(str, sorted(widths)))}"
        )
    if not full:
        raise UsageError(f"{images.origin}: none of {len(unreadable)} images can be read")
    chances = [part.probabilities for part in full if part.probabilities is not None]
    return Extracted(
        np.concatenate([part.features for part in full]),
        np.concatenate(chances) if chances else None,
        np.concatenate([part.ids for part in full]),
        np.concatenate([part.thumbnails for part in full]),
        unreadable,
        tuple(_of_batches(images, way, read, full[0].features)),
    )


def _of_batches(images: Images, way: Way, read: Reader, features: np.ndarray) -> Iterator[str]:
    """What to say where the features of an image depend on those it is read with."""
    if way.extractor.network is None or len(features) < 2:
        return
    few = _chunk(images, 0, replace(way, batch=1), read).features
    scale = float(np.abs(features).max())
    if len(few) and not np.allclose(few[0], features[0], rtol=ALIKE, atol=ALIKE * scale):
        yield (
            f"features '{way.extractor.tag}' of an image depend on the others of its batch (batch "
            "norm in training mode?): no score over them means anything"
        )


def _chunk(images: Images, start: int, way: Way, read: Reader) -> Extracted:
    ready, ids, small, unreadable = [], [], [], []
    for index in range(start, min(start + way.batch, len(images))):
        try:
            image = images.read(index)
        except Unreadable as error:
            if not way.skip:
                raise Unreadable(f"{error}; {ADVICE}") from error
            unreadable.append(str(error))
            continue
        image = in_channels(image[None], way.channels)
        ids.append(image_id(image))
        small.append(_thumbnail(image, way.thumbnail))
        image = image if way.size is None else way.extractor.resized(image, way.size)
        ready.append(image)
    if not ready:
        none = np.empty(0)
        return Extracted(none, None, none, none, unreadable)
    batch = torch.cat(ready)
    wanted = way.extractor.channels or way.channels
    if batch.shape[1] != wanted:
        batch = batch.expand(-1, wanted, -1, -1)
    with torch.no_grad():
        seen = read(batch.to(way.device))
    features, chances = (None if x is None else x.cpu().numpy().copy() for x in _plain(seen))
    return Extracted(
        np.asarray(features),
        chances,
        np.array(ids, dtype=np.uint64),
        np.stack(small),
        unreadable,
    )


def _plain(seen: Seen) -> tuple[Tensor, Tensor | None]:
    """float32, whatever a network computes in."""
    chances = seen.probabilities
    return seen.features.detach().float(), None if chances is None else chances.detach().float()


def _thumbnail(image: Tensor, size: tuple[int, int]) -> np.ndarray:
    grey = in_channels(image, 1)
    if tuple(grey.shape[-2:]) != size:
        grey = interpolate(grey, size, mode="bilinear", antialias=True, align_corners=False)
    return (grey[0, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()


@contextmanager
def pool_of(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that stop at the first error."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
