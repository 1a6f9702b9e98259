"""Options that several verbs share, and how their values are read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any

import click

from bench.core.errors import UsageError


def split(option: str, text: str) -> tuple[str, str]:
    """`key=value` as a pair. Raises UsageError without `=` or key."""
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"{option}: expected KEY=VALUE, got '{text}'")
    return key.strip(), value.strip()


def setting(text: str) -> tuple[str, Any]:
    """`--set key=value`, the value as TOML reads it, else as a plain string."""
    key, value = split("--set", text)
    try:
        read = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return key, value
    if set(read) != {"value"} or not isinstance(read["value"], bool | int | float | str):
        raise UsageError(f"--set {key}: expected one number, string, true or false, got '{value}'")
    return key, read["value"]


TYPED = {"images": "count", "n": "count", "range": "span", "clip": "no_clip"}
"""What a verb's option is called where its parameter in Python has another name."""


def as_typed(text: str, *verbs: click.Command | None) -> str:
    """A message with the options of the first verb that has them for the parameters that it names:
    `out` is --out, and `executor=inline` --executor inline.
    """
    options = {p.name: p.opts for verb in reversed(verbs) if verb for p in verb.params}

    def spelled(found: re.Match[str]) -> str:
        name, value = found.groups()
        spellings = options.get(name) or options.get(TYPED.get(name, ""))
        if not spellings:
            return found.group()
        option = max(spellings, key=len)
        return f"{option} {value}" if value and value != "True" else option

    return re.sub(r"`([a-z_]+)(?:=([^`]+))?`", spelled, text)


def typed(text: str) -> str:
    """A message as the running verb's options have it, or else those of `bench run`."""
    context = click.get_current_context(silent=True)
    if context is None:
        return text
    verbs = context.find_root().command
    run = verbs.get_command(context, "run") if isinstance(verbs, click.Group) else None
    return as_typed(text, context.command, run)


def view(options: dict[str, Any]) -> dict[str, Any]:
    """The options that choose cells, as arguments of the API."""
    from bench.suites.grid import parse_seeds

    grid = [split("--grid", text) for text in options["grid"]]
    return {
        "tier": options["tier"],
        "only": [split("--only", text) for text in options["only"]],
        "grid": [
            (axis, [n.strip() for n in names.split(",") if n.strip()]) for axis, names in grid
        ],
        "seeds": None if options["seeds"] is None else parse_seeds(options["seeds"]),
        "set": dict(setting(text) for text in options["set"]),
        "device": options["device"],
        "ensemble": options["ensemble"],
    }


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose cells."""
    for option in reversed(
        [
            click.option(
                "--suite",
                required=True,
                metavar="S|FILE.toml",
                help="Of `bench list suites`, or a file.",
            ),
            click.option(
                "--tier", metavar="T", help="How much of the suite: quick, standard or paper."
            ),
            click.option(
                "--only",
                multiple=True,
                metavar="AXIS=GLOB",
                help="Narrow an axis of the grid, or block=GLOB the blocks.",
            ),
            click.option(
                "--grid",
                multiple=True,
                metavar="AXIS=a,b|*",
                help="Replace an axis of the grid; * is every registered part.",
            ),
            click.option("--seeds", metavar="5|0,1,2", help="How many seeds, or which."),
            click.option(
                "--set", multiple=True, metavar="KEY=VALUE", help="Change a setting of all cells."
            ),
            click.option("--out", metavar="DIR", help="Folder of the run; runs/<suite>/<tier>."),
            click.option(
                "--workers", type=int, metavar="N", help="How many cells at once; all cores."
            ),
            click.option(
                "--device", default="auto", metavar="auto|cpu|cuda|mps", help="Where to train."
            ),
            click.option(
                "--ensemble",
                is_flag=True,
                help="Train the seeds of small models side by side; a setting of those cells.",
            ),
        ]
    ):
        command = option(command)
    return command


def each(lists: Iterable[str]) -> list[str]:
    """The names of lists with commas between."""
    return [name.strip() for text in lists for name in text.split(",") if name.strip()]
