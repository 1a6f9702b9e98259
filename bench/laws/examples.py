"""Counter-examples: what a failed assertion saw, and the comparisons that laws are written in."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import isclose, isinf, isnan
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import one_line

LENGTH = 300
MANY = 6
"""Numbers of an array that are written out."""


@dataclass(frozen=True)
class near:  # noqa: N801
    """A number that may differ a little: `found == near(1.5)`."""

    value: float
    rel: float = 1e-6
    abs: float = 1e-12

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | float | np.number | Tensor):
            return NotImplemented
        found = float(other)
        if isnan(found) or isinf(found) or isinf(self.value):
            return found == self.value
        slack = max(self.rel * abs(self.value), self.abs)
        return isclose(found, self.value, rel_tol=0.0, abs_tol=slack)

    __hash__ = None  # pyright: ignore[reportAssignmentType]


@contextmanager
def raises(kind: type[Exception], match: str = "") -> Iterator[None]:
    """Fail where nothing of a kind is raised, or where its message has no such text in it."""
    try:
        yield
    except kind as error:
        if not re.search(match, str(error)):
            raise AssertionError(
                f"expected a message that matches '{match}', got '{error}'"
            ) from error
    else:
        raise AssertionError(f"expected {kind.__name__} ({match or 'of any text'}), got none")


def counter_example(error: Exception) -> str:
    """What broke a law, on one line: of an assertion without a message, what was asserted and
    the values of the names in it.
    """
    if not isinstance(error, AssertionError):
        return one_line(f"{type(error).__name__}: {error}", LENGTH)
    if str(error):
        return one_line(error, LENGTH)
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "an assertion failed"
    return _told(traceback.tb_frame, traceback.tb_lineno) or "an assertion failed"


def _told(frame: FrameType, line: int) -> str:
    test = next(
        (at.test for at in _assertions(frame.f_code.co_filename) if at.lineno <= line <= _end(at)),
        None,
    )
    if test is None:
        return ""
    names = dict.fromkeys(node.id for node in ast.walk(test) if isinstance(node, ast.Name))
    values = [f"{name} = {_brief(frame.f_locals[name])}" for name in names if _worth(frame, name)]
    return one_line(f"{ast.unparse(test)}{', where ' if values else ''}{', '.join(values)}", LENGTH)


@cache
def _assertions(path: str) -> list[ast.Assert]:
    try:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError):
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]


def _end(node: ast.Assert) -> int:
    return node.end_lineno or node.lineno


def _worth(frame: FrameType, name: str) -> bool:
    """Whether a local name stands for a value that a reader can do something with."""
    value = frame.f_locals.get(name)
    return name in frame.f_locals and not (callable(value) or isinstance(value, ModuleType))


def _brief(value: Any) -> str:
    """A value in a few words; a large array by its shape and its ends."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
    if isinstance(value, np.ndarray):
        if value.size <= MANY:
            return str(value.tolist())
        ends = f" from {value.min():.4g} to {value.max():.4g}" if value.dtype.kind in "fiub" else ""
        return f"{value.dtype}{list(value.shape)}{ends}"
    if inspect.isgenerator(value):
        return "a generator"
    return one_line(repr(value), 80)
