"""The one door for data: what a name stands for, whichever verb or suite it is given to.

A registered name; `folder:PATH`, or a folder as it stands; an .npz file of images and labels;
`torchvision:NAME`; `module:attribute`, a Dataset of the user's own. `NAME:train` is what a data set
with a part to train on keeps there, where a verb takes images as they are. `few@NAME` is any of
those with labels, of which all but few are kept back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError, nearest
from bench.core.files import user_path
from bench.core.registry import Entry
from bench.datasets import torchvisions
from bench.datasets.arrays import as_images, read_archive
from bench.datasets.base import DATASETS, OFFERED, Dataset, DatasetFacts
from bench.datasets.captioned import Captioned
from bench.datasets.few import FEW, Few, few
from bench.datasets.folders import open_folder
from bench.datasets.images import ImageArray, Images, shown
from bench.datasets.labelled import Labelled
from bench.datasets.mixtures import Mixture
from bench.datasets.namedpairs import folder_pairs, resized
from bench.datasets.own import read_file, read_folder
from bench.datasets.pairs import Pairs
from bench.datasets.stacks import Stack

FOLDER = "folder:"
FILES = (".npz",)
SIDES = ("train", "held-out")
FULFILLED = {
    "images": (Labelled,),
    "classes": (Labelled,),
    "modes": (Mixture, Stack),
    "stacks": (Stack,),
    "domains": (Pairs,),
    "captions": (Captioned,),
    "few": (Few,),
}
"""Who has what is offered; points alone need no more than the contract of a data set."""
FORMS = (
    "expected a registered data set (`bench list datasets`), a folder of images or folder:PATH, an "
    ".npz file of images and labels, torchvision:NAME, or module:attribute"
)


@dataclass(frozen=True)
class DataName:
    """What a name stands for. kind: registered, few, folder, file, torchvision or users. name: as
    the kind knows it. side: "train" or "held-out" where the name ends so.
    """

    kind: str
    name: str
    side: str = ""


def read_name(name: str) -> DataName:
    """Where the data of a name are. Raises UsageError for a name that stands for nothing."""
    if not name.removeprefix(FOLDER).strip():
        raise UsageError(f"dataset: the name is empty: {FORMS}")
    if name in DATASETS:
        return DataName("registered", name)
    if name.startswith(FEW):
        read_name(name.removeprefix(FEW))
        return DataName("few", name)
    head, _, last = name.rpartition(":")
    if head in DATASETS or head.startswith(torchvisions.PREFIX):
        if last not in SIDES:
            raise UsageError(
                f"dataset '{name}': expected {head}, its held-out images, or {head}:train"
            )
        return DataName(read_name(head).kind, head, last)
    if name.startswith(FOLDER):
        path = user_path(name.removeprefix(FOLDER))
        if not path.is_dir():
            raise UsageError(f"{shown(path)} is no folder: expected folder:PATH with images in it")
        return DataName("folder", str(path))
    if name.startswith(torchvisions.PREFIX):
        return DataName("torchvision", name)
    path = user_path(name)
    if name and path.is_dir():
        return DataName("folder", str(path))
    if path.suffix.lower() in FILES and path.is_file():
        return DataName("file", str(path))
    if ":" in name and "/" not in name:
        return DataName("users", name)
    guess = nearest(name, DATASETS)
    hint = f"did you mean '{guess}'? " if guess else ""
    raise UsageError(f"dataset '{shown(name)}' is not there: {hint}{FORMS}")


def read_typed_name(name: str) -> DataName:
    """The same for a name that a person types beside file names. Raises UsageError for a registered
    one that a file or folder here has, too: which is meant decides every number.
    """
    place = read_name(name)
    if name in DATASETS and Path(name).exists():
        raise UsageError(
            f"'{name}' is a registered data set, and a folder here: ./{name} is the folder, "
            f"{name}:held-out the data set"
        )
    return place


def entry_named(
    name: str, needs: Iterable[str], user: str, side: int | None = None
) -> Entry[Any, DatasetFacts]:
    """The data set of a name, with what is known about it.

    needs: what it must offer, of OFFERED. user: who needs it, for the message. side: the pixels
    that images are brought to; None for as they come. Raises UsageError for what can't be had, or
    lacks what is needed.
    """
    place = read_name(name)
    if place.side:
        raise UsageError(
            f"dataset '{name}': {user} divides a data set itself: expected '{place.name}'"
        )
    entry = _entry(name, place, frozenset(needs), side)
    lacking = [OFFERED[need] for need in OFFERED if need in needs and need not in entry.part.offers]
    if lacking:
        raise UsageError(
            f"dataset '{name}' offers {in_words(entry.part.offers)}, and {user} needs "
            f"{in_words(frozenset(needs))}: expected {_examples(frozenset(needs))}"
        )
    return entry


def dataset_named(name: str, needs: Iterable[str], user: str, side: int | None = None) -> Any:
    """The data set of `entry_named` alone."""
    return entry_named(name, needs, user, side).part


def _entry(
    name: str, place: DataName, needs: frozenset[str], side: int | None
) -> Entry[Any, DatasetFacts]:
    if place.kind in ("registered", "users"):
        found = DATASETS[name]
        if not isinstance(found.part, Dataset):
            kind = type(found.part).__name__
            raise UsageError(f"dataset '{name}' is a {kind}: expected a bench.datasets.Dataset")
        _refuse_claims(name, found.part)
        return found if side is None else _brought(found, side)
    if place.kind == "few":
        return _few(name, side)
    if place.kind == "torchvision":
        part = torchvisions.named(name, side)
    elif place.kind == "file":
        if side is not None:
            raise UsageError("`size` is for folders of images: arrays are taken as they stand")
        part = _labelled(name, partial(read_file, str(Path(place.name).resolve())))
    elif "domains" in needs:
        part = folder_pairs(name, Path(place.name), side)
    else:
        part = _labelled(name, partial(read_folder, str(Path(place.name).resolve()), side))
    facts = DatasetFacts(modes=part.modes, licence=part.licence)
    return Entry(name, part, "", name, __name__, facts)


def _few(name: str, side: int | None) -> Entry[Any, DatasetFacts]:
    """A data set of labelled images by its name, with few of the labels."""

    def of(other: str) -> Labelled:
        return dataset_named(other, ("images", "classes"), f"{FEW}{other}", side)

    part = few(name, of)
    facts = DatasetFacts(modes=part.modes, licence=part.licence)
    return Entry(name, part, "", name, __name__, facts)


def _refuse_claims(name: str, part: Dataset) -> None:
    """Raise UsageError for a data set that offers what its kind has not: tasks rely on it."""
    for offer in sorted(part.offers):
        kinds = FULFILLED.get(offer, (Dataset,))
        if not isinstance(part, kinds):
            expected = " or ".join(f"{kind.__module__}.{kind.__name__}" for kind in kinds)
            raise UsageError(
                f"dataset '{name}' says that it offers {OFFERED.get(offer, offer)}: expected an "
                f"instance of {expected}, got {type(part).__name__}"
            )


def _brought(entry: Entry[Any, DatasetFacts], side: int) -> Entry[Any, DatasetFacts]:
    """A data set whose images have `side` pixels; what has no images to bring is left alone."""
    part = entry.part
    if isinstance(part, Labelled):
        part = part.resized(side)
    elif isinstance(part, Few):
        part = replace(part, base=part.base.resized(side))
    elif isinstance(part, Pairs):
        part = resized(part, side)
    return Entry(entry.name, part, entry.paper, entry.summary, entry.origin, entry.facts)


def _labelled(name: str, load: Any) -> Labelled:
    found = load()
    most = int(max(found.labels.max(), found.held_labels.max()))
    return Labelled(name, load, classes=most + 1 if most else 0)


def in_words(offers: frozenset[str]) -> str:
    """What a data set offers, of OFFERED."""
    known = [OFFERED[offer] for offer in OFFERED if offer in offers]
    return " with ".join(known) or "nothing"


def _examples(needs: frozenset[str]) -> str:
    """What has it: registered names, and the forms that can."""
    known = names_with(needs)[:4]
    if "domains" in needs:
        known.append("a folder with two folders of images")
    elif needs <= {"images", "classes"}:
        known += ["torchvision:NAME", "folder:PATH"]
    return ", ".join(known) or "module:attribute with one of your own"


def fits(name: str, needs: Iterable[str]) -> bool:
    """Whether a name can be had and offers what is needed."""
    try:
        entry_named(name, needs, "")
    except UsageError:
        return False
    return True


def names_with(needs: Iterable[str]) -> list[str]:
    """Every registered data set that offers what is needed."""
    return [entry.name for entry in DATASETS.entries() if entry.part.offers.issuperset(needs)]


def image_set(name: str, user: str) -> Images:
    """The images of a name as they are: the held-out ones of a data set, or those to train on where
    it ends in `:train`; all images of a folder or file. Raises UsageError for data without images.
    """
    place = read_typed_name(name)
    if place.kind == "folder":
        return open_folder(Path(place.name))
    if place.kind == "file":
        images, _ = as_images(*read_archive(Path(place.name)), shown(name))
        return ImageArray(shown(name), images, False)
    part = dataset_named(place.name if place.side else name, ("images",), user)
    if part.missing:
        raise UsageError(part.missing)
    images = part.split.images if place.side == "train" else part.split.held_images
    return ImageArray(name, images[..., None] if images.ndim == 3 else images, True)
