"""One classifier under one attack: the user's own, or a registered one, on images with labels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from attacks import Model
from attacks.audit import Finding, usual
from attacks.classifiers import CLASSIFIERS, Ready
from attacks.engine import at_once, frozen, softmax
from attacks.gradients import differentiable, ordinary
from attacks.norms import size, spread
from bench.attack.adapting import adapted_values, part_named
from bench.attack.parts import Parts
from bench.attack.pictures import Pictures, pictures_named
from bench.core.asfound import left_as_found
from bench.core.errors import UsageError, one_line
from bench.core.files import user_path
from bench.core.networks import moved
from bench.core.threads import THREADS, usual_threads, with_threads
from bench.core.usercode import blamed
from bench.datasets import DATASETS
from bench.datasets.images import COLOURS, darkness
from bench.datasets.named import read_name
from bench.datasets.pixels import channels_for, in_channels, told_channels
from bench.datasets.turns import told_alone
from bench.models.classifiers import CONFIDENCES, ClassifierOrder, Victim, unfit, victim
from bench.models.contents import contents_of
from bench.models.precision import in_precision
from bench.models.store import ArtifactStore
from bench.models.users import Preparation, Prepared, expected_logits, is_users, load_model, prepare
from bench.tasks.base import Value
from bench.tasks.robustness.attack import ROUNDING, members_of, values_seen
from bench.tasks.robustness.audit import audit_trial, values_of
from bench.tasks.robustness.base import Trial, trial_on
from bench.tasks.robustness.observing import Seen
from bench.tasks.robustness.settings import ChosenAttack, choose_attack, refuse_others

AUDITED = 200
PROBED = 3
ARRAYS = "arrays"
"""What a request calls data that came as they are."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an attack did. attacked: the images of the largest radius, or of the search. notes: what
    a reader of the figures should know of the images. seen: what became of each image. name: of the
    attack; examples: of the images. parts, read: of how many parts it is put together, and how many
    of them were kept from another time.
    """

    values: list[Value]
    findings: list[Finding]
    pictures: Pictures
    attacked: Tensor
    before: Tensor
    after: Tensor
    asked: ChosenAttack
    notes: list[str]
    seen: Seen
    name: str
    examples: str
    parts: int = 1
    read: int = 0

    @property
    def classes(self) -> list[str]:
        return self.pictures.classes

    @property
    def largest(self) -> float | None:
        """The largest radius; None of a search that is counted at none."""
        radii = self.asked.radii or self.asked.counted
        return radii[-1] if radii else None

    @property
    def right(self) -> Bool[np.ndarray, " n"]:
        """Which images were right before the attack."""
        assert self.seen.clean is not None
        return self.seen.clean.right

    @property
    def robust(self) -> Bool[np.ndarray, " n"]:
        """Which were right before it and at every radius; of a search without any: at its end."""
        last = self.seen.steps[-1][1]
        within = last.within
        if self.asked.counted:
            within = within & (last.distances <= self.asked.counted[-1] + ROUNDING)
        return self.right & ~within

    @property
    def finders(self) -> list[str]:
        """Of each image the attack that misled it at the largest radius; empty where none did."""
        last, names = self.seen.steps[-1][1], members_of(self.asked)
        misled = self.right & (last.predictions != self.pictures.labels.numpy())
        if last.finders is None or not names:
            return [self.name if bit else "" for bit in misled]
        found = zip(last.finders.tolist(), misled, strict=True)
        return [names[place] if place >= 0 and bit else "" for place, bit in found]


@dataclass(frozen=True)
class AttackRequest:
    """A classifier and images by name, and how to attack: as `bench attack` has them. batch_size: 0
    for what is usual. parts: a folder for the finished parts of a long evaluation.
    """

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
    batch_size: int = 0
    precision: str = "float32"
    parts: str | None = None
    per_class: bool = False

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
        if request.bpda:
            part_named(request.bpda)
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
    trial = replace(trial, precision=request.precision)
    with with_threads(request.threads_used), at_once(request.batch_size):
        _probe(request, trial, pictures)
        seen, parts, read = _parts(request, chosen, trial).seen(chosen, trial, notify)
        if seen.wrong:
            raise UsageError(f"attack {request.attack} can't be believed: {seen.wrong}")
        attacked = seen.attacked
        before, after = (against.logits(x).cpu() for x in (images, attacked))
        findings = (
            _audit(chosen, few, attacked[: len(few.images)], notify) if request.audits else []
        )
        adapted = adapted_values(chosen, trial, findings, request.bpda) if request.adapts else []
    if request.adapts and not adapted:
        notes = [*notes, UNADAPTED]
    rows = [*values_seen(chosen, seen, trial.examples), *adapted]
    rows += values_of(findings, len(few.images)) if findings else []
    made = (rows, findings, pictures, attacked.cpu(), before, after, chosen, notes)
    return Evaluation(*made, seen, request.attack, trial.examples, parts, read)


UNADAPTED = "nothing was adapted: no diagnostic fires that a remedy is known for"


def _parts(request: AttackRequest, chosen: ChosenAttack, trial: Trial) -> Parts:
    """The whole as one part, where neither parts nor a size of them were asked for."""
    if request.parts is None:
        return Parts(
            request.batch_size or len(trial.images), None, {}, request.attack, request.seed
        )
    about = {name: str(getattr(request, name)) for name in DECIDING}
    about |= {"settings": chosen.relevant, "threads": request.threads_used}
    about |= {"weights": contents_of(trial.against.model), "torch": torch.__version__}
    folder = user_path(request.parts)
    return Parts(request.batch_size, folder, about, request.attack, request.seed)


DECIDING = ("classifier", "attack", "preparation", "seed", "device", "precision", "batch_size")
"""What of a request decides what is seen of an image."""


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
    alone = told_alone(pictures.labels.numpy())
    notes = (*pictures.notes, alone, said, darkness(float(pictures.images.max()), request.data))
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
    if request.precision != "float32":
        narrow = in_precision(trial.against.model, request.precision, images.device)
        _asked_once(request, trial.against, images[:1], narrow)
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


def _asked_once(
    request: AttackRequest, against: Victim, images: Tensor, model: Model | None = None
) -> Tensor:
    """The logits of a few images. model: the classifier as it is asked, if not as it is. Raises
    UsageError where there are none.
    """
    with frozen(against.model):
        given = ordinary(images).clone().requires_grad_()
        logits = _tried(request, model or against.model, given)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
        raise UsageError(f"{request.classifier}: {expected_logits(logits, len(images))}")
    return logits


def _tried(request: AttackRequest, model: Model, images: Tensor) -> Any:
    """What the model returns. Raises UsageError where it can't read the images."""
    try:
        return model(images)
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
