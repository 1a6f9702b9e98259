"""bench attack: a classifier of one's own, or a registered one, under attack."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from torch import nn

from attacks import MinimalNorm
from bench.attack.evaluate import ARRAYS, AttackRequest, evaluate
from bench.attack.norms import AttackedInNorms, asked_norms
from bench.attack.pictures import Pictures, pictures_of
from bench.attack.report import Attacked, Report, timed
from bench.core import usercode
from bench.core.arguments import checked, numbers, text, whole
from bench.core.devices import device_named
from bench.core.errors import UsageError
from bench.core.files import (
    cache_folder,
    refuse_empty,
    refuse_no_folder,
    refuse_unwritable,
    user_path,
    write_atomically,
)
from bench.core.limits import MAX_SAMPLES, MAX_SEED, MAX_THREADS
from bench.datasets.arrays import pair_of
from bench.models.precision import refuse_precision
from bench.models.store import ArtifactStore
from bench.models.users import Preparation
from bench.tasks.robustness.settings import NORM, RADII, attack_of, choose_attack, parse_radii
from bench.tasks.robustness.targets import TARGETS, known

FILES = {"figure": ".png", "curve": ".png", "confusion": ".png", "save_adversarials": ".npz"}
"""What may be written, and how its name must end."""
EPSILONS = {NORM: "0,1/255,2/255,4/255,8/255"}
"""The radii where none are given; those of other norms are the usual ones of a suite, and 0."""
COLOURS = ("", "grey", "rgb")
KEPT = ("classifier", "data", "notify")
"""Arguments that are no plain values."""
SAME = ("weights", "size", "images", "seed", "download", "threads", "colours", "trust")
SAME += ("batch_size", "precision", "parts", "per_class")
Classifier = str | Path | nn.Module
Data = str | Path | tuple[Any, Any] | Mapping[str, Any] | Any


def attack(classifier: Classifier, data: Data, **options: Any) -> pd.DataFrame:
    """Attack a classifier on images; its rows. The options are those of `evaluate_attack`."""
    return evaluate_attack(classifier, data, **options).rows


@checked(*KEPT)
def evaluate_attack(
    classifier: Classifier,
    data: Data,
    *,
    attack: str | Sequence[str] = "fgsm",
    epsilons: str | float | Sequence[float | str] | Mapping[str, Any] | None = None,
    norm: str | Sequence[str] | None = None,
    targets: str | int = "none",
    settings: Mapping[str, Any] = MappingProxyType({}),
    clip: bool = True,
    range: str | Sequence[float] = (0.0, 1.0),
    mean: str | float | Sequence[float] = (),
    std: str | float | Sequence[float] = (),
    weights: str | None = None,
    size: int | None = None,
    images: int = 1_000,
    seed: int = 0,
    device: str = "auto",
    audit: bool = True,
    adapt: bool = False,
    bpda: str = "",
    download: bool = False,
    colours: str = "",
    keys: str | Sequence[str] = (),
    trust: bool = False,
    threads: int = 0,
    batch_size: int = 0,
    precision: str = "float32",
    parts: str | None = None,
    per_class: bool = False,
    figure: str | None = None,
    curve: str | None = None,
    confusion: str | None = None,
    save_adversarials: str | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> Report:
    """Attack a classifier of the user's own, or a registered one, on images with labels.

    The names are those of `bench attack`; a network may come as it is, and images with labels as
    arrays, tensors or lists ([n, h, w(, c)] or channels first, bytes or floats in [0, 1]; and
    [n]), as a table, or as a torch Dataset of pairs. attack: one, or several, of which the worst
    case is taken image by image. epsilons: radii, in units of images in [0, 1]; of a search those
    that its images are counted at; of several norms a table of them, or each with its norm, such as
    "linf:8/255". norm: one, or several, of which the worst case is a row, too. targets: what images
    are to be taken for: none, random, likeliest, least-likely, all, or the number of a class.
    range, mean, std: what the classifier expects of its inputs. colours: grey or rgb. keys: what an
    .npz file calls its arrays. adapt: whether what the audit finds is tried as well; bpda: a part
    of the classifier that gradients are to pass straight through, which adapts too. trust: whether
    a file may run code that it holds. threads: 0 for as many as the environment says, or one.
    batch_size: images at once; 0: as many as fit. precision: what the classifier counts with while
    it is attacked, float32, bfloat16 or float16; it is measured in float32. parts: a folder that
    keeps what was finished of a long evaluation, so that the same call goes on. per_class: whether
    rows are about each class, too. figure, curve, confusion, save_adversarials: files to write.
    notify: told what is being done. Raises UsageError for what can't be used.
    """
    asked = locals()
    made = [_measured({**asked, **own}) for own in _each_norm(asked)]
    result = made[0] if len(made) == 1 else AttackedInNorms(tuple(made))
    _write(result, {name: asked[name] for name in FILES})
    return result


def _each_norm(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Norm and radii of each norm. Raises UsageError for what can't be used in one of them before
    anything is measured in another.
    """
    several = asked_norms(asked["norm"], asked["epsilons"])
    found = [{"norm": norm, "epsilons": radii} for norm, radii in several.items()]
    for own in found if len(found) > 1 else ():
        settings = _settings_of({**asked, **own})
        attack = _name_of(asked["attack"])
        chosen = choose_attack(attack, settings)
        if not chosen.radii and not chosen.counted:
            raise UsageError(
                f"`norm`: {attack} searches for the smallest perturbation: expected `epsilons` for "
                "each norm, such as linf:8/255, that its images are counted at"
            )
    return found


