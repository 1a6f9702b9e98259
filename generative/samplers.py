"""Trained generators: codes in, examples out, batch norm in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bench.core.errors import UsageError
from generative.contracts import (
    CaptionDecoder,
    Captioned,
    Captions,
    Codes,
    ConditionalSampler,
    Contested,
    Decoder,
    Labels,
    Logits,
    Perceiver,
)
from generative.networks import LogitCritic
from generative.protocols.base import Protocol
from generative.trainers.optimisers import chunks_of

SAMPLE_CHUNK = 16_384
SAMPLE_VALUES = 2**20
CRITIC = "critic."

Inputs = tuple[Tensor, ...]


class GeneratorSampler(Perceiver):
    """A trained generator, and the critic that it was trained against where it was trained."""

    def __init__(
        self, generator: nn.Module, critic: nn.Module | None, protocol: Protocol, shape: tuple
    ) -> None:
        self._generator, self._protocol = generator.eval(), protocol
        self.prior = protocol.prior
        self._critic = None if critic is None else critic.eval()
        self._part = part_of(shape)

    @property
    def network(self) -> nn.Module:
        """Codes to examples."""
        return self._generator

    @property
    def critic(self) -> nn.Module | None:
        """Examples to logits, where there is one."""
        return self._critic

    @property
    def latent(self) -> int:
        """The dimensions of codes."""
        return self._protocol.latent

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return _drawn(n, self._part, lambda size: self.decode(self.codes(size, rng)))

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self._protocol.codes(n, rng)

    def decode(self, z: Codes) -> Tensor:
        return _passed(self._generator, z)

    def logits(self, x: Tensor) -> Logits:
        if self._critic is None:
            raise UsageError("this generator has no critic: it was never trained")
        return _passed(self._critic, x)

    def features(self, x: Tensor) -> Float[Tensor, "n d"]:
        if not isinstance(self._critic, LogitCritic):
            raise UsageError("this model's critic has no layer whose features can be asked for")
        with torch.set_grad_enabled(x.requires_grad):
            return self._critic(x, features=True)[1]

    def tensors(self) -> dict[str, Tensor]:
        return _tensors(self._generator, self._critic)


class WrappingSampler(Decoder):
    """One that draws as its own generator does, and says more of what it draws. own: that one."""

    def __init__(self, own: GeneratorSampler) -> None:
        self.own, self.prior = own, own.prior

    @final
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.own.sample(n, rng)

    @final
    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self.own.codes(n, rng)

    @final
    def decode(self, z: Codes) -> Tensor:
        return self.own.decode(z)

    @final
    def tensors(self) -> dict[str, Tensor]:
        return self.own.tensors()


class UncontestedSampler(WrappingSampler):
    """A trained generator whose critic judges no single example: it saw several at once."""


class ContestedWrapping(WrappingSampler, Contested):
    """One whose critic judges single examples."""

    @final
    def logits(self, x: Tensor) -> Logits:
        return self.own.logits(x)


class ConditionalGeneratorSampler(ConditionalSampler, Contested):
    """A trained generator that is told the class."""

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        protocol: Protocol,
        shape: tuple[int, ...],
        classes: int,
    ) -> None:
        self._generator, self._critic = generator.eval(), critic.eval()
        self._protocol, self.prior, self.classes = protocol, protocol.prior, classes
        self._part = part_of(shape)

    def sample(self, n: int, rng: torch.Generator, condition: Labels | None = None) -> Tensor:
        labels = self._labels(n, condition, rng.device)
        parts = iter(labels.split(self._part))
        return _drawn(n, self._part, lambda size: self.decode(self.codes(size, rng), next(parts)))

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self._protocol.codes(n, rng)

    def decode(self, z: Codes, condition: Labels | None = None) -> Tensor:
        return _passed(self._generator, z, self._labels(len(z), condition, z.device))

    def logits(self, x: Tensor, condition: Labels | None = None) -> Logits:
        return _passed(self._critic, x, self._labels(len(x), condition, x.device))

    def _labels(self, n: int, condition: Labels | None, device: torch.device) -> Labels:
        return labels_for(n, condition, self.classes, device)

    def tensors(self) -> dict[str, Tensor]:
        return _tensors(self._generator, self._critic)


class CaptionGeneratorSampler(CaptionDecoder):
    """A trained generator that is told captions, and the critic of both."""

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        protocol: Protocol,
        shape: tuple[int, ...],
        data: Captioned,
    ) -> None:
        self._generator, self._critic = generator.eval(), critic.eval()
        self._protocol, self.prior, self._data = protocol, protocol.prior, data
        self._part = part_of(shape)

    def sample(self, n: int, rng: torch.Generator, captions: Captions | None = None) -> Tensor:
        parts = iter(self._captions(n, captions).split(self._part))
        return _drawn(n, self._part, lambda size: self.decode(self.codes(size, rng), next(parts)))

    def codes(self, n: int, rng: torch.Generator) -> Codes:
        return self._protocol.codes(n, rng)

    def decode(self, z: Codes, captions: Captions | None = None) -> Tensor:
        vectors = self._data.encode(self._captions(len(z), captions))
        return _passed(self._generator, z, vectors)

    def between(self, z: Codes, first: Captions, second: Captions, share: Tensor) -> Tensor:
        ends = [self._data.encode(self._captions(len(z), each)) for each in (first, second)]
        vectors = ends[0] + share[:, None] * (ends[1] - ends[0])
        return _passed(self._generator, z, vectors)

    def matching(self, x: Tensor, captions: Captions) -> Logits:
        return _passed(self._critic, x, self._data.encode(self._captions(len(x), captions)))

    def _captions(self, n: int, captions: Captions | None) -> Captions:
        return captions_for(n, captions, self._data)

    def tensors(self) -> dict[str, Tensor]:
        return _tensors(self._generator, self._critic)


def labels_for(n: int, condition: Labels | None, classes: int, device: torch.device) -> Labels:
    """A class for each of `n` samples: every one in turn where none is given. Raises UsageError for
    another number of them, and for one outside the classes.
    """
    if condition is None:
        return torch.arange(n, device=device) % classes
    if len(condition) != n:
        raise UsageError(f"expected a label for each of {n} samples, got {len(condition)}")
    wrong = (condition < 0) | (condition >= classes)
    if bool(wrong.any()):
        got = int(condition[wrong][0])
        raise UsageError(f"label {got} is outside the classes: expected 0 to {classes - 1}")
    return condition.to(device)


def captions_for(n: int, captions: Captions | None, data: Captioned) -> Captions:
    """A caption for each of `n` samples: every one in turn where none is given. Raises UsageError
    for another number of them.
    """
    if captions is None:
        return data.prompts[torch.arange(n, device=data.device) % len(data.prompts)]
    if len(captions) != n:
        raise UsageError(f"expected a caption for each of {n} samples, got {len(captions)}")
    return captions.to(data.device)


def _passed(network: nn.Module, *inputs: Tensor) -> Tensor:
    """With a graph where an input asks for one."""
    with torch.set_grad_enabled(inputs[0].requires_grad):
        return network(*inputs)


def part_of(shape: tuple[int, ...]) -> int:
    """How many samples of a shape are drawn at once."""
    return max(1, min(SAMPLE_CHUNK, SAMPLE_VALUES // prod(shape)))


def drawn_in_parts(n: int, shape: tuple[int, ...], draw: Callable[[int], Tensor]) -> Tensor:
    """`n` samples of a shape, as many at once as every model of ours draws."""
    return _drawn(n, part_of(shape), draw)


def _drawn(n: int, part: int, draw: Callable[[int], Tensor]) -> Tensor:
    return torch.cat([draw(size) for size in chunks_of(n, part)])


def _tensors(generator: nn.Module, critic: nn.Module | None) -> dict[str, Tensor]:
    found = {key: value.detach() for key, value in generator.state_dict().items()}
    if critic is not None:
        found |= {CRITIC + key: value.detach() for key, value in critic.state_dict().items()}
    return found


def load(tensors: dict[str, Tensor], generator: nn.Module, critic: nn.Module | None) -> None:
    """Put back what `tensors` gave. Raises UsageError where it is of another architecture."""
    judging = {key: value for key, value in tensors.items() if key.startswith(CRITIC)}
    making = {key: value for key, value in tensors.items() if key not in judging}
    load_weights(generator, making, "generator")
    if critic is not None:
        named = {key.removeprefix(CRITIC): value for key, value in judging.items()}
        load_weights(critic, named, "critic")


def load_weights(network: nn.Module, tensors: dict[str, Tensor], role: str) -> None:
    """Load weights. Raises UsageError where they are of another architecture, naming the first
    that does not fit.
    """
    wanted = network.state_dict()
    for name in [*wanted, *tensors]:
        here = tuple(wanted[name].shape) if name in wanted else "none"
        there = tuple(tensors[name].shape) if name in tensors else "none"
        if here != there:
            raise UsageError(
                f"the {role}'s weights are of another architecture: '{name}' is {there} in the "
                f"file, and this protocol has {here}: train it again, or name the protocol that "
                "it was trained with"
            )
    network.load_state_dict(tensors)
