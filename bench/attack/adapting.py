"""The figures of an attack that is adapted to what the audit found, beside the plain ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import nn

from attacks import MinimalNorm
from attacks.adaptive import REMEDIES, Remedy, adaptive, remedies, straight_through
from attacks.audit import Finding
from bench.core import usercode
from bench.core.errors import UsageError
from bench.tasks.base import Value
from bench.tasks.robustness.attack import ADAPTABLE, ADAPTED, attack_values
from bench.tasks.robustness.base import Trial
from bench.tasks.robustness.settings import ChosenAttack


def asked_for(findings: Sequence[Finding]) -> tuple[Remedy, ...]:
    """The remedies that the diagnostics which fire ask for."""
    return remedies(finding.name for finding in findings if finding.fires)


def tried(findings: Sequence[Finding], bpda: str) -> tuple[Remedy, ...]:
    """Those that can be tried: with a part named the gradient passes through it, whether or not a
    diagnostic fires; without one a surrogate is attacked.
    """
    names = {remedy.name for remedy in asked_for(findings)}
    names = (names | {"bpda"}) - {"surrogate"} if bpda else names - {"bpda"}
    return tuple(remedy for remedy in REMEDIES if remedy.name in names)


def part_named(name: str) -> Callable[..., Any]:
    """A part of the user's classifier. Raises UsageError for what can't be called."""
    part = usercode.load(name)
    if not callable(part):
        raise UsageError(f"`bpda`: {name} is a {type(part).__name__}: expected a callable")
    return part


def adapted_values(
    chosen: ChosenAttack, trial: Trial, findings: Sequence[Finding], bpda: str
) -> list[Value]:
    """The figures of the adapted attack at the radii of the plain one, or those that a search is
    counted at; each says what was adapted. None where nothing asks for it. Raises UsageError where
    it can't be believed, or for a part that the classifier does not use.
    """
    ways = tried(findings, bpda)
    if not ways:
        return []
    settings = chosen.settings
    if isinstance(chosen.attack, MinimalNorm):
        settings = settings.model_copy(update={"radii": settings.within})
    own = replace(chosen, settings=settings, attack=adaptive(ways))
    passed = any(way.name == "bpda" for way in ways)
    with through(bpda, trial.against.model) if passed else through("", None):
        values, wrong, _ = attack_values(own, trial)
    if wrong:
        raise UsageError(f"the adapted attack can't be believed: {wrong}")
    said = "; ".join(way.done for way in ways)
    return [
        replace(value, metric=f"{value.metric}@{ADAPTED}", label=said)
        for value in values
        if value.metric in ADAPTABLE
    ]


@contextmanager
def through(name: str, model: Any) -> Iterator[None]:
    """In here gradients pass straight through the part of a classifier that a name says: a
    function, a kind of layer or a layer; nothing is changed for an empty name. Raises UsageError
    afterwards where the classifier never came by.
    """
    if not name:
        yield
        return
    part, came = part_named(name), []
    places = [*_places(part, model)]
    kept = [getattr(owner, key) for owner, key in places]
    here = [key in vars(owner) for owner, key in places]
    try:
        for (owner, key), found in zip(places, kept, strict=True):
            setattr(owner, key, _told(found, came, method=isinstance(owner, type)))
        yield
    finally:
        for (owner, key), found, had in zip(places, kept, here, strict=True):
            setattr(owner, key, found) if had else delattr(owner, key)
    if not came:
        raise UsageError(
            f"`bpda`: {name} is no part that the classifier calls: expected a function that is "
            "looked up where it is called, a torch.nn.Module or its class"
        )


def _told(part: Callable[..., Any], came: list[bool], method: bool) -> Callable[..., Any]:
    """The part with the identity's gradient, that tells when it is called."""

    def plain(given: Any, *more: Any, **named: Any) -> Any:
        came.append(True)
        return straight_through(part)(given, *more, **named)

    def bound(self: Any, given: Any, *more: Any, **named: Any) -> Any:
        came.append(True)
        return straight_through(lambda x, *a, **k: part(self, x, *a, **k))(given, *more, **named)

    return bound if method else plain


def _places(part: Any, model: Any) -> Iterator[tuple[Any, str]]:
    """Where a part is looked up: as the forward of a layer, a name of its module, an attribute of
    one of the classifier's layers.
    """
    if isinstance(part, nn.Module) or (isinstance(part, type) and issubclass(part, nn.Module)):
        yield part, "forward"
        return
    owners: list[Any] = [sys.modules.get(getattr(part, "__module__", ""))]
    owners += model.modules() if isinstance(model, nn.Module) else []
    for owner in owners:
        for key, value in list(vars(owner).items()) if owner is not None else ():
            if value is part:
                yield owner, key
