"""What the parts of this package promise one another: Loss, Trainer, Fitted, Recipe.

The data of a run (`Data`, `Batches`) are described by shape, not by class: whoever calls a
trainer brings them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bench.core.registry import Registry
from generative.training import Training

Logits = Float[Tensor, " batch"]
"""The critic's outputs for a batch."""

Points = Float[np.ndarray, "n d"]
"""Points in a space of d dimensions."""

PerPoint = Float[np.ndarray, " n"]
"""A number for each of some points."""

PerExample = Float[Tensor, " n"]
"""The same, as a tensor."""

Images = Float[Tensor, "n c h w"]
"""In [0, 1]."""

Codes = Float[Tensor, "n latent"]
"""What a generator or a decoder makes examples of."""

Labels = Int[Tensor, " n"]
"""Classes, counted from 0."""

Captions = Int[Tensor, "n words"]
"""Captions, each word a place in a vocabulary."""

Tree = Any
"""A tree of dicts and lists with tensors, numbers, strings and None as leaves."""


@runtime_checkable
class Batches(Protocol):
    """An endless stream of training batches that knows its position."""

    def next(self, n: int) -> Tensor: ...
    def position(self) -> dict[str, Tensor]: ...
    def seek(self, position: dict[str, Tensor]) -> None: ...


@runtime_checkable
class LabelledBatches(Protocol):
    """The same with the class of each example."""

    def next(self, n: int) -> tuple[Tensor, Tensor]: ...
    def position(self) -> dict[str, Tensor]: ...
    def seek(self, position: dict[str, Tensor]) -> None: ...


@runtime_checkable
class Density(Protocol):
    """Anything with a log density in nats: [n, d] to [n]."""

    def log_prob(self, x: Points) -> PerPoint: ...


@runtime_checkable
class Data(Protocol):
    """The data of one data set and seed; see `bench.datasets.Source`."""

    shape: tuple[int, ...]
    device: str
    modes: int
    classes: int
    box: tuple[float, float] | None

    @property
    def training(self) -> Tensor: ...
    @property
    def density(self) -> Density | None: ...
    def batches(self) -> Batches: ...
    def labelled_batches(self) -> LabelledBatches: ...
    def fresh(
        self, n: int, rng: torch.Generator, classes: Sequence[int] | None = None
    ) -> Tensor: ...


@runtime_checkable
class TwoDomains(Data, Protocol):
    """Two domains of images; as data of examples, the second. truth: whether held-out images that
    stand at the same place in both are partners.
    """

    first_shape: tuple[int, ...]
    truth: bool

    @property
    def first(self) -> Tensor: ...
    @property
    def second(self) -> Tensor: ...
    @property
    def held_first(self) -> Tensor: ...
    @property
    def held_second(self) -> Tensor: ...
    def pairs(self) -> LabelledBatches: ...
    def domains(self) -> LabelledBatches: ...


@runtime_checkable
class ClassedDomains(TwoDomains, Protocol):
    """Two domains, of which the first may have classes: `labelled_first` has its images with
    theirs. first_classes: how many, 0 where none are known.
    """

    first_classes: int

    def labelled_first(self) -> LabelledBatches: ...


@runtime_checkable
class Captioned(Data, Protocol):
    """Images with a caption each, int64 [n, words]; see `bench.datasets.captioned`. prompts: every
    caption there is; captions: of the training images; held_captions: of the held-out ones.
    """

    @property
    def prompts(self) -> Tensor: ...
    @property
    def captions(self) -> Tensor: ...
    @property
    def held_out(self) -> Tensor: ...
    @property
    def held_captions(self) -> Tensor: ...
    def encode(self, tokens: Tensor) -> Tensor: ...
    def numbers(self, tokens: Tensor) -> Tensor: ...
    def captioned_batches(self) -> LabelledBatches: ...
    def asked(self, n: int, rng: torch.Generator) -> Tensor: ...
    def others(self, tokens: Tensor, rng: torch.Generator) -> Tensor: ...


@runtime_checkable
class FewLabelled(Data, Protocol):
    """Images of which a few have a class: `batches` has all of them without, `labelled_batches` the
    few with theirs; see `bench.datasets.few`. every_label: all with theirs, for ceilings alone.
    """

    @property
    def told(self) -> tuple[Tensor, Tensor]: ...
    def every_label(self) -> LabelledBatches: ...


class Loss(ABC):
    """An adversarial objective over logits. Both results are unreduced and both are minimised.

    `real` and `fake` are the critic's outputs, [batch]. A relativistic loss compares the two;
    the others ignore `real` in `generator`.
    """

    @abstractmethod
    def critic(self, real: Logits, fake: Logits) -> Logits:
        """What the critic minimises, [batch]."""

    @abstractmethod
    def generator(self, real: Logits, fake: Logits) -> Logits:
        """What the generator minimises, [batch]."""


