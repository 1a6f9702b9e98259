"""Relativistic least squares over pairs and over batch averages (Jolicoeur-Martineau 2018)."""

from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("relativistic-least-squares", paper="arXiv:1807.00734", relativistic=True)
class RelativisticLeastSquares(Loss):
    """(C(x) - C(G(z)) - 1)^2 against the same with the two exchanged, over pairs."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return (real - fake - 1) ** 2

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return (fake - real - 1) ** 2


@LOSSES.register(
    "relativistic-average-least-squares",
    paper="arXiv:1807.00734",
    relativistic=True,
    batchwise=True,
)
class RelativisticAverageLeastSquares(Loss):
    """Each side one above the other's batch mean, against one below; half the sum of the two."""

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return ((real - fake.mean() - 1) ** 2 + (fake - real.mean() + 1) ** 2) / 2

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return ((real - fake.mean() + 1) ** 2 + (fake - real.mean() - 1) ** 2) / 2


RECIPES.register(
    "rlsgan",
    paper="arXiv:1807.00734",
    summary="Relativistic least-squares GAN over pairs",
    parts=("relativistic-least-squares",),
)(Adversarial("relativistic-least-squares"))

RECIPES.register(
    "ralsgan",
    paper="arXiv:1807.00734",
    summary="Relativistic average least-squares GAN",
    parts=("relativistic-average-least-squares",),
)(Adversarial("relativistic-average-least-squares"))
