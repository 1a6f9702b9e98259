"""Names of models that stand for files of the user's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bench.core.files import user_path
from bench.core.registry import Entry
from bench.datasets.arrayfiles import SUFFIXES
from bench.models.codeprograms import Program
from bench.models.files import PROGRAMS
from bench.models.modelweights import Weights
from bench.models.samplefiles import Drawn
from generative import RECIPES, Recipe, RecipeFacts
from generative.recipes.ready import Ready

SAMPLES, TORCHSCRIPT = "samples", "torchscript"
WEIGHTS = (".safetensors",)


@RECIPES.read
def model_of_file(name: str) -> Entry[Recipe, RecipeFacts] | None:
    """The model of a name that stands for a file: samples:PATH, torchscript:PATH, MODEL:PATH with a
    registered model's weights, or a path whose suffix says which; None for every other name.
    """
    form, path = _read(name)
    if form == SAMPLES:
        return _entry(name, Drawn(path, SUFFIXES), "Samples that were drawn before")
    if form == TORCHSCRIPT:
        return _entry(name, Program(path, PROGRAMS), "A program of codes")
    if form is None:
        return None
    return _entry(name, Weights(path, WEIGHTS, form), f"Weights of {form or 'a model'}")


def _entry(name: str, part: Ready, what: str) -> Entry[Recipe, RecipeFacts]:
    return Entry(name, part, "", f"{what}, of the user's own", __name__, RecipeFacts())


def _read(name: str) -> tuple[str | None, str]:
    """What a name says that a file is, and the path; the name of a registered model for its
    weights, empty where the file says it; None for what is no file.
    """
    form, colon, path = name.partition(":")
    if colon and path and (form in (SAMPLES, TORCHSCRIPT) or form in RECIPES):
        return (None, "") if _is_code(form, path) else (form, path)
    suffix = Path(name).suffix.lower()
    if colon and not Path(name).exists():
        return None, ""
    if suffix in PROGRAMS:
        return TORCHSCRIPT, name
    if suffix in WEIGHTS:
        return "", name
    return (SAMPLES, name) if suffix in (".npy", ".npz", ".csv") else (None, "")


def _is_code(module: str, attribute: str) -> bool:
    """Whether such a name is code of the user's: a module of that name, and no file."""
    plain = attribute.replace(".", "").isidentifier() and not user_path(attribute).exists()
    return plain and importlib.util.find_spec(module) is not None


def short_of(name: str) -> str:
    """What the row of a model is called: the stem of its file."""
    form, path = _read(name)
    if form is not None:
        return Path(path).stem or name
    file, colon, part = name.partition(":")
    return f"{Path(file).stem}:{part}" if colon and file.endswith(".py") else name
