"""Dense networks for images: those of the first paper, and the smallest pair that is taught."""

from math import sqrt

from generative.networks import Initialisation, Mlp
from generative.protocols.base import PROTOCOLS, Adam, Momentum, Protocol

PROTOCOLS.register(
    "goodfellow-2014",
    paper="arXiv:1406.2661",
    summary="2 x 1200 ReLU against 2 x 240 maxout(5) with dropout, z uniform of unit variance, SGD 0.1, batch 100",
)(
    Protocol(
        generator=Mlp((1200, 1200), input_scale=sqrt(3)),
        critic=Mlp((240, 240), maxout=5, dropout=(0.2, 0.5)),
        initialisation=Initialisation("uniform", 0.05),
        bare=Initialisation("uniform", 0.005),
        generator_adam=Momentum(0.1, 0.5, 0.7, 250 * 500, 1 / 1.000004),
        critic_adam=Momentum(0.05, 0.5, 0.7, 250 * 500, 1 / 1.000004),
        latent=100,
        prior="uniform",
        batch=100,
        steps=125_000,
        milliseconds=35.0,
        deviations="as the authors' code has it, for 50,000 training images: it halves the "
        "critic's loss, which is a rate of 0.05; 250 epochs, after which its momentum stands "
        "still; the last biases start at 0, theirs at the digits' mean",
    )
)

PROTOCOLS.register(
    "dense",
    paper="arXiv:1406.2661",
    summary="100-128-784 against 784-128-1, z uniform, Adam 1e-3: the smallest GAN of images",
)(
    Protocol(
        generator=Mlp((128,)),
        critic=Mlp((128,)),
        initialisation=Initialisation(),
        generator_adam=Adam(1e-3),
        critic_adam=Adam(1e-3),
        latent=100,
        prior="uniform",
        batch=128,
        steps=20_000,
        milliseconds=3.0,
    )
)
