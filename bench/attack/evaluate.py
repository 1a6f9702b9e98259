"""One classifier under one attack: the user's own, or a registered one, on images with labels."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attacks import MinimalNorm
from attacks.audit import Finding, audit, usual
from attacks.classifiers import CLASSIFIERS, Ready
from attacks.engine import frozen, logits_of, softmax
from bench.attack.pictures import Pictures, load_pictures
from bench.core.errors import UsageError, one_line, unknown
from bench.core.threads import THREADS, with_threads
from bench.datasets import DATASETS
from bench.datasets.digits import data_folder
from bench.datasets.labelled import Labelled
from bench.models.classifiers import CONFIDENCES, Order, Victim, unfit, victim
from bench.models.store import ArtifactStore
from bench.models.users import Preparation, Prepared, is_users, load_model, prepare
from bench.tasks.base import Value
from bench.tasks.robustness.attack import attack_values
from bench.tasks.robustness.audit import values_of
from bench.tasks.robustness.settings import Asked, image_seeds, read, refuse_others

AUDITED = 200
PROBED = 3


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an attack did. attacked: the images of the largest radius, or of the search."""

    values: list[Value]
    findings: list[Finding]
    pictures: Pictures
    attacked: Tensor
    before: Tensor
    after: Tensor
    classes: list[str]
    asked: Asked


@dataclass(frozen=True)
class Request:
    """A classifier and images by name, and how to attack: as `bench attack` has them."""

    classifier: str
    data: str
    attack: str
    settings: Mapping[str, Any]
    preparation: Preparation
    weights: str | None = None
    size: int | None = None
    images: int = 1_000
    seed: int = 0
    device: str = "cpu"
    audits: bool = True
    download: bool = False
    threads: int = 0

    @property
    def threads_used(self) -> int:
        """As many as were asked for; else one for a registered classifier, whose figures are then
        those of a suite, and every core for a user's.
        """
        usual = THREADS if self.classifier in CLASSIFIERS else os.cpu_count() or THREADS
        return self.threads or usual


def evaluate(
    request: Request,
    cache: ArtifactStore,
    notify: Callable[[str], None] = lambda text: None,
    network: nn.Module | None = None,
    pictures: Pictures | None = None,
) -> Evaluation:
    """Attack a classifier and measure what is left; `notify` is told what is being done. network,
    pictures: in the place of what the request names. What the user's code prints goes to stderr.
    Raises UsageError for what can't be used.
    """
    asked = read(request.attack, request.settings)
    refuse_others(asked, request.settings, request.attack)
    with redirect_stdout(sys.stderr):
        notify(f"reading {request.data}")
        pictures = pictures or _pictures(request)
        notify(f"loading or training {request.classifier}")
        if network is None:
            against = _victim(request, cache)
        else:
            against = _own(prepare(network, request.preparation), request)
        try:
            return _evaluated(request, asked, against, pictures, notify)
        except SystemExit as error:
            raise UsageError(
                f"{request.classifier} ended Python by SystemExit({error.code!r}): expected logits"
            ) from error
        finally:
            if isinstance(against.model, Prepared):
                against.model.put_back()


def _evaluated(
    request: Request,
    asked: Asked,
    against: Victim,
    pictures: Pictures,
    notify: Callable[[str], None],
) -> Evaluation:
    images, labels = pictures.images.to(request.device), pictures.labels.to(request.device)
    with with_threads(request.threads_used):
        _probe(request, against, images, labels, pictures)
        seeds = image_seeds(request.seed, len(images), request.device)
        with frozen(against.model):
            ids = hashlib.sha256("\n".join(pictures.names).encode()).hexdigest()[:16]
            values, wrong, attacked = attack_values(
                asked, against, images, labels, seeds, ids, partial(_tell, asked, notify)
            )
            if wrong:
                raise UsageError(f"attack {request.attack} can't be believed: {wrong}")
            before, after = (logits_of(against.model, x).cpu() for x in (images, attacked))
        notify("audit")
        findings = _audit(request, asked, against, images, labels, seeds)
    rows = [*values, *(values_of(findings, min(len(images), AUDITED)) if findings else [])]
    classes = pictures.classes
    return Evaluation(rows, findings, pictures, attacked.cpu(), before, after, classes, asked)


def _tell(asked: Asked, notify: Callable[[str], None], done: int) -> None:
    """Which radius comes next."""
    if isinstance(asked.attack, MinimalNorm):
        notify("search")
    elif done < len(asked.radii):
        notify(f"radius {asked.radii[done]:.4g}, {done + 1} of {len(asked.radii)}")


def _pictures(request: Request) -> Pictures:
    """The images: a user's folder or file, or the held-out ones of a registered data set."""
    if request.data in DATASETS:
        part = DATASETS[request.data].part
        if not isinstance(part, Labelled):
            raise UsageError(f"dataset '{request.data}' has no labelled images")
        if part.missing:
            raise UsageError(part.missing)
        source = part.source(request.seed)
        images, labels = source.held_out[: request.images], source.held_out_labels[: request.images]
        names = [f"{request.data}[{index}]" for index in range(len(images))]
        return Pictures(images, labels, names, [])
    kind, _, name = request.data.partition(":")
    if kind == "torchvision" and name:
        return _torchvision(name, request)
    return load_pictures(request.data, request.size, request.images)


