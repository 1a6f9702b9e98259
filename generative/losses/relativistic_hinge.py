"""Relativistic hinge over pairs and over batch averages (Jolicoeur-Martineau 2018)."""

from torch.nn.functional import relu

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("relativistic-hinge", paper="arXiv:1807.00734", relativistic=True)
class RelativisticHinge(Loss):
    """relu(1 - (C(x) - C(G(z)))) against the same with the two exchanged, over pairs."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return relu(1 - (real - fake))

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return relu(1 - (fake - real))


@LOSSES.register(
    "relativistic-average-hinge", paper="arXiv:1807.00734", relativistic=True, batchwise=True
)
class RelativisticAverageHinge(Loss):
    """The hinge of each side's distance to the other's batch mean; half the sum of the two."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return (relu(1 - (real - fake.mean())) + relu(1 + (fake - real.mean()))) / 2

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return (relu(1 + (real - fake.mean())) + relu(1 - (fake - real.mean()))) / 2


RECIPES.register(
    "rhinge",
    paper="arXiv:1807.00734",
    summary="Relativistic hinge GAN over pairs",
    parts=("relativistic-hinge",),
)(Adversarial("relativistic-hinge"))

RECIPES.register(
    "rahinge",
    paper="arXiv:1807.00734",
    summary="Relativistic average hinge GAN",
    parts=("relativistic-average-hinge",),
)(Adversarial("relativistic-average-hinge"))
