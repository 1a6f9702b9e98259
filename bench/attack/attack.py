"""bench attack: a classifier of one's own, or a registered one, under attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from attacks import MinimalNorm
from bench.attack.evaluate import AttackRequest, evaluate
from bench.attack.pictures import pictures_of
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
Classifier = str | torch.nn.Module
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
    files = {"figure": figure, "curve": curve, "save_adversarials": save_adversarials}
    refuse_unwritable(files, FILES)
    _refuse_numbers(images, threads, seed)
    asked = _asked(attack, epsilons, norm, settings or {}, clip)
    if len(range) != 2:
        raise UsageError(f"`range`: expected two rising numbers, got {range}")
    if "radii" not in asked and curve is not None:
        raise UsageError(
            f"`curve`: {attack} searches for the smallest perturbation, over no radius"
        )
    usercode.add_folder(Path.cwd())
    request = AttackRequest(
        classifier=classifier if isinstance(classifier, str) else type(classifier).__name__,
        data="arrays" if isinstance(data, tuple) else str(data),
        attack=attack,
        settings=asked,
        preparation=Preparation(*range, tuple(mean), tuple(std)),
        weights=weights,
        size=size,
        images=images,
        seed=seed,
        device=device_named(device),
        audits=audit,
        download=download,
        threads=threads,
    )
    store = ArtifactStore(cache_folder(), request.device)
    network = None if isinstance(classifier, str) else classifier
    pictures = pictures_of(*data, "arrays", images) if isinstance(data, tuple) else None
    result = timed(request, lambda: evaluate(request, store, notify, network, pictures))
    _write(result, files)
    return result


def _refuse_numbers(images: int, threads: int, seed: int) -> None:
    for what, number, low, high in (
        ("-n: images", images, 1, MAX_SAMPLES),
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


def _asked(
    attack: str,
    epsilons: str | float | Sequence[float | str] | None,
    norm: str | None,
    settings: Mapping[str, Any],
    clip: bool,
) -> dict[str, Any]:
    """The settings of a cell, from the options of `bench attack`."""
    options = {"norm": "`norm`", "radii": "`epsilons`", "clip": "`clip`", "images": "`images`"}
    for name in settings:
        if name in options:
            raise UsageError(f"`settings` {name}: it has an option of its own, {options[name]}")
    asked: dict[str, Any] = {**settings, "clip": clip}
    if norm is not None:
        asked["norm"] = norm
    if isinstance(attack_of(attack).part, MinimalNorm):
        if epsilons is not None:
            raise UsageError(
                f"`epsilons`: {attack} searches for the smallest perturbation, whatever its size: "
                "leave them out"
            )
        return asked
    if isinstance(epsilons, str):
        asked["radii"] = epsilons
    elif isinstance(epsilons, int | float):
        asked["radii"] = repr(float(epsilons))
    else:
        radii = EPSILONS if epsilons is None else epsilons
        asked["radii"] = ",".join(e if isinstance(e, str) else repr(float(e)) for e in radii)
    return asked
