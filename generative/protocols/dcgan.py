"""DCGAN as its paper has it, and as a laptop can train it."""

from generative.networks import Dcgan, Initialisation
from generative.protocols.base import PROTOCOLS, Adam, Protocol

PROTOCOLS.register(
    "dcgan",
    paper="arXiv:1511.06434",
    summary="Radford et al. 2016: 1024 to 128 channels on 64 x 64, z uniform, Adam 2e-4, batch 128",
)(
    Protocol(
        generator=Dcgan(128, layers=None, kernel=5),
        critic=Dcgan(128, layers=None, kernel=5),
        initialisation=Initialisation("normal", 0.02),
        generator_adam=Adam(2e-4, (0.5, 0.999)),
        critic_adam=Adam(2e-4, (0.5, 0.999)),
        latent=100,
        prior="uniform",
        batch=128,
        steps=25_000,
        milliseconds=20_000.0,
        deviations="25,000 steps where the paper counts epochs of data sets that are larger; the "
        "projection's batch norm is by channel, the authors' code has it by value; biases at the "
        "image, the critic's input and its head; batch norm's scales start at 1, in the authors' "
        "code at N(1, 0.02); no weight decay; "
        "critic first, then generator on new noise",
    )
)

PROTOCOLS.register(
    "dcgan-32",
    paper="arXiv:1511.06434",
    summary="DCGAN's layers at width 32, 64 z from N(0, I), Adam 1e-3, batch 64, averaged weights",
)(
    Protocol(
        generator=Dcgan(32, layers=None, kernel=5),
        critic=Dcgan(32, layers=None, kernel=5),
        initialisation=Initialisation("normal", 0.02),
        generator_adam=Adam(1e-3, (0.5, 0.999)),
        critic_adam=Adam(1e-3, (0.5, 0.999)),
        latent=64,
        batch=64,
        steps=2_500,
        average=0.999,
        milliseconds=85.0,
        bare=Initialisation(),
        shared=True,
        deviations="width 32 for 128, 64 z from N(0, I) for 100 uniform ones, batch 64 for 128, "
        "Adam 1e-3 for 2e-4, averaged weights of the generator; a critic without batch norm starts "
        "as PyTorch has it; images of any size of 5 and more",
    )
)
