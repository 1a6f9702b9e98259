"""A network is left as it was found, whatever was done with it."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.asfound import AsFound, left_as_found


def _network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2))
    network.eval()
    network[1].train()
    network[0].bias.requires_grad_(False)
    network[3].weight.grad = torch.ones(2, 3)
    network[0].register_forward_hook(_hook)
    network.register_buffer("wide", torch.zeros(1).expand(5))
    network.register_buffer("odd", torch.tensor([torch.nan, 1.0]))
    return network


def _hook(module, inputs, output):
    return None


def _state(network):
    modules = list(network.modules())
    return {
        "modes": [module.training for module in modules],
        "asks": [weight.requires_grad for weight in network.parameters()],
        "gradients": [id(weight.grad) for weight in network.parameters()],
        "buffers": [(name, id(buffer)) for name, buffer in network.named_buffers()],
        "hooks": [dict(module._forward_hooks) for module in modules],
        "before": [dict(module._forward_pre_hooks) for module in modules],
        "backward": [dict(module._backward_hooks) for module in modules],
        "values": [buffer.tolist() for _, buffer in network.named_buffers() if _ != "odd"],
        "odd": str(network.odd.tolist()),
        "held": [None if w.grad is None else w.grad.tolist() for w in network.parameters()],
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "python": random.getstate(),
    }


MISCHIEF = {
    "modes": lambda n: n.train(),
    "flags": lambda n: n.requires_grad_(True),
    "gradients": lambda n: n[3](torch.ones(2, 3)).sum().backward(),
    "gradients dropped": lambda n: n.zero_grad(),
    "gradients zeroed": lambda n: n.zero_grad(set_to_none=False),
    "statistics": lambda n: n[1](torch.randn(8, 3)),
    "a buffer of another size": lambda n: n.odd.set_(torch.zeros(7)),
    "a buffer in another's place": lambda n: setattr(n, "odd", n.odd + 1),
    "a buffer more": lambda n: n.register_buffer("more", torch.zeros(2)),
    "a buffer less": lambda n: delattr(n, "wide"),
    "hooks": lambda n: [
        n[1].register_forward_hook(_hook),
        n[1].register_forward_pre_hook(_hook),
        n[3].register_full_backward_hook(_hook),
    ],
    "hooks dropped": lambda n: n[0]._forward_hooks.clear(),
    "random numbers": lambda n: (torch.rand(3), np.random.rand(), random.random()),
}


@pytest.mark.parametrize("kind", MISCHIEF)
@pytest.mark.parametrize("fails", [False, True])
def test_whatever_is_done_is_undone(kind, fails):
    """Also where it fails afterwards."""
    network = _network()
    before = _state(network)
    try:
        with left_as_found(network):
            MISCHIEF[kind](network)
            assert _state(network) != before
            if fails:
                raise ArithmeticError
    except ArithmeticError:
        assert fails
    assert _state(network) == before


def test_it_can_be_put_back_later():
    """And of what is no network the random state is known."""
    network = _network()
    found, before = AsFound(network), _state(network)
    network.train().requires_grad_(True)
    found.put_back()
    assert _state(network) == before
    before = torch.get_rng_state()
    with left_as_found(torch.sin):
        torch.rand(2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_networks_of_other_kinds_are_known_too():
    """Scripted, traced, shared modules and shared buffers."""
    plain = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    for network in (torch.jit.script(plain), torch.jit.trace(plain.eval(), torch.ones(2, 4))):
        with left_as_found(network):
            network.train()
            network(torch.randn(8, 4))
        assert not network.training or network is not plain
    plain.add_module("again", plain[1])
    count = plain[1].num_batches_tracked.clone()
    with left_as_found(plain):
        plain.train()(torch.randn(8, 4))
    assert torch.equal(plain[1].num_batches_tracked, count)
