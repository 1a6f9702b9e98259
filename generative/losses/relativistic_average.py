"""The relativistic average loss of Jolicoeur-Martineau 2018, in its logistic form."""

from torch.nn.functional import softplus

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register(
    "relativistic-average", paper="arXiv:1807.00734", relativistic=True, batchwise=True
)
class RelativisticAverage(Loss):
    """Is the real more real than the average fake, and the fake less than the average real?"""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return (softplus(fake.mean() - real) + softplus(fake - real.mean())) / 2

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return (softplus(real - fake.mean()) + softplus(real.mean() - fake)) / 2


RECIPES.register(
    "rasgan",
    paper="arXiv:1807.00734",
    summary="Relativistic average GAN (Jolicoeur-Martineau 2018)",
    parts=("relativistic-average",),
)(Adversarial("relativistic-average"))
