"""What holds for every data set: one seed, one set of data, whoever asks and however.

A data set is asked for what it says it offers, and for nothing else. One that is not here is
skipped, with its own reason; one that is declared large is not read again and again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.core.errors import UsageError
from bench.core.randomness import forked, stream
from bench.core.registry import Entry
from bench.core.trees import load_tree, save_tree
from bench.datasets import DATASETS
from bench.datasets.base import OFFERED
from bench.laws import base
from bench.laws.base import Skipped, each
from bench.laws.examples import raises
from generative.contracts import Captioned, TwoDomains

law = partial(base.law, DATASETS.kind)
MOST = 20_000
"""Examples among which a fresh one is looked for."""


def offers(what: str) -> Callable[[Entry], bool]:
    """Whether a data set says that it has something, such as "classes"."""
    return lambda entry: what in entry.part.offers


def here(entry: Entry) -> Any:
    """The data set, where its data are."""
    if entry.part.missing:
        raise Skipped(entry.part.missing)
    return entry.part


def trained_on(entry: Entry, seed: int = 0) -> Any:
    """The data of one seed, where there is something to train on."""
    source = here(entry).source(seed)
    if not len(source.training):
        raise Skipped("there is nothing to train on: all of it is held out")
    return source


@law()
def a_source_is_what_it_says(dataset: Entry) -> None:
    """Training set and fresh data have the declared shape: float32, finite, in the box."""
    source = here(dataset).source(0)
    training, fresh = source.training, source.fresh(20, stream("fresh"))
    assert training.shape[1:] == fresh.shape[1:] == tuple(source.shape)
    assert len(fresh) == 20
    assert source.device == "cpu"
    for examples in (training, fresh):
        assert examples.dtype == torch.float32
        assert examples.isfinite().all()
        assert not examples.requires_grad
        if source.box is not None and len(examples):
            low, high = source.box
            assert low <= examples.min()
            assert examples.max() <= high
            assert examples.max() - examples.min() > (high - low) / 2


@law()
def what_is_offered_is_there(dataset: Entry) -> None:
    """Points have one axis and images three; modes, classes and a second domain are there where
    they are offered; and as many modes as the facts declare.
    """
    source, found = here(dataset).source(0), dataset.part.offers
    assert dataset.part.name
    assert found <= OFFERED.keys()
    assert ("points" in found) == (len(source.shape) == 1)
    assert bool(found & {"images", "domains", "stacks", "captions", "few"}) == (
        len(source.shape) == 3
    )
    assert len(source.shape) == 1 or source.box == (0.0, 1.0)
    assert "modes" not in found or source.modes > 0
    assert "classes" not in found or source.classes > 0
    assert "domains" not in found or isinstance(source, TwoDomains)
    assert "captions" not in found or isinstance(source, Captioned)
    assert dataset.facts.modes in (0, source.modes)
    assert dataset.name != dataset.part.name or dataset.facts.modes == source.modes


@law(unless="large")
def a_seed_has_one_set_of_data(dataset: Entry) -> None:
    """Two consumers see the same batches and the same training set, whatever was drawn before."""
    with forked(0):
        source = trained_on(dataset, 3)
        first = source.batches().next(64)
        half = source.training[:100].clone()
    with forked(1):
        other = dataset.part.source(3)
        other.fresh(10, stream("elsewhere"))
        assert torch.equal(other.training[:100], half)
        for _ in range(2):
            again = other.batches().next(64)
            assert torch.equal(again, first)


@law(unless="large")
def another_seed_has_other_data(dataset: Entry) -> None:
    """In the training set and in the batches."""
    one, two = trained_on(dataset, 0), trained_on(dataset, 1)
    assert not torch.equal(one.training[:100], two.training[:100])
    batches = one.batches().next(100), two.batches().next(100)
    assert not torch.equal(*batches)


@law(unless="large")
def fresh_data_were_not_trained_on(dataset: Entry) -> None:
    """They follow their generator alone, and none of them is in the training set."""
    source = trained_on(dataset)
    fresh = source.fresh(500, stream("fresh"))
    again = dataset.part.source(1).fresh(500, stream("fresh"))
    other = source.fresh(500, stream("other"))
    assert fresh.shape == (500, *source.shape)
    assert torch.equal(fresh, again)
    assert not torch.equal(fresh, other)
    known = {row.numpy().tobytes() for row in source.training[:MOST]}
    assert known.isdisjoint(row.numpy().tobytes() for row in fresh)


def _numpy_state() -> np.ndarray:
    state: Any = np.random.get_state()
    return state[1]


@law(unless="large")
def the_global_generators_are_left_alone(dataset: Entry) -> None:
    """Nothing that a source does draws from torch's or NumPy's own state."""
    torch_state, numpy_state = torch.get_rng_state(), _numpy_state()
    source = trained_on(dataset)
    source.batches().next(10)
    source.fresh(10, stream("x"))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(_numpy_state(), numpy_state)


@law(unless="large", cases={"[]": ([],), "[64]": ([64],), "[7, 50, 1]": ([7, 50, 1],)})
def a_stream_goes_on_from_its_position(dataset: Entry, eaten: list[int]) -> None:
    """A position, kept in a file while the stream moves on, leads back bit for bit."""
    batches = trained_on(dataset).batches()
    for n in eaten:
        batches.next(n)
    position = batches.position()
    ahead = [batches.next(n) for n in (32, 5, 64)]
    resumed = dataset.part.source(0).batches()
    resumed.next(11)
    with tempfile.TemporaryDirectory() as folder:
        save_tree(Path(folder) / "position", position)
        resumed.seek(load_tree(Path(folder) / "position"))
    for batch in ahead:
        again = resumed.next(len(batch))
        assert torch.equal(again, batch)


@law(unless="large")
def a_fingerprint_tells_data_sets_apart(dataset: Entry) -> None:
    """A sha256, the same the second time, and that of no other data set that is here."""
    found = here(dataset).fingerprint
    assert len(bytes.fromhex(found)) == 32
    assert dataset.part.fingerprint == found
    for other in DATASETS.entries():
        if other.part is not dataset.part and not other.facts.large:
            assert other.part.fingerprint != found, f"it is that of {other.name} too"


@law(unless="large", where=lambda entry: not {"classes", "few"} & entry.part.offers)
def data_without_classes_have_no_labelled_batches(dataset: Entry) -> None:
    """They say so, and what was expected."""
    source = here(dataset).source(0)
    with raises(UsageError, "no classes"):
        source.labelled_batches()


@law(unless="large", where=offers("classes"), cases=each([1, 64]))
def labels_are_classes(dataset: Entry, n: int) -> None:
    """The labelled stream is the plain one with a class each, counted from 0; it resumes alike."""
    source = trained_on(dataset)
    stream_of, plain = source.labelled_batches(), source.batches()
    images, labels = stream_of.next(n)
    assert torch.equal(images, plain.next(n))
    assert labels.shape == (n,)
    assert labels.dtype == torch.int64
    assert labels.min() >= 0
    assert labels.max() < source.classes
    position = stream_of.position()
    ahead = stream_of.next(n)
    stream_of.seek(position)
    again = stream_of.next(n)
    assert torch.equal(again[0], ahead[0])
    assert torch.equal(again[1], ahead[1])


@law(unless="large", where=offers("modes"))
def fresh_data_of_one_mode_are_fewer(dataset: Entry) -> None:
    """As many as were asked for, of the same shape, and less spread out than all together."""
    source = here(dataset).source(0)
    some = source.fresh(200, stream("one"), classes=[0])
    every = source.fresh(200, stream("one"))
    assert some.shape == every.shape == (200, *source.shape)
    assert some.var(0).sum() < every.var(0).sum()


@law(unless="large")
def a_density_is_that_of_the_data(dataset: Entry) -> None:
    """A finite number of nats each; more where the data are than where they are not."""
    source = here(dataset).source(0)
    if source.density is None:
        raise Skipped("its density is not known")
    fresh = source.fresh(500, stream("density")).numpy()
    found = source.density.log_prob(fresh)
    away = source.density.log_prob(fresh + 20 * fresh.std(0).max())
    assert found.shape == (500,)
    assert np.isfinite(found).all()
    assert found.mean() > away.mean()


@law(unless="large", where=offers("domains"))
def two_domains_are_trained_on_together(dataset: Entry) -> None:
    """Batches of both, as many of either; pairs too, or it is said that there are none."""
    source = trained_on(dataset)
    assert isinstance(source, TwoDomains)
    shapes = [(3, *source.first_shape), (3, *source.shape)]
    assert [batch.shape for batch in source.domains().next(3)] == shapes
    try:
        pairs = source.pairs().next(3)
    except UsageError:
        with raises(UsageError, "unpaired"):
            source.pairs()
        return
    assert [batch.shape for batch in pairs] == shapes
    assert len(source.first) == len(source.second)
