"""The generative models that defences rest on: the artifacts of the task image, asked for codes."""

from __future__ import annotations

from attacks.classifiers import Decoder, Prior
from bench.core.errors import UsageError
from bench.datasets.named import dataset_named, entry_named
from bench.models.generators import train
from bench.models.orders import TrainingOrder
from bench.models.store import ArtifactStore
from generative import RECIPES, Training
from generative.samplers import GeneratorSampler

IMAGES, USER = ("images",), "a defence"
LOOKS = 5
"""How often a training is looked at on the way: as often as task image does, so that both have one
artifact.
"""


def order_of(prior: Prior, dataset: str, seed: int) -> TrainingOrder:
    """What is trained, on a data set's training images: the same artifact as a cell of task image
    that sets no more than the prior does.
    """
    entry = entry_named(dataset, IMAGES, USER)
    data = entry.part
    modules = (entry.origin, type(data).__module__)
    told = (_training(prior), data.fingerprint, seed, LOOKS, modules)
    return TrainingOrder(prior.recipe, *told, fixed_noise=True)


def modules_of(prior: Prior) -> tuple[str, ...]:
    """The modules that make it."""
    recipe = RECIPES[prior.recipe]
    return (recipe.origin, *recipe.part.modules(_training(prior)))


def seconds_of(prior: Prior) -> float:
    """A forecast of its training on one core."""
    return RECIPES[prior.recipe].part.seconds(_training(prior))


def decoder(prior: Prior, dataset: str, seed: int, store: ArtifactStore, device: str) -> Decoder:
    """Its trained generator, from the store or trained now. Raises UsageError where it diverged, or
    is no generator of codes alone.
    """
    source = dataset_named(dataset, IMAGES, USER).source(seed, device)
    found = train(order_of(prior, dataset, seed), source, store)
    if found.fitted is None:
        raise UsageError(
            f"model '{prior.recipe}', seed {seed}, diverged: {found.diverged}: the defence needs "
            "one that draws images; try another seed"
        )
    if not isinstance(found.fitted, GeneratorSampler):
        kind = type(found.fitted).__name__
        raise UsageError(
            f"model '{prior.recipe}' gives a {kind}: a defence needs a generator of codes alone"
        )
    return Decoder(found.fitted.network, found.fitted.latent, found.fitted.prior)


def _training(prior: Prior) -> Training:
    return Training(prior.protocol, **dict(prior.settings))
