"""Whose laws there are: the registries by kind, and which kind a part of the user's is of."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attacks import ATTACKS, FixedBudget, MinimalNorm, foolbox_adapter
from attacks.certificates import CERTIFICATES, Certificate
from attacks.classifiers import CLASSIFIERS, Classifier, Defended, Ensemble, Ready
from attacks.corruptions import CORRUPTIONS, Corruption
from attacks.diagnostics import DIAGNOSTICS
from attacks.patches import PATCHES, PatchMaker
from bench.core import usercode
from bench.core.errors import UsageError, one_line, unknown
from bench.core.registry import Entry, Registry
from bench.datasets import DATASETS, Dataset
from bench.datasets.encoders import ENCODERS, CaptionEncoder
from bench.extractors import EXTRACTORS, Extractor
from bench.tasks import TASKS, Task
from generative import (
    CONSTRAINTS,
    CRITICS,
    DYNAMICS,
    GENERATORS,
    LOSSES,
    NETWORKS,
    PENALTIES,
    PROTOCOLS,
    RECIPES,
    TERMS,
    TRANSLATION_PROTOCOLS,
    VIEWS,
    Constraint,
    CriticForm,
    Dynamics,
    GeneratorForm,
    Loss,
    Network,
    Penalty,
    Protocol,
    Recipe,
    Term,
    View,
)
from generative.protocols.translation import TranslationProtocol
from generative.pyramids import BLENDS, CODERS, PYRAMIDS, Blend, Coder, Pyramid
from metrics import JUDGES, METRICS, RULES, Judge, Rule
from metrics.judges.segmenter import SEGMENTERS, Segmenter
from metrics.judges.towers import TOWERS, Towers


def _takes(*names: str) -> Callable[[Any], bool]:
    """Whether a part is a function of these arguments."""
    return lambda part: (
        inspect.isfunction(part) and [*inspect.signature(part).parameters] == [*names]
    )


def _of(*kinds: type) -> Callable[[Any], bool]:
    return lambda part: isinstance(part, kinds)


def _is_loss(part: Any) -> bool:
    return inspect.isclass(part) and issubclass(part, Loss) and not inspect.isabstract(part)


CONTRACTS: list[tuple[Registry, Callable[[Any], bool]]] = [
    (LOSSES, _is_loss),
    (PENALTIES, _of(Penalty)),
    (CONSTRAINTS, _of(Constraint)),
    (VIEWS, _of(View)),
    (TERMS, _of(Term)),
    (DYNAMICS, _of(Dynamics)),
    (CRITICS, _of(CriticForm)),
    (GENERATORS, _of(GeneratorForm)),
    (NETWORKS, _of(Network)),
    (RECIPES, _of(Recipe)),
    (PROTOCOLS, _of(Protocol)),
    (TRANSLATION_PROTOCOLS, _of(TranslationProtocol)),
    (PYRAMIDS, _of(Pyramid)),
    (CODERS, _of(Coder)),
    (BLENDS, _of(Blend)),
    (METRICS, _takes("real", "fake")),
    (RULES, _of(Rule)),
    (JUDGES, _of(Judge)),
    (SEGMENTERS, _of(Segmenter)),
    (TOWERS, _of(Towers)),
    (DATASETS, _of(Dataset)),
    (ENCODERS, _of(CaptionEncoder)),
    (TASKS, _of(Task)),
    (ATTACKS, _of(FixedBudget, MinimalNorm)),
    (CERTIFICATES, _of(Certificate)),
    (CORRUPTIONS, _of(Corruption)),
    (PATCHES, _of(PatchMaker)),
    (CLASSIFIERS, _of(Classifier, Ensemble, Defended, Ready)),
    (EXTRACTORS, _of(Extractor)),
    (DIAGNOSTICS, _takes("scene")),
]
"""Every registry, with what a part of it is."""


def registries() -> dict[str, Registry]:
    """By the kind of their parts."""
    return {registry.kind: registry for registry, _ in CONTRACTS}


def fits(kind: str, part: Any) -> bool:
    """Whether a part is what the registry of a kind promises."""
    return any(is_one(part) for registry, is_one in CONTRACTS if registry.kind == kind)


def find(name: str, kind: str = "") -> tuple[Entry, str]:
    """A registered part, or one of the user's as `module:attribute`, and its kind.

    Raises UsageError for a name that nothing answers to, with the nearest; for what is no part;
    and where a name is in several registries and no kind says which.
    """
    known = registries()
    if kind and kind not in known:
        raise unknown("kind of part", kind, known)
    if name.startswith(foolbox_adapter.PREFIX):
        return foolbox_adapter.adapt(name), ATTACKS.kind
    users = ":" in name
    if users:
        usercode.add_folder(Path.cwd())
    part = usercode.load(name) if users else None
    kinds = [
        each
        for each, registry in known.items()
        if (not kind or each == kind) and (fits(each, part) if users else name in registry)
    ]
    if len(kinds) == 1:
        return known[kinds[0]][name], kinds[0]
    if kinds:
        raise UsageError(f"'{name}' is a {' and a '.join(kinds)}: say which by `kind`")
    if users:
        raise UsageError(
            f"'{name}' is no {kind or 'part'}: expected one of {', '.join(known)}, got "
            f"{one_line(repr(part), 80)}"
        )
    names = {each for registry in known.values() for each in registry}
    raise unknown(kind or "part", name, names if not kind else known[kind])
