"""bench sample: what a trained model of a run draws, written where it is wanted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.core import usercode
from bench.core.arguments import Pairs, checked, pairs_of
from bench.core.errors import UsageError
from bench.core.files import cache_folder, user_path, write_atomically
from bench.core.limits import MAX_SAMPLES
from bench.datasets.named import image_set
from bench.datasets.pixels import to_bytes
from bench.models.store import ArtifactStore
from bench.sample.codes import Exploration, explored, truncation_curve
from bench.sample.exported import program_of
from bench.sample.told import told
from bench.sample.trained import Which, find_cell, full_name, weights_of, with_weights
from bench.sample.trained import draw as draw_samples
from bench.suites import builtin
from bench.suites.cell import Cell
from results.pictures.run import curve_png, scatter_png
from results.pictures.sheets import grid_png, image_pngs
from results.runs import find_run, refusing_damage

WEIGHTS, PROGRAM = ".safetensors", ".pt"


@checked()
def sample(
    run: str,
    model: str | None = None,
    *,
    dataset: str | None = None,
    block: str | None = None,
    seed: int | None = None,
    only: Pairs[str] = (),
    n: int = 64,
    out: str | None = None,
    label: int | None = None,
    interpolate: bool = False,
    arithmetic: str | None = None,
    codes: bool = False,
    level: int | None = None,
    mixing: int | None = None,
    truncation: float | None = None,
    caption: str | None = None,
    to: str | None = None,
    traverse: int | None = None,
    weights: str | None = None,
    trust: bool = False,
) -> np.ndarray:
    """`n` samples of a trained model of a run: points [n, d], or images uint8 [n, c, h, w].

    They are the first that its scores were computed from. `run` may be a data set with images, such
    as mnist5k or mnist5k:train, without a model: its first `n`. `out`: where to write them: a .png
    (a sheet, a stack's digits side by side), a .npy, a folder that is not there yet (a PNG for each
    image), a .safetensors, the model's weights, or a .pt, a generator as TorchScript of its codes.
    `weights`: a file of weights that are taken. `only`: of a model that was trained with several
    settings, those that this training has: pairs of a setting and its value, or a pattern.

    In the place of plain samples of a model of images: `label`, samples of that class of a
    conditional model; `interpolate`, ways between codes; `arithmetic`, a sum of classes such as
    7-1+4, each the mean of three codes; `codes`, all of a plane of codes; `level`, of a model that
    draws coarse to fine the coarse image, the residual and their sum at that level, at level 0 the
    coarsest images; `mixing`, of a model with styles those of rows before that layer and those of
    columns from it on; `truncation`, samples of codes within that bound, of a model with styles of
    styles that far from their mean, 0 to 1; `caption`, samples of one such as "a thin upright
    seven", of a model of task text-to-image, with `to` the way to another, and with `level` of one
    of two stages what the first draws, at its size (0), or both (1); `traverse`, of a model whose
    codes say a category and numbers a row for each category, that number from -1 to 1 across.
    `trust`: whether code of yours
    that the run names is imported. Raises UsageError where the model was not trained, or its
    trained weights have left the cache.
    """
    bounds = () if truncation is None else (truncation,)
    looks = label, interpolate, arithmetic, codes, level, mixing, bounds, caption, to, traverse
    chosen = Exploration(*looks)
    _refuse_request(n, out, model)
    if model is None:
        made = _of_data(run, n, chosen)
    else:
        manifest = find_run(run).manifest()
        model = full_name(manifest, model)
        with usercode.only_asked(f"the run {run}", (model, dataset), trust):
            which = Which(dataset, block, seed, pairs_of(only))
            trained = _trained_cell(run, manifest, model, which)
            made = _of_model(trained, n, chosen, weights, out)
    if out is not None and made is not None:
        _write_samples(made, user_path(out))
    return np.empty(0) if made is None else made.samples


@dataclass(frozen=True, eq=False)
class Drawn:
    """Samples. columns: how many stand in a row of a sheet, 0 for as many as fit. colour: whether
    three channels are colours, and no stack.
    """

    samples: np.ndarray
    columns: int = 0
    colour: bool = False


def _of_data(name: str, n: int, chosen: Exploration) -> Drawn:
    if chosen.asked:
        raise UsageError("`model`: which one? (a data set has no codes to look at)")
    images = _real(name, n)
    return Drawn(images, colour=images.shape[1] == 3)


def _of_model(
    trained: tuple[Cell, bool], n: int, chosen: Exploration, weights: str | None, out: str | None
) -> Drawn | None:
    """None where the model's weights were written in the place of samples."""
    cell, colour = trained
    store = ArtifactStore(cache_folder(), cell.device)
    if weights is not None:
        store = with_weights(store, weights)
    if out is not None and Path(out).suffix.lower() == WEIGHTS:
        write_atomically(user_path(out), weights_of(cell, store))
        return None
    if out is not None and Path(out).suffix.lower() == PROGRAM:
        write_atomically(user_path(out), program_of(cell, store))
        return None
    if not chosen.asked:
        return Drawn(draw_samples(cell, n, store), colour=colour)
    if chosen.caption is not None:
        samples, columns = told(cell, n, store, chosen.caption, chosen.to, chosen.level)
    else:
        samples, columns = explored(cell, n, store, chosen)
    return Drawn(samples, columns, colour)


