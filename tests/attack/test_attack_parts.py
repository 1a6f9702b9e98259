"""A long evaluation in parts, its batches and its precision."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from harness import bench
from torch import nn

from attacks.engine import chunk_of
from bench.attack import parts as parting
from bench.attack.attack import evaluate_attack
from bench.core.errors import UsageError
from bench.datasets.digits import digits8
from bench.models.precision import in_precision, refuse_precision
from results.rows import VARYING

N = 20
SPLIT = digits8()
GIVEN = (SPLIT.held_images[:N], SPLIT.held_labels[:N])


class Linear(nn.Module):
    """A linear network that does not care for its batch: no image's sums depend on another's.
    sizes, kinds: of what it was shown.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.kinds: set[torch.dtype] = set()
        rng = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(0.3 * torch.randn(10, 64, generator=rng))

    def forward(self, images):
        self.sizes.append(len(images))
        return (images.flatten(1)[:, None] * self.weight).sum(2)


class Draws(Linear):
    """One that draws as it answers."""

    def forward(self, images):
        return super().forward(images) + 0.5 * torch.randn(len(images), 10)


class Ends(Exception):
    """What a kill is."""


def _made(network=None, **more):
    data = more.pop("data", GIVEN)
    asked = {"epsilons": "0.05,0.1,0.2", "audit": False, **more}
    return evaluate_attack(network or Linear(), data, **asked)


def _same(first, second):
    """Rows, images and answers, bit for bit; but for what two runs need not share."""
    left = [name for name in (*VARYING, "key") if name in first.table]
    pd.testing.assert_frame_equal(first.table.drop(columns=left), second.table.drop(columns=left))
    for name in ("attacked", "before", "after"):
        assert torch.equal(getattr(first.evaluation, name), getattr(second.evaluation, name))


ATTACKS = ["pgd", ("fgsm", "pgd"), "square", "fab"]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("network", [Linear, Draws])
def test_parts_are_the_whole(tmp_path, attack, network):
    """With the same batches or, where a network does not draw, in one go."""
    asked = {"attack": attack, "settings": {} if attack == "fab" else {"stop": "first_success"}}
    kept = _made(network(), parts=str(tmp_path), batch_size=6, **asked)
    assert (kept.evaluation.parts, kept.evaluation.read) == (4, 0)
    _same(kept, _made(network(), batch_size=6, **asked))
    if network is Linear:
        _same(kept, _made(network(), **asked))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_killed_evaluation_goes_on(tmp_path, monkeypatch, attack):
    """What was finished is not done again, and the figures are those of one that was not killed."""
    asked = {"attack": attack, "parts": str(tmp_path), "batch_size": 6}
    observe, seen = parting.observe, []

    def counted(chosen, trial, tell):
        seen.append(trial.seeds.tolist())
        if len(seen) == 3:
            raise Ends
        return observe(chosen, trial, tell)

    monkeypatch.setattr(parting, "observe", counted)
    with pytest.raises((Ends, UsageError)):
        _made(Draws(), **asked)
    assert len(list(tmp_path.iterdir())) == 2
    torch.manual_seed(77)  # another process draws other numbers
    again = _made(Draws(), **asked)
    assert (again.evaluation.parts, again.evaluation.read) == (4, 2)
    assert seen[2:4] == [seen[2], seen[2]]
    assert len(seen) == 5
    monkeypatch.undo()
    _same(again, _made(Draws(), attack=attack, batch_size=6))
    whole = _made(Draws(), **asked)
    assert whole.evaluation.read == 4
    _same(again, whole)


def test_more_images_go_on_from_fewer(tmp_path):
    _made(images=12, parts=str(tmp_path), batch_size=6)
    assert _made(parts=str(tmp_path), batch_size=6).evaluation.read == 2


@pytest.mark.parametrize(
    "other",
    [
        {"network": Linear(1)},
        {"seed": 1},
        {"epsilons": "0.05,0.1"},
        {"norm": "l2"},
        {"settings": {"steps": 3}},
        {"attack": "bim"},
        {"mean": 0.1, "std": 0.9},
        {"precision": "bfloat16"},
        {"clip": False},
        {"data": (GIVEN[0], (GIVEN[1] + 1) % 10)},
        {"data": (GIVEN[0] // 2, GIVEN[1])},
        {"batch_size": 5},
    ],
)
def test_what_decides_a_part_makes_it_another(tmp_path, other):
    asked = {"attack": "pgd", "parts": str(tmp_path), "batch_size": 6}
    _made(**asked)
    assert _made(**{**asked, **other}).evaluation.read == 0


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 99])
def test_a_damaged_part_is_measured_again(tmp_path, damage):
    asked = {"parts": str(tmp_path), "batch_size": 6}
    first = _made(**asked)
    for file in tmp_path.iterdir():
        file.write_bytes(damage(file.read_bytes()))
    again = _made(**asked)
    assert again.evaluation.read == 0
    _same(first, again)


