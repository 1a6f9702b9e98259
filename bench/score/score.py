"""bench score: samples held against a reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from bench.core import usercode
from bench.core.arguments import checked, whole
from bench.core.devices import device_named
from bench.core.errors import UsageError
from bench.core.files import refuse_unwritable, user_path, write_atomically
from bench.core.limits import MAX_SAMPLES, MAX_SIDE, MAX_THREADS
from bench.core.progress import Notify, tell_nobody
from bench.core.threads import usual_threads
from bench.datasets.named import in_words
from bench.score.kept import packed
from bench.score.known import Target, score_known, target_of
from bench.score.knownreport import KnownScored
from bench.score.measure import ScoreRequest, guarded
from bench.score.measure import score as measure
from bench.score.report import Scored, scored
from bench.score.samples import Given

OF_SETS = ("features", "train", "weights", "download", "size", "colours", "skip_unreadable")
"""Options of sets that are features, or are brought to them."""
KEPT = ("real", "fake", "train", "features", "notify")
"""Arguments that are no plain values."""


def score(real: Given, fake: Given, **options: Any) -> pd.DataFrame:
    """Score samples against a reference; its rows. The options are those of `measure_score`."""
    return measure_score(real, fake, **options).table


@checked(*KEPT)
def measure_score(
    real: Given,
    fake: Given,
    *,
    metrics: str | Sequence[str] = (),
    features: str | Callable[..., Any] = "",
    train: Given | None = None,
    save_stats: str | None = None,
    skip_unreadable: bool = False,
    size: int | None = None,
    colours: str = "",
    weights: str | None = None,
    download: bool = False,
    batch: int = 32,
    workers: int | None = None,
    device: str = "auto",
    seed: int = 0,
    notify: Notify = tell_nobody,
) -> Scored | KnownScored:
    """Score samples against a reference: folders, files, arrays or tensors.

    The names are those of `bench score`. An array [n, d] is features as it stands, [n, h, w(, c)]
    or [n, c, h, w] images, uint8 or floats in [0, 1]. train: what the sampler was trained on, where
    that is not the reference. Where REAL is a data set of points or stacks, or FILE.toml:MIXTURE,
    the scores are those of a suite, beside those of as many real samples. save_stats: an .npz file
    for the reference's features and statistics. seed: of the functions that draw samples, and of
    the data. notify: told what is being done, how much of it is done and of how much. Raises
    UsageError for what can't be used.
    """
    request = _request(locals())
    target = target_of(request.real)
    if target is not None:
        return _known(target, request, save_stats)
    started = time.perf_counter()
    with guarded():
        found = measure(request, notify)
    result = scored(request, found, time.perf_counter() - started)
    if save_stats is not None:
        write_atomically(user_path(save_stats), packed(found.real))
    return result


def _known(target: Target, request: ScoreRequest, save_stats: str | None) -> KnownScored:
    """Samples held against a data set whose modes or density are known."""
    for option, given in (
        ("save_stats", save_stats),
        *((name, getattr(request, name)) for name in OF_SETS),
    ):
        if given:
            raise UsageError(
                f"REAL: dataset '{target.dataset}' offers {in_words(target.offers)}, and "
                f"`{option}` is for sets of images or of features: leave it out"
            )
    started = time.perf_counter()
    with guarded():
        found = score_known(target, request.fake, request.seed, request.device, request.metrics)
    return KnownScored.of(found, request, time.perf_counter() - started)


def _request(asked: Mapping[str, Any]) -> ScoreRequest:
    """The arguments of `measure_score`, checked. Raises UsageError for what can't be used."""
    _refuse_overwriting(asked["save_stats"], [asked[name] for name in ("real", "fake", "train")])
    for name, most in (("batch", MAX_SAMPLES), ("size", MAX_SIDE), ("workers", MAX_THREADS)):
        if asked[name] is not None:
            whole(name, asked[name], 1, most)
    whole("seed", asked["seed"], 0, 2**31 - 1)
    if asked["colours"] not in ("", "grey", "rgb"):
        raise UsageError(f"`colours`: expected grey or rgb, got '{asked['colours']}'")
    if not isinstance(asked["features"], str) and not callable(asked["features"]):
        kind = type(asked["features"]).__name__
        raise UsageError(f"`features`: expected a name or a function of images, got a {kind}")
    usercode.add_folder(Path.cwd())
    names = asked["metrics"].split(",") if isinstance(asked["metrics"], str) else asked["metrics"]
    same = {field.name: asked[field.name] for field in fields(ScoreRequest)}
    return ScoreRequest(
        **same
        | {
            "metrics": tuple(name.strip() for name in names if name.strip()),
            "workers": asked["workers"] or usual_threads(),
            "device": device_named(asked["device"]),
        }
    )


def _refuse_overwriting(save_stats: str | None, sets: Iterable[Given | None]) -> None:
    """Raise UsageError for a file of statistics that can't be written, or is one of the sets."""
    if save_stats is None:
        return
    refuse_unwritable({"save_stats": save_stats}, {"save_stats": ".npz"})
    named = [user_path(one) for one in sets if isinstance(one, str | Path)]
    if user_path(save_stats).resolve() in [path.resolve() for path in named]:
        raise UsageError(f"`save_stats`: {save_stats} is what is to be scored: name another")
