"""Scores of one set of samples against another: what `bench score` measures.

Every set is put in the order of its samples' content before anything is measured: that shuffles
it, the same way whatever the files are called and whoever read them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from bench.core.asfound import left_as_found
from bench.core.errors import UsageError, unknown
from bench.core.networks import moved
from bench.core.progress import Notify, tell_nobody
from bench.core.threads import with_threads
from bench.core.usercode import blamed
from bench.datasets.folders import Folder
from bench.datasets.images import Images
from bench.extractors import EXTRACTORS, Extractor, Loading
from bench.extractors.users import extractor as extractor_named
from bench.score.agreement import (
    FID,
    extractor_of,
    names_of,
    refuse_fid,
    refuse_sets,
    refuse_unnamed,
    refuse_way,
)
from bench.score.cautions import cautions
from bench.score.drawing import draw_samples, sampler_in, size_of
from bench.score.extraction import Way, extract, pool_of, way_of
from bench.score.identity import row_ids
from bench.score.kept import Kept
from bench.score.samples import Given, Samples, open_samples
from bench.score.sets import Sets
from bench.tasks.base import Value
from bench.tasks.values import scored_by, value_of
from metrics import METRICS, Score
from metrics.contracts import MetricFacts
from metrics.features import Apply, refuse_dims

TAKES = ("features", "neighbours", "probabilities", "nearest", "identities")
ALIASES = {"kid": "kernel_distance", "is": "inception_score_10"}
PREFERRED = "lite0"
FALLBACK = "pixels"
SHIFTS = "shifts"
SEEN = ("nearest", "identities")
"""What metrics of copies take: where others alone are asked for, near copies are not looked for."""


@dataclass(frozen=True)
class ScoreRequest:
    """Two sets, and how to look at them: as `bench score` has them. features, metrics: empty for
    the usual ones. train: what the sampler was trained on, where that is not the reference. seed:
    of functions that draw samples.
    """

    real: Given
    fake: Given
    train: Given | None = None
    features: str | Callable[..., Any] = ""
    metrics: tuple[str, ...] = ()
    weights: str | None = None
    download: bool = False
    size: int | None = None
    colours: str = ""
    batch: int = 32
    workers: int = 1
    device: str = "cpu"
    skip_unreadable: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Scores:
    """What was found. values: by the metrics' names with what they rest on. left_out: the metrics
    that could not be had, and why. features: what they rest on, empty for arrays of features.
    settings: how images were read. real: the reference, to be kept. frechet_is: what the Frechet
    distance may be called.
    """

    values: list[Value]
    left_out: dict[str, str]
    warnings: list[str]
    features: str
    settings: Mapping[str, str | int]
    unreadable: dict[str, list[str]]
    real: Kept
    fake: Kept
    frechet_is: str = ""


@contextmanager
def guarded() -> Iterator[None]:
    """One thread for torch and BLAS; what the user's code prints goes to stderr, what libraries
    warn of nowhere. Not to be entered by several threads.
    """
    quiet = redirect_stdout(sys.stderr), warnings.catch_warnings(), left_as_found(None)
    with quiet[0], quiet[1], quiet[2], with_threads():
        warnings.simplefilter("ignore")
        yield


def score(request: ScoreRequest, notify: Notify = tell_nobody) -> Scores:
    """Measure, inside `guarded`. Raises UsageError for what can't be used."""
    asked = asked_metrics(request.metrics)
    opened = [open_samples(request.real, "REAL")]
    fake = sampler_in(request.fake)
    if fake is None:
        opened.append(open_samples(request.fake, "FAKE"))
    else:
        opened.append(draw_samples(fake, size_of(opened[0]), request.fake, request.seed))
    if request.train is not None:
        opened.append(open_samples(request.train, "`train`"))
    with pool_of(request.workers) as pool:
        return _scored(request, asked, opened, pool, notify)


def _scored(
    request: ScoreRequest,
    asked: list[tuple[str, str]],
    opened: list[Samples],
    pool: ThreadPoolExecutor,
    notify: Notify,
) -> Scores:
    extractor, kept, unreadable, settings = _features(request, asked, opened, pool, notify)
    sets = _sets(kept, pool.map if request.workers > 1 else map)
    values, left_out = _measured(asked, sets, notify)
    if not values:
        raise UsageError("nothing can be measured: " + "; ".join(dict.fromkeys(left_out.values())))
    near = not asked or any(METRICS[_own(name)].facts.takes in SEEN for name, _ in asked)
    if near:
        notify("looking for copies", 0, 0)
    tag = extractor.tag if extractor else sets.real.tag or sets.fake.tag
    real = replace(sets.real, tag=tag, read=settings)
    found = list(cautions(sets, opened, values, request.train is not None, near))
    published = extractor.published if extractor else ""
    return Scores(values, left_out, found, tag, settings, unreadable, real, sets.fake, published)


