"""A classifier of the user's own out of files: programs, checkpoints, networks of the zoos."""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from bench.core.errors import UsageError
from bench.models.files import load_program
from bench.models.users import Preparation, load_model, prepare
from bench.models.weights import fit, read_weights
from bench.models.zoo import maker_of, shaped

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 3)).eval()


STATE = network().state_dict()


def prefixed(prefix: str) -> dict:
    return {prefix + name: value for name, value in STATE.items()}


CHECKPOINTS = {
    "plain": STATE,
    "state_dict": {"state_dict": STATE, "epoch": 3},
    "model": {"model": STATE, "optimizer": {"state": {}, "param_groups": []}},
    "model_state_dict": {"model_state_dict": STATE, "loss": 0.5},
    "net": {"net": STATE, "acc": 92.0},
    "DataParallel": prefixed("module."),
    "compiled": {"state_dict": prefixed("_orig_mod.")},
    "compiled and parallel": prefixed("module._orig_mod."),
    "Lightning": {"state_dict": {**prefixed("model."), "loss.weight": torch.ones(3)}},
    "inside another": {"checkpoint": 1, "model": {"state_dict": prefixed("encoder.net.")}},
    "a number of NumPy": {"state_dict": STATE, "best": np.float64(0.9), "at": np.int64(3)},
    "an array of NumPy": {"state_dict": STATE, "curve": np.arange(3.0)},
    "arguments": {"model": STATE, "args": argparse.Namespace(lr=0.1), "path": pathlib.Path("a")},
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_usual_wrappers_and_prefixes(tmp_path, name):
    torch.save(CHECKPOINTS[name], tmp_path / "w.pth")
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 3))
    found = fit(other, read_weights(tmp_path / "w.pth"), "w.pth")
    torch.testing.assert_close(found(IMAGES), network()(IMAGES), rtol=0, atol=0)


def test_weights_of_a_bare_network_fit_one_that_is_wrapped(tmp_path):
    wrapped = nn.DataParallel(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 3))
    )
    found = fit(wrapped, STATE, "w.pth")
    torch.testing.assert_close(found(IMAGES), network()(IMAGES), rtol=0, atol=0)


def test_of_two_sets_of_weights_the_likelier_is_taken():
    """A model and its moving average under other names: never a mixture of both."""
    state = {**prefixed("ema."), **{f"model.{k}": v + 1 for k, v in STATE.items()}}
    found = fit(network(), state, "w.pth").state_dict()
    torch.testing.assert_close(found["1.bias"], STATE["1.bias"] + 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"epoch": 3, "lr": 0.1},
            "expected a state_dict, or one under .*, got a dict of epoch, lr",
        ),
        ([1, 2], "expected a state_dict, or one under .*, got a list"),
        (nn.Linear(2, 2), "was refused: expected tensors alone"),
    ],
)
def test_what_holds_no_weights(tmp_path, content, said):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=said):
        read_weights(tmp_path / "w.pth")


def test_weights_that_do_not_fit(tmp_path):
    with pytest.raises(UsageError, match=r"w\.pth does not fit the model: .*Missing key"):
        fit(network(), {"1.weight": STATE["1.weight"]}, "w.pth")


def test_a_pointer_of_git_lfs_says_so(tmp_path):
    for name in ("w.pth", "w.safetensors", "m.pt2", "m.pt"):
        path = tmp_path / name
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        with pytest.raises(UsageError, match="it is a pointer of git-lfs"):
            read_weights(path) if name.startswith("w") else load_program(path, trust=False)


@pytest.mark.parametrize(
    ("name", "classes", "channels"),
    [
        ("squeezenet1_1", 1000, 3),
        ("squeezenet1_1", 10, 1),
        ("mobilenet_v3_small", 2, 4),
        ("resnet18", 7, 3),
        ("resnet18", 1000, 1),
        ("googlenet", 10, 3),
    ],
)
def test_as_many_classes_and_channels_as_the_weights_show(name, classes, channels):
    """Of networks whose last layers are linear, convolutions, or several, and of one whose first
    layer has the name of others further in.
    """
    made = maker_of("torchvision", name)(classes, channels).state_dict()
    found = fit(shaped(maker_of("torchvision", name), made), made, "w.pth").eval()
    assert found(torch.rand(2, channels, 64, 64)).shape == (2, classes)
    for key, value in found.state_dict().items():
        assert torch.equal(value, made[key])


def test_a_wrapped_network_of_the_zoo():
    state = torchvision.models.get_model("squeezenet1_1", num_classes=5).state_dict()
    wrapped = {f"module.{name}": value for name, value in state.items()}
    found = fit(shaped(maker_of("torchvision", "squeezenet1_1"), wrapped), wrapped, "w").eval()
    assert found(torch.rand(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("form", ["script", "trace", "freeze", "optimise"])
def test_torchscript_of_every_form(tmp_path, form):
    """What was frozen has no mode to set."""
    script = torch.jit.script(network())
    made = {
        "script": lambda: script,
        "trace": lambda: torch.jit.trace(network(), IMAGES),
        "freeze": lambda: torch.jit.freeze(script),
        "optimise": lambda: torch.jit.optimize_for_inference(script),
    }[form]()
    torch.jit.save(made, tmp_path / "m.pt")
    found = load_model(str(tmp_path / "m.pt"), None, Preparation())
    torch.testing.assert_close(found(IMAGES), network()(IMAGES), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: x.flatten(1)[:2], r"expected logits \[n, classes\], got \[2, 64\] for 4 images"),
        (lambda x: (x,), "got tuple for 4 images"),
        (lambda x: x.flatten(1)[:, : 10 - len(x)], "got 9 of some and 6 of others"),
    ],
)
def test_answers_are_looked_at_every_time(call, said):
    """Not only those to the first few images."""
    model = prepare(call, Preparation(), "mine")
    if "others" in said:
        model(IMAGES[:1])
    with pytest.raises(UsageError, match=f"mine: .*{said}"):
        model(IMAGES)
