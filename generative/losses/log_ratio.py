"""The logistic critic, whose logit is what the generator minimises: VEEGAN's (Srivastava et al.
2017).
"""

from torch.nn.functional import softplus

from generative.contracts import LOSSES, Logits, Loss


@LOSSES.register("log-ratio", paper="arXiv:1705.07761")
class LogRatio(Loss):
    """-log D(x) - log(1 - D(G(z))) against -C(G(z)): at the best critic, log p/q, the generator's
    is KL(Q || P).
    """

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return softplus(-real) + softplus(fake)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return -fake
