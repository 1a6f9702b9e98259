"""The Wasserstein loss of Arjovsky et al. 2017, equation 2; its critic must be made Lipschitz.

Its recipes are those of the ways to do so: see the gradient penalty and clipping.
"""

from generative.contracts import LOSSES, Logits, Loss


@LOSSES.register("wasserstein", paper="arXiv:1701.07875")
class Wasserstein(Loss):
    """C(G(z)) - C(x) against -C(G(z)): over 1-Lipschitz critics, minus the W1 distance."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return fake - real

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake
