"""What holds for what a recipe trains, by what it can do: its type in generative.contracts.

A model is asked for what its type promises; a recipe whose model has no such type is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.datasets.mixtures import Mixture
from bench.laws import base
from bench.laws.base import Skipped
from bench.laws.examples import near, raises
from bench.laws.recipes import PLANE, Place, digest, draws, places, trained
from generative import (
    RECIPES,
    Autoencoder,
    CaptionDecoder,
    CaptionSampler,
    CodeReader,
    Completer,
    ConditionalSampler,
    Contested,
    Decoder,
    DensitySampler,
    Editor,
    Fitted,
    Invertible,
    LatentSampler,
    MassSampler,
    Sorter,
    Training,
)

T = TypeVar("T", bound=Fitted)
EASY = Mixture(
    "easy",
    np.array([[-1.0, 0.0], [1.0, 0.5], [0.0, -1.0]]),
    np.array([[0.09, 0.04], [0.06, 0.09], [0.09, 0.09]]),
    np.array([1.0, 2.0, 1.0]),
    training_points=3_000,
)
EASE = Place(EASY, Training(protocol="plane", steps=6, batch=32))
N = 6

law = partial(base.law, RECIPES.kind, where=draws, cases=places)
plane_law = partial(
    base.law, RECIPES.kind, where=lambda entry: draws(entry) and not entry.facts.images_only
)


def model_of(recipe: Entry, place: Place) -> tuple[Any, Any]:
    """The data and the model of a recipe that was trained there."""
    return trained(recipe, place, 0)[1:]


def able(recipe: Entry, place: Place, kind: type[T]) -> tuple[Any, T]:
    """The same, where the model is of a type; skipped elsewhere."""
    source, model = model_of(recipe, place)
    if not isinstance(model, kind):
        raise Skipped(f"its model is no {kind.__name__}")
    return source, model


def assert_examples(found: Tensor, n: int, source: Any) -> None:
    """As many as were asked for, float32, finite, in the box of the data."""
    low, high = source.box or (-float("inf"), float("inf"))
    assert found.shape == (n, *source.shape)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert n == 0 or low <= found.min()
    assert n == 0 or found.max() <= high


def assert_repeatable(draw: Callable[[torch.Generator], Tensor]) -> None:
    """By its generator alone: not by the global one, which is left alone, nor by earlier draws."""
    with forked(0):
        first, other = draw(stream("a")), draw(stream("b"))
        torch.manual_seed(5)
        untouched = torch.get_rng_state()
        again = draw(stream("a"))
        assert torch.equal(torch.get_rng_state(), untouched)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def assert_alone(compute: Callable[..., Tensor], *batch: Tensor, slack: float = 1e-5) -> None:
    """What is computed of one does not depend on who else is in the batch."""
    together = compute(*batch)
    for rows in ([0], [2, 1], [0, 1, 2]):
        some = compute(*(each[rows] for each in batch))
        torch.testing.assert_close(some, together[rows], rtol=slack, atol=slack)


@law()
def samples_are_examples(recipe: Entry, place: Place) -> None:
    """As many as were asked for, of the data's shape, in its box, and not all the same (real ones
    of one digit are soon repeated); they want no gradient, and live where their generator does.
    """
    source, model = model_of(recipe, place)
    for n in (1, 250, 2_500):
        found = model.sample(n, stream("samples"))
        assert_examples(found, n, source)
        assert not found.requires_grad
        assert found.device == torch.device("cpu")
        assert len(found.unique(dim=0)) > 0.8 * min(n, 250)


@plane_law(cases=base.each([1, 1_000, 40_000]))
def points_are_not_repeated(recipe: Entry, n: int) -> None:
    """Nine of ten samples are other ones, however many there are."""
    source, model = model_of(recipe, PLANE)
    found = model.sample(n, stream("samples"))
    assert_examples(found, n, source)
    assert not found.requires_grad
    assert len(found.unique(dim=0)) > 0.9 * n


@law()
def samples_depend_on_the_generator_alone(recipe: Entry, place: Place) -> None:
    """Not on the global one, which they leave alone, nor on what was drawn before."""
    _, model = model_of(recipe, place)
    assert_repeatable(lambda rng: model.sample(20, rng))


@law()
def sampling_leaves_the_model_as_it_was(recipe: Entry, place: Place) -> None:
    """Batch norm uses its running statistics: one sample can be had, and none moves them."""
    _, model = model_of(recipe, place)
    before = digest(model.tensors())
    assert model.sample(1, stream("one")).isfinite().all()
    model.sample(500, stream("many"))
    assert digest(model.tensors()) == before


@law()
def codes_are_draws_of_the_prior(recipe: Entry, place: Place) -> None:
    """[n, latent] float32, normal or uniform on [-1, 1], by their generator alone."""
    _, model = able(recipe, place, Decoder)
    z = model.codes(5_000, stream("codes"))
    assert z.ndim == 2
    assert len(z) == 5_000
    assert z.dtype == torch.float32
    assert model.prior in ("normal", "uniform")
    spread = 1.0 if model.prior == "normal" else 1 / 3
    assert z.mean().abs() < 0.1
    assert abs(float(z.var()) - spread) < 0.1
    assert model.prior == "normal" or z.abs().max() <= 1
    assert_repeatable(lambda rng: model.codes(20, rng))


@law()
def decoded_codes_are_examples(recipe: Entry, place: Place) -> None:
    """Those that `sample` gives for the same draw, but for noise of a model that has its own."""
    source, model = able(recipe, place, Decoder)
    decoded = model.decode(model.codes(N, stream("samples")))
    assert_examples(decoded, N, source)
    assert_examples(model.decode(model.codes(N, stream("samples"))[:0]), 0, source)
    if not isinstance(model, LatentSampler):
        drawn = model.sample(N, stream("samples"))
        torch.testing.assert_close(decoded, drawn, rtol=1e-5, atol=1e-5)


@law()
def a_decoded_code_has_no_batch_mates(recipe: Entry, place: Place) -> None:
    """Alone, in another order, among fewer: the same example."""
    source, model = able(recipe, place, Decoder)
    z = model.codes(N, stream("mates"))
    if isinstance(model, CaptionDecoder):
        assert_alone(model.decode, z, source.prompts[:N])
    elif isinstance(model, ConditionalSampler):
        assert_alone(model.decode, z, torch.arange(N) % model.classes)
    else:
        assert_alone(model.decode, z)


@law()
def decoding_has_a_graph_where_it_is_asked_for(recipe: Entry, place: Place) -> None:
    """To the codes, and not to the weights; none where codes want no gradient."""
    _, model = able(recipe, place, Contested)
    z = model.codes(N, stream("graph"))
    assert not model.decode(z).requires_grad
    (slope,) = torch.autograd.grad(model.decode(z.requires_grad_()).sum(), z)
    assert slope.isfinite().all()
    assert (slope != 0).any()


def _judged(recipe: Entry, place: Place) -> tuple[Contested, Tensor]:
    source, model = able(recipe, place, Contested)
    x = source.fresh(N, stream("judged"))
    try:
        model.logits(x)
    except UsageError as error:
        raise Skipped(str(error)) from None
    return model, x


@law()
def a_critic_gives_a_logit_each(recipe: Entry, place: Place) -> None:
    """[n], finite, float32: of real and of decoded examples, of one, and of none."""
    model, x = _judged(recipe, place)
    made = model.sample(N, stream("made"))
    for examples in (x, made, x[:1], x[:0]):
        logits = model.logits(examples)
        assert logits.shape == (len(examples),)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()
        assert not logits.requires_grad
    assert len(model.logits(torch.cat([x, made])).unique()) > 1


@law()
def a_critic_judges_each_by_itself(recipe: Entry, place: Place) -> None:
    """In evaluation mode; and judging leaves the model and the examples as they were."""
    model, x = _judged(recipe, place)
    before, kept = digest(model.tensors()), x.clone()
    if isinstance(model, ConditionalSampler):
        classes = torch.arange(N) % model.classes
        assert_alone(model.logits, x, classes)  # pyright: ignore[reportArgumentType]
    else:
        assert_alone(model.logits, x)
    assert digest(model.tensors()) == before
    assert torch.equal(x, kept)


@law()
def logits_have_a_graph_where_it_is_asked_for(recipe: Entry, place: Place) -> None:
    """What a descent towards the critic's favour needs: a slope by the examples."""
    model, x = _judged(recipe, place)
    (slope,) = torch.autograd.grad(model.logits(x.requires_grad_()).sum(), x)
    assert slope.shape == x.shape
    assert slope.isfinite().all()
    assert (slope != 0).any()


