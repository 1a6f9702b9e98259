"""Deep autoencoders of Hinton & Salakhutdinov (2006), and stacked ones of Vincent et al. (2008)."""

from generative.measured import Centred
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

PROTOCOLS.register(
    "hinton-2006-curves",
    paper="doi:10.1126/science.1127647",
    summary="784-400-200-100-50-25-6 and back, logistic units, Adam 1e-3, batch 100, 10 epochs of "
    "20,000 curves",
)(
    Protocol(
        generator=Mlp((25, 50, 100, 200, 400), "sigmoid"),
        critic=Mlp((400, 200, 100, 50, 25), "sigmoid"),
        initialisation=Initialisation(),
        generator_adam=Adam(1e-3),
        critic_adam=Adam(1e-3),
        latent=6,
        batch=100,
        steps=2_000,
        milliseconds=25.0,
        deviations="Adam whose rate falls to 0 over the second half, for conjugate gradients; 10 "
        "epochs for 200",
    )
)

PROTOCOLS.register(
    "hinton-2006-faces",
    paper="doi:10.1126/science.1127647",
    summary="625-2000-1000-500-30 and back, ReLU, linear outputs, Adam 1e-3, batch 100, 6 epochs "
    "of 12,000 patches",
    exempt="a-protocol-fits-the-shape-of-the-data[????*]: its outputs are linear and may leave the "
    "box of images",
)(
    Protocol(
        generator=Centred(Mlp((500, 1000, 2000))),
        critic=Centred(Mlp((2000, 1000, 500))),
        initialisation=Initialisation(),
        generator_adam=Adam(1e-3),
        critic_adam=Adam(1e-3),
        latent=30,
        batch=100,
        steps=720,
        milliseconds=190.0,
        deviations="ReLU from a random start for logistic units and pretraining, Adam whose rate "
        "falls to 0 over the second half for conjugate gradients; for 12,000 patches, where the "
        "paper has 103,500",
    )
)

PROTOCOLS.register(
    "vincent-2008",
    paper="doi:10.1145/1390156.1390294",
    summary="784-500-500-500, logistic units, a layer at a time, Adam 1e-3, batch 100",
)(
    Protocol(
        generator=Mlp((500, 500), "sigmoid"),
        critic=Mlp((500, 500), "sigmoid"),
        initialisation=Initialisation(),
        generator_adam=Adam(1e-3),
        critic_adam=Adam(1e-3),
        latent=500,
        batch=100,
        steps=4_800,
        milliseconds=6.0,
        deviations="Adam whose rate falls to 0 over the second half of a layer's steps, for "
        "stochastic gradient descent; 40 epochs of 4,000 digits a layer",
    )
)
