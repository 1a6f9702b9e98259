"""What a layer of a classifier makes of images: its units as columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attacks.contracts import Images
from attacks.engine import chunk_of, frozen, logits_of
from bench.core.errors import UsageError, unknown

Units = Float[Tensor, "n units"]
"""Of each image the value of each unit, float64; of a map of channels every place is a unit."""

LAST, PIXELS = "last", "pixels"
"""Words for a layer: what the layer of the logits is given, and the images themselves."""


def features(model: nn.Module, images: Images, layer: str = LAST) -> Units:
    """The values of a layer: of the last hidden one (what the last nn.Linear is given), of the
    pixels, or what comes out of the module of this name. The model is left as it was found.

    Raises UsageError for a network without a hidden layer, for one whose logits don't come from
    its last nn.Linear, and for a name that it does not have.
    """
    if layer == PIXELS:
        return images.flatten(1).double()
    module = _logit_layer(model, images) if layer == LAST else _named(model, layer)
    with frozen(model):
        parts = [
            _caught(model, module, part, inputs=layer == LAST)
            for part in images.split(chunk_of(images))
        ]
    return torch.cat(parts).flatten(1).double()


def _caught(model: nn.Module, module: nn.Module, images: Images, *, inputs: bool) -> Tensor:
    """What a module is given, or what comes out of it, when the model is asked."""
    caught: list[Tensor] = []
    with _watched(module, caught, inputs=inputs):
        logits_of(model, images)
    if len(caught) != 1 or not isinstance(caught[0], Tensor) or len(caught[0]) != len(images):
        raise UsageError(
            f"a layer ({type(module).__name__}) has no one value for each of {len(images)} images: "
            "expected a layer that is passed once and gives a tensor"
        )
    return caught[0].detach()


@contextmanager
def _watched(module: nn.Module, caught: list[Tensor], *, inputs: bool) -> Iterator[None]:
    def keep(_: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        caught.append(given[0] if inputs else made)

    handle = module.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()


def _named(model: nn.Module, layer: str) -> nn.Module:
    known = dict(model.named_modules())
    if layer not in known or not layer:
        raise unknown("layer", layer, (LAST, PIXELS, *filter(None, known)))
    return known[layer]


def _logit_layer(model: nn.Module, images: Images) -> nn.Module:
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if linear and len(images):
        logits, one = logits_of(model, images[:1]), images[:1]
        with frozen(model):
            made = _caught(model, linear[-1], one, inputs=False)
        if made.shape == logits.shape and torch.equal(made.to(logits), logits):
            if len(linear) == sum(bool(list(m.parameters(False))) for m in model.modules()) == 1:
                raise UsageError(
                    "there is no hidden layer: the logits are linear in the pixels; expected "
                    f"another model, or the layer '{PIXELS}'"
                )
            return linear[-1]
    raise UsageError(
        "the logits don't come from the last nn.Linear: name the hidden layer by its module"
    )
