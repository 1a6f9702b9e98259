"""Scores of one set of samples against another: what `bench score` measures.

Every set is put in the order of its samples' content before anything is measured: that shuffles
it, the same way whatever the files are called and whoever read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bench.errors import UsageError
from bench.extraction import Way, extract, pool_of, way_of
from bench.extractors import EXTRACTORS, Extractor, Loading, Reader
from bench.extractors.users import extractor as extractor_named
from bench.loaders.samples import Given, Images, Kept, Samples, open_samples
from bench.runner import with_threads
from bench.tasks.base import Value
from bench.tasks.scoring import scored_by, value_of
from metrics import METRICS, Score
from metrics.contracts import MetricFacts
from metrics.copying import Nearest, cells_of, copies, nearest
from metrics.features import Apply, Features, refuse_dims
from metrics.neighbours import survey

TAKES = ("features", "neighbours", "probabilities", "nearest", "identities")
FID = "fid"
PREFERRED = "lite0"
FALLBACK = "pixels"
SHIFTS = "shifts"
QUERIES = 2_000
SHIFTED_QUERIES = 1_000

Notify = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much (0: unknown)."""


@dataclass(frozen=True)
class Request:
    """Two sets, and how to look at them: as `bench score` has them. features, metrics: empty for
    the usual ones. train: what the sampler was trained on, where that is not the reference.
    """

    real: Given
    fake: Given
    train: Given | None = None
    features: str = ""
    metrics: tuple[str, ...] = ()
    weights: str | None = None
    download: bool = False
    size: int | None = None
    colours: str = ""
    batch: int = 32
    workers: int = 1
    device: str = "cpu"
    skip_unreadable: bool = False


@dataclass(frozen=True, eq=False)
class Scores:
    """What was found. values: by the metrics' names with what they rest on. left_out: the metrics
    that could not be had, and why. features: what they rest on, empty for arrays of features.
    settings: how images were read. real: the reference, to be kept.
    """

    values: list[Value]
    left_out: dict[str, str]
    warnings: list[str]
    features: str
    settings: dict[str, str | int]
    unreadable: dict[str, list[str]]
    real: Kept
    fake: Kept
    frechet_is: str = ""


@dataclass(frozen=True, eq=False)
class Sets:
    """The samples of both, in the order of their content, and what takes a look at all of them."""

    real: Kept
    fake: Kept
    train: Kept | None
    apply: Apply = field(default=map)

    @cached_property
    def surveyed(self) -> tuple:
        return survey(self.real.features, self.fake.features)

    @cached_property
    def nearest(self) -> tuple[Nearest, Nearest]:
        """In the space of the features."""
        source = self.train or self.real
        seen = source.features.exact
        cells = cells_of(seen)
        held = self.real.features.exact[:QUERIES]
        own = None if self.train else np.arange(len(held))
        made = self.fake.features.exact[:QUERIES]
        return (
            nearest([held], seen, cells, own, self.apply),
            nearest([made], seen, cells, None, self.apply),
        )

    @cached_property
    def shifted(self) -> tuple[Nearest, Nearest] | None:
        """On thumbnails, the smallest over shifts by one pixel; None where there are none."""
        source = self.train or self.real
        if any(s.thumbnails is None for s in (source, self.real, self.fake)):
            return None
        seen, held, made = (_thumbnails(s) for s in (source, self.real, self.fake))
        flat = seen.reshape(len(seen), -1).astype(np.float64)
        cells = cells_of(flat)
        own = None if self.train else np.arange(min(len(held), SHIFTED_QUERIES))
        return (
            nearest(shifts(held[:SHIFTED_QUERIES]), flat, cells, own, self.apply),
            nearest(shifts(made[:SHIFTED_QUERIES]), flat, cells, None, self.apply),
        )


def _thumbnails(kept: Kept) -> np.ndarray:
    if kept.thumbnails is None:
        raise UsageError("there are no images")
    return kept.thumbnails


def shifts(images: np.ndarray) -> list[np.ndarray]:
    """Images [n, h, w] moved by one pixel or none in either direction, each [n, h w] float64."""
    grown = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
    n, height, width = images.shape
    return [
        grown[:, i : i + height, j : j + width].reshape(n, -1) for i in range(3) for j in range(3)
    ]


