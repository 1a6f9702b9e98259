"""Twenty-three defences that hold attacks back without being robust, and five sound networks.

Each is built of one small CNN, fitted to scikit-learn's 8 x 8 digits. After Athalye et al. 2018
(shattered, random, vanishing gradients), Carlini et al. 2019 and Tramer et al. 2020.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot, pad

from attacks.classifiers.fitting import PLAIN, Schedule, fit
from bench.core.randomness import forked
from bench.datasets.digits import digits8


def held(count: int) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] that no network here was fitted to, and their labels."""
    split = digits8()
    pixels = torch.from_numpy(split.held_images[:count]).float()[:, None] / 255
    return pixels, torch.tensor(split.held_labels[:count])


@cache
def network(seed: int = 0, epochs: int = 12) -> nn.Module:
    """The undefended network."""
    split = digits8()
    images = torch.from_numpy(split.images).float()[:, None] / 255
    with torch.enable_grad(), forked(seed):
        made = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 10),
        )
        fit(made, images, torch.tensor(split.labels), Schedule(epochs, 50, 3e-3), PLAIN)
    return made.requires_grad_(False)


class Defence(nn.Module):
    """A network with something done to its images and its logits."""

    def __init__(self, model, before=lambda x: x, after=lambda z: z) -> None:
        super().__init__()
        self.model, self.before, self.after = model, before, after

    def forward(self, images: Tensor) -> Tensor:
        return self.after(self.model(self.before(images)))


class Through(torch.autograd.Function):
    """The second of two tensors, whose gradient a rule makes of what comes back to the first."""

    @staticmethod
    def forward(ctx, own, there, rule):
        ctx.rule = rule
        return there.clone()

    @staticmethod
    def backward(ctx, *gradients):
        return ctx.rule(gradients[0]), None, None


