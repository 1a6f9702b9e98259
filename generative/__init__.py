"""Generative models: noise in, samples out. Importing this package registers every part."""

from bench.core.registry import import_all
from generative import constraints, losses, penalties, protocols, recipes
from generative.contracts import (
    CONSTRAINTS,
    LOSSES,
    PENALTIES,
    RECIPES,
    Autoencoder,
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
    Recipe,
    RecipeFacts,
    Sampler,
    Trainer,
    Translator,
)
from generative.protocols.base import PROTOCOLS, Adam, Protocol
from generative.protocols.translation import TRANSLATION_PROTOCOLS
from generative.training import Training

import_all(protocols)
import_all(recipes)
import_all(losses)
import_all(penalties)
import_all(constraints)

__all__ = [
    "CONSTRAINTS",
    "LOSSES",
    "PENALTIES",
    "PROTOCOLS",
    "RECIPES",
    "TRANSLATION_PROTOCOLS",
    "Adam",
    "Autoencoder",
    "Completer",
    "ConditionalSampler",
    "Constraint",
    "ConstraintFacts",
    "Contested",
    "Data",
    "Decoder",
    "Density",
    "DensitySampler",
    "Diverged",
    "Fitted",
    "LatentSampler",
    "Loss",
    "LossFacts",
    "Penalty",
    "PenaltyFacts",
    "Protocol",
    "Recipe",
    "RecipeFacts",
    "Sampler",
    "Trainer",
    "Training",
    "Translator",
]
