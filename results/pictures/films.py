"""Trainings as moving pictures: samples of one noise, frame by frame, trainings side by side."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import UsageError
from results.pictures.beliefs import belief
from results.pictures.figures import new_panels
from results.pictures.sheets import coloured, columns_for

SECONDS, REST = 6.0, 1.5
"""What a film takes, and how long its last frame stands."""
SHORTEST, LONGEST = 20, 400
"""What a frame takes, in milliseconds."""
PANEL, DPI = 3.4, 100


@dataclass(frozen=True, eq=False)
class Take:
    """One training. name: over its panel. steps: of each frame. frames: points [times, n, 2], or
    images uint8 [times, n, c, h, w]. fields: the critic's logits on a grid, [times, g, g], or none;
    reach: half of the grid's side. centres [k, 2], widths [k]: of the modes of points, where they
    are known.
    """

    name: str
    steps: Sequence[int]
    frames: np.ndarray
    fields: np.ndarray
    reach: float
    centres: np.ndarray
    widths: np.ndarray
    colour: bool = False


def film(takes: Sequence[Take], form: str) -> bytes:
    """An endless film of trainings beside one another, the longest frame by frame, the others at
    the same share of their way. form: `.webp`, `.gif`, or `.mp4`, for which the extra `film` is
    needed. Raises UsageError for another, and where that is not installed.
    """
    write = WRITERS.get(form)
    if write is None:
        raise UsageError(f"expected a name that ends in one of {', '.join(WRITERS)}, got '{form}'")
    return write(list(_drawn(takes)))


def _drawn(takes: Sequence[Take]) -> Iterator[np.ndarray]:
    """Each frame, uint8 [h, w, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    columns = min(3, len(takes))
    figure, axes = new_panels(len(takes), columns, PANEL, PANEL)
    painters = [_painter(axis, take) for axis, take in zip(axes, takes, strict=True)]
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    last = max(len(take.steps) for take in takes) - 1
    for at in range(last + 1):
        for axis, take, paint in zip(axes, takes, painters, strict=True):
            own = round(at / max(last, 1) * (len(take.steps) - 1))
            paint(own)
            axis.set_title(
                f"{take.name}\nstep {take.steps[own]:,} of {take.steps[-1]:,}", fontsize=8
            )
        canvas.draw()
        figure.set_layout_engine("none")  # panels stay where the first frame has them
        whole = np.asarray(canvas.buffer_rgba())[:, :, :3]
        yield np.ascontiguousarray(whole[: len(whole) // 2 * 2, : whole.shape[1] // 2 * 2])


def _painter(axis: Any, take: Take) -> Callable[[int], None]:
    return _images(axis, take) if take.frames.ndim == 5 else _points(axis, take)


def _images(axis: Any, take: Take) -> Callable[[int], None]:
    n, channels = take.frames.shape[1], 1 if take.colour else take.frames.shape[2]
    columns = columns_for(n, channels)
    shown = axis.imshow(coloured(take.frames[0], columns, take.colour), interpolation="nearest")
    axis.set_axis_off()
    return lambda at: shown.set_data(coloured(take.frames[at], columns, take.colour))


def _points(axis: Any, take: Take) -> Callable[[int], None]:
    """Samples over the true modes, the critic's opinion behind: red what it takes for real."""
    from matplotlib.patches import Circle

    side = (-take.reach, take.reach)
    behind = None
    if len(take.fields):
        behind = axis.imshow(
            belief(take.fields[0]),
            extent=(*side, *side),
            origin="lower",
            cmap="RdBu_r",
            vmin=0,
            vmax=1,
            alpha=0.45,
            interpolation="bilinear",
        )
    for centre, width in zip(take.centres, take.widths, strict=True):
        axis.add_patch(Circle(centre, 3 * width, fill=False, color="#444444", lw=0.6))
    dots = axis.scatter(*_finite(take.frames[0]).T, s=2.5, c="#111111", alpha=0.6, linewidths=0)
    axis.set(xlim=side, ylim=side, aspect="equal")
    axis.tick_params(labelsize=6)

    def paint(at: int) -> None:
        dots.set_offsets(_finite(take.frames[at]))
        if behind is not None:
            behind.set_data(belief(take.fields[at]))

    return paint


def _finite(points: np.ndarray) -> np.ndarray:
    return points[np.isfinite(points).all(1)]


def _times(count: int) -> list[int]:
    """How long each frame stands, in milliseconds."""
    each = min(LONGEST, max(SHORTEST, round(1000 * SECONDS / max(count, 1))))
    return [each] * (count - 1) + [round(1000 * REST)]


def _pillow(form: str, **options: Any) -> Callable[[list[np.ndarray]], bytes]:
    def write(frames: list[np.ndarray]) -> bytes:
        from PIL import Image

        first, *rest = [Image.fromarray(frame) for frame in frames]
        buffer = io.BytesIO()
        times = _times(len(frames))
        first.save(
            buffer, form, save_all=True, append_images=rest, duration=times, loop=0, **options
        )
        return buffer.getvalue()

    return write


def _mp4(frames: list[np.ndarray]) -> bytes:
    """H.264 by ffmpeg, frames repeated for as long as they stand."""
    try:
        ffmpeg = import_module("imageio_ffmpeg")
    except ImportError as error:
        raise UsageError(
            "an .mp4 needs imageio-ffmpeg: pip install 'minimax-bench[film]', or expected .webp "
            "or .gif"
        ) from error
    rate, (height, width) = 25, frames[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = ffmpeg.write_frames(str(path), (width, height), fps=rate, macro_block_size=2)
        writer.send(None)
        for frame, time in zip(frames, _times(len(frames)), strict=True):
            for _ in range(max(1, round(time * rate / 1000))):
                writer.send(frame)
        writer.close()
        return path.read_bytes()


WRITERS: dict[str, Callable[[list[np.ndarray]], bytes]] = {
    ".webp": _pillow("WEBP", quality=80, method=4),
    ".gif": _pillow("GIF"),
    ".mp4": _mp4,
}
"""By the end of a file's name."""
