"""What a user's network holds is its identity: other weights, by whatever way, are another one."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import api
from bench.core import digests
from bench.models.contents import contents_of, reachable, watched

CODE = """
import torch
from torch import nn
from attacks.classifiers import Ready
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 10)
    def forward(self, x):
        return self.a(x.flatten(1))
def net():
    made = Net()
    made.load_state_dict(torch.load("weights.pt"))
    return made
def closed():
    inner = net()
    return lambda x: inner(x)
def hidden():
    inner = [net()]
    class Hides(nn.Module):
        def forward(self, x):
            return inner[0](x)
    return Hides()
class Own(Ready):
    @property
    def missing(self):
        return ""
    def load(self):
        return net().eval()
own = Own()
"""
SUITE = """
name = "own"
default_tier = "q"
[tiers.q]
seeds = 1
[[block]]
name = "attacks"
task = "attack"
grid.dataset = ["optdigits"]
grid.model = ["{model}"]
grid.attack = ["fgsm"]
settings = {{ radii = "0.05", images = 40 {more} }}
metrics = ["robust_accuracy"]
[[block]]
name = "shown"
task = "transfer"
grid.dataset = ["optdigits"]
grid.source_model = ["{model}"]
grid.model = ["own_weights:other"]
grid.attack = ["fgsm"]
settings = {{ images = 40 {more} }}
metrics = ["transfer_error"]
"""
OTHER = """
torch.manual_seed(9)
other = Net()
"""


def draw(seed: int) -> None:
    """The file of weights, written anew."""
    torch.manual_seed(seed)
    layer = nn.Linear(64, 10)
    torch.save({f"a.{name}": value for name, value in layer.state_dict().items()}, "weights.pt")


def forget() -> None:
    """What this process knows of the user's module."""
    sys.modules.pop("own_weights", None)
    for kept in (digests._file, digests._imports, digests.source_digest):
        kept.cache_clear()


@pytest.fixture
def here(tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget()
    Path("own_weights.py").write_text(CODE + OTHER)
    yield tmp_path
    forget()


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("net", ""),
        ("Net", ', weights = "weights.pt"'),
        ("closed", ""),
        ("hidden", ""),
        ("own", ""),
    ],
)
def test_replaced_weights_are_measured_anew(here, form, more):
    """By the attack and by the transfer, whose images are made anew; the same weights are not."""
    Path("s.toml").write_text(SUITE.format(model=f"own_weights:{form}", more=more))

    def run(seed):
        draw(seed)
        return api.run("s.toml", out="run", workers=1)

    first, again, other = run(0), run(0), run(1)
    assert set(first["key"]) == set(again["key"])
    assert first["started_at"].tolist() == again["started_at"].tolist()
    for task in ("attack", "transfer"):
        before, after = (table[table["task"] == task] for table in (first, other))
        assert not set(before["key"]) & set(after["key"])
        assert not set(before["artifact_key"]) & set(after["artifact_key"])
    robust = [table[table["metric"] == "robust_accuracy"]["outcomes"] for table in (first, other)]
    assert robust[0].tolist() != robust[1].tolist()


SCALE = torch.ones(2)


def uses_a_global_name(images):
    return images * SCALE


class Keeps:
    """Not a module: an object that can be called."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, images):
        return images @ self.weight

    def bound(self, images):
        return self(images)


def tuned(images, weight=torch.zeros(3)):  # noqa: B008
    return images + weight


@pytest.mark.parametrize(
    ("holder", "wanted"),
    [
        (uses_a_global_name, [SCALE]),
        (Keeps(SCALE), [SCALE]),
        (Keeps(SCALE).bound, [SCALE]),
        (partial(tuned, weight=SCALE), [SCALE, torch.zeros(3)]),
        ({"a": [SCALE, (np.ones(3),)]}, [SCALE, np.ones(3)]),
        (lambda x, held=SCALE: x, [SCALE]),
    ],
)
def test_tensors_are_found_wherever_they_are_held(holder, wanted):
    found = sorted(np.asarray(value).tolist() for value in reachable(holder))
    assert found == sorted(np.asarray(value).tolist() for value in wanted)


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2).to_sparse(),
        torch.ones(()),
        torch.ones(0),
        torch.ones(4)[::2],
    ],
)
def test_tensors_of_every_kind_tell_themselves_apart(value):
    assert contents_of([value]) == contents_of([value.clone()])
    assert contents_of([value]) != contents_of([torch.full((3,), 2.0)])
    if value.numel():
        assert contents_of([value]) != contents_of([value + value])


def test_files_that_are_read_are_seen_and_others_are_not(tmp_path, monkeypatch):
    """Written ones, code and what is installed are none."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.bin", "code.py", "outside.bin"):
        Path(name).write_bytes(b"1")
    with watched("a test") as files:
        Path("a.bin").read_bytes()
        Path("code.py").read_bytes()
        Path("written.bin").write_bytes(b"2")
        Path(np.__file__).read_bytes()
    Path("outside.bin").read_bytes()
    assert files == {str(tmp_path / "a.bin")}
    before = contents_of(None, files)
    Path("a.bin").write_bytes(b"2")
    assert contents_of(None, files) != before
    with watched("a test") as second:
        pass
    assert second == files
