"""What a certificate shows of a classifier: a bound of its robust accuracy from below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from metrics.contracts import METRICS, Score
from metrics.robustness import SHARE, Clean, mean, share

Bits = Bool[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Certified:
    """What a certificate says of images. certified: which are classified as labelled everywhere
    within the radius. predictions: the class that it is about, -1 where it abstains; another one
    than the network's where the certificate is about the network under noise. radii: how far each
    prediction holds, None where the certificate tells of one radius at a time. robust: which were
    right and withstood an attack within the radius, where there was one.
    """

    certified: Bits
    predictions: Int[np.ndarray, " n"]
    radii: Float[np.ndarray, " n"] | None = None
    robust: Bits | None = None


@METRICS.register(
    "certified_accuracy",
    paper="arXiv:1810.12715",
    direction="higher",
    title="certified accuracy",
    estimator="share of all images that a certificate shows to be classified as labelled "
    "everywhere within this radius",
    **{**SHARE, "takes": "certified"},
)
def certified_accuracy(real: Clean, fake: Certified) -> Score:
    """What no attack can take at this radius."""
    return share(fake.certified)


@METRICS.register(
    "certified_radius",
    paper="arXiv:1902.02918",
    takes="certified",
    kind="paired",
    direction="higher",
    title="certified radius",
    low=0,
    relative=0.02,
    digits=3,
    estimator="mean over all images of the radius within which the certificate shows them to be "
    "classified as labelled, 0 where they are not; of certificates that tell a radius",
)
def certified_radius(real: Clean, fake: Certified) -> Score:
    """How far certificates reach on average (the area under the curve of certified accuracy)."""
    radii = np.zeros(len(real.labels)) if fake.radii is None else fake.radii
    return mean(np.where(fake.predictions == real.labels, radii, 0.0))


@METRICS.register(
    "abstention",
    paper="arXiv:1902.02918",
    direction="lower",
    title="abstains",
    estimator="share of all images for which the certificate names no class",
    **{**SHARE, "takes": "certified"},
)
def abstention(real: Clean, fake: Certified) -> Score:
    """How often nothing is said at all."""
    return share(fake.predictions < 0)


@METRICS.register(
    "undecided",
    direction="lower",
    title="undecided",
    estimator="share of all images that withstand the attack at this radius and are not certified: "
    "what lies between robust and certified accuracy",
    **{**SHARE, "takes": "certified"},
)
def undecided(real: Clean, fake: Certified) -> Score:
    """How far the truth may be from either figure."""
    robust = real.right if fake.robust is None else fake.robust
    return share(robust & ~fake.certified)


def contradictions(certified: Bits, misled: Bool[np.ndarray, " m"]) -> list[int]:
    """The places of images that are certified and misled, on the same examples at the same radius:
    none, or one of the two is wrong. Raises ValueError where the bits are not of as many examples.
    """
    if certified.shape != misled.shape:
        raise ValueError(
            f"expected bits of the same examples, got {certified.shape} and {misled.shape}"
        )
    return np.flatnonzero(certified & misled).tolist()
