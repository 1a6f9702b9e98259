"""What a reader of scores should know first: too few samples, copies, collapse, a swap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from bench.datasets.images import Images
from bench.score.samples import Samples
from bench.score.sets import Sets
from bench.tasks.base import Value
from metrics.copying import copies

GENERATED = {"fake", "generated", "gen", "sampled", "samples", "sample", "synthetic"}
ORIGINAL = {"real", "train", "test", "val", "validation", "reference", "original"}
DUPLICATES = 0.01
NEAR = 0.05
FAR_APART = 0.25
BIASED = 0.1
UNEQUAL = 1.1
SURE = 3
DENSE = 1.5


def cautions(
    sets: Sets, opened: Sequence[Samples], values: Sequence[Value], trained: bool, near: bool
) -> Iterator[str]:
    """One line each. near: whether to look for samples that are nearly copies, which takes long."""
    found = {value.metric.partition("@")[0]: value for value in values}
    yield from _of_files(opened)
    yield from dict.fromkeys(note for kept in (sets.real, sets.fake) for note in kept.notes)
    yield from _of_numbers(sets, found)
    yield from _of_copies(sets, trained, near)
    yield from _of_variety(sets, found)


def _of_files(opened: Sequence[Samples]) -> Iterator[str]:
    """Formats and sizes that differ, and what was left out."""
    for samples in opened:
        if isinstance(samples, Images):
            yield from samples.notes
    images = [samples for samples in opened[:2] if isinstance(samples, Images)]
    if len(images) < 2:
        return
    kinds = [" and ".join(sorted(s.kinds)) for s in images]
    if kinds[0] != kinds[1] and all(kinds):
        yield f"REAL is {kinds[0]}, FAKE {kinds[1]}: traces of compression count as differences"
    if images[0].sizes != images[1].sizes:
        yield "REAL and FAKE are not of the same size: what resizing does counts as a difference"


def _of_numbers(sets: Sets, found: Mapping[str, Value]) -> Iterator[str]:
    real, fake = sets.real, sets.fake
    n, m, dims = real.features.n, fake.features.n, real.features.dims
    if not real.counted or not fake.counted:
        yield "the statistics don't say of how many samples they are, and of which features"
        return
    if "frechet" in found and min(n, m) <= dims:
        yield (
            f"{min(n, m):,} samples for {dims:,} dimensions: frechet is far too high, and only to "
            "be compared at equal n; kernel_distance is not"
        )
    elif "frechet" in found and "frechet_infinity" in found:
        value, limit = found["frechet"].value, found["frechet_infinity"].value
        if value - limit > BIASED * value:
            yield (
                f"frechet is about {value - limit:.3g} too high for so few samples, and its "
                "interval does not say so: take frechet_infinity or kernel_distance, or compare at "
                "equal n"
            )
    elif "frechet" in found and min(n, m) <= 20 * dims:
        yield (
            f"{min(n, m):,} samples for {dims:,} dimensions: frechet is too high, and only to be "
            "compared at equal n"
        )
    if max(n, m) > UNEQUAL * min(n, m):
        yield (
            f"{n:,} real and {m:,} fake samples: frechet, recall and coverage move with n, compare "
            "them at equal n only"
        )
    for role, kept in (("REAL", real), ("FAKE", fake)):
        again = 0.0 if kept.ids is None else 1 - len(np.unique(kept.ids)) / len(kept.ids)
        if again > DUPLICATES:
            yield f"{100 * again:.1f} % of {role} are duplicates of others of it"


def _of_copies(sets: Sets, trained: bool, near: bool) -> Iterator[str]:
    real, fake, seen = sets.real, sets.fake, sets.seen
    if real.origin == fake.origin and _same(real.ids, fake.ids):
        yield "REAL and FAKE are the same samples"
        return
    sources = [("REAL", real)] + ([("`train`", seen)] if trained else [])
    for role, kept in sources:
        if kept.ids is not None and fake.ids is not None:
            exact = int(np.isin(fake.ids, kept.ids).sum())
            if exact:
                yield f"{exact:,} of the {len(fake.ids):,} of FAKE are exact copies from {role}"
    if not near:
        return
    how, where = (", up to a shift by one pixel,", "`train`" if trained else "REAL")
    try:
        share = copies(*(sets.shifted if sets.has_thumbnails else sets.nearest))
    except UsageError:
        return
    if share.value - SURE * (share.std_error or 0) > NEAR:
        how = how if sets.has_thumbnails else ""
        told = f"{100 * share.value:.0f} % of FAKE are{how} nearly copies from {where}"
        yield f"{told} (1 % is chance)"


def _same(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    return first is not None and second is not None and np.array_equal(first, second)


def _of_variety(sets: Sets, found: Mapping[str, Any]) -> Iterator[str]:
    """Precision far from recall, and what else tells a collapse or a swap."""
    if _named_swapped(sets.real.origin, sets.fake.origin):
        yield "REAL and FAKE look swapped, by their names: the reference comes first"
    if "precision" in found and "recall" in found:
        precise, varied = found["precision"].value, found["recall"].value
        both = f"precision {100 * precise:.0f} %, recall {100 * varied:.0f} %"
        if varied - precise > FAR_APART:
            yield (
                f"{both}: so it looks when REAL and FAKE are swapped, or the samples are more "
                "varied than REAL, or noisy"
            )
        elif precise - varied > FAR_APART:
            yield f"{both}: the samples are less varied than REAL"
    if "density" in found and found["density"].value > DENSE:
        deep = found["density"].value
        yield f"density {deep:.1f}: the samples keep to the densest places of REAL"
    told, moved = found.get("c2st"), found.get("kernel_distance")
    if not told or not moved or moved.value > 2 * (moved.std_error or 0):
        return
    if told.value - SURE * (told.std_error or 0) > 0.5 + NEAR:
        yield (
            f"kernel_distance sees no difference, and a small network tells {100 * told.value:.0f} "
            "% of the samples apart: don't take it for a match"
        )


def _named_swapped(real: str, fake: str) -> bool:
    def words(origin: str) -> set[str]:
        name = origin.rstrip("/").rpartition("/")[2].partition(".")[0].lower()
        return set(name.replace("-", " ").replace("_", " ").split())

    one, other = words(real), words(fake)
    return bool(one & GENERATED - ORIGINAL and other & ORIGINAL) and not (
        one & ORIGINAL or other & GENERATED
    )
