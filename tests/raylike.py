"""A Ray of one process, whose tasks can be told to go wrong: what its driver makes of that.

It has the parts of Ray's interface that the executor uses; tasks run when they are waited for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

ERRORS = (
    "RayError",
    "NodeDiedError",
    "TaskUnschedulableError",
    "ObjectLostError",
    "LocalRayletDiedError",
)
ERRORS += ("OutOfMemoryError", "WorkerCrashedError")


@dataclass
class Stream:
    """What a task gives, one by one. fault: told before each step; what it raises is Ray's answer,
    and `stuck` one that never comes.
    """

    give: Iterator[Any]
    node: str
    fault: Callable[[], str]
    stuck: bool = False

    def __next__(self) -> Any:
        return self.step

    def run(self, ray: Raylike) -> Any:
        wrong = self.fault()
        if wrong:
            raise getattr(ray.exceptions, wrong)(f"{wrong} in a test")
        ray.at = self.node
        return next(self.give)

    def __hash__(self) -> int:
        return id(self)


@dataclass
class Raylike:
    """faults: of a cell, by its model: what goes wrong at each try, `""` for nothing, `stuck` for
    what never ends, `early NAME` for an error before it is begun. nodes_: names and what they have.
    """

    nodes_: dict[str, dict[str, float]]
    faults: dict[str, list[str]] = field(default_factory=dict)
    at: str = ""
    submitted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cancelled: list[Any] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    most: int = 0

    def __post_init__(self) -> None:
        base = type("RayError", (Exception,), {})
        made = {name: type(name, (base,), {}) for name in ERRORS if name != "RayError"}
        self.exceptions = SimpleNamespace(RayError=base, **made)

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": name, "NodeManagerAddress": name, "Alive": name not in self.dead,
             "Resources": has}
            for name, has in self.nodes_.items()
        ]  # fmt: skip

    def is_initialized(self) -> bool:
        return True

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: self.at or "driver", gcs_address="a:1")

    def put(self, value: Any) -> Any:
        return value

    def remote(self, **settings: Any) -> Callable[[Any], Any]:
        return lambda made: _Remote(self, made, settings)

    def get(self, one: Any, timeout: float | None = None) -> Any:
        return one() if callable(one) else one

    def wait(self, streams: list[Stream], num_returns: int, timeout: float) -> tuple[list, list]:
        self.most = max(self.most, len(streams))
        ready = [one for one in streams if not one.stuck]
        return ready[:num_returns], []

    def cancel(self, stream: Stream, force: bool = False) -> None:
        self.cancelled.append(stream)

    def kill(self, actor: Any) -> None:
        self.killed = actor


@dataclass
class _Remote:
    ray: Raylike
    made: Any
    settings: dict[str, Any]

    def options(self, **more: Any) -> _Remote:
        return _Remote(self.ray, self.made, {**self.settings, **more})

    def remote(self, *arguments: Any) -> Any:
        if isinstance(self.made, type):
            return _Actor(self.made(*arguments))
        strategy = self.settings.get("scheduling_strategy")
        if strategy is not None:
            node = strategy.node_id
            return lambda: self.made(*arguments) if node else ""
        return self._stream(*arguments)

    def _stream(self, job: Any, cell: Any) -> Any:
        ray, model = self.ray, cell.part("model")
        ray.submitted.append((model, self.settings))
        barred = self.settings.get("label_selector", {}).get("ray.io/node-id", "!in()")[4:-1]
        free = [name for name in ray.nodes_ if name not in barred.split(",")]
        node = next(name for name in free if name not in ray.dead)
        planned = ray.faults.get(model, [])
        wrong = planned.pop(0) if planned else ""
        steps = iter(["", wrong] if not wrong.startswith("early ") else [wrong.split()[1]])
        stream = Stream(iter(()), node, lambda: next(steps, ""))

        def give() -> Iterator[Any]:
            yield from self.made(job, cell)

        stream.give = give()

        def step() -> Any:
            said = stream.run(ray)
            stream.stuck = wrong == "stuck"
            return said

        if wrong == "stuck":
            steps = iter(["", ""])
        stream.step = step
        return stream


@dataclass
class _Actor:
    made: Any

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.made, name)
        return SimpleNamespace(remote=lambda *arguments: lambda: method(*arguments))


def install(ray: Raylike, patch: Any) -> None:
    """Let `import ray` find it."""
    module = ModuleType("ray")
    for name in ("nodes", "is_initialized", "get_runtime_context", "put", "remote", "get", "wait",
                 "cancel", "kill", "exceptions"):  # fmt: skip
        setattr(module, name, getattr(ray, name))
    strategies = ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda node, soft: SimpleNamespace(node_id=node)
    errors = ModuleType("ray.exceptions")
    for name, module_ in {
        "ray": module,
        "ray.exceptions": errors,
        "ray.util": ModuleType("ray.util"),
        "ray.util.scheduling_strategies": strategies,
    }.items():
        patch.setitem(sys.modules, name, module_)
    patch.setattr("bench.run.executors.ray._Drive._answers", lambda drive: True)
    patch.setattr("bench.run.executors.ray._POSTS", {})
