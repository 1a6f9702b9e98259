"""One classifier under one attack: the user's own, or a registered one, on images with labels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attacks.audit import Finding, usual
from attacks.classifiers import CLASSIFIERS, Ready
from attacks.engine import frozen, softmax
from attacks.gradients import differentiable, ordinary
from attacks.norms import size, spread
from bench.attack.adapting import adapted_values
from bench.attack.pictures import Pictures, pictures_named
from bench.core.asfound import left_as_found
from bench.core.errors import UsageError, one_line
from bench.core.networks import moved
from bench.core.threads import THREADS, usual_threads, with_threads
from bench.core.usercode import blamed
from bench.datasets import DATASETS
from bench.datasets.images import COLOURS, darkness
from bench.datasets.named import read_name
from bench.datasets.pixels import channels_for, in_channels, told_channels
from bench.models.classifiers import CONFIDENCES, ClassifierOrder, Victim, unfit, victim
from bench.models.store import ArtifactStore
from bench.models.users import Preparation, Prepared, expected_logits, is_users, load_model, prepare
from bench.tasks.base import Value
from bench.tasks.robustness.attack import attack_values
from bench.tasks.robustness.audit import audit_trial, values_of
from bench.tasks.robustness.base import Trial, trial_on
from bench.tasks.robustness.settings import ChosenAttack, choose_attack, refuse_others

AUDITED = 200
PROBED = 3
ARRAYS = "arrays"
"""What a request calls data that came as they are."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an attack did. attacked: the images of the largest radius, or of the search. notes: what
    a reader of the figures should know of the images.
    """

    values: list[Value]
    findings: list[Finding]
    pictures: Pictures
    attacked: Tensor
    before: Tensor
    after: Tensor
    asked: ChosenAttack
    notes: list[str]

    @property
    def classes(self) -> list[str]:
        return self.pictures.classes


@dataclass(frozen=True)
class AttackRequest:
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
    adapts: bool = False
    bpda: str = ""
    download: bool = False
    threads: int = 0
    colours: str = ""
    keys: tuple[str, ...] = ()
    trust: bool = False

    @property
    def threads_used(self) -> int:
        """As many as were asked for; else one for a registered classifier, whose figures are then
        those of a suite, and what the environment says for a user's.
        """
        return self.threads or (THREADS if self.classifier in CLASSIFIERS else usual_threads())


def evaluate(
    request: AttackRequest,
    cache: ArtifactStore,
    notify: Callable[[str], None] = lambda text: None,
    network: nn.Module | None = None,
    pictures: Pictures | None = None,
) -> Evaluation:
    """Attack a classifier and measure what is left; `notify` is told what is being done. network,
    pictures: in the place of what the request names. What the user's code prints goes to stderr.
    Raises UsageError for what can't be used, and for whatever the user's code raises.
    """
    chosen = choose_attack(request.attack, request.settings)
    refuse_others(chosen, request.settings, request.attack)
    said = f"{request.classifier} under {request.attack}"
    with redirect_stdout(sys.stderr), blamed(said), differentiable(), left_as_found(None):
        notify(f"reading {request.data}")
        pictures = pictures or pictures_named(
            request.data,
            request.size,
            request.images,
            request.seed,
            request.download,
            request.keys,
            held_out=network is None and _is_trained(request.classifier),
        )
        if not len(pictures.images):
            raise UsageError(f"{request.data} has no images")
        notify(f"loading or training {request.classifier}")
        if network is None:
            with with_threads():  # as a run trains it
                against = _victim(request, cache)
        else:
            against = _own(prepare(network, request.preparation, request.classifier))
        try:
            with moved(against.model, request.device):
                return _evaluated(request, chosen, against, pictures, notify)
        finally:
            if isinstance(against.model, Prepared):
                against.model.put_back()


def _evaluated(
    request: AttackRequest,
    chosen: ChosenAttack,
    against: Victim,
    pictures: Pictures,
    notify: Callable[[str], None],
) -> Evaluation:
    pictures, notes = _as_taken(request, against, pictures)
    images, labels = pictures.images.to(request.device), pictures.labels.to(request.device)
    trial, few = (
        trial_on(against, images[:n], labels[:n], request.seed, pictures.told_by)
        for n in (len(images), AUDITED)
    )
    with with_threads(request.threads_used):
        _probe(request, trial, pictures)
        values, wrong, attacked = attack_values(chosen, trial, partial(_tell, chosen, notify))
        if wrong:
            raise UsageError(f"attack {request.attack} can't be believed: {wrong}")
        before, after = (against.logits(x).cpu() for x in (images, attacked))
        findings = (
            _audit(chosen, few, attacked[: len(few.images)], notify) if request.audits else []
        )
        adapted = adapted_values(chosen, trial, findings, request.bpda) if request.adapts else []
    rows = [*values, *adapted, *(values_of(findings, len(few.images)) if findings else [])]
    return Evaluation(rows, findings, pictures, attacked.cpu(), before, after, chosen, notes)


def _tell(chosen: ChosenAttack, notify: Callable[[str], None], done: int) -> None:
    """Which radius comes next."""
    radii = chosen.radii
    if not radii:
        notify("search")
    elif done < len(radii):
        notify(f"radius {radii[done]:.4g}, {done + 1} of {len(radii)}")


def _is_trained(name: str) -> bool:
    """Whether a classifier is trained here, on the data that it is attacked on."""
    return name in CLASSIFIERS and not isinstance(CLASSIFIERS[name].part, Ready)


def _victim(request: AttackRequest, cache: ArtifactStore) -> Victim:
    if request.classifier in CLASSIFIERS or not is_users(request.classifier):
        entry = CLASSIFIERS[request.classifier]
        if isinstance(entry.part, Ready) and request.data not in DATASETS:
            model = entry.part.load().to(request.device)
            return Victim(model, CONFIDENCES[entry.facts.confidence], "")
        if request.data == ARRAYS:
            raise UsageError(
                f"classifier '{request.classifier}' is trained on a data set that has a name: "
                "expected one (`bench list datasets`), a folder or an .npz file"
            )
        place = read_name(request.data)
        home = place.name if place.side else request.data
        if reason := unfit(request.classifier, home):
            raise UsageError(reason)
        order = ClassifierOrder(request.classifier, home, request.seed)
        return victim(order, cache, request.device)
    found = load_model(request.classifier, request.weights, request.preparation, request.trust)
    return _own(found)


def _own(model: Prepared) -> Victim:
    return Victim(model, softmax, "")


def _as_taken(
    request: AttackRequest, against: Victim, pictures: Pictures
) -> tuple[Pictures, list[str]]:
    """The images in the colours that were asked for; else as they are, and, where the classifier
    can't read them so, in those that it can where that loses nothing. With what to say of it.
    """
    images, have = pictures.images, pictures.images.shape[1]
    channels = {"grey": 1, "rgb": 3}.get(request.colours, have)
    if not request.colours:
        channels = channels_for(partial(_reads, request, against), images)
    said = told_channels(have, channels) if have in COLOURS else ""
    if said:
        images = in_channels(images, channels).contiguous()
    notes = (*pictures.notes, said, darkness(float(pictures.images.max()), request.data))
    return replace(pictures, images=images), [note for note in notes if note]


def _reads(request: AttackRequest, against: Victim, images: Tensor) -> bool:
    """Whether a classifier can read an image."""
    try:
        _asked_once(request, against, images.to(request.device))
    except UsageError:
        return False
    return True


def _probe(request: AttackRequest, trial: Trial, pictures: Pictures) -> None:
    """Raise UsageError where the classifier can't read the images, or its answers are none."""
    images, labels = trial.images, trial.labels
    counts = {1, min(len(images), PROBED)}
    logits = [_asked_once(request, trial.against, images[:n]) for n in sorted(counts)][-1]
    if not logits.is_floating_point():
        raise UsageError(f"{request.classifier}: expected logits as floats, got {logits.dtype}")
    broken = ~trial.against.logits(images).isfinite().all(1)
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


