"""What Python users pass becomes plain values, or one line that names the parameter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.core.arguments import as_plain, checked, numbers, text, whole
from bench.core.errors import UsageError


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.array([1, 2]), (1, 2)),
        (np.array(2.0), 2.0),
        (torch.tensor([1.5]), (1.5,)),
        (torch.tensor(3), 3),
        (torch.device("cpu"), "cpu"),
        (Path("a") / "b", "a/b"),
        ([1, np.int8(2)], (1, 2)),
        ({"steps": np.int64(5)}, {"steps": 5}),
        (None, None),
        ("x", "x"),
        (np.bool_(True), True),
    ],
)
def test_plain_values(value, plain):
    found = as_plain(value)
    assert found == plain
    assert type(found) is type(plain)


def test_a_verb_gets_plain_values_and_none_is_the_default_where_that_is_no_none():
    @checked("e")
    def call(
        a: int | None, b: int = 3, c: str | None = None, *, d: Sequence[int] = (1,), e: Any = 0
    ):
        return a, b, c, d, e

    assert call(None, None, None, d=[np.int64(2)], e=[1]) == (None, 3, None, (2,), [1])
    assert call(np.int64(4), c=Path("x")) == (4, 3, "x", (1,), 0)
    with pytest.raises(UsageError, match=r"`b`: expected a whole number, got 2\.5"):
        call(1, 2.5)


@pytest.mark.parametrize("value", [True, 2.0, "3", 0, 11, None, (3,)])
def test_what_is_no_whole_number(value):
    with pytest.raises(UsageError, match="`images`: expected 1 to 10, got "):
        whole("images", value, 1, 10)


def test_numbers_come_in_many_forms():
    for value in (0.5, "0.5", (0.5,), [0.5], ("0.5",)):
        assert numbers("mean", value) == (0.5,)
    assert numbers("mean", "") == numbers("mean", ()) == ()
    assert numbers("range", "0,255", 2) == (0.0, 255.0)
    with pytest.raises(UsageError, match="`range`: expected 2 numbers, got '1'"):
        numbers("range", "1", 2)
    for value in ("a", (None,), ((1,),)):
        with pytest.raises(UsageError, match="`mean`: expected numbers with commas between"):
            numbers("mean", value)


@pytest.mark.parametrize("value", ["", "  ", None, 3])
def test_what_is_no_name(value):
    with pytest.raises(UsageError, match="`attack`: expected a name, got"):
        text("attack", value)
