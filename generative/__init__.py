"""Generative models: noise in, samples out. Importing this package registers every part."""

from bench.core.registry import Registry, import_all
from generative import (
    constraints,
    critics,
    dynamics,
    generators,
    layers,
    losses,
    penalties,
    protocols,
    recipes,
    terms,
    views,
)
from generative.contracts import (
    CONSTRAINTS,
    LOSSES,
    PENALTIES,
    RECIPES,
    Autoencoder,
    CaptionDecoder,
    CaptionSampler,
    CodeReader,
    Completer,
    ConditionalSampler,
    Constraint,
    ConstraintFacts,
    Contested,
    Data,
    Decoder,
    Density,
    DensitySampler,
    Diverged,
    Fitted,
    LatentSampler,
    Loss,
    LossFacts,
    Penalty,
    PenaltyFacts,
    Pulled,
    Recipe,
    RecipeFacts,
    Sampler,
    Trainer,
    Translator,
)
from generative.dynamics.base import DYNAMICS, Dynamics
from generative.games.base import Game, Move, Summand, Table
from generative.networks import NETWORKS, Network
from generative.parts import (
    CRITICS,
    GENERATORS,
    TERMS,
    VIEWS,
    CriticForm,
    GeneratorForm,
    Moving,
    Sight,
    Sighted,
    Term,
    View,
)
from generative.protocols.base import PROTOCOLS, Adam, Protocol
from generative.protocols.translation import TRANSLATION_PROTOCOLS
from generative.training import Training

import_all(layers)
import_all(protocols)
import_all(recipes)
for _parts in (losses, penalties, constraints, views, terms, critics, generators, dynamics):
    import_all(_parts)

PARTS: tuple[Registry, ...] = (
    LOSSES,
    PENALTIES,
    CONSTRAINTS,
    VIEWS,
    TERMS,
    DYNAMICS,
    CRITICS,
    GENERATORS,
)
"""Of everything that adversarial games are made of."""

__all__ = [
    "CONSTRAINTS",
    "CRITICS",
    "DYNAMICS",
    "GENERATORS",
    "LOSSES",
    "NETWORKS",
    "PARTS",
    "PENALTIES",
    "PROTOCOLS",
    "RECIPES",
    "TERMS",
    "TRANSLATION_PROTOCOLS",
    "VIEWS",
    "Adam",
    "Autoencoder",
    "CaptionDecoder",
    "CaptionSampler",
    "CodeReader",
    "Completer",
    "ConditionalSampler",
    "Constraint",
    "ConstraintFacts",
    "Contested",
    "CriticForm",
    "Data",
    "Decoder",
    "Density",
    "DensitySampler",
    "Diverged",
    "Dynamics",
    "Fitted",
    "Game",
    "GeneratorForm",
    "LatentSampler",
    "Loss",
    "LossFacts",
    "Move",
    "Moving",
    "Network",
    "Penalty",
    "PenaltyFacts",
    "Protocol",
    "Pulled",
    "Recipe",
    "RecipeFacts",
    "Sampler",
    "Sight",
    "Sighted",
    "Summand",
    "Table",
    "Term",
    "Trainer",
    "Training",
    "Translator",
    "View",
]
