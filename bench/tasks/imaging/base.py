"""What the tasks about images share: grey photos, settings that a part reads, facts for tables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.registry import Entry, Registry
from bench.datasets.labelled import Labelled
from bench.datasets.named import dataset_named, entry_named, names_with
from bench.datasets.pixels import in_channels, to_bytes
from bench.suites.cell import Cell
from bench.tasks.base import Resolved, Task
from bench.tasks.values import checked, facts_of, scored_by
from generative.pyramids import Asked
from generative.pyramids.borders import BORDERS

IMAGES = frozenset({"images"})
USER = "a pyramid"
USUAL = Asked()


class ImagingSettings(BaseModel):
    """Those of `Asked`, and images: how many of the held-out ones are taken, the first."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    images: int = Field(default=20, ge=1, le=1_000_000)
    levels: int = Field(default=USUAL.levels, ge=0, le=30)
    a: float = Field(default=USUAL.a, ge=0, le=1)
    border: Literal[BORDERS] = BORDERS[0]  # pyright: ignore[reportInvalidTypeForm]
    orientations: int = Field(default=USUAL.orientations, ge=1, le=32)
    step: float = Field(default=USUAL.step, gt=0, le=255)
    quality: int = Field(default=USUAL.quality, ge=1, le=95)


class ImagingTask(Task):
    """Axes: dataset (images), model (one of `parts`, of a kind). takes: which metrics score it."""

    axes = ("dataset", "model")
    needs = IMAGES
    parts: Registry
    kind: type
    takes: tuple[str, ...]

    @abstractmethod
    def gives(self, model: str, settings: Mapping[str, Any]) -> Iterable[str]:
        """The metrics of a measurement, by their names on rows."""

    @final
    def every(self, axis: str) -> list[str]:
        return names_with(self.needs) if axis == "dataset" else list(self.parts)

    @final
    def resolve(
        self, parts: Mapping[str, str], settings: Mapping[str, Any], definition: dict | None
    ) -> Resolved:
        asked = checked(ImagingSettings, settings).model_dump()
        name, usual = parts["model"], ImagingSettings().model_dump()
        entry, data = self.parts[name], _data(parts["dataset"])
        if not isinstance(entry.part, self.kind):
            made = type(entry.part).__name__
            raise UsageError(
                f"{self.parts.kind} '{name}' is a {made}: expected an instance of "
                f"{self.kind.__module__}.{self.kind.__name__}"
            )
        chosen = {k: v for k, v in asked.items() if k in ("images", *entry.part.reads)}
        metrics = [each.origin for each in scored_by(self.takes)]
        return Resolved(
            settings=chosen,
            differing={k: v for k, v in chosen.items() if v != usual[k]},
            fingerprint=data.fingerprint,
            modules=(
                type(self).__module__,
                __name__,
                type(data).__module__,
                entry.origin,
                *metrics,
            ),
            skip=data.missing or _unfit(entry, data, chosen),
            gives=frozenset(self.gives(name, chosen)),
            once=True,
        )

    def metric_facts(self, name: str) -> dict[str, Any]:
        return {**facts_of(name, self.takes), "name": name}

    @final
    def describe(self, cell: Cell) -> dict[str, dict[str, Any]]:
        entry = entry_named(cell.part("dataset"), IMAGES, USER)
        model = self.parts[cell.part("model")]
        role = "ceiling" if getattr(model.facts, "truth", False) else "model"
        return {
            "dataset": {**_cited(entry), "licence": entry.facts.licence},
            "model": {**_cited(model), "role": role},
        }

    @final
    def artifact(self, cell: Cell) -> tuple[str, str] | None:
        return None


def grey_bytes(cell: Cell, device: str) -> Tensor:
    """The first held-out images of a cell in grey, uint8 [n, 1, h, w]."""
    source = _data(cell.part("dataset")).source(cell.seed, device)
    return to_bytes(in_channels(source.held_out[: cell.settings["images"]], 1))


def asked_of(cell: Cell) -> Asked:
    """What a cell asks of its part."""
    return Asked(**{k: v for k, v in cell.settings.items() if k != "images"})


def _unfit(entry: Entry, data: Labelled, chosen: Mapping[str, Any]) -> str:
    """Why a part can't take images of this size, or empty."""
    height, width = data.source(0).shape[1:]
    most = entry.part.most((height, width))
    if most is None or chosen.get("levels", 0) <= most:
        return ""
    return (
        f"{entry.name} takes 0 to {most} levels of {height} x {width} pixels, got "
        f"{chosen['levels']}"
    )


def _data(name: str) -> Labelled:
    return dataset_named(name, IMAGES, USER)


def _cited(entry: Entry) -> dict[str, Any]:
    return {"summary": entry.summary, "papers": [entry.paper] if entry.paper else []}
