"""bench run: measure a suite, and go on where it was left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bench.commands.livepage import LivePage
from bench.commands.options import choosing, typed, view
from bench.core.errors import one_line, visible

FAILED = 4
INTERRUPTED = 130


@click.command()
@choosing
@click.option("--executor", default="processes", metavar="inline|processes|ray", show_default=True)
@click.option("--timeout", type=float, metavar="SECONDS", help="What a cell may take at most.")
@click.option("--address", metavar="HOST:PORT|auto", help="Of a Ray cluster; else one is started.")
@click.option("--cpus", type=float, metavar="N", help="Of a Ray cluster, for a cell.")
@click.option(
    "--gpus", type=float, metavar="N", help="Of a Ray cluster, for a cell; .25 is a share."
)
@click.option("--workers-per-gpu", type=int, metavar="N", help="On CUDA, processes for each GPU.")
@click.option("--download", is_flag=True, help="Fetch data sets of torchvision's that are absent.")
@click.option("--shard", metavar="I/N", help="A part of the cells, in a folder of its own.")
@click.option(
    "--log",
    multiple=True,
    metavar="TRACKER[=PLACE]",
    help="Tell finished cells to a tracker, too; `bench list trackers`.",
)
@click.option("--fresh", is_flag=True, help="Move an earlier run aside and measure all again.")
@click.option("--live", is_flag=True, help="Serve its page on this machine while it goes on.")
@click.option("--keep-old", is_flag=True, help="Keep rows that other code measured.")
def command(**options: Any) -> None:
    """Measure a suite. The same command again goes on; what is measured stays measured."""
    import signal

    from bench import api

    watcher, page = _Progress(), LivePage()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with watcher, page:
            report = api.execute(
                options["suite"],
                out=options["out"],
                workers=options["workers"],
                executor=options["executor"],
                timeout=options["timeout"],
                download=options["download"],
                fresh=options["fresh"],
                keep_old=options["keep_old"],
                shard=options["shard"],
                log=options["log"],
                address=options["address"],
                cpus=options["cpus"],
                gpus=options["gpus"],
                workers_per_gpu=options["workers_per_gpu"],
                watcher=watcher.watcher(page.begin if options["live"] else None),
                **view(options),
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    _print(report)
    if report.interrupted:
        click.echo("interrupted: what was finished is kept, the same command goes on", err=True)
        raise click.exceptions.Exit(INTERRUPTED)
    if report.nothing:
        reasons = dict.fromkeys(report.table["reason"])
        said = "; ".join(one_line(reason) for reason in [*reasons][:3])
        click.echo(f"nothing was measured, every cell was skipped: {typed(said)}", err=True)
    if report.bad or report.nothing:
        raise click.exceptions.Exit(FAILED)


def _print(report: Any) -> None:
    from bench.commands.output import print_layout

    for layout in report.made.layouts():
        print_layout(layout)
        click.echo()
    for reason in _reasons(report.table):
        click.echo(typed(reason))
    statuses = report.statuses.items()
    counts = ", ".join(f"{count} {status}" for status, count in statuses) or "none"
    if not report.measured and not report.interrupted:
        click.echo(f"every cell was measured already: {counts}")
    else:
        click.echo(f"{report.measured} of {report.planned} cells measured now; in all: {counts}")
    click.echo(f"table: {visible(report.run.path / 'table.csv')} (and .parquet)")
    if (report.run.path / "pictures").is_dir():
        click.echo(f"pictures: {visible(report.run.path / 'pictures')}")
    click.echo(f"again: bench show {visible(report.run.path)}")


def _reasons(table: Any) -> list[str]:
    from results.rows import BAD

    cells = table[table["status"].isin(BAD)].drop_duplicates("key")
    return [
        f"{row.status}: {row.cell_id} seed {row.seed}: {row.reason}" for row in cells.itertuples()
    ]


class _Progress:
    """On a terminal a bar: which cell is measured, its step, what is done, failed and left, and the
    time that is left. Elsewhere a line for each cell that is finished. Both on stderr.
    """

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        from bench.commands.output import console

        self._console = console(error=True)
        self._bar = Progress(
            _at_work(self.at_work),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._failed = self._done = 0
        self._expected = self._expected_done = 0.0
        self._left: dict[str, Any] = {}
        self._cells = 0
        self._started = time.monotonic()

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def watcher(self, place: Callable[[Path], None] | None = None) -> Any:
        """What a run tells; place: who is told its folder."""
        from bench.run.run import Watcher

        watcher = Watcher(self._begin, self._step, self._warn)
        return watcher if place is None else replace(watcher, place=place)

    def at_work(self) -> str:
        """The cell that was begun first of those that are left, and its step."""
        from bench.run.run import step_of

        cell = next(iter(self._left.values()), None)
        if cell is None:
            return "measuring"
        step, steps = step_of(cell), cell.settings.get("steps")
        told = "" if step is None else f", step {step:,}" + (f" of {steps:,}" if steps else "")
        return f"{one_line(cell.cell_id, 60)} seed {cell.seed}{told}"

    def _begin(self, cells: Sequence[Any], done: int) -> None:
        self._cells, self._started = len(cells), time.monotonic()
        self._expected = sum(cell.seconds for cell in cells)
        self._left = {cell.key: cell for cell in sorted(cells, key=lambda cell: -cell.seconds)}
        if cells:
            self._task = self._bar.add_task("measuring", total=len(cells), text=self._text())

    def _step(self, cell: Any, outcome: Any) -> None:
        from results.rows import BAD

        self._done += 1
        self._failed += outcome.status in BAD
        self._expected_done += cell.seconds
        self._left.pop(cell.key, None)
        self._bar.update(self._task, advance=1, text=self._text())
        for notice in outcome.notices:
            self._warn(f"{one_line(cell.cell_id, 60)} seed {cell.seed} {notice}")
        if not self._console.is_terminal:
            name = f"{one_line(cell.cell_id, 200)} seed {cell.seed}"
            said = f"{outcome.status} {name} ({outcome.seconds:.1f} s){self._to_go()}"
            click.echo(f"{self._done} of {self._cells}: {said}", err=True)

    def _text(self) -> str:
        left = self._cells - self._done
        return f"{self._done} done, {self._failed} failed, {left} left{self._to_go()}"

    def _to_go(self) -> str:
        """The time that is left, by the forecasts and by how long what is done took."""
        if not self._expected_done or self._done == self._cells:
            return ""
        pace = (time.monotonic() - self._started) / self._expected_done
        seconds = pace * (self._expected - self._expected_done)
        return f", about {int(seconds // 60)}:{int(seconds % 60):02d} to go"

    def _warn(self, message: str) -> None:
        self._console.print(f"warning: {typed(message)}", markup=False, style="yellow")


def _at_work(told: Callable[[], str]) -> Any:
    """A column that says what is measured, looked for once a second."""
    from rich.progress import ProgressColumn
    from rich.text import Text

    class AtWork(ProgressColumn):
        """What is measured."""

        max_refresh = 1.0

        def render(self, task: Any) -> Text:
            return Text(told())

    return AtWork()
