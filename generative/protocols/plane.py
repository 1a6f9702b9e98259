"""Our own protocol for points in the plane: small, fast, chosen by a pilot (docs/pilot.md)."""

from generative.networks import Initialisation, Mlp
from generative.protocols.base import PROTOCOLS, Adam, Protocol

PROTOCOLS.register(
    "plane",
    summary="3 x 128 ReLU against 3 x 128 leaky ReLU, z in the plane, Adam 1e-3, 8,000 steps",
)(
    Protocol(
        generator=Mlp((128, 128, 128)),
        critic=Mlp((128, 128, 128), "leaky_relu"),
        initialisation=Initialisation(),
        generator_adam=Adam(1e-3, (0.5, 0.999)),
        critic_adam=Adam(1e-3, (0.5, 0.999)),
        latent=2,
        batch=128,
        steps=8_000,
        milliseconds=2.7,
    )
)
