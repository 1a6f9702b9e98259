"""The artifact store: made once, never believed when damaged, and a training that goes on."""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import time
from dataclasses import replace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from laws.alike import ALIKE
from safetensors.torch import load_file

from bench.core.errors import StoreError
from bench.core.trees import BrokenTreeError, load_tree, save_tree
from bench.datasets import DATASETS
from bench.models.generators import train
from bench.models.orders import KIND, TrainingOrder
from bench.models.store import Artifact, ArtifactStore, Checkpoint, artifact_key
from generative import RECIPES, Training
from results.provenance import versions

KEY = "c" * 64
TREE = {"a": torch.arange(3.0), "b": [1, 2.5, None, "x", True], "empty": {}}


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path, checkpoint_seconds=0.0)


class Maker:
    """Makes a tree, and counts how often."""

    def __init__(self, tree: object = TREE) -> None:
        self.tree, self.calls = tree, 0

    def __call__(self, checkpoint: Checkpoint) -> tuple[object, dict]:
        self.calls += 1
        return self.tree, {"calls": self.calls}


def same(one: object, other: object) -> bool:
    """Whether two trees are equal, tensors by type and bit."""
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and torch.equal(one.nan_to_num(), other.nan_to_num())
        )
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.sampled_from(
        [
            torch.empty(0),
            torch.tensor(3),
            torch.tensor([True, False]),
            torch.arange(6.0).reshape(2, 3).T,
            torch.arange(4, dtype=torch.uint8),
            torch.ones(2, 2, dtype=torch.bfloat16),
            torch.full((2,), torch.inf, dtype=torch.float64),
        ]
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_trees_come_back_as_they_were(tmp_path):
    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(TREES)
    def check(tree: object) -> None:
        save_tree(tmp_path / "tree", tree)
        assert same(load_tree(tmp_path / "tree"), tree)

    check()


def test_a_tree_of_shared_tensors_comes_back(tmp_path):
    base = torch.arange(8.0)
    save_tree(tmp_path / "tree", {"all": base, "half": base[:4], "turned": base.view(2, 4).T})
    loaded = load_tree(tmp_path / "tree")
    assert same(loaded, {"all": base, "half": base[:4], "turned": base.view(2, 4).T})


def test_a_tree_cut_at_any_byte_is_broken(tmp_path):
    path = tmp_path / "tree"
    save_tree(path, TREE)
    content = path.read_bytes()
    for length in reversed(range(len(content))):
        os.truncate(path, length)
        with pytest.raises(BrokenTreeError):
            load_tree(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        load_tree(path)


def test_an_artifact_is_made_once(store):
    make = Maker()
    first, second = (store.get_or_make("kind", KEY, make) for _ in range(2))
    assert make.calls == 1
    assert store.has("kind", KEY)
    assert isinstance(first, Artifact)
    assert same(first.tree, TREE)
    assert same(second.tree, TREE)
    assert first.facts == second.facts


@pytest.mark.parametrize("name", [f"{KEY}.safetensors", f"{KEY}.json"])
def test_a_damaged_artifact_is_made_again(store, name):
    make = Maker()
    store.get_or_make("kind", KEY, make)
    path = store.root / "artifacts" / "kind" / KEY[:2] / name
    content = path.read_bytes()
    damages = [b"", content[:-1], content[: len(content) // 2], content[:-9] + b"x" + content[-8:]]
    for count, damaged in enumerate(damages, start=2):
        path.write_bytes(damaged)
        assert same(store.get_or_make("kind", KEY, make).tree, TREE)
        assert make.calls == count
    path.unlink()
    store.get_or_make("kind", KEY, make)
    assert make.calls == len(damages) + 2


@pytest.mark.parametrize("facts", [[], {"sha256": 5}, {}, None, "x"])
def test_an_artifact_with_other_facts_is_made_again(store, facts):
    make = Maker()
    store.get_or_make("kind", KEY, make)
    path = store.root / "artifacts" / "kind" / KEY[:2] / f"{KEY}.json"
    path.write_text(json.dumps(facts))
    store.get_or_make("kind", KEY, make)
    assert make.calls == 2


def test_of_two_who_want_it_at_once_one_makes_it(store):
    make, got = Maker(), []

    def slowly(checkpoint: Checkpoint) -> tuple[object, dict]:
        time.sleep(0.3)
        return make(checkpoint)

    def want() -> None:
        got.append(ArtifactStore(store.root).get_or_make("kind", KEY, slowly))

    threads = [threading.Thread(target=want) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make.calls == 1
    assert len(got) == 3
    assert all(same(one.tree, TREE) for one in got)


def test_a_making_that_fails_leaves_nothing_behind_and_frees_the_lock(store):
    def fail(checkpoint: Checkpoint) -> tuple[object, dict]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        store.get_or_make("kind", KEY, fail)
    assert not store.has("kind", KEY)
    assert same(store.get_or_make("kind", KEY, Maker()).tree, TREE)


def test_who_makes_an_artifact_sweeps_what_a_killed_writer_left_of_it(store, killed_writes):
    other = KEY[:2] + "d" * 62
    for key in (KEY, other):
        with killed_writes():
            store.get_or_make("kind", key, Maker())
    folder = store.root / "artifacts" / "kind" / KEY[:2]
    assert len(list(folder.glob(".*.tmp"))) == 2
    store.get_or_make("kind", KEY, Maker())
    assert [path.name.startswith(f".{other}") for path in folder.glob(".*.tmp")] == [True]


def test_a_cache_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="set MINIMAX_CACHE"):
        ArtifactStore(tmp_path / "file").get_or_make("kind", KEY, Maker())


def test_emptying_leaves_what_is_not_ours(store):
    """By name: a file, a folder and a link of the user's beside artifacts, and in their folders."""
    store.get_or_make("kind", KEY, Maker())
    folder = store.root / "artifacts" / "kind" / KEY[:2]
    foreign = [
        store.root / "notes.txt",
        store.root / "artifacts" / "paper.json",
        folder / "model.safetensors",
        folder / f"{KEY}.json.bak",
        folder / KEY,
    ]
    for path in foreign:
        path.write_text("mine")
    assert store.empty() == 0
    assert all(path.read_text() == "mine" for path in foreign)
    assert not store.has("kind", KEY)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in foreign[2:])


def test_a_model_that_is_being_made_survives_an_emptying(store):
    """Whoever empties is told of it; whoever makes it gets it."""
    busy = []

    def make(checkpoint: Checkpoint) -> tuple[object, dict]:
        checkpoint.offer(lambda: TREE)
        busy.append(ArtifactStore(store.root).empty())
        assert checkpoint.load() is not None
        return TREE, {}

    assert same(store.get_or_make("kind", KEY, make).tree, TREE)
    assert busy == [1]
    assert same(store.get_or_make("kind", KEY, Maker({"not": "made"})).tree, TREE)


def test_a_model_that_was_deleted_is_made_again(store):
    make = Maker()
    for _ in range(2):
        assert same(store.get_or_make("kind", KEY, make).tree, TREE)
        assert store.empty() == 0
    assert make.calls == 2
    assert not (store.root / "artifacts").exists()


@pytest.mark.parametrize("name", ["torch", "numpy", "scikit-learn"])
def test_an_artifact_is_of_the_versions_that_made_it(monkeypatch, name):
    """And of the instructions of its processor."""
    usual = artifact_key("kind", {"device": "cpu"})
    assert artifact_key("kind", {"device": "cpu"}) == usual
    with monkeypatch.context() as patch:
        known = versions()
        patch.setattr("bench.models.store.versions", lambda: {**known, name: "99.0.0"})
        assert artifact_key("kind", {"device": "cpu"}) != usual
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "OTHER")
    assert artifact_key("kind", {"device": "cpu"}) != usual


def test_contents_and_emptying(store):
    assert store.contents() == []
    store.get_or_make("kind", KEY, Maker())
    half = Checkpoint(store.root / "artifacts" / "kind" / "dd" / f"{'d' * 64}.partial", every=0.0)
    half.path.parent.mkdir(parents=True, exist_ok=True)
    half.offer(lambda: TREE)
    (row,) = store.contents()
    assert (row["kind"], row["artifacts"], row["unfinished"]) == ("kind", 1, 1)
    assert row["bytes"] > 100
    (store.root / "mine.txt").write_text("")
    store.empty()
    assert store.contents() == []
    assert (store.root / "mine.txt").exists()


def test_the_key_does_not_depend_on_the_order_of_the_facts():
    assert artifact_key("k", {"a": 1, "b": 2}) == artifact_key("k", {"b": 2, "a": 1})
    assert artifact_key("k", {"a": 1}) != artifact_key("k2", {"a": 1})


def test_a_checkpoint_waits_between_saves_and_survives_a_full_disk(tmp_path, monkeypatch):
    seldom = Checkpoint(tmp_path / "a.partial", every=60.0)
    seldom.offer(lambda: pytest.fail("saved too early"))
    often = Checkpoint(tmp_path / "b.partial", every=0.0)
    often.offer(lambda: {"step": 1})
    assert often.load() == {"step": 1}

    def full(path: object, content: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("bench.models.store.write_atomically", full)
    often.offer(lambda: {"step": 2})
    monkeypatch.undo()
    assert often.load() is None
    often.clear()
    (tmp_path / "b.partial.json").write_bytes(b"junk")
    assert often.load() is None


def test_a_checkpoint_is_safetensors_with_a_description(tmp_path):
    """Anyone can read what it is of; one file of tensors is left, whatever was saved before."""
    checkpoint = Checkpoint(tmp_path / "x.partial", every=0.0)
    for step in (1, 2):
        checkpoint.offer(lambda step=step: {"w": torch.full((2,), float(step))}, {"step": step})
    (tensors,) = tmp_path.glob("*.safetensors")
    assert any(torch.equal(value, torch.full((2,), 2.0)) for value in load_file(tensors).values())
    described = json.loads((tmp_path / "x.partial.json").read_text())
    assert described["step"] == 2
    assert described["sha256"] == hashlib.sha256(tensors.read_bytes()).hexdigest()
    checkpoint.clear()
    assert not list(tmp_path.iterdir())


def order(
    recipe: str = "gan", dataset: str = "ring8@pacgan", protocol: str = "plane"
) -> TrainingOrder:
    training = Training(protocol, steps=12, batch=8)
    return TrainingOrder(recipe, training, DATASETS[dataset].part.fingerprint, 3, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "nsgan"},
        {"training": Training("plane", steps=13, batch=8)},
        {"training": Training("pacgan", steps=12, batch=8)},
        {"fingerprint": "x"},
        {"seed": 4},
        {"evaluations": 5},
    ],
    ids=str,
)
def test_the_key_of_a_training_follows_all_that_decides_it(change):
    assert replace(order(), **change).key("cpu") != order().key("cpu")
    assert order().key("cpu") == order().key("cpu")
    assert order().key("cuda") != order().key("cpu")


OF_POINTS = [
    entry.name
    for entry in RECIPES.entries()
    if not entry.facts.images_only and not entry.facts.translates
]
GANS = [name for name in OF_POINTS if RECIPES[name].part.trainer(Training("plane"), (2,)).steps > 1]
CASES = [
    *(
        pytest.param(name, "ring8@pacgan", "plane", marks=[pytest.mark.slow] * (name in ALIKE))
        for name in GANS
    ),
    ("gan", "ring8@unrolled-paper", "plane"),
    ("gan", "ring8@pacgan", "pacgan"),
    ("rsgan", "ring8@unrolled-paper", "pacgan"),
    ("nsgan", "ring8@pacgan", "unrolled-notebook"),
    ("gan", "ring8@pacgan", "unrolled-paper"),
]


@pytest.mark.parametrize(("recipe", "dataset", "protocol"), CASES)
def test_a_training_cut_off_anywhere_goes_on_to_the_same_bits(
    tmp_path, monkeypatch, recipe, dataset, protocol
):
    """Cut off, and cut off again after it went on."""
    wanted = order(recipe, dataset, protocol)
    source = DATASETS[dataset].part.source(3)
    whole = train(wanted, source, ArtifactStore(tmp_path / "whole", checkpoint_seconds=math.inf))
    trainer = type(RECIPES[recipe].part.trainer(wanted.training, source.shape))
    advance, done = trainer.advance, []

    def interrupted(self: object, state: object, steps: int) -> object:
        if len(done) == stop_after:
            raise KeyboardInterrupt
        done.append(steps)
        return advance(self, state, steps)

    monkeypatch.setattr(trainer, "advance", interrupted)
    store = ArtifactStore(tmp_path / "cut", checkpoint_seconds=0.0)
    for cut in (1, 3):
        stop_after = cut
        with pytest.raises(KeyboardInterrupt):
            train(wanted, DATASETS[dataset].part.source(3), store)
        assert sum(done) < wanted.training.steps
        torch.randn(7)
    stop_after = -1
    resumed = train(wanted, DATASETS[dataset].part.source(3), store)
    assert sum(done) == wanted.training.steps
    assert resumed.steps == whole.steps == [3, 6, 9, 12]
    assert (resumed.snapshots == whole.snapshots).all()
    assert same(resumed.fitted.tensors(), whole.fitted.tensors())
    assert not list((tmp_path / "cut").rglob("*.partial*"))


def test_a_damaged_checkpoint_is_a_fresh_start(tmp_path, monkeypatch):
    wanted, dataset = order(), DATASETS["ring8@pacgan"].part
    whole = train(wanted, dataset.source(3), ArtifactStore(tmp_path / "whole"))
    store = ArtifactStore(tmp_path / "cut", checkpoint_seconds=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("bench.models.generators._snapshot", cutting_at(9))
        with pytest.raises(RuntimeError, match="cut"):
            train(wanted, dataset.source(3), store)
    (partial,) = store.root.rglob("*.partial-*.safetensors")
    partial.write_bytes(partial.read_bytes()[:-50])
    resumed = train(wanted, dataset.source(3), store)
    assert (resumed.snapshots == whole.snapshots).all()


def cutting_at(last: int):
    """The harness's own snapshot, which fails at a step."""
    from bench.models import generators as training

    snapshot = training._snapshot

    def cut(source, key, fitted, step):
        if step == last:
            raise RuntimeError("cut")
        return snapshot(source, key, fitted, step)

    return cut


def test_a_training_that_diverges_is_kept_as_one(tmp_path):
    training = Training("plane", steps=100, generator_lr=1e6, critic_lr=1e6)
    wanted = replace(order(), training=training)
    store, source = ArtifactStore(tmp_path), DATASETS["ring8@pacgan"].part.source(3)
    first, again = train(wanted, source, store), train(wanted, source, store)
    assert first.fitted is None
    assert "not finite" in first.diverged or "the loss is" in first.diverged
    assert again.diverged == first.diverged
    assert again.steps == first.steps
    assert store.has(KIND, first.key)


@pytest.mark.parametrize("recipe", [name for name in OF_POINTS if name != "gmm-bic"])
def test_the_stored_model_samples_as_the_trained_one_did(tmp_path, recipe):
    source = DATASETS["ring8@pacgan"].part.source(3)
    store = ArtifactStore(tmp_path)
    one, other = (train(order(recipe), source, store) for _ in range(2))
    drawn = [t.fitted.sample(50, torch.Generator().manual_seed(1)) for t in (one, other)]
    assert torch.equal(*drawn)
