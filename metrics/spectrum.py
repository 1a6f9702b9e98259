"""The largest singular values of a model's layers (Brock et al. 2019, section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metrics.contracts import METRICS, Score

PAPER = {"paper": "arXiv:1809.11096", "takes": "spectrum", "direction": "none", "low": 0}


LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Spectrum:
    """layers: by name the largest singular values of a layer, three or as many as it has, largest
    first.
    """

    layers: Mapping[str, Float[np.ndarray, " k"]]


@METRICS.register(
    "sigma_ratio",
    title="largest sigma 0 over sigma 1",
    digits=2,
    estimator="largest, over layers, of the first over the second singular value, by power "
    "iteration with deflation",
    **PAPER,
)
def sigma_ratio(real: None, fake: Spectrum) -> Score:
    """How far a single direction dominates some layer."""
    known = [found for found in fake.layers.values() if len(found) > 1]
    ratios = [float(found[0] / max(found[1], LEAST)) for found in known]
    return Score(max(ratios), None, len(ratios))
