"""The classifiers that are attacked: trained once as an artifact, or ready as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from attacks.classifiers import (
    CLASSIFIERS,
    AnyClassifier,
    Classifier,
    ClassifierFacts,
    Defended,
    Ensemble,
    Ready,
)
from attacks.engine import Answers, classify, frozen, independent, logits_of, softmax
from bench.core.digests import digest_of
from bench.core.errors import UsageError
from bench.core.randomness import forked
from bench.core.registry import Entry
from bench.datasets.labelled import Labelled, LabelledSource
from bench.datasets.named import dataset_named
from bench.models.brought import brought, held_by, is_brought
from bench.models.defences import (
    PRIORS,
    decoder_of,
    modules_of,
    own_state,
    prior_key,
    prior_seconds,
)
from bench.models.fitted import errors_of, made
from bench.models.store import ArtifactStore, artifact_key

KIND = "classifier"
LABELLED = frozenset({"images", "classes"})
"""What a data set must offer for a classifier to be trained and attacked on it."""
CONFIDENCES = {"softmax": softmax, "exp": independent}


@dataclass(frozen=True, eq=False)
class Victim:
    """A classifier that is ready to be attacked: images [n, c, h, w] in [0, 1] to logits."""

    model: nn.Module
    confidences: Callable[[Tensor], Tensor]
    key: str

    def logits(self, images: Tensor) -> Tensor:
        """Its logits, without gradients; the model is left as it was found."""
        with frozen(self.model):
            return logits_of(self.model, images)

    def classify(self, images: Tensor) -> Answers:
        """The likeliest class of each image and its probability, likewise."""
        with frozen(self.model):
            return classify(self.model, images, self.confidences)


@dataclass(frozen=True)
class ClassifierOrder:
    """Everything that decides a trained classifier; settings: of a network of the user's own."""

    name: str
    dataset: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def key(self, device: str) -> str:
        """The artifact's key, what it is made of in it; of an ensemble or a ready classifier, which
        have no artifact, of that alone.
        """
        return artifact_key(KIND, self._identity(device))

    def _identity(self, device: str) -> dict[str, Any]:
        entry, data = classifier_of(self.name, self.settings), labelled(self.dataset)
        facts: dict[str, Any] = {"classifier": self.name}
        facts |= {"code": digest_of((__name__, entry.origin))}
        if isinstance(entry.part, Classifier | Defended):
            facts |= {"settings": entry.part.settings(), "seed": self.seed, "device": device}
            facts |= {"dataset": data.fingerprint}
        if held := held_by(entry):
            facts |= {"network": held}
        if isinstance(entry.part, Ensemble | Defended):
            facts |= {"members": [member.key(device) for member in self.members()]}
        if isinstance(entry.part, Defended) and entry.part.prior is not None:
            prior = prior_key(entry.part.prior, self.dataset, self.seed, device)
            facts |= {"prior": prior, "decoded_by": digest_of((PRIORS,))}
        return facts

    def members(self) -> list[ClassifierOrder]:
        """What an ensemble is made of: members of one seed are shared with no other seed. What a
        defence stands before: the member of the same seed, as it is attacked without defence.
        """
        part = classifier_of(self.name).part
        if isinstance(part, Defended):
            return [ClassifierOrder(part.member, self.dataset, self.seed)]
        if not isinstance(part, Ensemble):
            return []
        first = self.seed * part.count
        return [ClassifierOrder(part.member, self.dataset, first + i) for i in range(part.count)]


def labelled(name: str) -> Labelled:
    """A registered data set of labelled images. Raises UsageError where it is none."""
    return dataset_named(name, LABELLED, "an attack")


def classifier_of(
    name: str, settings: Mapping[str, Any] = MappingProxyType({})
) -> Entry[AnyClassifier, ClassifierFacts]:
    """A registered classifier or one of the user's. settings: what the latter needs to be loaded
    and to read images. Raises UsageError where it is none.
    """
    if is_brought(name):
        return brought(name, settings)
    entry = CLASSIFIERS[name]
    if not isinstance(entry.part, AnyClassifier):
        kind = type(entry.part).__name__
        raise UsageError(
            f"model '{name}' is a {kind}: expected an attacks.classifiers.Classifier, Ensemble, "
            "Defended or Ready, or a network"
        )
    return entry


