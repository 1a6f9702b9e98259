"""Generative models: noise in, samples out. Importing this package registers every part."""

from bench.registry import import_all
from generative import losses, protocols, recipes
from generative.contracts import (
    LOSSES,
    RECIPES,
    Data,
    Density,
    DensitySampler,
    Diverged,
    Fitted,
    Loss,
    LossFacts,
    Recipe,
    RecipeFacts,
    Sampler,
    Trainer,
    Training,
)
from generative.protocols.base import PROTOCOLS, Adam, Protocol

import_all(protocols)
import_all(recipes)
import_all(losses)

__all__ = [
    "LOSSES",
    "PROTOCOLS",
    "RECIPES",
    "Adam",
    "Data",
    "Density",
    "DensitySampler",
    "Diverged",
    "Fitted",
    "Loss",
    "LossFacts",
    "Protocol",
    "Recipe",
    "RecipeFacts",
    "Sampler",
    "Trainer",
    "Training",
]
