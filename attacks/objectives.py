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


def answered(logits: Logits) -> Bool[Tensor, " batch"]:
    """Where every logit is finite; else it is no answer, neither misled nor robust."""
    return logits.isfinite().all(1)