@checked()
def truncations(
    run: str,
    model: str,
    bounds: Sequence[float],
    *,
    dataset: str | None = None,
    block: str | None = None,
    seed: int | None = None,
    only: Pairs[str] = (),
    n: int = 1_000,
    out: str | None = None,
    trust: bool = False,
) -> pd.DataFrame:
    """Quality against diversity of a trained model of images as its codes keep to the middle: a
    row for each bound and score, and for no bound. `out`: a .png of precision against recall.
    `trust`: whether code of yours that the run names is imported.
    """
    if not 100 <= n <= MAX_SAMPLES:
        raise UsageError(f"expected 100 to {MAX_SAMPLES:,} samples for scores, got {n}")
    if out is not None and Path(out).suffix.lower() != ".png":
        raise UsageError(f"expected a name that ends in .png for a curve, got '{out}'")
    manifest = find_run(run).manifest()
    model = full_name(manifest, model)
    with usercode.only_asked(f"the run {run}", (model, dataset), trust):
        which = Which(dataset, block, seed, pairs_of(only))
        cell, _ = _trained_cell(run, manifest, model, which)
        table = truncation_curve(cell, n, ArtifactStore(cache_folder(), cell.device), bounds)
    if out is not None:
        write_atomically(user_path(out), curve_png(table, model))
    return table


def _trained_cell(
    run: str, manifest: dict[str, Any], model: str, which: Which
) -> tuple[Cell, bool]:
    """A cell of a run by the names on its table, and whether its images are in colour."""
    with refusing_damage(run):
        usercode.add([Path.cwd()], manifest.get("imports", []))
        cell = find_cell(manifest, model, which)
        facts = manifest["parts"].get("dataset", {}).get(cell.part("dataset"), {})
    return cell, bool(facts.get("colour"))


def _real(name: str, n: int) -> np.ndarray:
    """The first images of a data set, uint8 [n, c, h, w]."""
    if (Path(name) / "manifest.json").exists() or name in builtin.names():
        raise UsageError(
            f"`model`: which one of {name}? (without it, expected data with images, such as "
            "mnist5k)"
        )
    usercode.add_folder(Path.cwd())
    images = image_set(name, "a sheet")
    if n > len(images):
        raise UsageError(f"{name} has {len(images):,} images, expected so many at most, got {n:,}")
    first = [images.read(index) for index in range(n)]
    if len({image.shape for image in first}) > 1:
        raise UsageError(f"{name} has images of several sizes: expected all of one")
    return to_bytes(torch.stack(first)).numpy()


def _refuse_request(n: int, out: str | None, model: str | None) -> None:
    if not 1 <= n <= MAX_SAMPLES:
        raise UsageError(f"expected 1 to {MAX_SAMPLES:,} samples, got {n}")
    if out is None:
        return
    if not out.strip():
        raise UsageError("`out`: the name is empty: expected a file's or a folder's")
    suffix = Path(out).suffix.lower()
    if suffix not in ("", ".png", ".npy", WEIGHTS, PROGRAM):
        raise UsageError(
            f"expected a name that ends in .png, .npy, {WEIGHTS} or {PROGRAM}, or a folder's "
            f"without an end, got '{out}'"
        )
    path = user_path(out)
    if not suffix and path.exists():
        raise UsageError(f"{out} is there already: expected a folder to be made")
    above = next((folder for folder in path.absolute().parents if folder.exists()), None)
    if above is not None and not above.is_dir():
        raise UsageError(f"`out`: can't write {out}: {above} is a file")
    if suffix in (WEIGHTS, PROGRAM) and model is None:
        raise UsageError("`model`: whose weights? (data have none)")


def _write_samples(made: Drawn, path: Path) -> None:
    suffix, drawn = path.suffix.lower(), made.samples
    if suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, drawn)
        write_atomically(path, buffer.getvalue())
    elif suffix == ".png":
        grid = drawn.ndim == 4
        write_atomically(
            path, grid_png(drawn, made.colour, made.columns) if grid else scatter_png(drawn)
        )
    elif drawn.ndim != 4:
        raise UsageError(f"points are no images: expected a .png or .npy file, got '{path}'")
    else:
        for index, content in enumerate(image_pngs(drawn, made.colour)):
            write_atomically(path / f"{index:05}.png", content)
