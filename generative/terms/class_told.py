"""The class, as a critic with a head for it says it: AC-GAN (Odena et al. 2017) and AM-GAN (Zhou et
al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor
from torch.nn.functional import cross_entropy

from generative.classheads import Apart, ClassHead, FakeClass
from generative.contracts import RECIPES
from generative.parts import TERMS, Sight, Term
from generative.recipes.adversarial import Adversarial
from generative.training import WEIGHT

Whose = Literal["reals", "fakes"]


@dataclass(frozen=True)
class ClassTold(Term):
    """-log P(C = c | x) in nats of each of the batch, where P is the softmax of the critic's logits
    of the classes: of reals c is their class, of fakes the one that was asked for (Odena et al.
    2017, equation 3).
    """

    whose: Whose
    class_weight: Annotated[float, WEIGHT] = 1.0

    @property
    def weight(self) -> float:
        return self.class_weight

    def __call__(self, sight: Sight) -> Tensor:
        real = self.whose == "reals"
        _, logits = sight.of_real if real else sight.of_fake
        (labels,) = sight.told_of_real if real else sight.told_of_fake
        return cross_entropy(logits, labels, reduction="none")


def _register(name: str, player: str, whose: Whose, words: str) -> None:
    TERMS.register(
        name,
        paper="arXiv:1610.09585",
        summary=f"The {player} {words}",
        player=player,
        features=True,
        told=True,
    )(ClassTold(whose))


_register("class-of-reals", "critic", "reals", "reads the classes of reals")
_register("class-of-fakes", "critic", "fakes", "reads in fakes the classes that were asked for")
_register("class-asked", "generator", "fakes", "makes fakes in which the critic reads them")

RECIPES.register(
    "acgan",
    paper="arXiv:1610.09585",
    summary="Conditional GAN whose critic is not told the class and says it (Odena et al. 2017)",
    parts=("nonsaturating", "class-of-reals", "class-of-fakes", "class-asked"),
    labelled=True,
    images_only="its classes are those of images",
)(
    Adversarial(
        "nonsaturating",
        conditioning=ClassHead(Apart()),
        terms=("class-of-reals", "class-of-fakes", "class-asked"),
    )
)

# Its losses are cross-entropies over K + 1 classes (equations 14 and 15, the class given to the
# generator as in section 4.1), written by lemma 2: that of K + 1 classes is that of real and fake,
# by the logit of all real ones together, and of what is real that of its class among the K.
RECIPES.register(
    "amgan",
    paper="arXiv:1703.02000",
    summary="A critic of K classes and one of fakes, a generator that aims at one (AM-GAN, Zhou et "
    "al. 2018)",
    parts=("nonsaturating", "class-of-reals", "class-asked"),
    labelled=True,
    images_only="its classes are those of images",
)(
    Adversarial(
        "nonsaturating",
        conditioning=ClassHead(FakeClass()),
        terms=("class-of-reals", "class-asked"),
    )
)