@dataclass(frozen=True)
class LossFacts:
    """relativistic: the generator's loss needs the real logits, and a constant added to all
    logits changes nothing. batchwise: mixes the samples of a batch, so that a batch's loss is
    not its samples' losses. between: logits between which the critic pulls reals up and fakes
    down, and the generator fakes up. finite_to: the largest absolute logit at which its values
    and gradients are finite in float32; less than the default where it is an exponential.
    """

    relativistic: bool = False
    batchwise: bool = False
    between: tuple[float, float] = (0.0, 1.0)
    finite_to: float = 1e4


Critic = Callable[[Tensor], Tensor]
"""Examples [n, ...] to logits [n]."""


class Penalty(ABC):
    """A term that the critic minimises beside its loss, unreduced."""

    @abstractmethod
    def __call__(
        self, critic: Critic, real: Tensor, fake: Tensor, rng: torch.Generator
    ) -> Float[Tensor, " batch"]:
        """The penalty of each of the batch, with a graph to the critic's weights."""


@dataclass(frozen=True)
class PenaltyFacts:
    """weight: what its paper multiplies it by. batchwise: mixes the samples of a batch by design.
    per_sample: looks at the critic's slope at single examples, so that the critic may not have
    batch norm.
    """

    weight: float
    batchwise: bool = False
    per_sample: bool = True


class Constraint(ABC):
    """What keeps a critic inside a set of functions, by changing its weights."""

    @abstractmethod
    def prepare(self, critic: nn.Module) -> None:
        """Change the critic before its first step; its weights may get other names."""

    @abstractmethod
    def project(self, critic: nn.Module) -> None:
        """Put the critic back into the set, after every step."""


@dataclass(frozen=True)
class ConstraintFacts:
    """per_layer: bounds every layer by itself, which batch norm would undo."""

    per_layer: bool = True


class Fitted(ABC):
    """A trained model. What it can do is its type: see Sampler and Density."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that is needed to restore it."""