def _asked_once(request: AttackRequest, against: Victim, images: Tensor) -> Tensor:
    """The logits of a few images. Raises UsageError where there are none."""
    with frozen(against.model):
        logits = _tried(request, against, ordinary(images).clone().requires_grad_())
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
        raise UsageError(f"{request.classifier}: {expected_logits(logits, len(images))}")
    return logits


def _tried(request: AttackRequest, against: Victim, images: Tensor) -> Any:
    """What the model returns. Raises UsageError where it can't read the images."""
    try:
        return against.model(images)
    except UsageError:
        raise
    except Exception as error:
        means, channels = len(request.preparation.mean), images.shape[1]
        other = f"{means} means for {channels} channels; " if means not in (0, 1, channels) else ""
        raise UsageError(
            f"{request.classifier} can't read images {list(images.shape[1:])}, {len(images)} at "
            f"once: {other}{one_line(f'{type(error).__name__}: {error}', 150)}; expected a "
            "differentiable float32 model for batches of any size"
        ) from error


def _audit(
    chosen: ChosenAttack, trial: Trial, attacked: Tensor, notify: Callable[[str], None]
) -> list[Finding]:
    """The diagnostics; none where the attack has no radius, or no image is right. They are about
    images that are to be misled: those that an attack made for targets are not held against it.
    """
    radii = [radius for radius in chosen.radii or chosen.counted if radius > 0]
    if not radii or not bool((trial.against.logits(trial.images).argmax(1) == trial.labels).any()):
        return []

    def tell(begun: int, of: int) -> None:
        notify(f"audit, {begun} of {of}")

    given = attacked if chosen.settings.targets == "none" else None
    if given is not None and chosen.counted:
        far = size(attacked.double() - trial.images.double(), chosen.settings.norm) > radii[-1]
        given = torch.where(spread(far, attacked).bool(), trial.images, attacked)
    return audit_trial(trial, chosen.settings, radii, usual(), given, tell)