@law()
def a_class_can_be_asked_for(recipe: Entry, place: Place) -> None:
    """One each; of every class in turn where none is given; the class changes the example."""
    source, model = able(recipe, place, ConditionalSampler)
    every, n = torch.arange(3 * model.classes) % model.classes, 3 * model.classes
    asked = model.sample(n, stream("classes"), every)
    assert_examples(asked, n, source)
    assert torch.equal(model.sample(n, stream("classes")), asked)
    z = model.codes(n, stream("codes"))
    torch.testing.assert_close(model.decode(z), model.decode(z, every))
    others = model.decode(z, every.roll(1))
    assert (others != model.decode(z, every)).flatten(1).any(1).all()


@law()
def a_class_can_be_exchanged(recipe: Entry, place: Place) -> None:
    """Codes of examples, [n, latent], finite, of each by itself; decoded with any class they are
    examples, with another class others; the model and the examples stay as they were.
    """
    source, model = able(recipe, place, Editor)
    x, labels = source.fresh(N, stream("edited")), torch.arange(N) % model.classes
    kept, before, z = x.clone(), digest(model.tensors()), model.encode(x, labels)
    assert z.shape == (N, model.codes(1, stream("codes")).shape[1])
    assert z.dtype == torch.float32
    assert z.isfinite().all()
    assert len(z.unique(dim=0)) == N
    assert torch.equal(model.encode(x, labels), z)
    assert_alone(model.encode, x, labels)
    rebuilt, edited = (model.decode(z, given) for given in (labels, labels.roll(1)))
    assert_examples(rebuilt, N, source)
    assert (rebuilt != edited).flatten(1).any(1).all()
    assert torch.equal(x, kept)
    assert digest(model.tensors()) == before


