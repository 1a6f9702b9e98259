"""Networks of torchvision and timm by name, with as many classes and channels as their weights."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import UsageError, nearest, one_line
from bench.models.weights import prefixes

ZOOS = ("torchvision", "timm")
COLOURS = 3


Maker = Callable[[int | None, int], nn.Module]
"""A network with random weights, of so many classes (None: the usual ones) and channels."""


def maker_of(zoo: str, name: str) -> Maker:
    """How to make a network. Raises UsageError for a name that the zoo has not."""
    return _torchvision(name) if zoo == "torchvision" else _timm(name)


def shaped(make: Maker, state: Mapping[str, Tensor]) -> nn.Module:
    """A network with as many classes, and channels of images, as weights for it show; the weights
    are not in it yet.
    """
    with torch.device("meta"):
        usual = make(None, COLOURS)
    classes, channels = _shown(usual, state)
    return make(classes, channels or COLOURS)


def _shown(usual: nn.Module, state: Mapping[str, Tensor]) -> tuple[int | None, int | None]:
    """The classes and the channels that weights have where they are not the usual ones."""
    known = {name: tuple(tensor.shape) for name, tensor in usual.state_dict().items()}
    last = next((shape[0] for name, shape in reversed(known.items()) if shape), 0)
    classes, channels = None, None
    prefix = next(iter(prefixes([*known], state)), "")
    for name, shape in known.items():
        tensor = state.get(f"{prefix}{name}")
        if tensor is None or len(shape) != tensor.ndim or shape == tuple(tensor.shape):
            continue
        if shape[0] == last and shape[0] != tensor.shape[0]:
            classes = tensor.shape[0]
        elif len(shape) == 4 and shape[1] == COLOURS:
            channels = tensor.shape[1]
    return classes, channels


def _torchvision(name: str) -> Maker:
    import torchvision.models
    from torchvision.models import list_models

    known = list_models(module=torchvision.models)
    if name not in known:
        guess = nearest(name, known)
        hint = f"did you mean '{guess}'?" if guess else "see torchvision.models.list_models()"
        raise UsageError(f"torchvision has no classifier '{name}': {hint}")
    return partial(_of_torchvision, name)


def _of_torchvision(name: str, classes: int | None, channels: int) -> nn.Module:
    from torchvision.models import get_model

    chosen = {} if classes is None else {"num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        chosen["init_weights"] = False
    network = get_model(name, weights=None, **chosen)
    if channels != COLOURS:
        path, first = next(
            (path, part)
            for path, part in network.named_modules()
            if isinstance(part, nn.Conv2d) and part.in_channels == COLOURS
        )
        network.set_submodule(path, _with_channels(first, channels))
    return network


def _with_channels(first: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A first layer like another, for images of so many channels."""
    taken: Any = {
        key: getattr(first, key)
        for key in ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    }
    return nn.Conv2d(channels, first.out_channels, bias=first.bias is not None, **taken)


def _timm(name: str) -> Maker:
    if importlib.util.find_spec("timm") is None:
        raise UsageError(f"timm:{name} needs timm, which is not installed: pip install timm")
    return partial(_of_timm, name)


def _of_timm(name: str, classes: int | None, channels: int) -> nn.Module:
    timm: Any = importlib.import_module("timm")
    chosen = {} if classes is None else {"num_classes": classes}
    try:
        return timm.create_model(name, pretrained=False, in_chans=channels, **chosen)
    except RuntimeError as error:
        raise UsageError(f"timm has no model '{name}': {one_line(error, 120)}") from error
