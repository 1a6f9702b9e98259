"""What the hand-written loops of training share: data whose draws are known, and how weights are
told apart. Nothing here comes from a trainer.
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import nn

ATOL = 1e-6
"""Of every weight and buffer after three steps."""
STEPS = 3


class Stream:
    """Batches that a seed alone decides, each another, with labels where there are classes."""

    def __init__(self, seed, shape, classes=0):
        self._rng = torch.Generator().manual_seed(seed)
        self._shape, self._classes = shape, classes

    def next(self, n):
        drawn = torch.rand((n, *self._shape), generator=self._rng)
        if not self._classes:
            return drawn
        return drawn, torch.randint(self._classes, (n,), generator=self._rng)

    def position(self):
        return {"rng": self._rng.get_state()}

    def seek(self, position):
        self._rng.set_state(position["rng"])


class Known:
    """Data for a trainer: endless batches, and a training set of 60. Batches with labels are those
    of another seed, so that a trainer that takes the wrong stream is told from others.
    """

    device, box, density = "cpu", (0.0, 1.0), None
    training_seed = 1

    def __init__(self, shape, classes=3):
        self.shape, self.modes, self.classes = shape, classes, classes

    @property
    def training(self):
        return Stream(3, self.shape).next(60)

    def batches(self):
        return Stream(self.training_seed, self.shape)

    def labelled_batches(self):
        return Stream(self.training_seed + 1, self.shape, self.classes)

    def fresh(self, n, rng, classes=None):
        raise AssertionError("nothing is trained on what is held out")


@contextmanager
def seeded(seed):
    """The global generator, which first weights and dropout draw from."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def advanced(trainer, data, first=0):
    """The state of a trainer after three steps, the first of them the step after `first` others."""
    rng = torch.Generator().manual_seed(5)
    with seeded(0):
        state = trainer.start(data, rng)
        state.step = first
        return trainer.advance(state, STEPS)


def initialised(network, rng, kind, value=1.0):
    """First weights by the name of their distribution, biases 0; by default they are PyTorch's."""
    if kind == "default":
        return
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if kind == "normal":
                nn.init.normal_(layer.weight, 0.0, value, generator=rng)
            elif kind == "orthogonal":
                nn.init.orthogonal_(layer.weight, value, generator=rng)
            elif kind == "uniform":
                nn.init.uniform_(layer.weight, -value, value, generator=rng)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def stepped(loss, network, optimiser):
    """One step of an optimiser of PyTorch's; gradients of this network's weights alone."""
    weights = list(network.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimiser.step()


def assert_same(found, wanted):
    """Every weight and buffer of two networks, or of lists of tensors, in their order."""
    found, wanted = (
        list(x.state_dict().values()) if isinstance(x, nn.Module) else list(x)
        for x in (found, wanted)
    )
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.detach(), other.detach(), rtol=0, atol=ATOL)