def _measured(asked: Mapping[str, Any]) -> Attacked:
    """The attack in one norm."""
    request, network, pictures = _request(asked)
    store, notify = ArtifactStore(cache_folder(), request.device), asked["notify"]
    return timed(request, lambda: evaluate(request, store, notify, network, pictures))


def _request(asked: Mapping[str, Any]) -> tuple[AttackRequest, Any, Pictures | None]:
    """The arguments of `evaluate_attack`, checked; with a network and images that came as they are.
    Raises UsageError for what can't be used.
    """
    refuse_unwritable({name: asked[name] for name in FILES}, FILES)
    refuse_empty({"weights": asked["weights"], "parts": asked["parts"]})
    refuse_no_folder("parts", asked["parts"])
    for name, low, high in (
        ("images", 1, MAX_SAMPLES),
        ("batch_size", 0, MAX_SAMPLES),
        ("threads", 0, MAX_THREADS),
        ("seed", 0, MAX_SEED),
    ):
        whole(name, asked[name], low, high)
    settings = _settings_of(asked)
    span, mean, std = (numbers(name, asked[name]) for name in ("range", "mean", "std"))
    if len(span) != 2:
        raise UsageError(f"`range`: expected two rising numbers, got {span}")
    if asked["colours"] not in COLOURS:
        raise UsageError(f"`colours`: expected grey or rgb, got '{asked['colours']}'")
    usercode.add_folder(Path.cwd())
    classifier, data = asked["classifier"], asked["data"]
    named = os.fspath(data) if isinstance(data, str | os.PathLike) else None
    network = None if isinstance(classifier, str | os.PathLike) else classifier
    if network is not None and not callable(network):
        raise UsageError(
            f"`classifier`: expected a network or a name, got {type(network).__name__}"
        )
    if isinstance(network, type):
        raise UsageError(
            f"`classifier`: expected a network, got the class {network.__name__}: make one of it"
        )
    device = device_named(asked["device"])
    refuse_precision(asked["precision"], device)
    preparation = Preparation(span[0], span[1], mean, std)
    preparation.refuse()
    request = AttackRequest(
        attack=_name_of(asked["attack"]),
        classifier=str(classifier) if network is None else type(network).__name__,
        data=ARRAYS if named is None else named,
        settings=settings,
        preparation=preparation,
        device=device,
        audits=asked["audit"],
        adapts=_adapts(asked),
        bpda=asked["bpda"],
        keys=_keys(asked["keys"]),
        **{name: asked[name] for name in SAME},
    )
    if named is not None:
        return request, network, None
    pair = pair_of(data, request.images)
    return request, network, pictures_of(*pair, request.data, request.images)