def _torchvision(name: str, request: Request) -> Pictures:
    """The test images of one of torchvision's data sets."""
    import torchvision.datasets

    kind: Any = getattr(torchvision.datasets, name, None)
    if kind is None:
        raise unknown("data set of torchvision", name, torchvision.datasets.__all__)
    folder = data_folder()
    try:
        found = kind(folder, train=False, download=request.download)
    except (RuntimeError, TypeError, OSError) as error:
        raise UsageError(
            f"torchvision:{name}: {one_line(error, 120)} (looked in {folder}, which MINIMAX_DATA "
            "sets; --download fetches it)"
        ) from error
    some = [found[index] for index in range(min(len(found), request.images))]
    images = np.stack([np.asarray(image) for image, _ in some])
    grown = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    labels = torch.tensor([int(label) for _, label in some])
    names = [f"{name}[{index}]" for index in range(len(some))]
    return Pictures(torch.from_numpy(grown).float() / 255, labels, names, list(found.classes))


def _victim(request: Request, cache: ArtifactStore) -> Victim:
    if request.classifier in CLASSIFIERS or not is_users(request.classifier):
        entry = CLASSIFIERS[request.classifier]
        if isinstance(entry.part, Ready) and request.data not in DATASETS:
            model = entry.part.load().to(request.device)
            return Victim(model, CONFIDENCES[entry.facts.confidence], "")
        if request.data not in DATASETS:
            raise UsageError(
                f"classifier '{request.classifier}' is trained on a registered data set: name one "
                f"instead of '{request.data}' (`bench list datasets`)"
            )
        if reason := unfit(request.classifier, request.data):
            raise UsageError(reason)
        order = Order(request.classifier, request.data, request.seed)
        return victim(order, cache, request.device)
    return _own(load_model(request.classifier, request.weights, request.preparation), request)


def _own(model: Prepared, request: Request) -> Victim:
    return Victim(model.to(request.device), softmax, "")


def _probe(
    request: Request, against: Victim, images: Tensor, labels: Tensor, pictures: Pictures
) -> None:
    """Raise UsageError where the classifier can't read the images, or its answers are none."""
    if not len(images):
        raise UsageError(f"{request.data} has no images")
    if not request.preparation.mean or len(request.preparation.mean) in (1, images.shape[1]):
        channels = ""
    else:
        channels = f"{len(request.preparation.mean)} means for {images.shape[1]} channels; "
    logits: Any = None
    for count in (1, min(len(images), PROBED)):
        try:
            with frozen(against.model):
                logits = against.model(images[:count].clone().requires_grad_())
        except Exception as error:
            raise UsageError(
                f"{request.classifier} can't read images {list(images.shape[1:])}, {count} at "
                f"once: {channels}{one_line(f'{type(error).__name__}: {error}', 150)}; expected a "
                "differentiable float32 model for batches of any size"
            ) from error
        if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
            got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise UsageError(
                f"{request.classifier}: expected logits [n, classes], got {got} for {count} "
                "images: wrap the model in one that returns them, for two classes at least"
            )
    if not logits.is_floating_point():
        raise UsageError(f"{request.classifier}: expected logits as floats, got {logits.dtype}")
    with frozen(against.model):
        broken = ~logits_of(against.model, images).isfinite().all(1)
    if bool(broken.any()):
        name = pictures.names[int(broken.nonzero()[0, 0])]
        raise UsageError(
            f"{request.classifier} answers {name} with a logit that is not finite: nothing can be "
            "measured on it"
        )
    wrong = (labels < 0) | (labels >= logits.shape[1])
    if bool(wrong.any()):
        index = int(wrong.nonzero()[0, 0])
        raise UsageError(
            f"{pictures.names[index]}: label {int(labels[index])} is out of range: the classifier "
            f"tells {logits.shape[1]} classes apart, 0 to {logits.shape[1] - 1}"
        )


def _audit(
    request: Request, asked: Asked, against: Victim, images: Tensor, labels: Tensor, seeds: Tensor
) -> list[Finding]:
    """The diagnostics, on the first images; none where the attack has no radius or too few."""
    if not request.audits or isinstance(asked.attack, MinimalNorm):
        return []
    radii = [radius for radius in asked.radii if radius > 0]
    if not radii:
        return []
    few = slice(0, AUDITED)
    with frozen(against.model):
        if not bool((logits_of(against.model, images[few]).argmax(1) == labels[few]).any()):
            return []
    return audit(
        against.model,
        images[few],
        labels[few],
        seeds=seeds[few],
        norm=asked.settings.norm,
        radii=radii,
        box=asked.settings.box,
        using=usual(asked.settings.norm),
    )
