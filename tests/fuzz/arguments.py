"""Calls of the Python API with arguments of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from fuzz import commands, doors, mutators

UNASKED = ("trust", "download", "notify", "workers", "watcher", "executor", "warn", "splits")
"""What stays as it is: code, the network, and what is no value."""


COUNTS = {
    "attack": 1200,
    "score": 1200,
    "sample": 500,
    "plan": 400,
    "show": 300,
    "claims": 200,
    "ledger": 200,
    "cite": 300,
    "list": 300,
    "compare": 400,
    "check": 200,
    "run": 200,
}
"""How many calls are changed from each."""


@dataclass(frozen=True)
class Call:
    """A function of the API with arguments that work."""

    name: str
    function: Callable[..., Any]
    whole: dict[str, Any]


class Odd:
    """What answers every question badly."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("no\narray")

    def __len__(self) -> int:
        raise OSError("no length")

    def __repr__(self) -> str:
        return "odd\nthing\x1b[31m"


class Net(torch.nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images.flatten(1))


@cache
def odd_values() -> list[Any]:
    """Objects of many types."""
    pixels = doors.GREY
    tensor = torch.from_numpy(pixels)
    return [
        *(
            None,
            True,
            False,
            b"bytes",
            object(),
            Odd(),
            ...,
            NotImplemented,
            int,
            len,
            Decimal("NaN"),
        ),
        *(
            Fraction(1, 3),
            1j,
            set(),
            {1, 2},
            frozenset(),
            range(3),
            iter([1]),
            (x for x in ()),
            {},
            [],
        ),
        *(
            (),
            ("a",),
            [None],
            [[1], [2, 3]],
            {"a": 1},
            {1: {}},
            Path("nowhere"),
            Path("."),
            memoryview(b"x"),
        ),
        *(
            np.int64(2),
            np.float32(0.1),
            np.float64("nan"),
            np.array([]),
            np.array([0.1, 0.2]),
            np.bool_(True),
        ),
        *(
            np.array("x"),
            np.array([None]),
            np.array(["a"]),
            np.zeros((2, 0, 3)),
            np.datetime64("2000-01-01"),
        ),
        *(pixels, pixels / 255.0, pixels.astype(complex), pixels.astype(np.int64), pixels - 300.0),
        *(
            tensor,
            tensor / 255,
            tensor.to(torch.bfloat16) / 255,
            tensor.to_sparse(),
            tensor.to("meta"),
        ),
        *(
            torch.tensor(3),
            torch.tensor([1.0]),
            torch.device("cpu"),
            torch.float32,
            torch.nn.Linear(2, 2),
        ),
        *(
            Net(),
            Net(1),
            (pixels, doors.LABELS % 2),
            {"images": pixels, "labels": doors.LABELS % 2},
        ),
        *(
            (pixels, None),
            (pixels, doors.LABELS - 5),
            (pixels[:0], []),
            (pixels, [0] * 12),
            (tensor,) * 2,
        ),
        *(
            np.ones((20, 4)),
            np.full((20, 4), np.nan),
            np.full((20, 4), 1e300),
            np.zeros((20, 4)),
            "run",
        ),
        *(lambda *a, **k: None, lambda x: x.flatten(1), lambda x: 1 / 0, np.ma.masked, slice(2)),
        *(torch.utils.data.TensorDataset(tensor / 255, torch.zeros(12)), [pixels, doors.LABELS]),
    ]


def value(rng: Random) -> Any:
    kind = rng.randrange(10)
    if kind <= 5:
        return rng.choice(odd_values())
    if kind <= 7:
        found = mutators.value(rng)
        return None if mutators.PLANTED in repr(found) else found  # to name it asks for it
    return commands.word(rng)


@cache
def calls() -> dict[str, Call]:
    from bench import api

    net, pair = Net().eval(), (doors.GREY, doors.LABELS % 2)
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(20, 4)), rng.normal(size=(20, 4))
    attack = {"classifier": net, "data": pair, "epsilons": (0.1,), "audit": False, "threads": 1}
    made = (
        Call("attack", api.evaluate_attack, {**attack, "images": 3}),
        Call(
            "score",
            api.measure_score,
            {"real": real, "fake": fake, "metrics": "energy_distance", "workers": 1},
        ),
        Call("sample", api.sample, {"run": "pictures", "n": 2}),
        Call("plan", api.plan, {"suite": "s.toml", "tier": "quick"}),
        Call("show", api.show, {"run": "run"}),
        Call("claims", api.claims, {"run": "run"}),
        Call("ledger", api.ledger, {"runs": ["run"]}),
        Call("cite", api.cite, {"what": "run"}),
        Call("list", api.list, {"kind": "losses"}),
        Call("compare", api.comparison, {"base": "table.csv", "new": "table.csv"}),
        Call("check", api.check_part, {"name": "nonsaturating", "kind": "losses"}),
        Call("run", api.run, {"suite": "s.toml", "out": "r"}),
    )
    return {call.name: call for call in made}


def changed(call: Call, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Arguments of which some were replaced."""
    names = [name for name in parameters(call.function) if name not in UNASKED]
    for index in range(count):
        rng = Random(f"{call.name} {index}")
        given = {**call.whole}
        for _ in range(rng.choice((1, 1, 1, 2))):
            given[rng.choice(names)] = value(rng)
        yield index, given


def parameters(function: Callable[..., Any]) -> list[str]:
    found = signature(function).parameters.values()
    return [
        p.name for p in found if p.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    ]
