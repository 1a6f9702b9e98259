"""What holds for every protocol: its networks fit the data or say so, train, stop and go on."""

from __future__ import annotations

from functools import partial

from bench.core.randomness import stream
from bench.core.registry import Entry
from bench.datasets import DATASETS
from bench.laws import base, translators
from bench.laws.base import each
from bench.laws.networks import SHAPES, must_fit, must_mix_as_said, refusal_of
from bench.laws.recipes import RING, STACKS, Place, digest, resumed, straight, trained
from generative import PROTOCOLS, RECIPES, TRANSLATION_PROTOCOLS, Training

law = partial(base.law, PROTOCOLS.kind)
MODELS = each(["gan", "vae", "autoencoder"])


def _refusal(protocol: Entry, shape: tuple[int, ...]) -> str:
    """Why a protocol is not for data of a shape, by both players alike, or empty."""
    part = protocol.part
    return refusal_of(part.generator, part.critic, part.latent, shape)


@base.once
def _place(protocol: Entry) -> Place:
    """A protocol where it belongs: on points, or on small or on larger images."""
    for data in (RING, STACKS.data, DATASETS["stack2@mnist5k"].part, DATASETS["dirac"].part):
        if not _refusal(protocol, data.source(0).shape):
            return Place(data, Training(protocol.name, steps=4, batch=16), cut=2)
    raise AssertionError("there are no data for it: points, 8 x 8 or 28 x 28 pixels, dirac")


@law(cases=MODELS)
def a_protocol_trains_and_resumes(protocol: Entry, name: str) -> None:
    """Networks, optimisers, batch norm: all of it stops and goes on bit for bit."""
    recipe, place = RECIPES[name], _place(protocol)
    once = straight(recipe, place)
    assert once[1].shape == (50, *place.data.source(0).shape)
    assert once[1].isfinite().all()
    assert digest(resumed(recipe, place.cut, place)) == digest(once)


@law(cases=MODELS)
def sampling_is_evaluation(protocol: Entry, name: str) -> None:
    """Batch norm uses its running statistics: one sample can be had, and none moves them."""
    fitted = trained(RECIPES[name], _place(protocol), 0)[2]
    before = digest(fitted.tensors())
    assert fitted.sample(1, stream("one")).isfinite().all()
    fitted.sample(500, stream("many"))
    assert digest(fitted.tensors()) == before


@law(cases=each({str(list(shape)): shape for shape in SHAPES}))
def a_protocol_fits_the_shape_of_the_data(protocol: Entry, shape: tuple[int, ...]) -> None:
    """Samples have it, images are in [0, 1], and the critic gives one logit for each; or both
    players say what they expected and what to do.
    """
    part = protocol.part
    must_fit(part.generator, part.critic, part.latent, shape)


@law()
def networks_say_whether_they_mix(protocol: Entry) -> None:
    """A network that mixes gives an example another output in other company; unmixed, it doesn't,
    and is a network of the same layers.
    """
    part = protocol.part
    shape = next(each for each in ((1, 28, 28), (1,)) if not _refusal(protocol, each))
    for network in (part.critic, part.generator):
        must_mix_as_said(network, shape)


@base.law(TRANSLATION_PROTOCOLS.kind, cases=each(["pix2pix", "cyclegan"]))
def a_translation_protocol_trains(protocol: Entry, name: str) -> None:
    """On images that it can do; here its networks are tiny."""
    training = Training(protocol.name, steps=2, batch=1)
    made = translators.tried(RECIPES[name].part.trainer(training, (3, 256, 256)))
    assert made.isfinite().all()