@law()
def a_code_says_what_it_is_made_to_say(recipe: Entry, place: Place) -> None:
    """Its category and its numbers, all else as it was; each category is alike likely, numbers fill
    [-1, 1], and what a code says changes what is made of it.
    """
    _, model = able(recipe, place, CodeReader)
    z = model.codes(4_000, stream("said"))
    category, numbers = model.said(z)
    shares = torch.bincount(category, minlength=model.categories) / len(z)
    assert (shares - 1 / model.categories).abs().max() < 0.03
    assert numbers.abs().max() <= 1
    assert (numbers.var(0) - 1 / 3).abs().max() < 0.03
    first = z[:N]
    others = (category[:N] + 1) % model.categories
    told = model.saying(first, others, -numbers[:N])
    found = model.said(told)
    assert torch.equal(found[0], others)
    torch.testing.assert_close(found[1], -numbers[:N], rtol=0, atol=1e-4)
    same = model.saying(first, category[:N], numbers[:N])
    torch.testing.assert_close(same, first, rtol=1e-3, atol=1e-3)
    noise = z.shape[1] - model.categories - model.numbers
    assert torch.equal(told[:, :noise], first[:, :noise])
    assert (model.decode(told) != model.decode(first)).flatten(1).any(1).all()


@law()
def codes_are_read_in_examples(recipe: Entry, place: Place) -> None:
    """Log probabilities of every category and a number for each number, of each by itself; the
    model stays as it was.
    """
    source, model = able(recipe, place, CodeReader)
    x, before = source.fresh(N, stream("read")), digest(model.tensors())
    log_read, numbers = model.read(x)
    assert log_read.shape == (N, model.categories)
    assert numbers.shape == (N, model.numbers)
    torch.testing.assert_close(log_read.exp().sum(1), torch.ones(N))
    assert_alone(lambda some: torch.cat(model.read(some), 1), x)
    assert digest(model.tensors()) == before


@law()
def examples_are_sorted(recipe: Entry, place: Place) -> None:
    """Log probabilities of every category, of each by itself; the model stays as it was."""
    source, model = able(recipe, place, Sorter)
    x, before = source.fresh(N, stream("sorted")), digest(model.tensors())
    found = model.sort(x)
    assert found.shape == (N, model.categories)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(N))
    assert_alone(model.sort, x)
    assert digest(model.tensors()) == before