def unfit(name: str, dataset: str) -> str:
    """Why a classifier can't be attacked on a data set here, or empty."""
    entry, data = classifier_of(name), labelled(dataset)
    if data.missing:
        return data.missing
    if isinstance(entry.part, Ready) and entry.part.missing:
        return entry.part.missing
    shape, facts = data.source(0).shape, entry.facts
    if facts.inputs and (shape != facts.inputs or data.classes != facts.classes):
        return f"{name} reads images {facts.inputs} of {facts.classes} classes, not {dataset}"
    if isinstance(entry.part, Defended) and (reason := unfit(entry.part.member, dataset)):
        return reason
    if not isinstance(entry.part, Ready) and not len(data.split.images):
        return f"{dataset} has no images to train {name} on"
    return ""


def untrained(name: str, dataset: str) -> nn.Module | None:
    """A registered classifier as it is built for a data set, its weights not found yet: what its
    layers are. None for one that is not built by itself (that comes as it is, or is made of
    others), and where it is unfit.
    """
    part = classifier_of(name).part
    if not isinstance(part, Classifier) or unfit(name, dataset):
        return None
    data = labelled(dataset)
    with forked(0):
        return part.build(data.source(0).shape, data.classes).eval()


def origins_of(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> tuple[str, ...]:
    """The modules of a classifier, and of all that it is made of."""
    entry = classifier_of(name, settings)
    part = entry.part
    if isinstance(part, Defended):
        return (entry.origin, *origins_of(part.member), *modules_of(part.prior))
    return (entry.origin, *(origins_of(part.member) if isinstance(part, Ensemble) else ()))


def victim(order: ClassifierOrder, store: ArtifactStore, device: str) -> Victim:
    """The classifier of an order, from the store or trained now."""
    entry = classifier_of(order.name, order.settings)
    model = _network(order, entry.part, store, device)
    return Victim(model, CONFIDENCES[entry.facts.confidence], order.key(device))


def _network(
    order: ClassifierOrder, part: AnyClassifier, store: ArtifactStore, device: str
) -> nn.Module:
    if isinstance(part, Ready):
        return part.load().to(device)
    if isinstance(part, Ensemble):
        members = [victim(member, store, device).model for member in order.members()]
        return part.combine(members).eval()
    if isinstance(part, Defended):
        return _defended(order, part, store, device).eval()
    return _trained(order, part, store, device).eval()


def _trained(
    order: ClassifierOrder, part: Classifier, store: ArtifactStore, device: str
) -> nn.Module:
    source = labelled(order.dataset).source(order.seed, device)

    def build() -> nn.Module:
        return part.build(source.shape, source.classes)

    def found(network: nn.Module) -> tuple[Any, dict[str, Any]]:
        return dict(network.state_dict()), {"errors": errors_of(network, source)}

    network, state = _made(order, part, build, found, source, store)
    network.load_state_dict(state)
    return network


def _defended(
    order: ClassifierOrder, part: Defended, store: ArtifactStore, device: str
) -> nn.Module:
    """A member behind its defence; its artifact holds what the defence has of its own."""
    source = labelled(order.dataset).source(order.seed, device)
    (member,) = (victim(one, store, device).model for one in order.members())
    decoder = None
    if part.prior is not None:
        decoder = decoder_of(part.prior, order.dataset, order.seed, store, device)
    others = [member] if decoder is None else [member, decoder]
    for other in others:
        other.requires_grad_(False)

    def found(network: nn.Module) -> tuple[Any, dict[str, Any]]:
        return own_state(network, others), {}

    def build() -> nn.Module:
        return part.build(member, decoder, source.shape)

    network, state = _made(order, part, build, found, source, store)
    network.load_state_dict({**network.state_dict(), **state})
    return network


def _made(
    order: ClassifierOrder,
    part: Classifier | Defended,
    build: Callable[[], nn.Module],
    found: Callable[[nn.Module], tuple[Any, dict[str, Any]]],
    source: LabelledSource,
    store: ArtifactStore,
) -> tuple[nn.Module, Any]:
    purpose = ("artifact", KIND, order.name, order.dataset, order.seed)
    key = order.key(source.device)
    return made((KIND, key), purpose, build, part.train, found, source, store)


def training_seconds(name: str, dataset: str) -> float:
    """A forecast of the training of a classifier on one core, all that it is made of included."""
    part, examples = classifier_of(name).part, len(labelled(dataset).split.images)
    if isinstance(part, Ensemble):
        return part.count * training_seconds(part.member, dataset)
    if isinstance(part, Defended):
        others = training_seconds(part.member, dataset) + prior_seconds(part.prior)
        return part.seconds(examples) + others
    return part.seconds(examples) if isinstance(part, Classifier) else 0.0
