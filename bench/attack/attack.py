"""bench attack: a classifier of one's own, or a registered one, under attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from attacks import MinimalNorm
from bench.attack.evaluate import AttackRequest, evaluate
from bench.attack.pictures import Pictures, pictures_of
from bench.attack.report import Attacked, timed
from bench.core import usercode
from bench.core.devices import device_named
from bench.core.errors import UsageError
from bench.core.files import cache_folder, refuse_unwritable, write_atomically
from bench.core.limits import MAX_SAMPLES, MAX_SEED, MAX_THREADS
from bench.models.store import ArtifactStore
from bench.models.users import Preparation
from bench.tasks.robustness.settings import attack_of

FILES = {"figure": ".png", "curve": ".png", "save_adversarials": ".npz"}
"""What may be written, and how its name must end."""
EPSILONS = ("0", "1/255", "2/255", "4/255", "8/255")
Classifier = str | nn.Module
Data = str | Path | tuple[np.ndarray, np.ndarray]


def attack(classifier: Classifier, data: Data, **options: Any) -> pd.DataFrame:
    """Attack a classifier on images; its rows. The options are those of `evaluate_attack`."""
    return evaluate_attack(classifier, data, **options).table


def evaluate_attack(
    classifier: Classifier,
    data: Data,
    *,
    attack: str = "fgsm",
    epsilons: str | float | Sequence[float | str] | None = None,
    norm: str | None = None,
    settings: Mapping[str, Any] | None = None,
    clip: bool = True,
    range: tuple[float, ...] = (0.0, 1.0),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    weights: str | None = None,
    size: int | None = None,
    images: int = 1_000,
    seed: int = 0,
    device: str = "auto",
    audit: bool = True,
    download: bool = False,
    threads: int = 0,
    figure: str | None = None,
    curve: str | None = None,
    save_adversarials: str | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> Attacked:
    """Attack a classifier of the user's own, or a registered one, on images with labels.

    The names are those of `bench attack`; a network may come as it is, and images with labels as
    two arrays ([n, h, w(, c)] or channels first in [0, 1], and [n]). epsilons: radii in rising
    order, in units of images in [0, 1]; 0 to 8/255 where none are given, and not for a search.
    norm: linf, or the first that the attack knows. settings: of the attack. range, mean, std: what
    the classifier expects of its inputs. threads: of the CPU; 0: one for a registered classifier,
    every core for a user's. figure, curve, save_adversarials: files to write. notify: is told what
    is being done. Raises UsageError for what can't be used.
    """
    request, network, pictures = _request(locals())
    store = ArtifactStore(cache_folder(), request.device)
    result = timed(request, lambda: evaluate(request, store, notify, network, pictures))
    _write(result, {"figure": figure, "curve": curve, "save_adversarials": save_adversarials})
    return result


def _request(given: Mapping[str, Any]) -> tuple[AttackRequest, nn.Module | None, Pictures | None]:
    """The arguments of `evaluate_attack`, checked; with a network and images that came as they are.
    Raises UsageError for what can't be used.
    """
    refuse_unwritable({name: given[name] for name in FILES}, FILES)
    _refuse_numbers(given["images"], given["threads"], given["seed"])
    asked, span = _settings_of(given), given["range"]
    if len(span) != 2:
        raise UsageError(f"`range`: expected two rising numbers, got {span}")
    usercode.add_folder(Path.cwd())
    same: Any = ("attack", "weights", "size", "images", "seed", "download", "threads")
    classifier, data = given["classifier"], given["data"]
    arrays: tuple[Any, Any] | None = data if isinstance(data, tuple) else None
    network = None if isinstance(classifier, str) else classifier
    request = AttackRequest(
        classifier=classifier if network is None else type(network).__name__,
        data="arrays" if arrays else str(data),
        settings=asked,
        preparation=Preparation(span[0], span[1], tuple(given["mean"]), tuple(given["std"])),
        device=device_named(given["device"]),
        audits=given["audit"],
        **{name: given[name] for name in same},
    )
    pictures = None if arrays is None else pictures_of(*arrays, "arrays", given["images"])
    return request, network, pictures


def _refuse_numbers(images: int, threads: int, seed: int) -> None:
    for what, number, low, high in (
        ("`images`", images, 1, MAX_SAMPLES),
        ("`threads`", threads, 0, MAX_THREADS),
        ("`seed`", seed, 0, MAX_SEED),
    ):
        if not isinstance(number, int) or not low <= number <= high:
            raise UsageError(f"{what}: expected {low} to {high}, got {number!r}")


def _write(result: Attacked, files: Mapping[str, str | None]) -> None:
    made = {"figure": result.figure, "curve": result.curve}
    made["save_adversarials"] = result.adversarials
    for name, path in files.items():
        if path is not None:
            write_atomically(Path(path).expanduser(), made[name]())


def _settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a cell. Raises UsageError for one that is an argument, and for what a search
    for the smallest perturbation has no use for.
    """
    attack, epsilons, settings = given["attack"], given["epsilons"], given["settings"] or {}
    own = {"norm": "norm", "radii": "epsilons", "clip": "clip", "images": "images"}
    for name in settings:
        if name in own:
            raise UsageError(f"`settings` {name}: it has an option of its own, `{own[name]}`")
    asked: dict[str, Any] = {**settings, "clip": given["clip"]}
    if given["norm"] is not None:
        asked["norm"] = given["norm"]
    if not isinstance(attack_of(attack).part, MinimalNorm):
        return asked | {"radii": _radii(epsilons)}
    if epsilons is not None:
        raise UsageError(
            f"`epsilons`: {attack} searches for the smallest perturbation, whatever its size: "
            "leave them out"
        )
    if given["curve"] is not None:
        raise UsageError(
            f"`curve`: {attack} searches for the smallest perturbation, over no radius"
        )
    return asked


def _radii(epsilons: str | float | Sequence[float | str] | None) -> str:
    if isinstance(epsilons, str):
        return epsilons
    if isinstance(epsilons, int | float):
        return repr(float(epsilons))
    radii = EPSILONS if epsilons is None else epsilons
    return ",".join(e if isinstance(e, str) else repr(float(e)) for e in radii)
