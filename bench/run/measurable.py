"""Which of the metrics that a suite names its cells can have: a table of dashes is no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.core.errors import UsageError
from bench.suites.grid import View
from bench.suites.schema import Block, Suite
from bench.tasks import TASKS, Resolved


def with_measurable(
    suite: Suite, view: View, resolved: Mapping[tuple[str, ...], Resolved]
) -> Suite:
    """A suite whose blocks name only metrics that some of their cells can have. resolved: the
    points of its grids, by block and parts. Raises UsageError for a metric that none has, unless
    the command replaced parts of the grid: then it is left out. A narrowed view is left alone.
    """
    if view.only:
        return suite
    replaced = bool(view.grid)
    blocks = []
    for block in suite.block:
        points = [found for point, found in resolved.items() if point[0] == block.name]
        given = [found.gives for found in points if not found.skip]
        if not given or None in given:
            blocks.append(block)
            continue
        known = frozenset[str]().union(*filter(None, given))
        blocks.append(_measurable(block, known, replaced))
    return suite.model_copy(update={"block": blocks})


def _measurable(block: Block, known: frozenset[str], replaced: bool) -> Block:
    facts = TASKS[block.task].part.metric_facts
    kept: dict[str, list[str]] = {}
    for kind in ("metrics", "primary"):
        had = {name: facts(name).get("name", name) in known for name in getattr(block, kind)}
        lacking = [name for name, there in had.items() if not there]
        if lacking and not replaced:
            raise _lacking(block, lacking[0], known)
        kept[kind] = [name for name, there in had.items() if there]
    return block.model_copy(update=kept)


def _lacking(block: Block, metric: str, known: Iterable[str]) -> UsageError:
    """That no cell of a block has a metric, with what it has of that name."""
    stem = metric.partition("@")[0]
    same = sorted(name.partition(":")[0] for name in known if name.partition("@")[0] == stem)
    advice = f"here it is {' or '.join(same)}" if same else "its data or its settings rule it out"
    return UsageError(f"block {block.name}: no cell has the metric '{metric}': {advice}")