def score(request: Request, notify: Notify = lambda what, done, total: None) -> Scores:
    """Measure. Raises UsageError for what can't be used."""
    opened: list[Samples] = [
        open_samples(given, role)
        for given, role in (
            (request.real, "REAL"),
            (request.fake, "FAKE"),
            (request.train, "--train"),
        )
        if given is not None
    ]
    images = [samples for samples in opened if isinstance(samples, Images)]
    with with_threads(), pool_of(request.workers) as pool:
        if images:
            way, kept, unreadable = _read(request, opened, images, pool, notify)
            extractor, settings = way.extractor, _settings(way)
        else:
            _refuse_options(request)
            kept = [samples for samples in opened if isinstance(samples, Kept)]
            unreadable, extractor, settings = {}, None, {}
            _refuse_mixture(kept)
        apply: Apply = pool.map if request.workers > 1 else map
        sets = _sets(kept, apply)
        values, left_out = _measured(request, sets, notify, extractor)
        notify("looking for copies", 0, 0)
        warnings = [*_file_warnings(opened), *_warnings(sets, values)]
    tag = extractor.tag if extractor else sets.real.tag
    return Scores(
        values,
        left_out,
        warnings,
        tag,
        settings,
        unreadable,
        replace(sets.real, tag=tag),
        sets.fake,
        extractor.published if extractor else "",
    )


def chosen(request: Request, opened: Sequence[Samples]) -> Extractor:
    """The extractor that was asked for, the one of kept statistics, or the best there is."""
    kept = next((s.tag for s in opened if isinstance(s, Kept) and s.tag), "")
    name = request.features or kept.partition(":")[0] * (kept.partition(":")[0] in EXTRACTORS)
    if FID in request.metrics and not name:
        name = "inception"
    if not name:
        name = FALLBACK if EXTRACTORS[PREFERRED].part.missing else PREFERRED
    found = extractor_named(name)
    if found.missing:
        raise UsageError(found.missing)
    return found


def _read(
    request: Request,
    opened: Sequence[Samples],
    images: list[Images],
    pool: ThreadPoolExecutor,
    notify: Notify,
) -> tuple[Way, list[Kept], dict[str, list[str]]]:
    extractor = chosen(request, opened)
    way = way_of(
        extractor,
        images,
        request.size,
        request.colours,
        request.batch,
        request.device,
        request.skip_unreadable,
    )
    for samples in opened:
        if isinstance(samples, Kept):
            _refuse_other(samples, extractor)
    for samples in images:
        if len(samples) + len(samples.broken) < 2:
            raise UsageError(f"{samples.origin} holds one image: expected two at least, and many")
    notify(f"loading {extractor.tag}", 0, 0)
    read: Reader = extractor.load(Loading(request.device, request.weights, request.download))
    kept, unreadable = [], {}
    for samples in opened:
        if isinstance(samples, Kept):
            kept.append(samples)
            continue
        said = f"{extractor.tag} of {samples.origin}"
        found = extract(samples, way, read, pool, lambda d, t, said=said: notify(said, d, t))
        if found.unreadable:
            unreadable[samples.origin] = found.unreadable
        try:
            features = Features(found.features)
        except UsageError as error:
            raise UsageError(f"{samples.origin}: {error}") from error
        kept.append(
            Kept(
                samples.origin,
                features,
                extractor.tag,
                ids=found.ids,
                thumbnails=found.thumbnails,
                probabilities=found.probabilities,
            )
        )
    return way, kept, unreadable


def _settings(way: Way) -> dict[str, str | int]:
    size = "as they come" if way.size is None else f"{way.size[0]} x {way.size[1]}"
    told: dict[str, str | int] = {"features": way.extractor.tag, "size": size}
    if way.resizes:
        told["resize"] = way.extractor.resize
    told["colours"] = "grey" if way.channels == 1 else "rgb"
    return told


def _refuse_options(request: Request) -> None:
    for option, given in (
        ("--features", request.features),
        ("--size", request.size),
        ("--colours", request.colours),
        ("--weights", request.weights),
    ):
        if given:
            raise UsageError(
                f"{option} is for images, and there are none: features are taken as they stand"
            )


