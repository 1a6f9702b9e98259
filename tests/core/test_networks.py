"""A network of somebody's is left as it was found, whatever is done with it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import dropout

from bench import api
from bench.core.asfound import left_as_found
from bench.core.networks import moved

IMAGES = np.random.default_rng(0).random((24, 1, 8, 8)).astype(np.float32)
LABELS = np.arange(24) % 3


class Net(nn.Module):
    """Mixed modes and flags, statistics on the move, noise, a hook, a gradient from before."""

    expanded: torch.Tensor
    lazy: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 3)
        self.register_buffer("expanded", torch.ones(1).expand(3))
        self.register_buffer("counted", torch.zeros(()))
        self.calls = 0
        self.noisy = True

    def forward(self, x):
        self.norm.train()
        self.calls += 1
        self.counted += 1
        if not hasattr(self, "lazy"):
            self.register_buffer("lazy", torch.ones(3), persistent=False)
        x = self.norm(self.conv(x)).mean((2, 3)) * self.expanded
        return self.head(dropout(x, 0.01, True) * self.lazy)


def made() -> Net:
    torch.manual_seed(0)
    net = Net().train()
    net.norm.eval()
    net.conv.bias.requires_grad_(False)
    net.head.weight.grad = torch.full_like(net.head.weight, 2.0)
    net.head.register_forward_hook(lambda *_: None)
    return net


def state_of(net: nn.Module):
    """All that a user can see of a network, and of the generators."""
    return (
        [(part, part.training) for part in net.modules()],
        [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in net.parameters()],
        [p.grad for p in net.parameters()],
        {name: buffer.clone() for name, buffer in net.named_buffers()},
        [len(part._forward_hooks) + len(part._backward_hooks) for part in net.modules()],
        [p.detach().clone() for p in net.parameters()],
        (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()),
    )


def assert_alike(one, other) -> None:
    torch.testing.assert_close(one[3], other[3], rtol=0, atol=0)
    torch.testing.assert_close(one[5], other[5], rtol=0, atol=0)
    assert one[0] == other[0]
    for (flag, grad), (flag2, grad2) in zip(one[1], other[1], strict=True):
        assert flag == flag2
        assert (grad is None) == (grad2 is None)
        assert grad is None or torch.equal(grad, grad2)
    assert all(a is b for a, b in zip(one[2], other[2], strict=True))
    assert one[4] == other[4]
    assert one[6][0] == other[6][0]
    assert one[6][1] == other[6][1]
    assert torch.equal(one[6][2], other[6][2])


def attacks(net: Net) -> None:
    api.attack(net, (IMAGES, LABELS), attack="pgd", epsilons=(0, 0.1), settings={"steps": 3})


def scores(net: Net) -> None:
    api.score(IMAGES[:12], IMAGES[12:], features=net, metrics="frechet", workers=1)


class Failing(Net):
    """Ends in the middle."""

    def forward(self, x):
        found = super().forward(x)
        if self.calls > 3:
            raise RuntimeError("enough")
        return found


@pytest.mark.parametrize("use", [attacks, scores])
def test_every_verb_that_takes_a_network_leaves_it_as_it_was(use):
    net = made()
    before = state_of(net)
    use(net)
    assert net.calls
    assert_alike(state_of(net), before)
    loss = net(torch.rand(8, 1, 8, 8)).sum()
    loss.backward()  # a training step is as possible as before


@pytest.mark.parametrize("use", [attacks, scores])
def test_also_where_it_fails(use):
    net = made()
    net.__class__ = Failing
    before = state_of(net)
    with pytest.raises(api.UsageError, match="enough"):
        [use(net) for _ in range(4)]
    assert_alike(state_of(net), before)


def test_buffers_that_no_copy_can_fill_are_left_alone():
    """Expanded ones, and those that were made in inference mode."""
    net = nn.Module()
    with torch.inference_mode():
        inner = torch.ones(3)
    net.register_buffer("inner", inner)
    net.register_buffer("wide", torch.zeros(1).expand(4))
    with left_as_found(net):
        with torch.inference_mode():
            net.inner.add_(1)
        net.extra = nn.Buffer(torch.ones(1))
    assert net.inner.tolist() == [1, 1, 1]
    assert net.wide.tolist() == [0, 0, 0, 0]
    assert "extra" not in dict(net.named_buffers())


def test_what_is_no_network_is_left_alone():
    call = lambda x: x  # noqa: E731
    with left_as_found(call), moved(call, "cuda") as same:
        assert same is call


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_network_is_on_its_own_device_afterwards():
    net = made()
    tensors = [*net.parameters(), *net.buffers()]
    pointers = [tensor.data_ptr() for tensor in tensors]
    with moved(net, "cuda"):
        assert {tensor.device.type for tensor in net.parameters()} == {"cuda"}
    assert [tensor.data_ptr() for tensor in tensors] == pointers
