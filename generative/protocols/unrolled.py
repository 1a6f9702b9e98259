"""The two set-ups of Unrolled GANs (Metz et al. 2016): the paper's and the notebook's."""

from generative.networks import Initialisation, Mlp
from generative.protocols.base import PROTOCOLS, Adam, Protocol

PROTOCOLS.register(
    "unrolled-paper",
    paper="arXiv:1611.02163",
    summary="Appendix A: 2 x 128 ReLU against 1 x 128 ReLU, orthogonal 0.8, Adam 1e-4",
)(
    Protocol(
        generator=Mlp((128, 128)),
        critic=Mlp((128,), input_scale=0.25),
        initialisation=Initialisation("orthogonal", 0.8),
        generator_adam=Adam(1e-4, (0.5, 0.999)),
        critic_adam=Adam(1e-4, (0.5, 0.999)),
        latent=256,
        batch=512,
        steps=100_000,
        milliseconds=6.0,
        deviations="batch and steps as in a public re-implementation; the paper gives neither",
    )
)

PROTOCOLS.register(
    "unrolled-notebook",
    paper="arXiv:1611.02163",
    summary="The authors' notebook: 2 x 128 tanh, orthogonal 1.4, Adam 1e-3 against 1e-4",
)(
    Protocol(
        generator=Mlp((128, 128), "tanh"),
        critic=Mlp((128, 128), "tanh"),
        initialisation=Initialisation("orthogonal", 1.4),
        generator_adam=Adam(1e-3, (0.5, 0.999)),
        critic_adam=Adam(1e-4, (0.5, 0.999)),
        latent=256,
        batch=512,
        steps=25_000,
        milliseconds=9.0,
    )
)
