"""APE-GAN: a network that takes perturbations out of images before the classifier sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross
from torch.nn.functional import mse_loss

from attacks.classifiers.contracts import CLASSIFIERS, Decoder, Defended, Shape
from attacks.contracts import UNIT, FixedBudget
from attacks.fgsm import Fgsm

FGSM = Fgsm()


class Eliminator(nn.Module):
    """Images [n, c, h, w] to images of the same shape, in (0, 1): two convolutions of stride 2, two
    transposed ones back, batch norm between.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 5, stride=2, padding=2),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)[..., : images.shape[2], : images.shape[3]]


class Behind(nn.Module):
    """The member, asked of the images that come out of what stands before it."""

    def __init__(self, before: nn.Module, member: nn.Module) -> None:
        super().__init__()
        self.before, self.member = before, member

    def forward(self, images: Tensor) -> Tensor:
        return self.member(self.before(images))


def critic(shape: Shape, width: int) -> nn.Module:
    """Images to a logit each, [n, 1]: higher for what it takes for clean."""
    layers = nn.Sequential(
        nn.Conv2d(shape[0], width, 5, stride=2, padding=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 5, stride=2, padding=2),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
    )
    sides = (math.ceil(math.ceil(side / 2) / 2) for side in shape[1:])
    return layers.append(nn.Linear(2 * width * math.prod(sides), 1))


@dataclass(frozen=True)
class ApeGan(Defended):
    """Shen et al. 2017, arXiv:1707.05474. A network G is trained on the member's FGSM images x' of
    clean images x: it minimises similarity |G(x') - x| + adversarial times what a critic D says of
    G(x'); D tells x from G(x').

    Both weights (.7 and .3), the root of the mean squared difference of the batch for the distance,
    -log D for the adversarial term (the paper has 1 - log D), and two steps of G to one of D are
    those of the authors' code. Deviations: `width` 16 for 64 and two layers each way in D for
    three, batch 100 for 64, Adam `lr` 1e-3 for 2e-4 over `epochs`, because images are few; the
    radius .3 is of images in [0, 1].
    """

    member: str = "cnn"
    attack: FixedBudget = FGSM
    radius: float = 0.3
    norm: str = "linf"
    similarity: float = 0.7
    adversarial: float = 0.3
    width: int = 16
    epochs: int = 10
    batch: int = 100
    lr: float = 1e-3
    critic_steps: int = 1
    own_steps: int = 2

    def build(self, member: nn.Module, decoder: Decoder | None, shape: Shape) -> nn.Module:
        return Behind(Eliminator(shape[0], self.width), member)

    def train(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        eliminator, member = network.before, network.member
        assert isinstance(eliminator, nn.Module)
        assert isinstance(member, nn.Module)
        member.eval()
        perturbed = self.perturbed(member, images, labels)
        judge = critic(tuple(images.shape[1:]), self.width).to(images.device)
        players = (eliminator, judge)
        moves = [torch.optim.Adam(p.parameters(), lr=self.lr, betas=(0.5, 0.999)) for p in players]
        eliminator.train()
        for _ in range(self.epochs):
            order = torch.randperm(len(images), device=images.device)
            for chosen in order.split(self.batch):
                self._step(players, moves, images[chosen], perturbed[chosen])
        network.eval()

    def perturbed(self, member: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """The member's attacked images, with their own labels in mind."""
        parts = zip(images.split(500), labels.split(500), strict=True)
        told: dict[str, Any] = {"radius": self.radius, "norm": self.norm, "box": UNIT}
        found = [
            self.attack(member, x, y, seeds=torch.zeros_like(y), **told).detach() for x, y in parts
        ]
        return torch.cat(found)

    def _step(
        self,
        players: tuple[nn.Module, nn.Module],
        moves: list[torch.optim.Adam],
        clean: Tensor,
        perturbed: Tensor,
    ) -> None:
        """D first, then G."""
        eliminator, judge = players
        for _ in range(self.critic_steps):
            _move(moves[1], judged(judge, clean, eliminator(perturbed).detach()))
        for _ in range(self.own_steps):
            _move(moves[0], self.eliminated(judge, clean, eliminator(perturbed)))

    def eliminated(self, judge: nn.Module, clean: Tensor, made: Tensor) -> Tensor:
        """What G minimises, a scalar."""
        taken = judge(made)
        fooling = cross(taken, torch.ones_like(taken))
        return self.similarity * mse_loss(made, clean).sqrt() + self.adversarial * fooling

    def settings(self) -> dict[str, object]:
        return {"recipe": repr(self)}

    def seconds(self, examples: int) -> float:
        return self.epochs * examples / 100 * 0.12


def judged(judge: nn.Module, clean: Tensor, made: Tensor) -> Tensor:
    """What D minimises, a scalar: cross-entropy, clean images 1 and G's 0."""
    real, fake = judge(clean), judge(made)
    return cross(real, torch.ones_like(real)) + cross(fake, torch.zeros_like(fake))


def _move(optimiser: torch.optim.Adam, loss: Tensor) -> None:
    weights = optimiser.param_groups[0]["params"]
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient.contiguous()
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


CLASSIFIERS.register(
    "cnn@ape-gan",
    paper="arXiv:1707.05474",
    summary="The small CNN behind a network that takes FGSM's perturbations out",
)(ApeGan())