def _features(
    request: ScoreRequest,
    asked: Sequence[tuple[str, str]],
    opened: Sequence[Samples],
    pool: ThreadPoolExecutor,
    notify: Notify,
) -> tuple[Extractor | None, list[Kept], dict[str, list[str]], Mapping[str, str | int]]:
    """Every set as features, and what made them."""
    kept = [samples for samples in opened if isinstance(samples, Kept)]
    tags = {samples.tag for samples in kept if samples.tag}
    if len(tags) > 1:
        raise UsageError(f"expected statistics of the same features, got {', '.join(sorted(tags))}")
    if len(kept) < len(opened):
        for samples in kept:
            if not samples.tag and samples.features.points is not None:
                raise UsageError(
                    f"{samples.origin} holds features, and others are images: expected both as "
                    "images or both as features"
                )
        extractor = chosen(request, opened)
        refuse_fid(asked, extractor)
        return _read(request, extractor, opened, pool, notify)
    refuse_fid(asked, extractor_of(tags))
    for option, given in (
        ("`size`", request.size),
        ("`colours`", request.colours),
        ("`weights`", request.weights),
        ("`download`", request.download),
        ("`features`", request.features if request.features not in names_of(tags) else ""),
    ):
        if given:
            raise UsageError(
                f"{option} is for images, and there are none: features are taken as they stand"
            )
    settings = next((samples.read for samples in kept if samples.read), {})
    for samples in kept:
        refuse_way(samples, settings)
    return extractor_of(tags), kept, {}, settings


def chosen(request: ScoreRequest, opened: Sequence[Samples]) -> Extractor:
    """The extractor that was asked for, the one of kept statistics, or the best there is."""
    tags = {samples.tag for samples in opened if isinstance(samples, Kept) and samples.tag}
    asked = {name.partition("@")[0].lower() for name in request.metrics}
    given = request.features
    if not given and tags:
        given = extractor_of(tags) or refuse_unnamed(opened)
    if isinstance(given, Extractor):
        return given
    if not given:
        lacking = EXTRACTORS[PREFERRED].part.missing
        given = "inception" if FID in asked else FALLBACK if lacking else PREFERRED
    found = extractor_named(given)
    if found.missing:
        raise UsageError(found.missing)
    return found


def _read(
    request: ScoreRequest,
    extractor: Extractor,
    opened: Sequence[Samples],
    pool: ThreadPoolExecutor,
    notify: Notify,
) -> tuple[Extractor, list[Kept], dict[str, list[str]], Mapping[str, str | int]]:
    for option, given in (("`weights`", request.weights), ("`download`", request.download)):
        if given and not extractor.fetches:
            names = ", ".join(entry.name for entry in EXTRACTORS.entries() if entry.part.fetches)
            raise UsageError(f"{option} is for features {names}, and these are {extractor.tag}")
    ready = [_checked(samples, request, pool, notify) for samples in opened]
    images = [samples for samples in ready if isinstance(samples, Images)]
    way = way_of(
        extractor,
        images,
        request.size,
        request.colours,
        request.batch,
        request.device,
        request.skip_unreadable,
    )
    settings = _settings(way)
    refuse_sets(ready, extractor, settings)
    notify(f"loading {extractor.tag}", 0, 0)
    kept, unreadable = [], {}
    network, said = extractor.network, f"features '{extractor.tag}'"
    with left_as_found(network), moved(network, request.device), blamed(said):
        read = extractor.load(Loading(request.device, request.weights, request.download))
        for samples in ready:
            if isinstance(samples, Kept):
                kept.append(samples)
                continue
            done = partial(notify, f"{extractor.tag} of {samples.origin}")
            found = extract(samples, way, read, pool, done)
            if found.unreadable:
                unreadable[samples.origin] = found.unreadable
            kept.append(found.kept(samples.origin, extractor.tag, settings))
    return extractor, kept, unreadable, settings


def _checked(
    samples: Samples, request: ScoreRequest, pool: ThreadPoolExecutor, notify: Notify
) -> Samples:
    """Without what can't be decoded, where that is to be skipped: it decides nothing then."""
    if not request.skip_unreadable or not isinstance(samples, Folder):
        return samples
    notify(f"checking {samples.origin}", 0, 0)
    return samples.checked(pool.map)


def _settings(way: Way) -> dict[str, str | int]:
    size = "as they come" if way.size is None else f"{way.size[0]} x {way.size[1]}"
    if way.size is None and len(way.sizes) == 1:
        size = "{} x {}".format(*next(iter(way.sizes)))
    told: dict[str, str | int] = {"features": way.extractor.tag, "size": size}
    if way.resizes:
        told["resize"] = way.extractor.resize
    told["colours"] = "grey" if way.channels == 1 else "rgb"
    if way.extractor.weights:
        told["weights"] = way.extractor.weights
    return told