class Sampler(Fitted):
    """A model that draws samples. passes: of its network, one after another, for a sample."""

    passes: int = 1

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` samples, [n, ...], on the generator's device."""


class Decoder(Sampler):
    """A sampler whose samples are decoded codes. prior: of the codes, N(0, I) or uniform on
    [-1, 1].
    """

    prior: Literal["normal", "uniform"] = "normal"

    @abstractmethod
    def codes(self, n: int, rng: torch.Generator) -> Codes:
        """Codes as `sample` draws them, [n, latent]."""

    @abstractmethod
    def decode(self, z: Codes) -> Tensor:
        """Examples [n, ...] of codes."""


class Labeller(Fitted):
    """A model that says the class of examples."""

    @abstractmethod
    def classify(self, x: Tensor) -> Float[Tensor, "n classes"]:
        """Of examples [n, ...] the log probability of each class."""


class Completer(Sampler):
    """A sampler that fills in what is hidden of a picture in closed form."""

    @abstractmethod
    def complete(self, x: Tensor, known: Tensor) -> Tensor:
        """Pictures [n, c, h, w] in [0, 1] with the hidden pixels (known [h, w] is False) replaced
        by what is expected there given the others.
        """


class Magnifier(Sampler):
    """A sampler that makes fine images of coarse ones. What it samples are coarse training images,
    magnified. factor: how many fine pixels a side stand for a coarse one.
    """

    factor: int

    @abstractmethod
    def magnify(self, coarse: Tensor) -> Tensor:
        """Coarse images [n, c, h, w] in [0, 1] as fine ones, [n, c, factor h, factor w], as they
        are: a pixel may lie outside [0, 1].
        """


class Contested(Decoder):
    """A decoder that was trained against a critic. `decode` and `logits` have gradients where
    their argument asks for them.
    """

    @abstractmethod
    def logits(self, x: Tensor) -> Logits:
        """The critic's logits of examples [n, ...], [n]: higher for what it takes for real."""


class Perceiver(Contested):
    """One whose critic says, too, what its last layer sees of an example."""

    @abstractmethod
    def features(self, x: Tensor) -> Float[Tensor, "n d"]:
        """What the critic's last layer sees of examples [n, ...], with a gradient where they ask
        for one. Raises UsageError where the critic is none that says so.
        """


class ConditionalSampler(Decoder):
    """A decoder that can be asked for a class."""

    classes: int

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator, condition: Labels | None = None) -> Tensor:
        """`n` samples of the classes `condition` [n], each 0 to classes - 1; of every class as
        often, in turn, where none is given. Raises UsageError for a label outside the classes.
        """

    @abstractmethod
    def decode(self, z: Codes, condition: Labels | None = None) -> Tensor:
        """Examples [n, ...] of codes and classes; of every class in turn where none is given."""


class Editor(ConditionalSampler):
    """A decoder that can be asked for a class, and that infers the code of an example: decoded with
    another class, it is that example with its class exchanged.
    """

    @abstractmethod
    def encode(self, x: Tensor, labels: Labels) -> Codes:
        """Codes of examples [n, ...] of known classes [n]; a model may leave the classes aside."""


class CodeReader(Contested):
    """A decoder whose codes say something, a category and numbers on [-1, 1], and that can read in
    an example what they said. No label stands behind a category.
    """

    categories: int
    numbers: int

    @abstractmethod
    def said(self, z: Codes) -> tuple[Labels, Float[Tensor, "n numbers"]]:
        """The category that each code says, 0 to categories - 1, and the numbers."""

    @abstractmethod
    def saying(self, z: Codes, categories: Labels, numbers: Float[Tensor, "n numbers"]) -> Codes:
        """Codes that say these, and are z in all else."""

    @abstractmethod
    def read(self, x: Tensor) -> tuple[Float[Tensor, "n categories"], Float[Tensor, "n numbers"]]:
        """Of examples [n, ...] the log probability of each category, and the numbers it expects."""


class Sorter(Contested):
    """A decoder whose critic sorts examples into categories that no label stands behind."""

    categories: int

    @abstractmethod
    def sort(self, x: Tensor) -> Float[Tensor, "n categories"]:
        """Of examples [n, ...] the log probability of each category."""


class CaptionSampler(Sampler):
    """A sampler that can be told what to draw, by a caption."""

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator, captions: Captions | None = None) -> Tensor:
        """`n` samples of captions [n, words]; where none is given, of every caption in turn that
        the model can draw. Raises UsageError for tokens that are no caption.
        """


class CaptionDecoder(CaptionSampler, Decoder):
    """One whose samples are decoded codes, and that was trained against a critic of both."""

    @abstractmethod
    def decode(self, z: Codes, captions: Captions | None = None) -> Tensor:
        """Examples [n, ...] of codes and captions; of every one in turn where none is given."""

    @abstractmethod
    def between(self, z: Codes, first: Captions, second: Captions, share: Tensor) -> Tensor:
        """Examples [n, ...] of codes and of what lies between two captions, at a share [n] of the
        way.
        """

    @abstractmethod
    def matching(self, x: Tensor, captions: Captions) -> Logits:
        """The critic's logits of examples [n, ...] beside captions [n, words], [n]."""


Direction = Literal["forward", "backward"]
"""From the first domain to the second, or back."""


class Translator(Fitted):
    """A model that maps images of one domain to another's. directions: those it can do."""

    directions: tuple[Direction, ...]

    @abstractmethod
    def translate(
        self, x: Tensor, rng: torch.Generator, direction: Direction = "forward"
    ) -> Tensor:
        """Images [n, c, h, w] in [0, 1] of one domain as images of the other. What noise the model
        has comes from the generator. Raises UsageError for a direction it was not trained for.
        """


class DensitySampler(Sampler):
    """A sampler whose log density is known."""

    @abstractmethod
    def log_prob(self, x: Points) -> PerPoint:
        """Log density in nats, [n, d] to [n]."""


class Invertible(Sampler):
    """A sampler that carries examples to the noise that it would make them of."""

    @abstractmethod
    def returned(self, x: Tensor) -> Tensor:
        """What comes back of examples [n, ...] that are carried to noise and from there again."""


class MassSampler(Sampler):
    """A sampler of images that says how probable an image is, each pixel at one of so many levels:
    those that training images have.
    """

    @abstractmethod
    def log_mass(self, x: Images, rng: torch.Generator, draws: int = 1) -> PerExample:
        """The log probability of each image in nats, pixels at the nearest level; where the model
        is of dequantised pixels, a lower bound in expectation, which tightens with `draws`.
        """


class LatentSampler(Sampler):
    """A sampler with latent variables and a variational bound on its log-likelihood."""

    @abstractmethod
    def elbo(self, x: Tensor, rng: torch.Generator) -> tuple[PerExample, PerExample]:
        """The two terms of the bound on log p(x), in nats: the expected log-likelihood of x given
        z, by one draw of z, and the divergence KL(q(z|x) || p(z)), in closed form. [n] each.
        """

    @abstractmethod
    def importance_log_prob(self, x: Tensor, rng: torch.Generator, samples: int) -> PerExample:
        """log of the mean of p(x, z) / q(z|x) over draws of z from q(z|x), in nats, [n]: a lower
        bound in expectation that tightens with `samples`.
        """


class Autoencoder(Decoder):
    """A sampler that can encode what it decodes."""

    @abstractmethod
    def encode(self, x: Tensor) -> Codes:
        """Codes of examples [n, ...]."""


class Diverged(Exception):
    """Training has left the finite numbers; the message says what was not finite."""


class Trainer(ABC):
    """A model's training as a state machine.

    `advance` may change the state it is given; use the one it returns. Two states with equal
    `pack` go on to equal states, bit for bit on the same machine.
    """

    @property
    @abstractmethod
    def steps(self) -> int:
        """How many steps make a full training."""

    @abstractmethod
    def start(self, data: Data, rng: torch.Generator) -> Any:
        """The state before the first step."""

    @abstractmethod
    def advance(self, state: Any, steps: int) -> Any:
        """The state some steps on. Raises Diverged where a parameter or loss is not finite."""

    @abstractmethod
    def finish(self, state: Any) -> Fitted:
        """The model as trained so far; the state can still advance."""

    @abstractmethod
    def pack(self, state: Any) -> Tree:
        """The whole state as a tree: weights, optimisers, buffers, random state, position."""

    @abstractmethod
    def unpack(self, data: Data, tree: Tree) -> Any:
        """The state that `pack` described."""

    @abstractmethod
    def restore(self, data: Data, tensors: Mapping[str, Tensor]) -> Fitted:
        """The fitted model that `Fitted.tensors` described."""


@runtime_checkable
class Pulled(Protocol):
    """A trainer that can say what the last step of each player followed."""

    def pulls(self, state: Any) -> dict[str, float]:
        """By player, the norm of the gradient over all its weights; 0 before the first step."""
        ...


Traced = tuple[int, dict[str, float]]
"""A step and what was noted of it: `<player>_loss`, `<player>_gradient` (the norm over all its
weights), and of adversarial games the critic's mean `logit_of_real` and `logit_of_fake`.
"""


@runtime_checkable
class Telling(Protocol):
    """A trainer that tells about single steps."""

    def told(self, state: Any) -> list[Traced]:
        """What was noted since it was asked last, of 1,000 steps a game at most, evenly spaced: its
        trainings of fewer steps tell of each.
        """
        ...


class Recipe(ABC):
    """A frozen record: what to train and how. A variant is a recipe, not a subclass."""

    @abstractmethod
    def relevant(self, training: Training) -> dict[str, Any]:
        """The settings that this recipe reads, resolved: they name what was trained."""

    @abstractmethod
    def modules(self, training: Training) -> tuple[str, ...]:
        """The modules that make it, beside its own: their source is part of its identity."""

    @abstractmethod
    def trainer(self, training: Training, shape: tuple[int, ...]) -> Trainer:
        """The trainer for data of one shape."""

    @abstractmethod
    def seconds(self, training: Training) -> float:
        """About how long a training takes on one core of 2025."""


Role = Literal["model", "baseline", "ceiling", "floor"]


@dataclass(frozen=True)
class RecipeFacts:
    """role: a model to be compared, a baseline by another principle, or the best and worst a
    score can show. parts: the registered parts it is made of, cited with it. points_only,
    images_only: why it can't take the other, or empty. labelled: it needs the classes of its
    training examples. translates: it maps images of one domain to another's, and draws nothing.
    paired: it needs to know which belong together. classed: it needs the classes of the first
    domain. moded: it needs to know the modes, or what classes they are made of. captioned: it is
    told what to draw by captions. encodes: its model is an Autoencoder; edits: an Editor; inverts:
    Invertible. restores: the one task that its model is for, where that repairs damaged images and
    draws none of its own. classifies: it is a Labeller, and can be trained where few examples have
    a class. draws: whether it draws samples of its own, of anything.
    """

    role: Role = "model"
    parts: tuple[str, ...] = ()
    points_only: str = ""
    images_only: str = ""
    labelled: bool = False
    translates: bool = False
    paired: bool = False
    classed: bool = False
    moded: bool = False
    captioned: bool = False
    encodes: bool = False
    edits: bool = False
    restores: str = ""
    classifies: bool = False
    inverts: bool = False
    draws: bool = True


LOSSES: Registry[type[Loss], LossFacts] = Registry("loss", LossFacts, listed_as="losses")
PENALTIES: Registry[Penalty, PenaltyFacts] = Registry(
    "penalty", PenaltyFacts, listed_as="penalties"
)
CONSTRAINTS: Registry[Constraint, ConstraintFacts] = Registry(
    "constraint", ConstraintFacts, listed_as="constraints"
)
RECIPES: Registry[Recipe, RecipeFacts] = Registry("model", RecipeFacts, listed_as="models")
