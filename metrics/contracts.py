"""What a metric is: a function of what is real and what is fake, and facts about its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from bench.core.registry import Registry

Direction = Literal["higher", "lower", "none"]
Kind = Literal["deterministic", "paired", "seeded"]
Takes = Literal[
    "modes",
    "density",
    "likelihood",
    "stack",
    "latent",
    "sampled",
    "attack",
    "certified",
    "corrupted",
    "transfer",
    "rubbish",
    "features",
    "neighbours",
    "probabilities",
    "nearest",
    "identities",
    "classes",
    "asked",
    "translated",
    "segmented",
    "completed",
    "orbit",
    "trajectory",
    "contest",
    "stretches",
    "pulls",
    "groups",
    "layers",
    "moves",
    "coded",
    "joined",
    "energies",
    "rebuilt",
    "refined",
    "kept",
    "told",
    "measured",
    "told_apart",
    "excess",
    "paired",
    "spreads",
    "decoded",
    "probed",
    "recoded",
    "nearby",
    "paths",
    "spectrum",
    "within",
    "informed",
    "matched",
    "sorted",
    "anomalies",
    "labelled",
    "masses",
    "edited",
]


Points = Shaped[np.ndarray, "n d"]
"""Samples in a space of d dimensions, of any numeric type."""

OtherPoints = Shaped[np.ndarray, "m d"]
"""Samples in the same space, as many as there are."""

Columns = Float[np.ndarray, "d n"]
"""The same, transposed: fast where d is small."""

PerPoint = Float[np.ndarray, " n"]
"""A number for each sample."""

OtherPerPoint = Float[np.ndarray, " m"]
"""A number for each of other samples."""

PerMode = Shaped[np.ndarray, " modes"]
"""A number for each mode."""


class Score(NamedTuple):
    """A value, its standard error over the samples (None: unknown) and their number."""

    value: float
    std_error: float | None
    n: int


@runtime_checkable
class Density(Protocol):
    """Anything with a log density in nats: [n, d] to [n]."""

    def log_prob(self, x: Points) -> PerPoint: ...


@runtime_checkable
class SmoothableDensity(Density, Protocol):
    """A density that can be convolved with N(0, sigma^2 I)."""

    def smoothed(self, sigma: float) -> SmoothableDensity: ...


@runtime_checkable
class Modes(Protocol):
    """The modes of a mixture: centres [K, d], weights [K] that sum to 1, and its geometry.

    `standardised(k, columns)` gives the deviations from mode k in its standard deviations,
    [d, n] to [d, n]; `spread_dims` [K] counts the directions in which a mode has variance,
    `widest` [K] is its largest standard deviation.
    """

    @property
    def centres(self) -> Float[np.ndarray, "modes d"]: ...
    @property
    def weights(self) -> PerMode: ...
    @property
    def spread_dims(self) -> PerMode: ...
    @property
    def widest(self) -> PerMode: ...
    def standardised(self, mode: int, columns: Columns) -> Columns: ...
    def sample(self, n: int, rng: torch.Generator) -> Tensor: ...


@dataclass(frozen=True)
class MetricFacts:
    """What a number means, and what a gate may do with it.

    takes: what `real` and `fake` are. "modes": a `ModeTruth` and a `ModeTally`; "density": a
    density with `smoothed` and samples [n, d]; "likelihood": held-out real samples [n, d] and
    the model's density; "stack": a `StackTruth` and a `StackTally`, and the judge's name and hash
    become part of the metric's; "latent": held-out examples and a `LatentBound`; "sampled": nothing
    and how often a model passes its network for a sample; "attack": a
    `Clean` and an `AfterAttack`; "certified": a `Clean` and a `Certified`; "corrupted": a `Clean`
    and a `Corrupted`; "transfer": a `Clean` and a `Transferred`; "rubbish": nothing and a
    `Rubbish`; "features": two `Features`; "neighbours": a `Covered` and a `Landed`, of one
    `survey`; "probabilities": nothing and class probabilities [n, classes]; "nearest": two
    `Nearest`, distances of others and of samples to what a sampler has seen; "identities": a number
    for each sample, [n], equal where they are the same; "classes": as "stack", of single images;
    "asked": nothing and an `Asked`; "translated": true images [n, c, h, w] and a `Translated`;
    "segmented": true classes of pixels [n, h, w] and those that are read; "completed": true images
    [n, c, h, w] and a `Completion`; "orbit": both numbers of a game after each step, [steps, 2], in
    closed form and as they were played; "trajectory": nothing and a `Trajectory`; "contest": a
    critic's logits of new reals [n], and a `Contest`; "stretches": nothing and a generator's
    `Stretches`; "pulls": nothing and, by player, the norm of what its last step followed;
    "groups": nothing and `Groups` of labels; "layers": nothing and a classifier's `Layers`;
    "moves": nothing and the `Moves` of images and of their logits; "coded": images, uint8
    [n, c, h, w], and what of them was `Sent`; "joined": nothing and images `Joined` along a seam;
    "energies": sums of squares of images [n], and of a level of their pyramids [n]; "rebuilt":
    images [n, c, h, w], and what was made of their bands; "refined": coarse images [n, c, h, w] and
    finer ones that were drawn from them; "kept": nothing and how many numbers a model keeps;
    "told", "measured", "told_apart": nothing and the `Told` of samples of captions, as a judge
    reads them, as they are measured, and as frozen towers tell them apart; "excess": which
    attributes of their captions real images have, bool [m, 3], and samples, [n, 3]; "paired":
    nothing and a critic's `Paired` logits; "spreads": nothing and the `Spreads` of pictures of a
    caption; "decoded": images [n, c, h, w] or points, and what was `Rebuilt` of their codes;
    "probed": true classes [n], and those that a probe reads; "recoded": codes [n, latent], and
    those that are inferred of what they decode to; "nearby": true classes [n], and those of the
    examples whose codes lie nearest; "paths": nothing and the `Paths` between codes; "spectrum":
    nothing and the `Spectrum` of layers; "within": held-out images and samples, each `Grouped` by
    classes; "informed": nothing and the `Informed` reading of codes; "matched": nothing and codes
    `Matched` with the classes that a judge reads; "sorted": nothing and the categories of held-out
    images `Matched` with their classes; "anomalies": the scores [n] of examples that belong, and
    those [m] of examples that don't; "labelled": true classes [n], and those that a model says;
    "masses": images [n, c, h, w], and the log probability of each under a model [n]; "edited":
    pictures `Drawn` of some classes, and what was made of each for another class.
    direction: which way is better. low, high: the range. version: raised whenever a number
    changes. kind: what makes two runs differ. absolute, relative: the margin within which a
    change does not matter. estimator: how it is estimated, in a sentence. title: the head of its
    column. rule: the high-quality rule, empty for the data's own. samples: the number of samples
    it is fixed to, 0 for all. counts_modes: its range ends at the number of modes. digits,
    percent: how it is printed. shares: a percentage counts samples; False: it is the mean of
    something else, such as a probability. conditional: it is over the examples that the model
    itself chooses, such as those it has right, so that n may change with the model. most_dims: of
    features for which it is meant, 0 for any; on_request: only where it is asked for by name. Of
    scores of features, scale: the power of their scale that it grows with; symmetric: real and fake
    may be exchanged; least: the reals and fakes that it needs.
    """

    takes: Takes
    direction: Direction
    title: str
    estimator: str
    low: float | None = None
    high: float | None = None
    version: int = 1
    kind: Kind = "seeded"
    absolute: float = 0.0
    relative: float = 0.0
    rule: str = ""
    samples: int = 0
    counts_modes: bool = False
    digits: int = 3
    percent: bool = False
    shares: bool = True
    conditional: bool = False
    most_dims: int = 0
    on_request: bool = False
    scale: int = 0
    symmetric: bool = False
    least: tuple[int, int] = (0, 0)


Metric = Callable[[Any, Any], "Score | float"]

METRICS: Registry[Metric, MetricFacts] = Registry("metric", MetricFacts, listed_as="metrics")
