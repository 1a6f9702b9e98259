"""Dense networks that see Fourier features of examples."""

from generative.networks import NETWORKS, Mlp
from generative.waves import Waved

NETWORKS.register(
    "mlp-128x3-leaky-waves",
    summary="3 x 128 leaky ReLU on x and sin, cos of k pi x / 2, k to 12: the critic of plane "
    "with the features that diffusion models on points have",
)(Waved(Mlp((128,) * 3, "leaky_relu")))