def test_a_batch_is_as_large_as_was_asked_for():
    """And no larger where images are measured; the usual size afterwards."""
    usual, network = chunk_of(torch.zeros(9, 1, 8, 8)), Linear()
    _made(network, batch_size=7, attack="pgd")
    assert max(network.sizes) == 7
    assert chunk_of(torch.zeros(9, 1, 8, 8)) == usual


class Kinds(nn.Module):
    """Remembers what it counted with."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.dtype, bool]] = []
        torch.manual_seed(0)
        self.layer = nn.Linear(64, 10)

    def forward(self, images):
        logits = self.layer(images.flatten(1))
        self.seen.append((logits.dtype, images.requires_grad))
        return logits


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_network_is_attacked_in_half_precision_and_measured_in_single(precision):
    network = Kinds()
    half = _made(network, precision=precision, attack="pgd")
    wanted = getattr(torch, precision)
    assert {kind for kind, attacked in network.seen if attacked} <= {wanted, torch.float32}
    assert sum(kind == wanted for kind, _ in network.seen) > 100
    single = _made(Kinds(), attack="pgd")
    found, other = (made.table.set_index(["metric", "epsilon"])["value"] for made in (half, single))
    assert found["robust_accuracy", 0.1] == pytest.approx(other["robust_accuracy", 0.1], abs=0.1)
    with torch.no_grad():
        torch.testing.assert_close(half.evaluation.after, network(half.evaluation.attacked))
    assert half.evaluation.after.dtype == torch.float32


def test_gradients_in_half_precision_are_those_in_single():
    """Small ones, too, which float16 can't hold as they are."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Linear(16, 10))
    images = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        for layer in network[1:]:
            layer.weight.mul_(5e-4)

    def gradient(precision):
        points = images.clone().requires_grad_()
        logits = in_precision(network, precision, torch.device("cpu"))(points)
        assert logits.dtype == torch.float32
        return torch.autograd.grad(logits[:, 0].sum(), points)[0]

    exact = gradient("float32")
    assert 1e-9 < float(exact.abs().max()) < 6e-8
    for precision in ("float16", "bfloat16"):
        torch.testing.assert_close(gradient(precision), exact, rtol=0.1, atol=1e-9)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--precision", "float8"), "unknown precision 'float8'"),
        (("--precision", "float1"), "did you mean 'float16'"),
        (("--batch-size", "-1"), "--batch-size: expected 0 to"),
        (("--parts", ""), "--parts: the name is empty"),
        (("--parts", "gone/deeper"), "--parts: can't write in gone/deeper: expected a folder"),
        (("--parts", "file.txt"), "--parts: can't write in file.txt: expected a folder"),
        (("--epsilons", "l3:1"), "--epsilons: expected one of linf, l2, l1, l0 before the colon"),
        (("--epsilons", "l2:1", "--epsilons", "1"), "all with their norms or none, got 1 alone"),
        (("--epsilons", "1", "--norm", "linf,l2"), "--epsilons: 1 is of which norm? expected them"),
        (("--epsilons", "l2:1", "--norm", "linf"), "--epsilons: l2 has radii and is no norm of"),
        (("--epsilons", "l2:x"), "--epsilons: expected numbers such as"),
        (("--norm", "linf,l7"), "unknown norm 'l7'"),
        (("--norm", "linf,l2", "--attack", "fab"), "--norm: fab searches for the smallest"),
        (("--confusion", "x.jpg"), "--confusion: expected a name that ends in .png"),
        (("--confusion", "x.png", "--figure", "x.png"), "x.png is named twice"),
    ],
)
def test_options_that_are_none(tmp_path, monkeypatch, capsys, more, said):
    """One line that helps, exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("")
    assert bench("attack", "softmax", "optdigits", *more) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_device_that_can_not_is_refused_in_one_line(monkeypatch):
    def fails(*given, **named):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(torch, "autocast", fails)
    with pytest.raises(UsageError, match=r"count in float16 \(no such kernel\): leave it"):
        refuse_precision("float16", "cpu")


def test_what_was_kept_is_told(tmp_path, monkeypatch, capsys):
    """On stderr: rows alone are on stdout."""
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", images=GIVEN[0], labels=GIVEN[1])
    Path("kept_net.py").write_text(
        "import torch\ntorch.manual_seed(0)\n"
        "net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))\n"
    )
    asked = (
        "kept_net:net",
        "d.npz",
        "--parts",
        "kept",
        "--batch-size",
        "8",
        "--no-audit",
        "--json",
    )
    for kept in (0, 3):
        assert bench("attack", *asked) == 0
        out = capsys.readouterr()
        assert f"parts: {kept} of 3 were measured before" in out.err
        assert json.loads(out.out)
