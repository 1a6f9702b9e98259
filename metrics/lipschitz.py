"""How far a classifier can stretch a perturbation, layer by layer, and how far one is stretched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, Score
from metrics.robustness import mean

PAPER = "arXiv:1312.6199"
BOUND = {"paper": PAPER, "takes": "layers", "kind": "seeded", "low": 0, "relative": 0.02}
MOVED = {"paper": PAPER, "takes": "moves", "kind": "seeded", "low": 0, "relative": 0.05}


@dataclass(frozen=True, eq=False)
class Layers:
    """norms: how far each layer can stretch a difference at most, in l2, from the images on;
    layer: the one in question, from 1.
    """

    norms: Float[np.ndarray, " layers"]
    layer: int = 1


@dataclass(frozen=True, eq=False)
class Moves:
    """lengths: of changes of images, in l2, above 0; changes: of the logits that they make."""

    changes: Float[np.ndarray, " moves"]
    lengths: Float[np.ndarray, " moves"]

    @property
    def ratios(self) -> Float[np.ndarray, " moves"]:
        """How far each is stretched."""
        return self.changes / self.lengths


@METRICS.register(
    "layer_norm",
    title="layer",
    direction="none",
    digits=2,
    estimator="largest l2 norm of what a layer makes of a difference of length 1: the operator "
    "norm of what is affine between two activations, times the largest slope of the activation",
    **BOUND,
)
def layer_norm(real: None, fake: Layers) -> Score:
    """How far one layer can stretch (Szegedy et al. 2013, section 4.3)."""
    return Score(float(fake.norms[fake.layer - 1]), None, 1)


@METRICS.register(
    "lipschitz_bound",
    title="bound",
    direction="none",
    digits=1,
    estimator="product over layers of how far each can stretch: no perturbation is stretched more, "
    "from images to logits, in l2",
    **BOUND,
)
def lipschitz_bound(real: None, fake: Layers) -> Score:
    """What no change of the logits can exceed, for a change of length 1."""
    return Score(float(fake.norms.prod()), None, 1)


@METRICS.register(
    "gain",
    title="gain",
    direction="none",
    digits=2,
    estimator="mean over changes of images of |f(x + r) - f(x)| / |r|, of logits, in l2; 0 where "
    "there are none",
    **MOVED,
)
def gain(real: None, fake: Moves) -> Score:
    """How far changes are stretched."""
    return mean(fake.ratios)


@METRICS.register(
    "largest_gain",
    title="largest gain",
    direction="none",
    digits=2,
    estimator="largest |f(x + r) - f(x)| / |r| that was met, of logits, in l2; 0 where none was",
    **MOVED,
)
def largest_gain(real: None, fake: Moves) -> Score:
    """A bound from below of what the product of layers bounds from above."""
    return Score(float(fake.ratios.max(initial=0)), None, len(fake.ratios))
