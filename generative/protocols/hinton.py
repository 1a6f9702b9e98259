"""The deep autoencoder of digits of Hinton & Salakhutdinov (2006)."""

from generative.networks import Initialisation, Mlp
from generative.protocols.base import PROTOCOLS, Adam, Protocol

PROTOCOLS.register(
    "hinton-2006",
    paper="doi:10.1126/science.1127647",
    summary="784-1000-500-250-30 and back, logistic units, Adam 1e-3, batch 100, 40 epochs of "
    "4,000 digits",
)(
    Protocol(
        generator=Mlp((250, 500, 1000), "sigmoid"),
        critic=Mlp((1000, 500, 250), "sigmoid"),
        initialisation=Initialisation(),
        generator_adam=Adam(1e-3),
        critic_adam=Adam(1e-3),
        latent=30,
        batch=100,
        steps=1_600,
        milliseconds=70.0,
        deviations="Adam whose rate falls to 0 over the second half, for conjugate gradients over "
        "batches of 1,000; 40 epochs for 200; for 4,000 training images, where the paper has "
        "60,000",
    )
)
