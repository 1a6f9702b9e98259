"""Protocols as they are written down elsewhere, for the hand-written loops of GANs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from generative.networks import Dcgan, Mlp

BATCH = 6


@dataclass(frozen=True)
class Place:
    """A protocol as it is written down elsewhere. first: how weights start, and those of a critic
    that goes without batch norm where they start otherwise. rates: of generator and critic.
    average: of the generators of all steps, as long as they are few.
    """

    shape: tuple
    latent: int
    networks: tuple
    first: tuple
    rates: tuple
    betas: tuple = (0.5, 0.999)
    bare_first: tuple = ()
    uniform: bool = False
    shared: bool = False
    average: bool = False
    momentum: tuple = ()

    @property
    def mixes(self):
        return self.networks[1].mixes

    def codes(self, rng, n=BATCH):
        draw = torch.rand if self.uniform else torch.randn
        z = draw(n, self.latent, generator=rng)
        return 2 * z - 1 if self.uniform else z


LEAKY = Mlp((128, 128, 128), "leaky_relu")
SMALL = Dcgan(16)
FIVE = Dcgan(32, layers=None, kernel=5)
TANH = Mlp((128, 128), "tanh")
MAXOUT = Mlp((240, 240), maxout=5, dropout=(0.2, 0.5))
ADAM = (0.5, 0.999)
POINTS, IMAGES = (2,), (1, 8, 8)
PLACES = {
    "plane": Place(POINTS, 2, (Mlp((128, 128, 128)), LEAKY), ("default",), (1e-3, 1e-3)),
    "unrolled-notebook": Place(POINTS, 256, (TANH, TANH), ("orthogonal", 1.4), (1e-3, 1e-4)),
    "small-dcgan": Place(IMAGES, 16, (SMALL, SMALL), ("normal", 0.02), (2e-3, 2e-3), average=True),
    "dcgan-32": Place(
        IMAGES,
        64,
        (FIVE, FIVE),
        ("normal", 0.02),
        (1e-3, 1e-3),
        bare_first=("default",),
        shared=True,
        average=True,
    ),
    "dense": Place(
        IMAGES, 100, (Mlp((128,)), Mlp((128,))), ("default",), (1e-3, 1e-3), (0.9, 0.999), (), True
    ),
    "goodfellow-2014": Place(
        IMAGES,
        100,
        (Mlp((1200, 1200), input_scale=3**0.5), MAXOUT),
        ("uniform", 0.05),
        (0.1, 0.05),
        bare_first=("uniform", 0.005),
        uniform=True,
        momentum=(0.5, 0.7, 125_000, 1 / 1.000004),
    ),
}


class Descent:
    """An optimiser of PyTorch's, and what the 2014 paper changes of it on the way."""

    def __init__(self, network, rate, place, beta):
        self._rate, self._momentum = rate, place.momentum
        weights = network.parameters()
        if place.momentum:
            self.adam = torch.optim.SGD(weights, rate, momentum=place.momentum[0])
        else:
            betas = place.betas if beta is None else (beta, place.betas[1])
            self.adam = torch.optim.Adam(weights, rate, betas)

    def at(self, done):
        """Momentum and rate of the step after `done` others."""
        if self._momentum:
            start, end, over, decay = self._momentum
            (group,) = self.adam.param_groups
            group["momentum"] = start + min(1.0, done / over) * (end - start)
            group["lr"] = self._rate * decay**done
