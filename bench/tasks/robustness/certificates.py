"""What a certificate is asked: settings, radii, and the part with its own settings put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from attacks.certificates import CERTIFICATES, Certificate, CertificateFacts
from attacks.certificates.chain import read
from attacks.classifiers import Defended
from bench.core.errors import UsageError, unknown
from bench.core.registry import Entry
from bench.models.brought import SETTINGS
from bench.models.classifiers import classifier_of, labelled, untrained
from bench.tasks.robustness.settings import (
    NORM,
    RADII,
    ImageSettings,
    parse_radii,
    settings_of,
    with_settings,
)
from bench.tasks.values import checked


@dataclass(frozen=True)
class ChosenCertificate:
    """A cell's settings, its certificate with its own settings put in, and those of both."""

    settings: ImageSettings
    certificate: Certificate
    facts: CertificateFacts
    relevant: dict[str, Any]

    @property
    def radii(self) -> list[float]:
        """In rising order."""
        return parse_radii(self.settings.radii)


def certificate_of(name: str) -> Entry[Certificate, CertificateFacts]:
    """A registered certificate or one of the user's. Raises UsageError otherwise."""
    entry = CERTIFICATES[name]
    if not isinstance(entry.part, Certificate):
        kind = type(entry.part).__name__
        raise UsageError(
            f"certificate '{name}' is a {kind}: expected an attacks.certificates.Certificate"
        )
    return entry


def choose_certificate(name: str, settings: Mapping[str, Any]) -> ChosenCertificate:
    """A certificate with settings, checked; those of other certificates are left out, so that a
    grid shares its settings. Raises UsageError for one that neither task nor certificate knows.
    """
    entry = certificate_of(name)
    known, norms = settings_of(entry.part), entry.part.norms
    every = {key for other in CERTIFICATES.entries() for key in settings_of(other.part)} | {*known}
    own = {key: value for key, value in settings.items() if key in known}
    rest = {k: v for k, v in settings.items() if k not in every and k not in SETTINGS}
    rest.setdefault("norm", NORM if NORM in norms else norms[0])
    rest.setdefault("radii", RADII.get(rest["norm"], RADII[NORM]))
    asked = checked(ImageSettings, rest, known)
    part = with_settings(entry.part, own, name)
    if asked.norm not in norms:
        raise unknown("norm", asked.norm, norms, f"(certificate {name} knows these)")
    parse_radii(asked.radii)
    relevant = {**asked.model_dump(), **settings_of(part)}
    return ChosenCertificate(asked, part, entry.facts, relevant)


def unread(parts: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """Why a cell's certificate can't read its classifier, or empty."""
    return _unread(parts["certificate"], parts["model"], parts["dataset"])


@cache
def _unread(certificate: str, model: str, dataset: str) -> str:
    """Why a certificate can't read a registered classifier, or empty; of one that comes as it is
    nothing is said before it is there.
    """
    takes = certificate_of(certificate).facts.takes
    if takes == "any":
        return ""
    if isinstance(classifier_of(model).part, Defended):
        return f"{certificate} reads layers, and {model} is behind a defence: use smoothing"
    network = untrained(model, dataset)
    if network is None:
        return ""
    try:
        chain = read(network, torch.zeros(1, *labelled(dataset).source(0).shape))
    except UsageError as error:
        return f"{certificate} can't read {model}: {error}"
    if takes == "linear" and chain.activations:
        return f"{certificate} is for linear classifiers, {model} has hidden units: use crown"
    return ""
