"""The command line. A verb's module is imported only when that verb runs."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
import traceback
from typing import Any

import click

from bench.core.errors import BenchError, PipeClosedError, one_line

VERBS = {
    "list": "What there is: suites, models, losses, metrics, datasets.",
    "plan": "The cells of a suite, what is measured, how long the rest takes.",
    "run": "Measure a suite; the same command again goes on.",
    "show": "The table of a run: means, intervals, published rows.",
    "merge": "Parts of a run, measured apart (`bench run --shard 3/16`), as one run.",
    "report": "A run as one HTML page: tables, charts, samples, claims; no network.",
    "watch": "The same page, live while the run goes on, on this machine alone.",
    "plot": "A picture of a run for a paper: PDF, SVG or PNG.",
    "export": "What a run measured as CSV, Parquet, JSON lines, or a model card's metadata.",
    "claims": "What papers claimed, and whether it holds here: the ledger, or any run.",
    "compare": "Did quality get worse? A run against a baseline, with a measured error rate.",
    "baseline": "Baselines to compare with: set, show, list.",
    "calibrate": "What a gate on this run would see, and how often it would err.",
    "attack": "A classifier of your own under attack: what is left of its accuracy.",
    "score": "Samples against real ones: Frechet, precision, recall and their like.",
    "check": "The tools on planted faults: scores, the gate; a part of yours by its laws.",
    "sample": "A picture of what a trained model of a run draws.",
    "figure": "A figure that teaches: its numbers beside their closed forms, and its picture.",
    "cite": "BibTeX for exactly what a run ran.",
    "env": "Versions, devices, folders.",
    "clean": "What the cache of trained models holds, and emptying it.",
}
INTERRUPTED = 130


class Verbs(click.Group):
    """A group that knows its verbs' help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"bench.commands.{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from bench.core.errors import nearest

        if args and args[0] not in VERBS and not args[0].startswith("-"):
            guess = nearest(args[0], VERBS)
            hint = f"did you mean '{guess}'?" if guess else "`bench --help` lists them"
            raise click.UsageError(f"unknown command '{args[0]}': {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"bench {version('minimax-bench')}")
        ctx.exit()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
def cli(traceback: bool) -> None:
    """Benchmarks for generative adversarial networks and adversarial robustness.

    Start with `bench run --suite mode-collapse --tier quick`.
    """


def main(arguments: list[str] | None = None) -> None:
    """The console script: every error is one line on stderr and an exit code."""
    _ready_streams()
    given = sys.argv[1:] if arguments is None else arguments
    shown = "--traceback" in given
    given = [argument for argument in given if argument != "--traceback"] or ["--help"]
    try:
        from bench.core.usercode import refuse_shadows

        refuse_shadows()
        code = cli.main(given, prog_name="bench", standalone_mode=False)
    except click.ClickException as error:
        code = _fail(one_line(error.format_message()), error.exit_code, error, shown)
    except BenchError as error:
        code = _fail(_typed(one_line(error), given), error.exit_code, error, shown)
    except ModuleNotFoundError as error:
        code = _fail(_missing(error), 2 if _is_ours(error) else 1, error, shown)
    except (click.Abort, KeyboardInterrupt) as error:
        code = _fail("interrupted", INTERRUPTED, error, shown)
    except (PipeClosedError, BrokenPipeError):
        code = _pipe_closed()
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        code = _pipe_closed()
    except Exception as error:
        code = _fail(_internal(error), 1, error, shown)
    sys.exit(code if isinstance(code, int) else 0)


def _typed(message: str, given: list[str]) -> str:
    """A message with options for parameters."""
    from bench.commands.options import as_typed

    command: click.Command = cli
    for name in given:
        if not isinstance(command, click.Group) or name not in command.list_commands(_NO_CONTEXT):
            break
        command = command.get_command(_NO_CONTEXT, name) or command
    return as_typed(message, command, cli.get_command(_NO_CONTEXT, "run"))


def _internal(error: Exception) -> str:
    advice = "this is a bug of bench: --traceback shows where"
    return one_line(f"internal error: {type(error).__name__}: {error}; {advice}")


def _is_ours(error: ModuleNotFoundError) -> bool:
    """Whether it is a package that this distribution needs, and that was left out."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        needed = requires("minimax-bench") or []
    except PackageNotFoundError:
        return False
    package = {"sklearn": "scikit-learn", "PIL": "pillow"}.get(str(error.name), str(error.name))
    return any(re.match(rf"{re.escape(package)}\b(?!-)", text) for text in needed)


def _missing(error: ModuleNotFoundError) -> str:
    if _is_ours(error):
        return (
            f"this needs the package {error.name}, which is not installed here: install "
            "minimax-bench with all it needs (show, compare, baseline, calibrate, cite RUN and "
            "list suites do with less)"
        )
    return _internal(error)


_NO_CONTEXT = click.Context(click.Command("bench"))


def _ready_streams() -> None:
    """Output that an encoding can't show is shown as it can; a closed stream swallows it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _pipe_closed() -> int:
    """Let nothing be flushed into the closed pipe when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _fail(message: str, code: int, error: BaseException, shown: bool) -> int:
    if shown:
        traceback.print_exception(error)
    click.echo(f"Error: {message}", err=True)
    return code
