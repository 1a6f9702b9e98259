"""A classifier of the user's own, from code or from a file, without running a pickle's code."""

from __future__ import annotations

import importlib.util
import logging
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.core import usercode
from bench.core.errors import UsageError, nearest, one_line

FORMS = (
    "module:callable, an exported program (.pt2), a TorchScript file (.pt), torchvision:NAME or "
    "timm:NAME with `weights`, or a registered name (`bench list classifiers`)"
)
FILES = (".pt2", ".pt", ".ts", ".pth", ".safetensors")


@dataclass(frozen=True)
class Preparation:
    """What a classifier expects of its inputs. low, high: the range that [0, 1] is stretched to;
    mean, std: of each channel, subtracted and divided by after that; none where empty.
    """

    low: float = 0.0
    high: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def refuse(self) -> None:
        """Raise UsageError where the numbers make no sense."""
        if not self.low < self.high:
            raise UsageError(
                f"`range`: expected two rising numbers, got {self.low:g},{self.high:g}"
            )
        if len(self.mean) != len(self.std):
            raise UsageError(
                f"`mean` and `std`: expected as many numbers of both, got {len(self.mean)} and "
                f"{len(self.std)}"
            )
        if any(not s > 0 for s in self.std):
            raise UsageError(f"`std`: expected numbers above 0, got {min(self.std):g}")


class Prepared(nn.Module):
    """A classifier of images in [0, 1]: the preparation, then the model."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Callable[[Tensor], Any], preparation: Preparation) -> None:
        super().__init__()
        self.model = model
        self.found: list[tuple[nn.Module, bool]] = []
        self.stretch = preparation.high - preparation.low
        self.low = preparation.low
        self.register_buffer("mean", _channels(preparation.mean or (0.0,)))
        self.register_buffer("std", _channels(preparation.std or (1.0,)))

    def put_back(self) -> None:
        """The user's modules in the mode they were found in."""
        for module, training in self.found:
            module.training = training

    def forward(self, images: Tensor) -> Tensor:
        stretched = images * self.stretch + self.low
        return self.model((stretched - self.mean) / self.std)


def _channels(numbers: Sequence[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None]


def load_model(name: str, weights: str | None, preparation: Preparation) -> Prepared:
    """A classifier of the user's in evaluation mode. Raises UsageError where it can't be had."""
    preparation.refuse()
    return prepare(_load(name, weights), preparation, exported=name.endswith(".pt2"))


def prepare(
    model: Callable[[Tensor], Any], preparation: Preparation, exported: bool = False
) -> Prepared:
    """A classifier in evaluation mode, behind its preparation; `found` says how it was before. An
    exported program keeps the mode it was exported in.
    """
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, nn.Module) else []
    if isinstance(model, nn.Module) and not exported:
        model.eval()
    prepared = Prepared(model, preparation)
    prepared.training, prepared.found = False, modes
    return prepared


def is_users(name: str) -> bool:
    """Whether a name is of a form that `load_model` takes, and no registered one."""
    return ":" in name or Path(name).suffix in FILES


def _load(name: str, weights: str | None) -> Callable[[Tensor], Any]:
    kind, _, rest = name.partition(":")
    if kind in ("torchvision", "timm") and rest:
        model = _torchvision(rest) if kind == "torchvision" else _timm(rest)
        if weights is None:
            raise UsageError(
                f"{name} has random weights: name its weights' file by `weights` (.pth or "
                ".safetensors); nothing is downloaded"
            )
        return _filled(model, weights)
    if Path(name).suffix in FILES:
        if weights is not None:
            raise UsageError(f"`weights`: {name} has its own")
        return _from_file(Path(name).expanduser())
    made = _from_code(name)
    if weights is None:
        return made
    if not isinstance(made, nn.Module):
        raise UsageError(f"`weights`: {name} is no torch.nn.Module that could take them")
    return _filled(made, weights)


def _from_code(name: str) -> Callable[[Tensor], Any]:
    """`module:callable`: a module as it stands, or what a class or a function returns."""
    found = usercode.load(name)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise UsageError(f"{name} is a {type(found).__name__}: expected {FORMS}")
    try:
        made = found()
    except (Exception, SystemExit) as error:
        text = one_line(f"{type(error).__name__}: {error}", 150)
        raise UsageError(
            f"{name}() failed: {text}; expected a call that returns a model"
        ) from error
    if not callable(made):
        raise UsageError(f"{name}() returned a {type(made).__name__}: expected a torch.nn.Module")
    return made


def _from_file(path: Path) -> Callable[[Tensor], Any]:
    if not path.is_file():
        raise UsageError(f"{path} is not there: expected {FORMS}")
    if path.suffix in (".pth", ".safetensors"):
        raise UsageError(
            f"{path} holds weights without a model: name the model (module:callable, "
            f"torchvision:NAME) and give the file by `weights={path}`"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            if path.suffix == ".pt2":
                with _silent():
                    return torch.export.load(path).module()
            _refuse_pickle(path)
            return torch.jit.load(str(path), map_location="cpu")
        except UsageError:
            raise
        except Exception as error:
            kind = "an exported program" if path.suffix == ".pt2" else "a TorchScript file"
            text = one_line(error, 120)
            raise UsageError(f"can't read {path}: expected {kind} ({text})") from error


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing logged below what is critical."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _refuse_pickle(path: Path) -> None:
    """Raise UsageError for what torch.save wrote: reading a whole model of it would run code."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        names = []
    if not any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise UsageError(
            f"{path} is no TorchScript file, and what torch.save writes is a pickle that could run "
            "code: save an exported program (torch.export.save, .pt2), or name the model and give "
            "its weights by `weights`"
        )


def _filled(model: nn.Module, weights: str) -> nn.Module:
    """A model with the weights of a file. Raises UsageError where they don't fit."""
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UsageError(f"`weights`: {path} is not there")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        struct.error,
        KeyError,
        TypeError,
    ) as error:
        raise UsageError(
            f"`weights`: {path} was refused: expected tensors alone (.safetensors, or a state_dict "
            f"that loads with weights_only=True): {one_line(error, 100)}"
        ) from error
    state = _unwrapped(state)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UsageError(
            f"`weights`: {path} does not fit the model: {one_line(error, 150)}"
        ) from error
    return model


def _unwrapped(state: Any) -> Any:
    """A state_dict out of a checkpoint around it, and without the prefix of DataParallel."""
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if isinstance(state, dict) and state and all(str(k).startswith("module.") for k in state):
        state = {str(key).removeprefix("module."): value for key, value in state.items()}
    return state


def _torchvision(name: str) -> nn.Module:
    import torchvision.models
    from torchvision.models import get_model, list_models

    known = list_models(module=torchvision.models)
    if name not in known:
        guess = nearest(name, known)
        hint = f"did you mean '{guess}'?" if guess else "see torchvision.models.list_models()"
        raise UsageError(f"torchvision has no classifier '{name}': {hint}")
    return get_model(name, weights=None)


def _timm(name: str) -> nn.Module:
    if importlib.util.find_spec("timm") is None:
        raise UsageError(f"timm:{name} needs timm, which is not installed: pip install timm")
    timm: Any = importlib.import_module("timm")
    try:
        return timm.create_model(name, pretrained=False)
    except RuntimeError as error:
        raise UsageError(f"timm has no model '{name}': {one_line(error, 120)}") from error
