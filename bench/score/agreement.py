"""What can't be scored together: features of two kinds, images read in two ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.errors import UsageError
from bench.datasets.images import shown
from bench.extractors import EXTRACTORS, Extractor
from bench.score.kept import Kept
from bench.score.samples import Samples

FID = "fid"


def extractor_of(tags: set[str]) -> Extractor | None:
    """The registered extractor that has one of the tags, if any has."""
    parts = [entry.part for entry in EXTRACTORS.entries()]
    return next((part for part in parts if part.tag in tags), None)


def names_of(tags: set[str]) -> set[str]:
    """What `features` may say of kept statistics: their tag, or the name before its hash."""
    found = extractor_of(tags)
    return tags | {entry.name for entry in EXTRACTORS.entries() if entry.part is found}


def refuse_unnamed(opened: Sequence[Samples]) -> Extractor:
    """Raise UsageError for statistics of features that are nobody's but the user's: a file names no
    code that is run.
    """
    kept = next(one for one in opened if isinstance(one, Kept) and one.tag)
    raise UsageError(
        f"{kept.origin} holds statistics of features '{shown(kept.tag)}', which are none of ours: "
        f"if they are yours, name them by `features={shown(kept.tag)}`"
    )


def refuse_sets(
    ready: Sequence[Samples], extractor: Extractor, settings: Mapping[str, str | int]
) -> None:
    """Raise UsageError for statistics of other features, and for one image alone."""
    for samples in ready:
        if isinstance(samples, Kept):
            _refuse_other(samples, extractor)
            refuse_way(samples, settings)
        elif len(samples) + len(samples.broken) < 2:
            raise UsageError(f"{samples.origin} holds one image: expected two at least, and many")


def _refuse_other(kept: Kept, extractor: Extractor) -> None:
    """Statistics that are not of this extractor."""
    if kept.tag and kept.tag != extractor.tag:
        known = extractor_of({kept.tag})
        name = next((e.name for e in EXTRACTORS.entries() if e.part is known), kept.tag)
        raise UsageError(
            f"{kept.origin} holds statistics of features '{kept.tag}', and these are of "
            f"'{extractor.tag}': pass `features={name}`, or save them again"
        )
    if extractor.dims and kept.features.dims != extractor.dims:
        raise UsageError(
            f"{kept.origin} holds statistics of {kept.features.dims:,} features, and "
            f"'{extractor.tag}' has {extractor.dims:,}: which ones are they of? (`features`)"
        )


def refuse_way(kept: Kept, settings: Mapping[str, str | int]) -> None:
    """Raise UsageError for statistics of other weights, or of images read in another way."""
    told, here = (read.get("weights", "none") for read in (kept.read, settings))
    if kept.read and told != here:
        raise UsageError(
            f"{kept.origin} was kept of features of other weights: expected {here}, got {told}: "
            "save it again"
        )
    for name in ("size", "colours"):
        if kept.read and kept.read.get(name) != settings.get(name):
            raise UsageError(
                f"{kept.origin} was kept of images read with {name} {kept.read.get(name)}, and "
                f"these are read with {name} {settings.get(name)}: pass the same `size` and "
                "`colours`, or save it again"
            )


def refuse_fid(asked: Sequence[tuple[str, str]], extractor: Extractor | None) -> None:
    """`fid` is frechet on Inception features, and on no others."""
    published = extractor.published if extractor else ""
    if any(name == FID for name, _ in asked) and published.lower() != FID:
        raise UsageError(
            "only the 2015 Inception features give fid: pass `features=inception`, or ask for "
            "frechet"
        )
