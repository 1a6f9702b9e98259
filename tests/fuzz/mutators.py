"""What befalls files: bytes flipped, cut, doubled; entries of tables and archives changed so that
every checksum still holds. All draws come from a `random.Random`.
"""

from __future__ import annotations

import ast
import copy
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

PLANTED = "planted_by_fuzz"
"""A module that no reader may import; it is there, and leaves a mark."""
NUMBERS = (0, -1, 1, 2, 255, 2**31 - 1, 2**31, 2**32, 2**63, -(2**63), 2**64, 10**20, 10**400)
FLOATS = (float("nan"), float("inf"), -float("inf"), 1e308, -1e-320, 0.5, -0.0)
NAMES = (
    *("", " ", "\n", "a\x1b[31mb", "\u202egnp", "[red]x[/red]", "é", "\ud800", "x\0y", "a" * 3000),
    *("..", "../../x", "/etc/passwd", "~nobody/x", "~", "C:\\x", "-x", "*", ":", "a:b", "<b>&amp;"),
    *(f"{PLANTED}:part", PLANTED, "math:pi", "1" * 20, "nan", "1e999", "0x10", "１２", "-1"),
)
NAMES_OF_FILES = ("../out.bin", "/abs.bin", "a" * 300, "dir/", "", "x\ny", "__proto__", "data.pkl")
WORDS = (b"\0" * 8, b"\xff" * 4, b"\x80\x02cposix\nsystem\n", b"PK\x05\x06", b"%s%n", b"\r\n", b"-")
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x2E, 0x63, 0x22, 0x7B)

Mutator = Callable[[Random, bytes], bytes]


