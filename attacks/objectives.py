"""What attacks maximise: unreduced, one number an image, without underflow.

The gradient of cross-entropy is (1 - p_y) times that of `margin`: the same direction, but in
float32 it is exactly 0 where the model is sure, which hides an attack's way out of sight.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from attacks.contracts import Labels

Logits = Float[Tensor, "batch classes"]
PerImage = Float[Tensor, " batch"]


def margin(logits: Logits, labels: Labels) -> PerImage:
    """The log of the summed wrong exponentials, minus the label's logit: log((1 - p_y) / p_y)."""
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.logsumexp(1) - own[:, 0]


def towards(logits: Logits, targets: Labels) -> PerImage:
    """Minus the margin of the targets: grows as the images come to be taken for them."""
    return -margin(logits, targets)


def entropy(logits: Logits, labels: Labels) -> PerImage:
    """Cross-entropy, in nats: what is minimised where its size matters, not its direction alone."""
    return cross_entropy(logits, labels, reduction="none")


def lead(logits: Logits, labels: Labels) -> PerImage:
    """The highest wrong logit minus the label's: positive where the image is misclassified; minus
    infinity where a logit is not finite, so that no attack goes there.
    """
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return torch.where(answered(logits), others.amax(1) - own[:, 0], -torch.inf)


def ahead(logits: Logits, labels: Labels, targets: Labels) -> PerImage:
    """The targets' logits minus the labels'; minus infinity where a logit is not finite."""
    own, aimed = (logits.gather(1, classes[:, None])[:, 0] for classes in (labels, targets))
    return torch.where(answered(logits), aimed - own, -torch.inf)


def dlr(logits: Logits, labels: Labels) -> PerImage:
    """The lead over the difference of the highest and the third highest logit: the same whatever
    the scale and the offset of the logits (Croce and Hein 2020, equation 6). The lead where there
    are fewer than three classes.
    """
    if logits.shape[1] < 3:
        return lead(logits, labels)
    return lead(logits, labels) / _gap(logits, (2,))


def dlr_ahead(logits: Logits, labels: Labels, targets: Labels) -> PerImage:
    """The target's logit minus the label's over the difference of the highest and the mean of the
    third and fourth (Croce and Hein 2020, equation 7). Without that where there are fewer than
    four classes.
    """
    if logits.shape[1] < 4:
        return ahead(logits, labels, targets)
    return ahead(logits, labels, targets) / _gap(logits, (2, 3))


LEAST = 1e-12
"""What is added to a difference of logits before something is divided by it."""


def _gap(logits: Logits, below: tuple[int, ...]) -> PerImage:
    """The highest logit minus the mean of some of the sorted ones."""
    ordered = logits.sort(dim=1, descending=True).values
    return ordered[:, 0] - ordered[:, list(below)].mean(1) + LEAST


def answered(logits: Logits) -> Bool[Tensor, " batch"]:
    """Where every logit is finite; else it is no answer, neither misled nor robust."""
    return logits.isfinite().all(1)
