"""What a file of a program holds, read before anything in it can run.

An exported program (.pt2) is an archive: a graph as JSON, weights as plain bytes, and pickles for
what is no plain tensor. torch.export.load runs such pickles, looks the graph's targets up anywhere
in torch, and evaluates its symbolic sizes as Python. TorchScript is compiled, and may call what
writes files. Here all of it is read as data, and what goes beyond arithmetic on tensors is named.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from bench.core.errors import one_line
from bench.core.files import too_large

OPERATORS = re.compile(
    r"torch\.ops\.(aten|prim|prims|higher_order|torchvision|quantized|quantized_decomposed|"
    r"_c10d_functional)\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+|torch\._check\w*|"
    r"torch\._sym_\w+"
)
"""The calls of a graph that compute with numbers and tensors alone."""
REACHING = re.compile(r"\b(from_file|save|load|load_library|py_op|call_py|pyfunc)\b")
"""Operators that reach files, or leave the program."""
SIZE = re.compile(r"([\w\s+\-*/%(),<>=&|~!]|'\w+'|\d\.\d)*")
"""A symbolic size: sums and products, functions, names in quotes; no attribute."""
NAMESPACE = re.compile(r"(?<![.\w])ops\.(\w+)\.")
KNOWN = frozenset({"aten", "prim", "prims", "quantized", "torchvision", "inductor"})
PICKLES = (b"PK\x03\x04", b"\x80")
"""How what torch.save or pickle wrote begins."""


def code_of_program(path: Path) -> str:
    """What an exported program would run beyond its graph of tensors, or empty.

    Raises ValueError, KeyError or zipfile.BadZipFile for what is none.
    """
    with zipfile.ZipFile(path) as archive:
        _refuse_archive(archive)
        held = {name: archive.read(name) for name in archive.namelist()}
    tables = [json.loads(content) for name, content in held.items() if name.endswith(".json")]
    told = next((found for table in tables for found in _beyond(table)), "")
    if told:
        return told
    plain, pickled = _payloads(tables)
    for name, content in held.items():
        part = name.partition("/data/")[2].partition("/")[2]
        looks = content.startswith(PICKLES) and part not in plain
        if (looks or part in pickled or name.endswith(".pt")) and (why := _pickled(content)):
            return f"{name} needs a pickle ({why})"
    return ""


def code_of_script(path: Path) -> str:
    """What a TorchScript file would call that reaches beyond tensors, or empty.

    Raises ValueError or zipfile.BadZipFile for what is none.
    """
    with zipfile.ZipFile(path) as archive:
        _refuse_archive(archive)
        sources = [name for name in archive.namelist() if "/code/" in name]
        texts = [archive.read(name).decode() for name in sources if name.endswith(".py")]
    for text in texts:
        if found := REACHING.search(text):
            return f"it calls {found.group()}"
        foreign = sorted(set(NAMESPACE.findall(text)) - KNOWN)
        if foreign:
            return f"it calls operators of {foreign[0]}"
    return ""


def is_script(path: Path) -> bool:
    """Whether an archive looks like TorchScript's, not like what torch.save wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return False
    return any("/code/" in name or name.endswith("constants.pkl") for name in names)


def _refuse_archive(archive: zipfile.ZipFile) -> None:
    """Raise ValueError for what claims more than any machine holds, or holds a name twice: readers
    differ in which of the two they take.
    """
    if wrong := too_large(archive):
        raise ValueError(f"it {wrong}")
    names = [name.lower() for name in archive.namelist()]
    if len(set(names)) < len(names):
        raise ValueError("it holds two files of one name")


def _payloads(tables: Iterable[Any]) -> tuple[set[str], set[str]]:
    """The files that are read as the bytes of a tensor alone, and those read as pickles."""
    kinds: dict[str, set[bool]] = {}
    for table in tables:
        payloads = table.get("config") if isinstance(table, dict) else None
        for one in payloads.values() if isinstance(payloads, dict) else ():
            kinds.setdefault(str(one["path_name"]), set()).add(bool(one["use_pickle"]))
    pickled = {name for name, kind in kinds.items() if True in kind}
    return kinds.keys() - pickled, pickled


def _pickled(content: bytes) -> str:
    """Why a pickle would run code, or empty where it holds tensors alone."""
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile pickle raises
        return one_line(error, 60)
    return ""


def _beyond(table: Any) -> Iterator[str]:
    """What of a graph, or of the list of an archive's payloads, is more than tensors."""
    for key, value in _entries(table):
        if key == "target" and isinstance(value, str):
            graph = OPERATORS.fullmatch(value) and not REACHING.search(value)
            if not graph and ("." in value or value.startswith("#")):
                yield f"its graph calls {one_line(value, 60)}"
        elif key == "path_name" and str(value).startswith(("custom_obj", "opaque_obj")):
            yield f"{one_line(value, 60)} is a pickled object"
        elif key == "expr_str" and (not SIZE.fullmatch(str(value)) or "__" in str(value)):
            yield f"a size of its graph is {one_line(value, 60)}"


def _entries(table: Any) -> Iterable[tuple[str, Any]]:
    """Every key with its value, however deep."""
    waiting = [table]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