def _refuse_other(kept: Kept, extractor: Extractor) -> None:
    """Statistics or features that are not of this extractor."""
    if kept.tag and kept.tag != extractor.tag:
        raise UsageError(
            f"{kept.origin} holds statistics of features '{kept.tag}', and these are of "
            f"'{extractor.tag}': pass --features {kept.tag.partition(':')[0]}, or save them again"
        )


def _refuse_mixture(kept: Sequence[Kept]) -> None:
    tags = {k.tag for k in kept if k.tag}
    if len(tags) > 1:
        raise UsageError(f"expected statistics of the same features, got {', '.join(sorted(tags))}")


def _sets(kept: Sequence[Kept], apply: Apply) -> Sets:
    ready = [_ordered(one, apply) for one in kept]
    for one in ready[1:]:
        try:
            refuse_dims(ready[0].features, one.features)
        except UsageError as error:
            raise UsageError(
                f"{ready[0].origin} and {one.origin}: {error}: are they of the same features?"
            ) from None
    for one in ready:
        points = one.features.points
        if points is not None and bool((points == points[0]).all()):
            raise UsageError(
                f"{one.origin}: all {len(points):,} samples have the same features: there is "
                "nothing to measure; has the sampler collapsed, or is one file there many times?"
            )
    return Sets(ready[0], ready[1], ready[2] if len(ready) > 2 else None, apply)


def _ordered(kept: Kept, apply: Apply) -> Kept:
    """In the order of the samples' content."""
    features = replace(kept.features, apply=apply)
    if kept.ids is None or features.points is None:
        return replace(kept, features=features)
    order = np.argsort(kept.ids, kind="stable")
    small, chances = (
        None if x is None else x[order] for x in (kept.thumbnails, kept.probabilities)
    )
    return replace(
        kept,
        features=replace(features, points=features.points[order]),
        ids=kept.ids[order],
        thumbnails=small,
        probabilities=chances,
    )


def names_for(metrics: Sequence[str], dims: int) -> list[str]:
    """The registered metrics that were asked for, or all that are meant for so many dimensions."""
    known = [entry for takes in TAKES for entry in scored_by((takes,))]
    if not metrics:
        return [
            entry.name
            for entry in known
            if not entry.facts.on_request and dims <= (entry.facts.most_dims or dims)
        ]
    for name in metrics:
        if METRICS[name].facts.takes not in TAKES:
            raise UsageError(
                f"metric '{name}' is not for two sets of samples; known: "
                f"{', '.join(entry.name for entry in known)}"
            )
    return list(dict.fromkeys(metrics))


def asked_names(request: Request, extractor: Extractor | None) -> list[str]:
    """Metrics by their registered names; `fid` is frechet on Inception features, and no other."""
    names = [name.partition("@")[0] for name in request.metrics]
    if FID in names and (extractor is None or extractor.published.lower() != FID):
        raise UsageError(
            "only the 2015 Inception features give fid: pass --features inception, or ask for "
            "frechet"
        )
    return ["frechet" if name == FID else name for name in names]


def _measured(
    request: Request, sets: Sets, notify: Notify, extractor: Extractor | None
) -> tuple[list[Value], dict[str, str]]:
    asked = asked_names(request, extractor)
    values, left_out = [], {}
    names = names_for(asked, sets.real.features.dims)
    for done, name in enumerate(names):
        notify(f"measuring {name}", done, len(names))
        facts: MetricFacts = METRICS[name].facts
        for suffix, pair in _arguments(facts, sets):
            try:
                if isinstance(pair, str):
                    raise UsageError(pair)
                found: Score | float = METRICS[name].part(*pair())
            except UsageError as error:
                if asked:
                    raise UsageError(f"metric '{name}': {error}") from error
                left_out[name + suffix] = str(error)
                continue
            values.append(value_of(name, found, suffix=suffix))
    return values, left_out


def _arguments(facts: MetricFacts, sets: Sets) -> Iterator[tuple[str, Callable[[], tuple] | str]]:
    """What a metric is called with, by what stands behind its name; or why it can't be."""
    real, fake = sets.real, sets.fake
    suffix = f"@{fake.tag or real.tag}" if fake.tag or real.tag else ""
    if facts.takes == "features":
        yield suffix, lambda: (real.features, fake.features)
    elif facts.takes == "neighbours":
        yield suffix, lambda: sets.surveyed
    elif facts.takes == "probabilities":
        if fake.probabilities is not None:
            yield suffix, lambda: (None, fake.probabilities)
        elif suffix:
            yield suffix, "these features come without class probabilities"
    elif facts.takes == "identities":
        if real.ids is not None and fake.ids is not None:
            yield "", lambda: (real.ids, fake.ids)
        else:
            yield "", "the statistics hold no samples"
    else:
        yield suffix, lambda: sets.nearest
        if real.thumbnails is not None and fake.thumbnails is not None:
            yield f"@{SHIFTS}", lambda: sets.shifted or ()


