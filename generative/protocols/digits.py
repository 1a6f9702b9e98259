"""Our own protocol for small images: a DCGAN that a laptop can train (docs/pilot.md)."""

from generative.networks import Dcgan, Initialisation
from generative.protocols.base import PROTOCOLS, Adam, Protocol

PROTOCOLS.register(
    "small-dcgan",
    paper="arXiv:1511.06434",
    summary="DCGAN's layer rules at width 16, z 16, Adam 2e-3, batch 32, averaged weights",
)(
    Protocol(
        generator=Dcgan(16),
        critic=Dcgan(16),
        initialisation=Initialisation("normal", 0.02),
        generator_adam=Adam(2e-3, (0.5, 0.999)),
        critic_adam=Adam(2e-3, (0.5, 0.999)),
        latent=16,
        batch=32,
        steps=3_000,
        average=0.995,
        milliseconds=16.0,
        deviations="two strided layers for four, 4 x 4 for 5 x 5 kernels, 16 z from N(0, I) for "
        "100 uniform ones, batch 32 for 128, Adam 2e-3 for 2e-4, averaged weights of the generator",
    )
)