def gradients(rule: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The image as it is, its gradient changed by a rule."""
    return lambda x: Through.apply(x, x.detach(), rule)


def straight(part: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A part whose gradient is the identity's."""
    return lambda x: Through.apply(x, part(x.detach()), lambda g: g)


def noisy(gradient: Tensor) -> Tensor:
    """A gradient in noise of ten times its size."""
    size = gradient.flatten(1).std(1).reshape(-1, 1, 1, 1)
    return gradient + 10 * size * torch.randn_like(gradient)


def quantised(x: Tensor, levels: int = 3) -> Tensor:
    return (x * levels).round() / levels


def _cosines() -> Tensor:
    at = torch.arange(8).float()
    table = torch.cos(torch.pi * (at[None] + 0.5) * at[:, None] / 8) / 2
    return table * torch.where(at == 0, 0.5**0.5, 1.0)[:, None]


def jpeg(x: Tensor) -> Tensor:
    """The 8 x 8 block's cosines, rounded on a grid that widens with the frequency."""
    basis = _cosines().to(x)
    frequency = torch.arange(8)[:, None] + torch.arange(8)
    grid = (0.25 + 0.08 * frequency).to(x)
    return basis.T @ ((basis @ x @ basis.T / grid).round() * grid) @ basis


def resized(x: Tensor) -> Tensor:
    """At a random size between 6 and 8, at a random place."""
    side = int(torch.randint(6, 9, ()))
    top, left = (int(torch.randint(0, 9 - side, ())) for _ in range(2))
    small = interpolate(x, size=(side, side), mode="bilinear", antialias=False)
    return pad(small, (left, 8 - side - left, top, 8 - side - top))


def dropped(x: Tensor) -> Tensor:
    """A tenth of the pixels at random."""
    return x * (torch.rand_like(x) > 0.1)


class Voting(nn.Module):
    """Three networks, each with one vote."""

    def __init__(self) -> None:
        super().__init__()
        self.voters = nn.ModuleList([network(seed) for seed in (0, 1, 2)])

    def forward(self, images: Tensor) -> Tensor:
        return sum(one_hot(voter(images).argmax(1), 10).to(images) for voter in self.voters)


class Winners(nn.Module):
    """Of every channel map the tenth that is largest; the rest is 0 (Xiao et al. 2020)."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        least = flat.topk(max(1, flat.shape[1] // 10), dim=1).values[:, -1:]
        return torch.where(flat >= least, flat, 0.0).reshape(x.shape)


@cache
def winners() -> nn.Module:
    """A network with k winners in the place of ReLU."""
    split = digits8()
    images = torch.from_numpy(split.images).float()[:, None] / 255
    with torch.enable_grad(), forked(3):
        made = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), Winners(), nn.Flatten(), nn.Linear(512, 10)
        )
        fit(made, images, torch.tensor(split.labels), Schedule(15, 50, 3e-3), PLAIN)
    return made.requires_grad_(False)


class Abstains(nn.Module):
    """An eleventh class, which leads wherever the best of the others leads by little."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits = self.model(images)
        top = logits.topk(2, dim=1).values
        unsure = top[:, :1] + 4.0 - (top[:, :1] - top[:, 1:])
        return torch.cat([logits, unsure], 1)


def steep(x: Tensor) -> Tensor:
    """Every pixel through a sigmoid that is all but a step."""
    return torch.sigmoid(400 * (x - 0.47))


class Purifies(nn.Module):
    """Asks the network of an image that was optimised first: five steps towards the class that
    leads, none of them in the graph (Alfarra et al. 2022). through: the gradient passes straight
    through them; else there is none.
    """

    def __init__(self, model: nn.Module, through: bool) -> None:
        super().__init__()
        self.model, self.through = model, through

    def forward(self, images: Tensor) -> Tensor:
        moved = images.detach().clone()
        with torch.enable_grad():
            leads = self.model(moved).argmax(1)
            for _ in range(5):
                moved.requires_grad_()
                own = self.model(moved).log_softmax(1).gather(1, leads[:, None])
                (slope,) = torch.autograd.grad(own.sum(), moved)
                moved = (moved + 0.03 * slope.sign()).detach()
        if self.through:
            moved = Through.apply(images, moved, lambda gradient: gradient)
        return self.model(moved)


def settled(x: Tensor) -> Tensor:
    """Every pixel descends an energy with its minima a sixteenth apart, in eight steps that are too
    long and all in the graph: its gradients are right, and lead nowhere.
    """
    for _ in range(8):
        x = x - 3.2 / (32 * torch.pi) * torch.sin(32 * torch.pi * x)
    return x


def rippled(x: Tensor) -> Tensor:
    """Pixels on a ripple so short and steep that slopes say nothing of what lies a step away."""
    return x + 0.04 * torch.sin(3000 * x)


class Mates(nn.Module):
    """Noise that is drawn by what the whole batch holds: the same for the same batch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        rng = torch.Generator().manual_seed(int(images.detach().double().sum() * 1e6))
        noise = torch.randn(images.shape, generator=rng).to(images)
        return self.model(images + 0.15 * noise)


def _low(kind: torch.dtype) -> Callable[[], Callable[[Tensor], Tensor]]:
    def made() -> Callable[[Tensor], Tensor]:
        low = copy.deepcopy(network()).to(kind)
        return lambda x: low(x.to(kind)).float()

    return made


def _of(before=lambda x: x, after=lambda z: z) -> Callable[[], nn.Module]:
    return lambda: Defence(network(), before, after)


DEFENCES: dict[str, tuple[Callable[[], Callable[[Tensor], Tensor]], frozenset[str]]] = {
    "zero gradients": (_of(torch.Tensor.detach), frozenset({"zero_gradients"})),
    "noisy gradients": (_of(gradients(noisy)), frozenset({"wrong_gradients"})),
    "flipped gradients": (_of(gradients(torch.neg)), frozenset({"wrong_gradients"})),
    "plain quantisation": (_of(quantised), frozenset({"steps_in_outputs"})),
    "straight-through quantisation": (_of(straight(quantised)), frozenset()),
    "jpeg": (_of(jpeg), frozenset({"steps_in_outputs", "zero_gradients"})),
    "random resizing": (_of(resized), frozenset({"random_outputs"})),
    "random pixels": (_of(dropped), frozenset({"random_outputs"})),
    "noisy logits": (
        _of(after=lambda z: z + torch.randn_like(z)),
        frozenset({"random_outputs"}),
    ),
    "temperature up": (_of(after=lambda z: 100 * z), frozenset({"hidden_by_underflow"})),
    "temperature down": (_of(after=lambda z: 1e-25 * z), frozenset()),
    "one-hot outputs": (
        _of(after=lambda z: one_hot(z.argmax(1), 10).to(z)),
        frozenset({"probabilities", "steps_in_outputs"}),
    ),
    "probabilities": (_of(after=lambda z: z.softmax(1)), frozenset({"probabilities"})),
    "rounded probabilities": (
        _of(after=lambda z: (z.softmax(1) * 100).round() / 100),
        frozenset({"probabilities", "steps_in_outputs"}),
    ),
    "voting": (Voting, frozenset({"steps_in_outputs"})),
    "k winners": (winners, frozenset()),
    "abstain class": (lambda: Abstains(network()), frozenset()),
    "steep sigmoid": (_of(steep), frozenset({"zero_gradients", "wrong_gradients"})),
    "batch's noise": (lambda: Mates(network()), frozenset({"batch_dependent"})),
    "optimised, cut": (lambda: Purifies(network(), False), frozenset({"zero_gradients"})),
    "optimised, through": (lambda: Purifies(network(), True), frozenset()),
    "optimised, in the graph": (_of(settled), frozenset()),
    "rippled": (_of(rippled), frozenset({"transfer_wins"})),
}
"""How a defence is built, and which of the diagnostics has to fire, one of them at least; where
there is none, a weak attack on it has to be called weak.
"""

SOUND: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "float32": network,
    "float16": _low(torch.float16),
    "bfloat16": _low(torch.bfloat16),
    "logits x 3": _of(after=lambda z: 3 * z),
    "fitted long": lambda: network(0, 60),
}
