"""Names that no file can have, and arguments that no verb can use, are one line of error."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from bench.core.arguments import checked, fits, told
from bench.core.errors import BenchError, UsageError, nearest
from bench.core.files import user_path


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "~nobody_of_this_name/x"])
def test_what_no_file_can_be_called(name):
    with pytest.raises(UsageError, match=r"^can't look for '") as caught:
        user_path(name)
    assert len(str(caught.value)) < 300


def test_a_file_that_is_not_there_has_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()
    assert user_path("~/x") == tmp_path / "x"
    assert user_path(tmp_path / "file" / "x") == tmp_path / "file" / "x"


def test_every_message_is_one_printable_line():
    error = UsageError("a\nb\x1b[31m " + "x" * 5000)
    assert str(error).startswith("a b\\x1b[31m xxx")
    assert len(str(error)) == 1000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert isinstance(error, BenchError)


def test_the_nearest_name_in_other_letters():
    assert nearest("FGSM", ["pgd", "fgsm"]) == "fgsm"
    assert nearest("Fgs", ["pgd", "fgsm"]) == "fgsm"
    assert nearest("MNIST", ["MNIST", "mnist"]) == "MNIST"


@checked("kept")
def verb(
    name: str,
    kept: Any = None,
    *,
    count: int = 3,
    share: float | None = None,
    flag: bool = False,
    many: str | Sequence[float] = (),
    pairs: Iterable[tuple[str, str]] = (),
    table: Mapping[str, Any] | None = None,
    tell: Callable[[], None] = print,
    **more: Any,
) -> dict[str, Any]:
    """What came."""
    return {**locals()}


def test_arguments_come_as_plain_values():
    found = verb(
        "x", np.ones(2), count=np.int64(4), share=np.float32(0.5), flag=np.bool_(True), many=[1, 2]
    )
    assert (found["count"], found["share"], found["flag"], found["many"]) == (4, 0.5, True, (1, 2))
    assert isinstance(found["kept"], np.ndarray)
    assert verb("x", count=None)["count"] == 3
    assert verb("x", share=1, other=object())["share"] == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": 5}, "`name`: expected a text, got 5"),
        ({"name": None}, "`name`: expected a text, got None"),
        ({"count": 1.5}, "`count`: expected a whole number, got 1.5"),
        ({"count": True}, "`count`: expected a whole number, got True"),
        ({"share": "x\ny"}, r"`share`: expected a number, got 'x\\ny'"),
        ({"flag": "no"}, "`flag`: expected true or false, got 'no'"),
        ({"many": [1, "x"]}, "`many`: expected a text or several, got (1, 'x')"),
        ({"pairs": [("a", "b"), "c"]}, "`pairs`: expected several, got (('a', 'b'), 'c')"),
        ({"pairs": "ab"}, "`pairs`: expected several, got 'ab'"),
        ({"table": {1: 2}}, "`table`: expected a table, got {1: 2}"),
        ({"table": [1]}, "`table`: expected a table, got (1,)"),
        ({"tell": 5}, "`tell`: expected a function, got 5"),
    ],
)
def test_arguments_of_other_types_are_named(given, expected):
    with pytest.raises(UsageError) as caught:
        verb(**{"name": "x", **given})
    assert str(caught.value) == expected.replace(r"\\n", r"\n")


def test_a_repr_that_fails_is_no_crash():
    class Odd:
        def __repr__(self):
            raise RuntimeError

    with pytest.raises(UsageError, match="got a Odd"):
        verb(Odd())


def test_types_that_nobody_foresaw():
    assert fits(object(), Any)
    assert fits(iter("ab"), Iterable[str])
    assert not fits(5, Iterable[str])
    assert told(int | None) == "a whole number"
