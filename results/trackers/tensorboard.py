"""TensorBoard: an event file for each cell, in a folder of its own."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.files import user_path
from results.trackers.contracts import (
    SHORT,
    TRACKERS,
    Logged,
    Setting,
    Tracker,
    needed,
)
from results.trackers.names import cells_of, filename

UNFINISHED = ".unfinished-"
SUMMARY, WRITER = "compat.proto.summary_pb2", "summary.writer.event_file_writer"


@TRACKERS.register(
    "tensorboard",
    summary="TensorBoard: scalars, samples and hyperparameters as event files, a folder a cell",
    extra="tensorboard",
    place="a folder, the run's `logs/tensorboard` if none is named",
)
@dataclass(frozen=True)
class TensorBoard(Tracker):
    """A folder appears when all of its cell is in it."""

    @property
    def where(self) -> str:
        return f"tensorboard --logdir {self._root}"

    @property
    def _root(self) -> Path:
        return user_path(self.place) if self.place else self.folder / "logs" / "tensorboard"

    def refuse(self) -> None:
        _module(WRITER)

    def known(self) -> set[str]:
        return {path.name.rpartition("-")[2] for path in self._root.glob("**/*-*") if path.is_dir()}

    def log(self, cell: Logged) -> None:
        *folders, last = map(filename, cell.name.split("/"))
        with self._writing(self._root.joinpath(*folders, f"{last}-{cell.key[:SHORT]}")) as put:
            for metric, step, value in cell.curves:
                put(_scalar(metric, value), step)
            for metric, value in cell.finals.items():
                put(_scalar(f"final/{metric}", value), cell.last)
            if cell.picture is not None:
                put(_image("samples", cell.picture), cell.last)
            put(_text("cell", _about(cell)), cell.last)
            for summary in _session(cell):
                put(summary, 0)

    def conclude(self, verdicts: str) -> None:
        with self._writing(self._root / "claims") as put:
            put(_text("claims", verdicts), 0)

    @contextmanager
    def _writing(self, folder: Path) -> Iterator[Any]:
        """A function that puts a summary at a step into a folder; one that is there is replaced."""
        event, files = _module("compat.proto.event_pb2"), _module(WRITER)
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = folder.with_name(f"{UNFINISHED}{os.getpid()}")
        shutil.rmtree(made, ignore_errors=True)
        writer = files.EventFileWriter(str(made))
        try:
            yield lambda summary, step: writer.add_event(event.Event(step=step, summary=summary))
        except BaseException:
            writer.close()
            shutil.rmtree(made, ignore_errors=True)
            raise
        writer.close()
        if folder.is_dir():
            shutil.rmtree(folder)
        made.rename(folder)


def _about(cell: Logged) -> str:
    """Settings and the like as a table of Markdown."""
    rows = [*cell.about.items(), *cell.settings.items()]
    return "\n".join(["| | |", "|---|---|", *(cells_of(*row) for row in rows)])


def _scalar(tag: str, value: float) -> Any:
    summary = _module(SUMMARY)
    return summary.Summary(value=[summary.Summary.Value(tag=tag, simple_value=value)])


def _image(tag: str, pixels: np.ndarray) -> Any:
    from PIL import Image

    summary = _module(SUMMARY)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    height, width, _ = pixels.shape
    held = summary.Summary.Image(
        height=height, width=width, colorspace=3, encoded_image_string=buffer.getvalue()
    )
    return summary.Summary(value=[summary.Summary.Value(tag=tag, image=held)])


def _text(tag: str, text: str) -> Any:
    summary, tensors = _module(SUMMARY), _module("compat.proto.tensor_pb2")
    shapes = _module("compat.proto.tensor_shape_pb2")
    plugin = summary.SummaryMetadata.PluginData(plugin_name="text")
    tensor = tensors.TensorProto(
        dtype="DT_STRING",
        string_val=[text.encode()],
        tensor_shape=shapes.TensorShapeProto(dim=[shapes.TensorShapeProto.Dim(size=1)]),
    )
    told = summary.SummaryMetadata(plugin_data=plugin)
    return summary.Summary(value=[summary.Summary.Value(tag=tag, metadata=told, tensor=tensor)])


def _session(cell: Logged) -> Iterator[Any]:
    """What the page of hyperparameters reads: the settings and metrics there are, the values, and
    that the cell is finished.
    """
    api_pb2, metadata, plugin_data_pb2 = (
        _module(f"plugins.hparams.{name}") for name in ("api_pb2", "metadata", "plugin_data_pb2")
    )
    kinds = {str: api_pb2.DATA_TYPE_STRING, bool: api_pb2.DATA_TYPE_BOOL}
    number = api_pb2.DATA_TYPE_FLOAT64
    asked = plugin_data_pb2.HParamsPluginData(
        experiment=api_pb2.Experiment(
            hparam_infos=[
                api_pb2.HParamInfo(name=name, type=kinds.get(type(value), number))
                for name, value in cell.settings.items()
            ],
            metric_infos=[
                api_pb2.MetricInfo(name=api_pb2.MetricName(tag=f"final/{name}"))
                for name in cell.finals
            ],
        )
    )
    begun = plugin_data_pb2.SessionStartInfo(group_name=cell.key[:SHORT])
    for name, value in cell.settings.items():
        setattr(begun.hparams[name], _field(value), value)
    ended = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS)
    yield _held(metadata.EXPERIMENT_TAG, asked)
    start = plugin_data_pb2.HParamsPluginData(session_start_info=begun)
    yield _held(metadata.SESSION_START_INFO_TAG, start)
    end = plugin_data_pb2.HParamsPluginData(session_end_info=ended)
    yield _held(metadata.SESSION_END_INFO_TAG, end)


def _field(value: Setting) -> str:
    """Of a protobuf value, the one that a setting is kept in."""
    if isinstance(value, bool):
        return "bool_value"
    return "string_value" if isinstance(value, str) else "number_value"


def _held(tag: str, data: Any) -> Any:
    summary, metadata = _module(SUMMARY), _module("plugins.hparams.metadata")
    data.version = metadata.PLUGIN_DATA_VERSION
    plugin = summary.SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString()
    )
    return summary.Summary(
        value=[summary.Summary.Value(tag=tag, metadata=summary.SummaryMetadata(plugin_data=plugin))]
    )


def _module(name: str) -> Any:
    """A module of the package's. Raises UsageError where it is not installed."""
    return needed(f"tensorboard.{name}", "tensorboard")
