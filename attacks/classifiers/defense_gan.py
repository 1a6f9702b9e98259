"""Defense-GAN: the classifier sees the nearest image that a generator can draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attacks.adaptive import straight_through
from attacks.classifiers.contracts import CLASSIFIERS, Decoder, Defended, Prior, Shape
from attacks.gradients import differentiable, ordinary

MOMENTUM = 0.7
LATE, SLOWED = 0.8, 0.1
"""After the share `LATE` of the steps their size falls to `SLOWED` of it, as in the authors' code.
"""


PRIOR = Prior("wgan-gp", "small-dcgan", (("steps", 1_000),))


class Projection(nn.Module):
    """Images [n, c, h, w] to the nearest ones found in a generator's range, the same shape.

    From each of the codes `starts` [R, latent], `steps` gradient steps with momentum down the mean
    squared difference of a pixel; of all points on the way the nearest is kept. An image's result
    rests on no other's. It has no gradient of its own.
    """

    starts: Tensor

    def __init__(self, decoder: Decoder, starts: Tensor, steps: int, lr: float) -> None:
        super().__init__()
        self.decoder, self.steps, self.lr = decoder, steps, lr
        self.register_buffer("starts", starts)

    def forward(self, images: Tensor) -> Tensor:
        with differentiable():
            return self.decoder(self.codes(ordinary(images))).detach()

    def codes(self, images: Tensor) -> Tensor:
        """The code of each image's nearest, [n, latent]."""
        count = len(self.starts)
        wanted = images.detach().repeat_interleave(count, 0)
        codes = self.starts.repeat(len(images), 1)
        best, least = codes, torch.full_like(codes[:, 0], torch.inf)
        speed = torch.zeros_like(codes)
        for step in range(self.steps + 1):
            with differentiable():
                moving = codes.detach().requires_grad_()
                distances = distance(self.decoder(moving), wanted)
                (slope,) = torch.autograd.grad(distances.sum(), moving)
            nearer = distances.detach() < least
            best = torch.where(nearer[:, None], codes, best)
            least = torch.where(nearer, distances.detach(), least)
            rate = self.lr * (SLOWED if step >= LATE * self.steps else 1.0)
            speed = MOMENTUM * speed + slope
            codes = codes - rate * speed
        chosen = least.view(-1, count).argmin(1)
        rows = torch.arange(len(images), device=images.device)
        return best.view(len(images), count, -1)[rows, chosen]


def distance(images: Tensor, others: Tensor) -> Tensor:
    """The mean squared difference of a pixel, [n]."""
    return (images - others).flatten(1).square().mean(1)


class Projected(nn.Module):
    """The member, asked of the projections; gradients pass the projection as if it were none."""

    def __init__(self, projection: Projection, member: nn.Module) -> None:
        super().__init__()
        self.projection, self.member = projection, member

    def forward(self, images: Tensor) -> Tensor:
        return self.member(straight_through(self.projection)(images))


@dataclass(frozen=True)
class DefenseGan(Defended):
    """Samangouei et al. 2018, arXiv:1805.06605: f(G(z*)), z* the code of the nearest image that
    gradient descent finds from `restarts` starts in `steps` steps.

    The paper has L = 200 steps and R = 10 starts; momentum .7 and the step's fall to a tenth after
    four fifths of the steps are the authors' code's. Deviations: fewer steps and starts, for the
    cost, and a step of 20 for 10, which comes nearer here; starts are drawn from the generator's
    prior once, so that an image has one answer (the code draws N(0, I / latent) anew for every
    batch); the nearest point on the way is kept, the code's is the last. Its gradient is the
    identity's through the projection (BPDA: Athalye et al. 2018), so that every attack by gradients
    is one that knows of the defence.
    """

    member: str = "cnn"
    prior: Prior | None = PRIOR
    restarts: int = 4
    steps: int = 40
    lr: float = 20.0

    def build(self, member: nn.Module, decoder: Decoder | None, shape: Shape) -> nn.Module:
        assert decoder is not None
        starts = decoder.codes(self.restarts)
        return Projected(Projection(decoder, starts, self.steps, self.lr), member)

    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        network.eval()

    def settings(self) -> dict[str, object]:
        return {"recipe": repr(self)}

    def seconds(self, examples: int) -> float:
        return 0.0


CLASSIFIERS.register(
    "cnn@defense-gan",
    paper="arXiv:1805.06605",
    summary="The small CNN, asked of the nearest image that a WGAN-GP can draw",
)(DefenseGan())
