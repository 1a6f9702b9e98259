"""The networks of PacGAN's mixture experiments (Lin et al. 2018), after ALI's."""

from generative.networks import Initialisation, Mlp
from generative.protocols.base import PROTOCOLS, Adam, Protocol

PROTOCOLS.register(
    "pacgan",
    paper="arXiv:1712.04086",
    summary="4 x 400 ReLU with batch norm against 3 x 200 maxout(5), Adam 1e-4, 400,000 steps",
)(
    Protocol(
        generator=Mlp((400, 400, 400, 400), batch_norm=True),
        critic=Mlp((200, 200, 200), maxout=5),
        initialisation=Initialisation("normal", 0.02),
        generator_adam=Adam(1e-4, (0.8, 0.999)),
        critic_adam=Adam(1e-4, (0.8, 0.999)),
        latent=2,
        batch=100,
        steps=400_000,
        milliseconds=20.0,
        deviations="critic first, then generator on new noise; the original updates both at once",
    )
)