def value(rng: Random, deep: int = 0) -> Any:
    """Anything that JSON, TOML or an argument can hold."""
    kind = rng.randrange(9 if deep < 3 else 7)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(FLOATS)
    if kind in (4, 5):
        return rng.choice(NAMES)
    if kind == 6:
        return rng.choice(([], {}, "", 0))
    if kind == 7:
        return [value(rng, deep + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(NAMES): value(rng, deep + 1) for _ in range(rng.randrange(3))}


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def tree(rng: Random, given: Any) -> Any:
    """A table with some entries replaced, dropped, renamed, doubled, exchanged or added."""
    root = [copy.deepcopy(given)]
    for _ in range(rng.randint(1, 3)):
        node, key = _place(rng, root)
        action = rng.randrange(8)
        if action <= 2:
            node[key] = value(rng)
        elif action == 3 and node is not root:
            del node[key]
        elif action == 4 and isinstance(node, dict):
            node[rng.choice(NAMES)] = node.pop(key)
        elif action == 5 and isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        elif action == 6:
            other, there = _place(rng, root)
            node[key] = copy.deepcopy(other[there])
        elif action == 7:
            node[key] = nested(rng.choice((2, 20, 150)))
            break
    return root[0]


def _place(rng: Random, root: list) -> tuple[Any, Any]:
    """A container of a tree, and a key in it; deeper ones are likelier."""
    node, key = root, 0
    while isinstance(node[key], dict | list) and node[key] and rng.random() < 0.85:
        node = node[key]
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    return node, key


def flipped(rng: Random, content: bytes) -> bytes:
    """Bytes changed, cut out, repeated, put in; numbers replaced."""
    if not content or rng.random() < 0.01:
        return rng.choice((b"", b"\0", b"version https://git-lfs.github.com/spec/v1\n", *WORDS))
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        _change(rng, out)
    return bytes(out)


def _change(rng: Random, out: bytearray) -> None:
    """One change. The head of a file is likelier to be met."""
    near = min(len(out), rng.choice((32, 128, 1024, len(out) + 1)))
    at = rng.randrange(near + 1)
    end = min(len(out), at + rng.choice((1, 2, 4, 8, 64, len(out))))
    action = rng.randrange(9)
    if action == 0 and at < len(out):
        out[at] ^= 1 << rng.randrange(8)
    elif action == 1 and at < len(out):
        out[at] = rng.choice(INTERESTING)
    elif action == 2:
        del out[at:end]
    elif action == 3:
        out[at:at] = out[at:end][:4096]
    elif action == 4:
        out[at:at] = rng.choice(WORDS)
    elif action == 5:
        number = rng.choice(NUMBERS) % 2**32
        out[at : at + 4] = struct.pack(rng.choice((">I", "<I")), number)
    elif action == 6:
        out[at : at + 8] = struct.pack("<Q", rng.choice(NUMBERS) % 2**64)
    elif action == 7:
        del out[rng.randrange(len(out) + 1) :]
    else:
        _renumber(rng, out, at)


def _renumber(rng: Random, out: bytearray, at: int) -> None:
    """The first number in digits after a place becomes another."""
    start = next((i for i in range(at, len(out)) if 48 <= out[i] <= 57), None)
    if start is not None:
        end = start
        while end < len(out) and 48 <= out[end] <= 57:
            end += 1
        out[start:end] = str(rng.choice((*NUMBERS[:-1], *FLOATS))).encode()


def png(rng: Random, content: bytes) -> bytes:
    """A PNG file with chunks changed, dropped, doubled or exchanged, every checksum right."""
    chunks, at = [], 8
    while at + 8 <= len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        chunks.append((kind, content[at + 8 : at + 8 + size]))
        at += size + 12
    index = rng.randrange(len(chunks))
    kind, body = chunks[index]
    action = rng.randrange(6)
    if action <= 2:
        chunks[index] = (kind, flipped(rng, body))
    elif action == 3:
        del chunks[index]
    elif action == 4:
        chunks.insert(rng.randrange(len(chunks)), chunks[index])
    else:
        more = rng.choice((b"tRNS", b"PLTE", b"iCCP", b"eXIf", b"acTL", b"gAMA", b"zTXt", b"IHDR"))
        chunks.insert(index, (more, flipped(rng, body)[:300]))
    packed = [
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    ]
    return content[:8] + b"".join(packed)


def archive(inner: Mutator) -> Mutator:
    """Of a zip file: members changed by `inner`, dropped, doubled, renamed, or claiming a size."""

    def mutate(rng: Random, content: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = [(info.filename, packed.read(info)) for info in packed.infolist()]
        for _ in range(rng.choice((1, 1, 2))):
            _change_members(rng, members, inner)
        out = _zipped(rng, members)
        if rng.random() < 0.1:
            return _claiming(rng, out)
        return flipped(rng, out) if rng.random() < 0.05 else out

    return mutate


def _change_members(rng: Random, members: list[tuple[str, bytes]], inner: Mutator) -> None:
    if not members:
        return
    index = rng.randrange(len(members))
    name, body = members[index]
    action = rng.randrange(8)
    if action <= 3:
        members[index] = (name, inner(rng, body))
    elif action == 4:
        del members[index]
    elif action == 5:
        members.append((name, flipped(rng, body)))
    elif action == 6:
        members[index] = (rng.choice((*NAMES_OF_FILES, rng.choice(members)[0])), body)
    else:
        members.append((f"{name}.{rng.choice(('npy', 'py', 'json', 'pt', 'pkl'))}", body))


def _zipped(rng: Random, members: list[tuple[str, bytes]]) -> bytes:
    buffer, way = io.BytesIO(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(buffer, "w", way if rng.random() < 0.2 else zipfile.ZIP_STORED) as packed:
        for name, body in members:
            info = zipfile.ZipInfo(name or "_")
            info.compress_type = packed.compression
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # two members of one name are what is wanted
                packed.writestr(info, body)
    return buffer.getvalue()


def _claiming(rng: Random, content: bytes) -> bytes:
    """A zip file whose directory says other sizes than are there."""
    out = bytearray(content)
    at = out.find(b"PK\x01\x02")
    if at < 0:
        return content
    field = at + rng.choice((20, 24, 42))
    out[field : field + 4] = struct.pack("<I", rng.choice((0, 1, 2**31, 2**32 - 1, 2**32 - 2)))
    return bytes(out)


def npy(rng: Random, content: bytes) -> bytes:
    """An .npy file whose header says otherwise, in a form that NumPy can read."""
    if content[:6] != b"\x93NUMPY" or rng.random() < 0.3:
        return flipped(rng, content)
    size = struct.unpack("<H", content[8:10])[0]
    head, body = content[10 : 10 + size], content[10 + size :]
    fields = {
        "descr": rng.choice(
            ("'<f4'", "'<f8'", "'|u1'", "'|O'", "'>i8'", "'<f2'", "'<c8'", "'<U9'", "'|V3'")
            + ("'<M8[ns]'", "'|b1'", "'<i2'", "'<u8'", "[('a', '<f4')]", "'<f16'", "'|S0'", "''")
        ),
        "fortran_order": rng.choice(("True", "False", "0", "None")),
        "shape": rng.choice(
            ("()", "(0,)", "(1,)", "(8, 8)", "(2, 0, 8)", "(-1, 8)", "(10000000000000,)", "(8, 8, 8)")
            + ("(4294967296, 4294967296)", "(2,)*40", "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)")
            + ("(12, 8, 8, 1)", "(12, 3, 8, 8)", "(768,)", "(12, 64)", "(2.5,)", "8")
        ),
    }
    changed = rng.choice(list(fields))
    try:
        told = _fields(head)
    except (SyntaxError, ValueError, AttributeError):  # it was changed before
        return flipped(rng, content)
    told[changed] = fields[changed]
    text = "{" + ", ".join(f"'{k}': {v}" for k, v in told.items()) + ", }"
    if rng.random() < 0.1:
        text = rng.choice(("{}", "[]", text[:-3], "{'descr': __import__('os')}", "(" * 90))
    text = text.ljust(len(head) - 1)[: 2**16 - 2] + "\n"
    return content[:8] + struct.pack("<H", len(text)) + text.encode() + body


def _fields(head: bytes) -> dict[str, str]:
    return {key: repr(value) for key, value in ast.literal_eval(head.decode()).items()}


def json_file(rng: Random, content: bytes) -> bytes:
    """A JSON file with entries changed, or its bytes."""
    if rng.random() < 0.3:
        return b"[" * 100_000 if rng.random() < 0.02 else flipped(rng, content)
    try:
        return json.dumps(tree(rng, json.loads(content))).encode()
    except (ValueError, RecursionError):
        return flipped(rng, content)


def safetensors(rng: Random, content: bytes) -> bytes:
    """A safetensors file whose header says otherwise, its length right."""
    if rng.random() < 0.3:
        return flipped(rng, content)
    size = struct.unpack("<Q", content[:8])[0]
    head = json_file(rng, content[8 : 8 + size])
    return struct.pack("<Q", len(head)) + head + content[8 + size :]


def toml(table: Any) -> str:
    """A table as TOML, inline below the first level."""
    if not isinstance(table, dict):
        return str(table)
    lines = [f"{_key(key)} = {_inline(one)}" for key, one in table.items() if one is not None]
    return "\n".join(lines) + "\n"


def _key(key: Any) -> str:
    return json.dumps(str(key))


def _inline(one: Any) -> str:
    if isinstance(one, bool):
        return str(one).lower()
    if isinstance(one, int | float):
        return str(one)
    if isinstance(one, list):
        return "[" + ", ".join(_inline(item) for item in one if item is not None) + "]"
    if isinstance(one, dict):
        held = ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in one.items() if v is not None)
        return "{ " + held + " }"
    return json.dumps(str(one), ensure_ascii=False)


def toml_of(given: Any) -> Mutator:
    """Of a TOML file that holds a table: the table changed, or the file's bytes."""

    def mutate(rng: Random, content: bytes) -> bytes:
        if rng.random() < 0.35:
            deep = rng.random() < 0.02
            return content + b"\nx = " + b"[" * 5_000 if deep else flipped(rng, content)
        return toml(tree(rng, given)).encode("utf-8", "surrogatepass")

    return mutate


def csv(rng: Random, content: bytes) -> bytes:
    """A CSV file with cells, rows and columns changed, or its bytes."""
    if rng.random() < 0.2:
        return flipped(rng, content)
    rows = [line.split(b",") for line in content.split(b"\n")]
    for _ in range(rng.randint(1, 4)):
        row = rng.randrange(len(rows))
        place = rng.randrange(len(rows[row]))
        action = rng.randrange(6)
        if action <= 2:
            rows[row][place] = str(value(rng)).encode("utf-8", "replace")
        elif action == 3:
            rows.insert(row, [*rows[row]])
        elif action == 4 and len(rows) > 1:
            del rows[row]
        else:
            rows = [[*line[:place], *line[place + 1 :]] or [b""] for line in rows]
    return b"\n".join(b",".join(row) for row in rows)
