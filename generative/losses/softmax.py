"""The softmax GAN of Lin 2017: who of a batch of reals and fakes is real?"""

import torch
from torch import Tensor

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


def log_partition(real: Logits, fake: Logits) -> Tensor:
    """log Z of the softmax over the whole batch, reals and fakes: one number."""
    return torch.cat([real, fake]).logsumexp(0)


@LOSSES.register(
    "softmax",
    paper="arXiv:1704.06191",
    relativistic=True,
    batchwise=True,
    exempt=(
        "the-generator-pulls-fakes-up: it pulls each towards an equal share, from above, too",
        "a-relativistic-generator-needs-the-reals: it needs them in Z, where those of a small "
        "share are pulled up",
        "a-relativistic-loss-is-antisymmetric: the generator's target is the whole batch",
    ),
)
class SoftmaxGan(Loss):
    """log Z - C(x) against log Z - (C(x) + C(G(z))) / 2, where Z sums e^C over reals and fakes.

    In the mean over the batch the cross-entropies of the softmax with what is uniform over the
    reals, at least log n of n, and with what is uniform over all, at least log 2n.
    """

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return log_partition(real, fake) - real

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return log_partition(real, fake) - (real + fake) / 2


RECIPES.register(
    "softmax-gan",
    paper="arXiv:1704.06191",
    summary="Softmax GAN: a softmax over the batch (Lin 2017)",
    parts=("softmax",),
)(Adversarial("softmax"))