@law()
def a_caption_can_be_asked_for(recipe: Entry, place: Place) -> None:
    """The caption decides a sample whose noise is the same, where the model is a decoder; captions
    are asked for in any order; as many as samples, or it is refused, and so is what is none.
    """
    source, model = able(recipe, place, CaptionSampler)
    captions = source.held_captions[:N]
    found = model.sample(N, stream("captions"), captions)
    assert_examples(found, N, source)
    assert torch.equal(model.sample(N, stream("captions"), captions), found)
    with raises(UsageError, "expected a caption for each of 6 samples, got 5"):
        model.sample(N, stream("captions"), captions[1:])
    with raises(UsageError, "expected tokens of a caption of the data"):
        model.sample(N, stream("captions"), captions.flip(1))


@law()
def a_caption_is_all_that_a_decoder_is_told(recipe: Entry, place: Place) -> None:
    """Of one code and another caption another example comes; the ends of a way between two captions
    are theirs; the critic sees captions, too.
    """
    source, model = able(recipe, place, CaptionDecoder)
    z = model.codes(1, stream("told")).expand(N, -1)
    first, second = source.prompts[:N], source.prompts[-N:]
    ends = model.decode(z, first), model.decode(z, second)
    assert not torch.equal(*ends)
    for share, end in enumerate(ends):
        between = model.between(z, first, second, torch.full((N,), float(share)))
        torch.testing.assert_close(between, end, rtol=1e-4, atol=1e-5)
    judged = [model.matching(ends[0], captions) for captions in (first, second)]
    assert judged[0].shape == (N,)
    assert not torch.equal(*judged)


@law()
def a_class_that_is_none_is_refused(recipe: Entry, place: Place) -> None:
    """Below 0, beyond the last, and fewer labels than samples."""
    _, model = able(recipe, place, ConditionalSampler)
    for wrong in (-1, model.classes):
        with raises(UsageError, f"{wrong} is outside the classes"):
            model.sample(2, stream("wrong"), torch.tensor([0, wrong]))
    with raises(UsageError, "a label for each of 3"):
        model.sample(3, stream("wrong"), torch.tensor([0]))


def _masked(recipe: Entry, place: Place) -> tuple[Any, Completer, Tensor, Tensor]:
    """Pictures, and which pixels are known: all but a square in the middle."""
    source, model = able(recipe, place, Completer)
    if len(source.shape) != 3:
        raise Skipped("only pictures are completed")
    known = torch.ones(source.shape[1:], dtype=torch.bool)
    known[2:6, 2:6] = False
    return source, model, source.fresh(N, stream("hidden")), known


@law()
def completing_keeps_what_is_known(recipe: Entry, place: Place) -> None:
    """To the bit; what is filled in is in the box, and does not look at what stands there."""
    source, model, x, known = _masked(recipe, place)
    kept = x.clone()
    found = model.complete(x, known)
    assert_examples(found, N, source)
    assert torch.equal(found[..., known], x[..., known])
    assert torch.equal(x, kept)
    scribbled = model.complete(torch.where(known, x, 1 - x), known)
    torch.testing.assert_close(scribbled, found)
    everything = model.complete(x, torch.ones_like(known))
    assert torch.equal(everything, x)
    nothing = model.complete(x, torch.zeros_like(known))
    assert_examples(nothing, N, source)
    torch.testing.assert_close(nothing, nothing[:1].expand_as(nothing), rtol=0, atol=1e-4)


@law()
def a_completed_picture_has_no_batch_mates(recipe: Entry, place: Place) -> None:
    """Alone, in another order, among fewer: the same picture."""
    _, model, x, known = _masked(recipe, place)
    assert_alone(lambda some: model.complete(some, known), x)


@law()
def codes_can_be_had_of_examples(recipe: Entry, place: Place) -> None:
    """[n, latent], finite, the same every time, of each by itself; they decode to examples."""
    source, model = able(recipe, place, Autoencoder)
    x = source.fresh(N, stream("encoded"))
    kept, z = x.clone(), model.encode(x)
    assert z.shape == (N, model.codes(1, stream("codes")).shape[1])
    assert z.dtype == torch.float32
    assert z.isfinite().all()
    assert len(z.unique(dim=0)) == N
    assert torch.equal(model.encode(x), z)
    assert torch.equal(x, kept)
    assert_alone(model.encode, x)
    assert_examples(model.decode(z), N, source)