def _adapts(asked: Mapping[str, Any]) -> bool:
    """Whether to adapt. Raises UsageError where no audit says to what."""
    adapts = bool(asked["adapt"] or asked["bpda"])
    if adapts and not asked["audit"]:
        raise UsageError("`adapt`: the audit says what to adapt to: leave it on")
    return adapts


def _keys(asked: Any) -> tuple[str, ...]:
    """The names of images and labels, or none. Raises UsageError for others than two."""
    found = asked.split(",") if isinstance(asked, str) else asked
    names = tuple(str(name).strip() for name in found if str(name).strip())
    if len(names) not in (0, 2):
        raise UsageError(f"`keys`: expected two names such as x_test,y_test, got {asked!r}")
    return names


def _write(result: Report, files: Mapping[str, str | None]) -> None:
    made = {"figure": result.figure, "curve": result.curve, "confusion": result.confusion}
    made["save_adversarials"] = result.adversarials
    for name, path in files.items():
        if path is not None:
            write_atomically(user_path(path), made[name]())


def _settings_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a cell. Raises UsageError for one that is an argument, and for what a search
    for the smallest perturbation has no use for.
    """
    attack, epsilons, settings = _name_of(asked["attack"]), asked["epsilons"], asked["settings"]
    own = {"norm": "norm", "radii": "epsilons", "clip": "clip", "images": "images"}
    if not isinstance(settings, Mapping):
        raise UsageError(f"`settings`: expected a table such as steps=100, got {settings!r}")
    for name in settings:
        if name in own:
            raise UsageError(f"`settings` {name}: it has an option of its own, `{own[name]}`")
    made: dict[str, Any] = {**settings, "clip": bool(asked["clip"])}
    part = attack_of(attack).part
    made["norm"] = asked["norm"] or (NORM if NORM in part.norms else part.norms[0])
    if str(asked["targets"]) != "none":
        made["targets"] = str(asked["targets"])
        if not known(made["targets"]):
            words = ", ".join(TARGETS)
            got = made["targets"]
            raise UsageError(f"`targets`: expected one of {words}, or a class, got '{got}'")
    if not isinstance(part, MinimalNorm):
        usual = EPSILONS.get(made["norm"]) or f"0,{RADII.get(made['norm'], RADII[NORM])}"
        made["radii"] = usual if epsilons is None else _radii(epsilons)
        parse_radii(made["radii"], "epsilons")
        return made
    if epsilons is not None:
        made["within"] = _radii(epsilons)
        parse_radii(made["within"], "epsilons")
    elif asked["curve"] is not None:
        raise UsageError(
            f"`curve`: {attack} searches for the smallest perturbation, over no radius: expected "
            "`epsilons` that its images are counted at"
        )
    return made


def _name_of(asked: Any) -> str:
    """An attack, or several with + between."""
    if isinstance(asked, str):
        return text("attack", asked)
    if not isinstance(asked, Sequence) or not asked:
        raise UsageError(f"`attack`: expected a name, or several, got {asked!r}")
    return "+".join(text("attack", name) for name in asked)


def _radii(epsilons: Any) -> str:
    """Radii as the settings of a cell have them: a text. Raises UsageError for what are none."""
    if isinstance(epsilons, str):
        return epsilons
    found = epsilons if isinstance(epsilons, tuple) else (epsilons,)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise UsageError(f"`epsilons`: expected numbers such as 8/255, got {one!r}")
    return ",".join(one if isinstance(one, str) else repr(float(one)) for one in found)
