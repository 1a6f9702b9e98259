"""A network as a chain: affine maps with activations between them, read off its modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import singledispatch

from jaxtyping import Float
from torch import Tensor, nn

from attacks.certificates.activations import Activation
from attacks.certificates.layers import Affine, Segment, Shape, Values, apply
from attacks.certificates.windows import Maximum
from attacks.contracts import Images, Model
from bench.core.errors import UsageError

Cast = Callable[[Tensor], Tensor]
"""What is done to each weight as it is read."""

Steps = Iterator[Affine | Activation | Maximum]
INSTEAD = "use the certificate 'smoothing', which takes any classifier"
UNKNOWN = f"is none that bounds go through: {INSTEAD}"


@dataclass(frozen=True, eq=False)
class Chain:
    """segments: one more than activations; the last one gives the logits. shapes: of what comes out
    of each segment.
    """

    segments: tuple[Segment, ...]
    activations: tuple[Activation, ...]
    shapes: tuple[Shape, ...]

    def __call__(self, images: Values) -> Float[Tensor, "n classes"]:
        """The logits."""
        x = apply(self.segments[0], images)
        for activation, segment in zip(self.activations, self.segments[1:], strict=True):
            x = apply(segment, activation.value(x))
        return x


def in_double(weight: Tensor) -> Tensor:
    """A weight as bounds are computed with it."""
    return weight.detach().double()


def read(model: Model, images: Images, cast: Cast = in_double) -> Chain:
    """The chain of a network for images of a shape.

    Raises UsageError for what is no module, is in training mode, or has a layer that is none of
    those that `steps` knows; it names the layer.
    """
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise UsageError(
            f"bounds need a torch.nn.Module whose layers can be read, got a {kind}: {INSTEAD}"
        )
    shape = tuple(images.shape[1:])
    segments: list[list[Affine]] = [[]]
    activations: list[Activation] = []
    shapes: list[Shape] = []
    for step in steps(model, "", shape, cast):
        if isinstance(step, Maximum):
            raise refused(step.module, step.name, UNKNOWN)
        if isinstance(step, Activation):
            activations.append(step)
            shapes.append(shape)
            segments.append([])
        else:
            segments[-1].append(step)
            shape = step.outputs
    if len(shape) != 1:
        raise UsageError(
            f"expected a network that ends in one logit a class, got outputs of shape {shape} an "
            "image: add nn.Flatten()"
        )
    return Chain(tuple(map(tuple, segments)), tuple(activations), (*shapes, shape))


@singledispatch
def steps(module: nn.Module, name: str, shape: Shape, cast: Cast) -> Steps:
    """The affine maps, activations and maxima of a module for inputs of a shape, in their order.
    name: where it stands in the network. `steps.register` makes another kind of module known.
    """
    raise refused(module, name, UNKNOWN)


def refused(module: nn.Module, name: str, why: str) -> UsageError:
    """The error for a layer; says which it is."""
    return UsageError(f"layer '{name or 'the network'}' ({type(module).__name__}) {why}")