@law()
def a_bound_has_two_terms(recipe: Entry, place: Place) -> None:
    """[n] each, finite, in nats; the divergence is not below 0 and draws nothing."""
    source, model = able(recipe, place, LatentSampler)
    x = source.fresh(N, stream("bound"))
    expected, divergence = model.elbo(x, stream("a"))
    assert expected.shape == divergence.shape == (N,)
    assert expected.isfinite().all()
    assert divergence.isfinite().all()
    assert (divergence >= -1e-4).all()
    assert_repeatable(lambda rng: model.elbo(x, rng)[0])
    torch.testing.assert_close(model.elbo(x, stream("b"))[1], divergence)
    assert_alone(lambda some: model.elbo(some, stream("a"))[1], x)


@law()
def more_importance_samples_are_a_tighter_bound(recipe: Entry, place: Place) -> None:
    """[n], finite, by the generator alone; on average no lower than for one sample, nor than the
    evidence bound.
    """
    source, model = able(recipe, place, LatentSampler)
    x = source.fresh(200, stream("bound"))
    found = [model.importance_log_prob(x, stream("more"), k).double() for k in (1, 20)]
    for values in found:
        assert values.shape == (200,)
        assert values.isfinite().all()
    expected, divergence = model.elbo(x, stream("elbo"))
    for looser in (found[0], expected.double() - divergence):
        gain = found[1] - looser
        assert gain.mean() > -4 * gain.std() / 200**0.5
    assert_repeatable(lambda rng: model.importance_log_prob(x[:N], rng, 3))


@law()
def masses_are_probabilities(recipe: Entry, place: Place) -> None:
    """[n], finite, in nats, at most 0, by the generator alone; images that differ have others."""
    source, model = able(recipe, place, MassSampler)
    x = source.fresh(N, stream("masses"))
    found = model.log_mass(x, stream("a"))
    assert found.shape == (N,)
    assert found.isfinite().all()
    assert (found <= 0).all()
    assert torch.equal(found, model.log_mass(x, stream("a")))
    assert len(found.unique()) > 1


@law()
def what_is_carried_to_noise_comes_back(recipe: Entry, place: Place) -> None:
    """Examples of their shape, in their box, the same each time, nearer to what they were than to
    their mean; and a recipe says whether its model can.
    """
    source, model = model_of(recipe, place)
    assert isinstance(model, Invertible) == recipe.facts.inverts
    if not isinstance(model, Invertible):
        raise Skipped("its model has no way back")
    x = source.fresh(N, stream("there"))
    found = model.returned(x)
    assert_examples(found, N, source)
    assert torch.equal(found, model.returned(x))
    assert (found - x).square().mean() < 0.3 * (x - x.mean(0)).square().mean()


def plane() -> tuple[np.ndarray, float]:
    """A grid of points [n, 2] and the area of its cells, wide and fine enough for `EASY`."""
    ticks = np.linspace(-5, 5, 401)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    return points, float(ticks[1] - ticks[0]) ** 2


def _density(recipe: Entry) -> DensitySampler:
    """A model trained on `EASY`, if it has a density."""
    able(recipe, PLANE, DensitySampler)
    return able(recipe, EASE, DensitySampler)[1]


@plane_law()
def a_density_integrates_to_one(recipe: Entry) -> None:
    """By quadrature over the plane."""
    points, cell = plane()
    total = np.exp(_density(recipe).log_prob(points)).sum() * cell
    assert total == near(1, abs=1e-6)


@plane_law()
def samples_follow_their_density(recipe: Entry) -> None:
    """The mean log density of samples is that of the density itself, within 4 errors."""
    fitted, (points, cell) = _density(recipe), plane()
    log_prob = fitted.log_prob(points)
    wanted = (np.exp(log_prob) * log_prob).sum() * cell
    drawn = fitted.log_prob(fitted.sample(20_000, stream("density")).numpy())
    assert drawn.shape == (20_000,)
    assert drawn.mean() == near(wanted, abs=4 * drawn.std() / np.sqrt(20_000))