def _sets(kept: Sequence[Kept], apply: Apply) -> Sets:
    ready = [_ordered(one, apply) for one in kept]
    for one in ready[1:]:
        try:
            refuse_dims(ready[0].features, one.features)
        except UsageError as error:
            raise UsageError(
                f"{ready[0].origin} and {one.origin}: {error}: are they of the same features?"
            ) from None
    real = ready[0].features.points
    if real is not None and bool((real == real[0]).all()):
        raise UsageError(
            f"{ready[0].origin}: all {len(real):,} samples have the same features: there is "
            "nothing to measure against; is one file there many times?"
        )
    return Sets(ready[0], ready[1], ready[2] if len(ready) > 2 else None, apply)


def _ordered(kept: Kept, apply: Apply) -> Kept:
    """In the order of the samples' content: of images, or of features as float32, so that a set
    and the same in float64 are cut alike.
    """
    features = replace(kept.features, apply=apply)
    points, ids = features.points, kept.ids
    if ids is None or points is None:
        return replace(kept, features=features)
    single = kept.thumbnails is not None or points.dtype == np.float32
    coarse = ids if single else row_ids(points.astype(np.float32))
    order = np.lexsort((ids, coarse))
    small, chances = (
        None if x is None else x[order] for x in (kept.thumbnails, kept.probabilities)
    )
    return replace(
        kept,
        features=replace(features, points=points[order]),
        ids=ids[order],
        thumbnails=small,
        probabilities=chances,
    )


def asked_metrics(names: Sequence[str]) -> list[tuple[str, str]]:
    """Metrics by name and what stands behind their @. Raises UsageError for unknown ones."""
    known = [entry.name for entry in scored_by(TAKES)]
    found = []
    for given in names:
        name, _, suffix = given.partition("@")
        name = ALIASES.get(name.lower(), name)
        if name not in known and name.lower() != FID:
            raise unknown("metric", name, [*known, *ALIASES, FID], "(`bench list metrics` has all)")
        found.append((name.lower() if name.lower() == FID else name, suffix))
    return list(dict.fromkeys(found))


def _own(name: str) -> str:
    """A metric as it is registered."""
    return "frechet" if name == FID else name


def _names_for(asked: Sequence[tuple[str, str]], dims: int) -> Iterator[tuple[str, str]]:
    """What was asked for, or all that is meant for so many dimensions."""
    if asked:
        yield from ((_own(name), suffix) for name, suffix in asked)
        return
    for takes in TAKES:
        for entry in scored_by((takes,)):
            facts = entry.facts
            if not facts.on_request and dims <= (facts.most_dims or dims):
                yield entry.name, ""


def _measured(
    asked: Sequence[tuple[str, str]], sets: Sets, notify: Notify
) -> tuple[list[Value], dict[str, str]]:
    values, left_out = [], {}
    names = list(_names_for(asked, sets.real.features.dims))
    for done, (name, wanted) in enumerate(names):
        notify(f"measuring {name}", done, len(names))
        facts: MetricFacts = METRICS[name].facts
        if facts.takes == "probabilities" and sets.fake.probabilities is None and not asked:
            continue
        pairs = [pair for pair in _arguments(facts, sets) if _meant(wanted, pair[0])]
        if not pairs:
            bases = " or ".join(suffix for suffix, _ in _arguments(facts, sets)) or "features"
            raise UsageError(f"metric '{name}@{wanted}': here it rests on {bases}")
        for suffix, pair in pairs:
            try:
                found: Score | float = METRICS[name].part(*pair())
            except UsageError as error:
                if asked:
                    raise UsageError(f"metric '{name}': {error}") from error
                left_out[name + suffix] = str(error)
                continue
            value = value_of(name, found, suffix=suffix)
            values.append(value if sets.fake.counted else replace(value, n=None))
    return values, left_out


def _meant(wanted: str, suffix: str) -> bool:
    """Whether a metric asked for as `name@wanted` is the one that rests on this."""
    tag = suffix.removeprefix("@")
    return not wanted or wanted in (tag, tag.partition(":")[0])


def _arguments(facts: MetricFacts, sets: Sets) -> Iterator[tuple[str, Callable[[], tuple]]]:
    """What a metric is called with, by what stands behind its name. The calls raise UsageError
    where that can't be had.
    """
    real, fake = sets.real, sets.fake
    tag = fake.tag or real.tag
    suffix = f"@{tag}" if tag else ""
    if facts.takes == "features":
        yield suffix, lambda: (real.features, fake.features)
    elif facts.takes == "neighbours":
        yield suffix, lambda: sets.surveyed
    elif facts.takes == "probabilities":
        yield suffix, lambda: (None, _there(fake.probabilities, "class probabilities"))
    elif facts.takes == "identities":
        yield "", lambda: (_there(real.ids, "samples"), _there(fake.ids, "samples"))
    else:
        yield suffix, lambda: sets.nearest
        if sets.has_thumbnails:
            yield f"@{SHIFTS}", lambda: sets.shifted


def _there(array: np.ndarray | None, what: str) -> np.ndarray:
    if array is None:
        raise UsageError(f"there are no {what} in what was given")
    return array
