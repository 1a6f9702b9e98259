"""Our own protocol under which a plain GAN collapses, chosen by a pilot (docs/collapse.md).

The critic is too slow for its generator, which runs from mode to mode before the critic has learnt
that it left. A critic ten times as fast, and nothing else, makes the same GAN cover every mode.
"""

from generative.networks import Initialisation, Mlp
from generative.protocols.base import PROTOCOLS, Adam, Protocol

PROTOCOLS.register(
    "collapsing",
    summary="2 x 128 ReLU against 2 x 128 leaky ReLU, z in the plane, Adam 3e-4 against 5e-5: a "
    "plain GAN collapses",
)(
    Protocol(
        generator=Mlp((128, 128)),
        critic=Mlp((128, 128), "leaky_relu"),
        initialisation=Initialisation(),
        generator_adam=Adam(3e-4, (0.5, 0.999)),
        critic_adam=Adam(5e-5, (0.5, 0.999)),
        latent=2,
        batch=128,
        steps=8_000,
        milliseconds=2.1,
    )
)
