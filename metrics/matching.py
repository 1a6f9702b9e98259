"""Whether pictures show what their captions say: attributes measured on the picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np
from jaxtyping import Bool, Float, Int

from metrics.contracts import METRICS, Score
from metrics.shares import share_error

ATTRIBUTES = ("thickness", "slant", "class")
CAPTION = "caption"
CLASS = 2

Right = Bool[np.ndarray, "n 3"]
"""Which attributes of its caption each picture has."""

RealRight = Bool[np.ndarray, "m 3"]
"""The same of other pictures."""


@dataclass(frozen=True, eq=False)
class Told:
    """Of n pictures that were asked for by captions: which attributes they have of those asked for;
    whether a training image has the combination; the number of each one's caption, and of the one
    that a frozen network finds nearest to it among all.
    """

    right: Right
    seen: Bool[np.ndarray, " n"]
    wanted: Int[np.ndarray, " n"]
    nearest: Int[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Paired:
    """Of n real images of each caption asked for: the critic's logits beside it, and beside a
    caption of another digit.
    """

    own: Float[np.ndarray, " n"]
    other: Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Spreads:
    """The mean distance between pairs of pictures of one caption, for each of several captions: of
    samples, and of the real images.
    """

    made: Float[np.ndarray, " captions"]
    real: Float[np.ndarray, " captions"]


def share(right: Bool[np.ndarray, " n"]) -> Score:
    """Of what is right, with its binomial standard error."""
    found = float(right.mean())
    return Score(found, share_error(found, len(right)), len(right))


def every(right: Right) -> Bool[np.ndarray, " n"]:
    """Whether all attributes of each are right."""
    return np.logical_and.reduce(right, axis=1)


def of_attribute(name: str, right: Right) -> Bool[np.ndarray, " n"]:
    """Whether one attribute is right, or all of them."""
    return every(right) if name == CAPTION else right[:, ATTRIBUTES.index(name)]


def _register_match(name: str, unseen: bool) -> None:
    """The share of samples that have an attribute of their caption."""
    which = "no training caption has the combination" if unseen else "training captions have it"
    said = "thickness, slant and class are all" if name == CAPTION else f"{name} is"

    def match(real: None, fake: Told) -> Score:
        kept = ~fake.seen if unseen else fake.seen
        return share(of_attribute(name, fake.right)[kept])

    METRICS.register(
        f"{'unseen_' if unseen else ''}{name}_match",
        paper="arXiv:1605.05396",
        summary=f"Samples whose {said} as the caption says; {which}.",
        takes="told" if name in (CAPTION, "class") else "measured",
        direction="higher",
        title=f"{'unseen ' if unseen else ''}{name}",
        low=0,
        high=1,
        absolute=0.02,
        percent=True,
        digits=1,
        estimator=f"share of samples whose {said} what the caption says, the class read by the "
        "judge, however sure, thickness and slant measured on the sample and cut where the "
        "training digits of the class asked for are cut; of captions of which "
        f"{which}; binomial standard error",
    )(match)


for _unseen in (False, True):
    for _name in (CAPTION, "class", "thickness", "slant"):
        _register_match(_name, _unseen)


@METRICS.register(
    "excess_match",
    paper="arXiv:1605.05396",
    takes="excess",
    direction="none",
    title="excess",
    low=-1,
    high=1,
    absolute=0.02,
    percent=True,
    shares=False,
    digits=1,
    estimator="caption_match of the samples less that of the real pairs, over all captions asked "
    "for; standard errors added in squares. Above 0 by more than its interval a model matches more "
    "often than the data do, as GAN-CLS does by its own optimum",
)
def excess_match(real: RealRight, fake: Right) -> Score:
    """How much more often samples match than real pairs."""
    ours, theirs = share(every(fake)), share(every(real))
    error = hypot(ours.std_error or 0.0, theirs.std_error or 0.0)
    return Score(ours.value - theirs.value, error, ours.n)


def _register_precision(unseen: bool) -> None:
    which = "no training caption has" if unseen else "training captions have"

    def r_precision(real: None, fake: Told) -> Score:
        kept = ~fake.seen if unseen else fake.seen
        return share((fake.nearest == fake.wanted)[kept])

    METRICS.register(
        "unseen_r_precision" if unseen else "r_precision",
        paper="arXiv:1711.10485",
        summary=f"Samples that lie nearest to their own caption; of captions that {which}.",
        takes="told_apart",
        direction="higher",
        title="unseen R-prec" if unseen else "R-precision",
        low=0,
        high=1,
        absolute=0.02,
        percent=True,
        digits=1,
        estimator="R-precision with R = 1: share of samples whose own caption is nearest among all "
        f"captions there are, by the cosine of frozen towers; of captions that {which}; the paper "
        "draws 99 wrong captions, here every other is one; binomial standard error",
    )(r_precision)


_register_precision(unseen=False)
_register_precision(unseen=True)


@METRICS.register(
    "matching_accuracy",
    paper="arXiv:1605.05396",
    takes="paired",
    direction="higher",
    title="critic matches",
    low=0,
    high=1,
    absolute=0.02,
    percent=True,
    digits=1,
    estimator="share of held-out images that the critic finds more real beside their own caption "
    "than beside the same with another digit, every other digit in turn; ties count half; binomial "
    "standard error",
)
def matching_accuracy(real: None, fake: Paired) -> Score:
    """Does the critic know what belongs together?"""
    wins = float(((fake.own > fake.other) + 0.5 * (fake.own == fake.other)).mean())
    return Score(wins, share_error(wins, len(fake.own)), len(fake.own))


@METRICS.register(
    "caption_diversity",
    takes="spreads",
    direction="higher",
    title="diversity",
    low=0,
    absolute=0.02,
    estimator="mean Euclidean distance of two samples of one caption over that of two real images "
    "of it, its mean over the captions; standard error over captions. 1 is as diverse as the data, "
    "0 one picture for each caption",
)
def caption_diversity(real: None, fake: Spreads) -> Score:
    """Does a caption have more than one picture?"""
    ratios = fake.made / fake.real
    error = float(ratios.std(ddof=1) / len(ratios) ** 0.5) if len(ratios) > 1 else None
    return Score(float(ratios.mean()), error, len(ratios))
