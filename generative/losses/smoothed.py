"""One-sided label smoothing (Salimans et al. 2016, section 3.4) of the non-saturating loss."""

from dataclasses import dataclass

from torch.nn.functional import softplus

from bench.core.errors import UsageError
from generative.contracts import LOSSES, RECIPES, Logits, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("smoothed", paper="arXiv:1606.03498")
@dataclass(frozen=True)
class Smoothed(Loss):
    """The non-saturating loss, reals called real with probability 0.9: best at D = 0.9 p / (p + q).

    target: that probability; with 1 it is the non-saturating loss. Raises UsageError for one not
    above 0 and at most 1.
    """

    target: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise UsageError(
                f"`target`: expected a probability above 0 and at most 1, got {self.target}"
            )

    def critic(self, real: Logits, fake: Logits) -> Logits:
        return softplus(-real) + (1 - self.target) * real + softplus(fake)

    def generator(self, real: Logits, fake: Logits) -> Logits:
        return softplus(-fake)


RECIPES.register(
    "smoothed-gan",
    paper="arXiv:1606.03498",
    summary="Non-saturating GAN, reals called 0.9 (Salimans et al. 2016)",
    parts=("smoothed",),
)(Adversarial("smoothed"))