def _file_warnings(opened: Sequence[Samples]) -> list[str]:
    """What the files themselves tell: formats and sizes that differ."""
    images = [samples for samples in opened[:2] if isinstance(samples, Images)]
    found = []
    if len(images) == 2:
        kinds = [" and ".join(sorted(s.kinds)) for s in images]
        if kinds[0] != kinds[1] and all(kinds):
            found.append(
                f"REAL is {kinds[0]}, FAKE {kinds[1]}: traces of compression count as differences"
            )
        if images[0].sizes != images[1].sizes:
            found.append(
                "REAL and FAKE are not of the same size: what resizing does counts as a difference"
            )
    return found


GENERATED = ("fake", "generated", "gen", "sampled", "samples", "synthetic")
ORIGINAL = ("real", "train", "test", "val", "reference", "data", "original")
NEAR = 0.05
LOOKS_SWAPPED = 0.25
UNEQUAL = 1.1


def _warnings(sets: Sets, values: Sequence[Value]) -> Iterator[str]:
    """What a reader of the scores should know first."""
    real, fake = sets.real, sets.fake
    found = {value.metric.partition("@")[0]: value for value in values}
    n, m, dims = real.features.n, fake.features.n, real.features.dims
    if not real.counted or not fake.counted:
        yield "the statistics don't say of how many samples they are, and of which features"
    elif min(n, m) <= dims:
        yield (
            f"{min(n, m):,} samples for {dims:,} dimensions: frechet is far too high, and only to "
            "be compared at equal n; kernel_distance is not"
        )
    if real.counted and fake.counted and max(n, m) > UNEQUAL * min(n, m):
        yield (
            f"{n:,} real and {m:,} fake samples: frechet, recall and coverage move with n, compare "
            "them at equal n only"
        )
    if real.ids is not None and (again := 1 - len(np.unique(real.ids)) / len(real.ids)) > 0.01:
        yield f"{100 * again:.1f} % of REAL are duplicates of others of it"
    if fake.ids is not None and (again := 1 - len(np.unique(fake.ids)) / len(fake.ids)) > 0.01:
        yield f"{100 * again:.1f} % of FAKE are duplicates of others of it"
    yield from _copies(sets)
    if _named_swapped(real.origin, fake.origin):
        yield "REAL and FAKE look swapped, by their names: the reference comes first"
    elif "precision" in found and "recall" in found:
        low, high = found["precision"].value, found["recall"].value
        if high - low > LOOKS_SWAPPED:
            yield (
                f"precision {100 * low:.0f} % is far below recall {100 * high:.0f} %: so it looks "
                "when REAL and FAKE are swapped, or the samples are noisy"
            )


def _copies(sets: Sets) -> Iterator[str]:
    seen = sets.train or sets.real
    what = "training images" if sets.train else "REAL"
    if seen.ids is not None and sets.fake.ids is not None:
        exact = int(np.isin(sets.fake.ids, seen.ids).sum())
        if exact:
            yield f"{exact:,} of {len(sets.fake.ids):,} of FAKE are exact copies from {what}"
    if sets.real.features.points is None or sets.fake.features.points is None:
        return
    how = ", up to a shift by one pixel" if sets.shifted else ""
    try:
        share = copies(*(sets.shifted or sets.nearest))
    except UsageError:
        return
    if share.value - 3 * (share.std_error or 0) > NEAR:
        near = f"{100 * share.value:.0f} % of FAKE"
        yield f"{near} are nearly copies from {what}{how} (1 % is chance)"


def _named_swapped(real: str, fake: str) -> bool:
    def words(origin: str) -> set[str]:
        name = origin.rstrip("/").rpartition("/")[2].partition(".")[0].lower()
        return set(name.replace("-", " ").replace("_", " ").split())

    return bool(words(real) & set(GENERATED) and words(fake) & set(ORIGINAL))
