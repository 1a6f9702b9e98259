"""An attack on a defence that projects onto a generator's range: it walks in that range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attacks.contracts import UNIT, Box, Images, Labels, Model, Radius
from attacks.gradients import ask, differentiable, look, ordinary
from attacks.norms import into_box, project, refuse, spread
from attacks.objectives import PerImage, lead

Codes = Float[Tensor, "batch latent"]
Decode = Callable[[Codes], Images]
NORMS = ("linf", "l2", "l1")


@dataclass(frozen=True)
class OnManifold:
    """Of a defence f(G(z*)), z* the code nearest to the image: codes z are looked for where f takes
    G(z) for a wrong class and G(z) is near the image x; then x goes as far towards G(z) as the
    radius lets it (after Athalye et al. 2018, whose attack of Defense-GAN walks there too).

    `steps` of Adam at rate `lr` climb min(lead of f at G(z), enough) - weight * e, where e is the
    squared l2 distance of G(z) from the ball around x, once for each of `weights`; of the images
    that come of it, and x, the one is kept of which the defence is misled most clearly.
    """

    weights: tuple[float, ...] = (0.0, 0.01, 0.03)
    steps: int = 100
    lr: float = 0.05
    enough: float = 5.0

    def __call__(
        self,
        model: Model,
        member: Model,
        decode: Decode,
        images: Images,
        labels: Labels,
        codes: Codes,
        *,
        radius: Radius,
        norm: str,
        box: Box = UNIT,
    ) -> Images:
        """Images within the radius. model: the defended classifier, member: f. codes: where the
        walks begin, such as those of the projections. Raises UsageError for an unknown norm.
        """
        refuse(norm, NORMS, "an attack on the manifold")
        best, highest = images, lead(look(model, images), labels)
        for weight in self.weights:
            found = self.walked(member, decode, images, labels, codes, radius, norm, weight)
            near = into_box(images + project(found - images, radius, norm), box)
            led = lead(look(model, near), labels)
            best = torch.where(spread(led > highest, images).bool(), near, best)
            highest = torch.maximum(led, highest)
        return best

    def walked(
        self,
        member: Model,
        decode: Decode,
        images: Images,
        labels: Labels,
        codes: Codes,
        radius: Radius,
        norm: str,
        weight: float,
    ) -> Images:
        """What is drawn where the walks end, within no radius."""
        with differentiable():
            walking = ordinary(codes).clone().requires_grad_()
            optimiser = torch.optim.Adam([walking], lr=self.lr)
            for _ in range(self.steps):
                made = decode(walking)
                rise = lead(ask(member, made), labels).clamp_max(self.enough)
                height = rise - weight * beyond(made - images, radius, norm)
                (slope,) = torch.autograd.grad(height.sum(), walking)
                walking.grad = -slope
                optimiser.step()
            return decode(walking).detach()


def beyond(difference: Images, radius: Radius, norm: str) -> PerImage:
    """The squared l2 distance of each difference from the ball of the radius."""
    return (difference - project(difference, radius, norm)).flatten(1).square().sum(1)
