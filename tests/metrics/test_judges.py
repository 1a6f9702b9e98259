"""Judges are what their cards say, refuse to be anything else, and read the same everywhere."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from harness import bench, table
from safetensors.torch import load

from bench.models import makejudges
from bench.core.errors import UsageError
from bench.core.randomness import stream
from metrics import JUDGES, Judge
from metrics.judges.frozen import FOLDER
from metrics.judges.network import JudgeNetwork

LARGEST = 300_000
LEAST_ACCURACY = {"digits-cnn": 0.96, "optdigits-cnn": 0.96, "fashion-cnn": 0.85}

SUITE = """
name = "judged"
default_tier = "quick"

[tiers.quick]
seeds = 1

[[block]]
name = "judged"
task = "stack"
grid.dataset = ["single@optdigits"]
grid.model = ["oracle"]
settings = { samples = 100 }
"""


def _digest(card):
    """A sha256 over what decides a score."""
    decisive = [card[name] for name in ("sha256", "gate", "confusion_of_passing", "pass_rates")]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def pytest_generate_tests(metafunc):
    """Enrol every registered judge."""
    if "judge" in metafunc.fixturenames:
        metafunc.parametrize("judge", list(JUDGES), indirect=True)


@pytest.fixture
def judge(request):
    """A registered judge whose files are here."""
    found = JUDGES[request.param].part
    for suffix in ("safetensors", "json"):
        if not (FOLDER / f"{found.name}.{suffix}").is_file():
            pytest.skip(f"{found.name}.{suffix} is not here")
    return found


@pytest.fixture
def split(judge):
    """The images that it was made from, and those held out from it."""
    try:
        return makejudges.SPLITS[judge.name]()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def held_out(split):
    """Held-out images as a judge reads them, [n, 1, h, w] in [0, 1]."""
    return makejudges.tensors(split.held_images, split.held_labels)[0]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of a judge's files in a folder where they may be damaged, registered instead."""
    folder = tmp_path / "judges"
    folder.mkdir()
    for suffix in ("safetensors", "json"):
        shutil.copy(FOLDER / f"optdigits-cnn.{suffix}", folder)
    judge = Judge("optdigits-cnn", folder)
    entry = replace(JUDGES["optdigits-cnn"], part=judge)
    monkeypatch.setitem(JUDGES._entries, "optdigits-cnn", entry)
    return judge


def test_a_judge_is_the_file_of_its_card(judge):
    """Small, with its hash, and with weights for every layer of the network and no other."""
    content = (FOLDER / f"{judge.name}.safetensors").read_bytes()
    assert len(content) <= LARGEST
    assert hashlib.sha256(content).hexdigest() == judge.card["sha256"]
    assert judge.verify() == content
    JudgeNetwork().load_state_dict(load(content), strict=True)
    assert judge.card["name"] == judge.name
    assert judge.tag == f"{judge.name}:{_digest(judge.card)[:4]}"
    assert judge.card["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_accuracy_of_the_card_is_that_of_its_readings(judge, split, held_out):
    reading = judge.read(held_out)
    accuracy = (reading.labels == split.held_labels).mean()
    assert len(held_out) == judge.card["held_out_images"]
    assert len(split.images) == judge.card["training_images"]
    assert accuracy == pytest.approx(judge.card["accuracy"], abs=1e-9)
    assert accuracy >= LEAST_ACCURACY[judge.name]
    assert tuple(held_out.shape[2:]) == JUDGES[judge.name].facts.size


def test_the_gate_is_the_quantile_of_held_out_images(judge, split, held_out):
    """A twentieth of them don't pass; each class passes as often as the card says."""
    reading, card = judge.read(held_out), judge.card
    assert card["gate_quantile"] == 0.05
    quantile = np.quantile(reading.confidences.astype(np.float64), 0.05)
    assert card["gate"] == pytest.approx(quantile, abs=1e-5)
    assert reading.passed.mean() == pytest.approx(0.95, abs=1 / len(held_out))
    assert np.array_equal(reading.passed, reading.confidences >= card["gate"])
    rates = [reading.passed[split.held_labels == c].mean() for c in range(10)]
    assert rates == pytest.approx(card["pass_rates"], abs=1e-9)


def test_the_features_have_full_rank(judge, held_out):
    """As the card says."""
    features = judge.features(held_out)
    assert features.shape == (len(held_out), judge.card["features"])
    rank = int(torch.linalg.matrix_rank(torch.cov(features.double().T)))
    assert rank == judge.card["feature_rank"] == judge.card["features"] == 48


def test_the_confusion_matrices_count_every_training_image_once(judge, split):
    """Rows are classes; those that pass are a part of all, about 95 % of them."""
    confusion = np.array(judge.card["confusion"])
    passing = np.array(judge.card["confusion_of_passing"])
    assert confusion.shape == passing.shape == (10, 10)
    assert confusion.sum(axis=1).tolist() == np.bincount(split.labels).tolist()
    assert (passing >= 0).all()
    assert (passing <= confusion).all()
    assert passing.sum() / confusion.sum() == pytest.approx(0.95, abs=0.005)
    right = np.trace(confusion) / confusion.sum()
    assert right == pytest.approx(judge.card["out_of_fold_accuracy"])
    assert abs(right - judge.card["accuracy"]) < 0.02
    assert np.trace(passing) / passing.sum() > right


def test_what_it_reads_are_probabilities(judge, held_out):
    """Of ten classes, and the labels those of the largest logit."""
    reading = judge.read(held_out[:200])
    network = JudgeNetwork()
    network.load_state_dict(load(judge.verify()))
    with torch.inference_mode():
        wanted = network.eval()(held_out[:200]).softmax(1).numpy()
    assert np.array_equal(reading.labels, wanted.argmax(axis=1))
    np.testing.assert_allclose(reading.confidences, wanted.max(axis=1), atol=1e-5)
    assert reading.labels.dtype == np.int64


def test_the_batch_does_not_matter(judge, held_out):
    """Nor the mates in it, nor the number of threads, to 1e-5."""
    images = held_out[:600]
    features, reading = judge.features(images), judge.read(images)
    alone = torch.cat([judge.features(image[None]) for image in images[:20]])
    torch.testing.assert_close(alone, features[:20], atol=1e-5, rtol=0)
    order = torch.randperm(len(images), generator=stream("order"))
    torch.testing.assert_close(judge.features(images[order]), features[order], atol=1e-5, rtol=0)
    parts = [judge.read(part) for part in images.split(77)]
    assert np.array_equal(np.concatenate([part.labels for part in parts]), reading.labels)
    confidences = np.concatenate([part.confidences for part in parts])
    np.testing.assert_allclose(confidences, reading.confidences, atol=1e-5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.testing.assert_close(judge.features(images), features, atol=1e-5, rtol=0)
        two = judge.read(images)
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(two.labels, reading.labels)
    np.testing.assert_allclose(two.confidences, reading.confidences, atol=1e-5)


def test_the_memory_does_not_matter(judge, held_out):
    """Views, and images stored channels last, read the same; no image is changed."""
    images = held_out[:100]
    before, features = images.clone(), judge.features(images)
    torch.testing.assert_close(
        judge.features(held_out[:200:2]), judge.features(held_out[:200])[::2]
    )
    last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(judge.features(last), features, atol=1e-5, rtol=0)
    assert torch.equal(images, before)


def test_nothing_reads_as_nothing(judge, held_out):
    reading = judge.read(held_out[:0])
    assert len(reading.labels) == len(reading.confidences) == len(reading.passed) == 0


def test_reading_leaves_the_random_state_alone(judge, held_out):
    before = torch.get_rng_state()
    judge.read(held_out[:10])
    assert torch.equal(torch.get_rng_state(), before)


def _flip(judge):
    path = judge.folder / f"{judge.name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def _truncate(judge):
    path = judge.folder / f"{judge.name}.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _card(text):
    return lambda judge: (judge.folder / f"{judge.name}.json").write_text(text)


def _without(*keys):
    def damage(judge):
        path = judge.folder / f"{judge.name}.json"
        card = {k: v for k, v in json.loads(path.read_text()).items() if k not in keys}
        path.write_text(json.dumps(card))

    return damage


DAMAGE = {
    "a flipped byte": _flip,
    "cut off": _truncate,
    "empty": lambda judge: (judge.folder / f"{judge.name}.safetensors").write_bytes(b""),
    "away": lambda judge: (judge.folder / f"{judge.name}.safetensors").unlink(),
    "no card": lambda judge: (judge.folder / f"{judge.name}.json").unlink(),
    "card cut off": _card('{"name": '),
    "card of nothing": _card(""),
    "card a list": _card("[1, 2]"),
    "card a number": _card("5"),
    "card without hash": _without("sha256"),
    "another judge's card": lambda judge: shutil.copy(
        FOLDER / "digits-cnn.json", judge.folder / f"{judge.name}.json"
    ),
}


def refusal(call):
    """The message with which a call is refused: one line that names the judge."""
    with pytest.raises(UsageError, match=r"^judge 'optdigits-cnn': ") as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_judge_reads_nothing(copied, damage):
    """Neither labels nor features."""
    DAMAGE[damage](copied)
    images = torch.zeros(3, 1, 8, 8)
    refusal(lambda: copied.read(images))
    refusal(lambda: copied.features(images))


@pytest.mark.parametrize("damage", list(DAMAGE))
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_damaged_judge_stops_a_run_before_it_starts(
    copied, damage, verb, tmp_path, monkeypatch, capfd
):
    """With exit code 2 and one line; nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judged.toml").write_text(SUITE)
    DAMAGE[damage](copied)
    capfd.readouterr()
    assert bench(verb, "--suite", "judged.toml", "--out", "run") == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Error: judge 'optdigits-cnn': ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["sha256", "gate", "confusion_of_passing", "pass_rates"])
def test_a_card_that_lacks_something_is_refused(copied, key):
    """As one that can't be read."""
    _without(key)(copied)
    refusal(lambda: copied.read(torch.zeros(3, 1, 8, 8)))


def test_a_refusal_says_what_was_expected_and_what_came(copied):
    """The first letters of both hashes, and the file to restore."""
    wanted = copied.card["sha256"]
    _flip(copied)
    found = hashlib.sha256((copied.folder / "optdigits-cnn.safetensors").read_bytes()).hexdigest()
    message = refusal(copied.verify)
    assert wanted[:12] in message
    assert found[:12] in message
    assert str(copied.folder / "optdigits-cnn.safetensors") in message


def test_the_scores_of_a_run_carry_the_judge(tmp_path, monkeypatch):
    """Its name and the first letters of its hash, in table, manifest and summary."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judged.toml").write_text(SUITE)
    assert bench("run", "--suite", "judged.toml", "--out", "run", "--executor", "inline") == 0
    tag = JUDGES["optdigits-cnn"].part.tag
    names = set(table(tmp_path / "run")["metric"])
    assert {f"stack_modes@{tag}", f"stack_modes_raw@{tag}", f"off_manifold@{tag}"} <= names
    assert all(name.endswith(f"@{tag}") for name in names)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["parts"]["dataset"]["single@optdigits"]["judge"] == tag
    assert {cell["settings"]["judge"] for cell in manifest["cells"]} == {tag}


def test_another_judge_makes_another_cell(tmp_path, monkeypatch, copied):
    """Other weights under the same name: another key, another name of the score."""
    from bench import api

    monkeypatch.chdir(tmp_path)
    (tmp_path / "judged.toml").write_text(SUITE)
    first = api.plan("judged.toml")["key"].tolist()
    path = copied.folder / "optdigits-cnn.safetensors"
    _flip(copied)
    card = json.loads((copied.folder / "optdigits-cnn.json").read_text())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (copied.folder / "optdigits-cnn.json").write_text(json.dumps(card))
    entry = replace(JUDGES["optdigits-cnn"], part=Judge("optdigits-cnn", copied.folder))
    monkeypatch.setitem(JUDGES._entries, "optdigits-cnn", entry)
    assert entry.part.tag == f"optdigits-cnn:{_digest(card)[:4]}"
    assert api.plan("judged.toml")["key"].tolist() != first


def test_an_unknown_judge_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"unknown judge 'digit-cnn': did you mean 'digits-cnn'"):
        JUDGES["digit-cnn"]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ("stack_modes", "metric 'stack_modes' needs the judge that gives it, such as stack_modes@"),
        ("stack_modes@digit-cnn", "unknown judge 'digit-cnn': did you mean 'digits-cnn'"),
        ("stack_mode@digits-cnn", "did you mean 'stack_modes'"),
        ("modes_covered", "metric 'modes_covered' is not for this task"),
    ],
)
def test_a_metric_of_a_stack_names_its_judge(metrics, expected, tmp_path, monkeypatch, capfd):
    """What a suite asks for is checked before anything runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "judged.toml").write_text(f'{SUITE}metrics = ["{metrics}"]\n')
    assert bench("plan", "--suite", "judged.toml") == 2
    err = capfd.readouterr().err
    assert expected in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("n", [5, 1_497, 4_000, 10_000])
def test_the_folds_are_a_partition(n):
    """Every image is left out once, in folds of almost one size, the same each time."""
    folds = list(makejudges.folds(n, "some"))
    assert len(folds) == makejudges.FOLDS
    assert sorted(torch.cat([test for _, test in folds]).tolist()) == list(range(n))
    for fit, test in folds:
        assert sorted(torch.cat([fit, test]).tolist()) == list(range(n))
        assert len(test) <= -(-n // makejudges.FOLDS)
    again = list(makejudges.folds(n, "some"))
    assert all(torch.equal(one[1], other[1]) for one, other in zip(folds, again, strict=True))


@pytest.mark.parametrize("size", [8, 28])
def test_jitter_moves_images_a_little(size):
    """Shape and type stay, values stay in [0, 1], each image moves its own way."""
    images = torch.zeros(50, 1, size, size)
    images[:, :, size // 4 : -size // 4, size // 4 : -size // 4] = 1
    moved = makejudges.jitter(images, stream("jitter"))
    assert moved.shape == images.shape
    assert moved.dtype == torch.float32
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-6
    assert len(moved.flatten(1).unique(dim=0)) == 50
    mass = moved.sum((1, 2, 3)) / images.sum((1, 2, 3))
    assert mass.min() > 0.6
    assert mass.max() < 1.5
    assert torch.equal(moved, makejudges.jitter(images, stream("jitter")))


def test_jitter_without_reach_is_the_identity(monkeypatch):
    for name in ("SHIFT", "TURN", "ZOOM"):
        monkeypatch.setattr(makejudges, name, 0.0)
    images = torch.rand(5, 1, 28, 28, generator=stream("identity"))
    torch.testing.assert_close(makejudges.jitter(images, stream("x")), images, atol=1e-5, rtol=0)


@pytest.fixture
def tiny(monkeypatch):
    """A split of a few digits, and one short epoch."""
    monkeypatch.setattr(makejudges, "EPOCHS", 1)
    whole = makejudges.digits8()
    return replace(
        whole,
        images=whole.images[:200],
        labels=whole.labels[:200],
        held_images=whole.held_images[:100],
        held_labels=whole.held_labels[:100],
    )


def test_training_twice_gives_the_same_weights(tiny):
    """Whatever the global state; another purpose gives others. Nothing stays in training mode."""
    images, labels = makejudges.tensors(tiny.images, tiny.labels)
    torch.manual_seed(5)
    one = makejudges.train(images, labels, "some")
    state = torch.get_rng_state()
    torch.manual_seed(6)
    two = makejudges.train(images, labels, "some")
    other = makejudges.train(images, labels, "other")
    assert not one.training
    assert torch.equal(state, torch.manual_seed(5).get_state())
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name
    assert not torch.equal(one.head.weight, other.head.weight)


def test_what_is_made_is_a_judge(tiny, tmp_path, monkeypatch):
    """Weights and card of one another, in the folder of the judges."""
    monkeypatch.setattr(makejudges, "FOLDER", tmp_path)
    card = makejudges.make("tiny-cnn", tiny)
    judge = Judge("tiny-cnn", tmp_path)
    assert judge.card == card
    images = makejudges.tensors(tiny.held_images, tiny.held_labels)[0]
    accuracy = (judge.read(images).labels == tiny.held_labels).mean()
    assert card["accuracy"] == pytest.approx(accuracy)
    assert np.array(card["confusion"]).sum() == 200
    assert set(card) == set(JUDGES["digits-cnn"].part.card)


def test_making_an_unknown_judge_is_refused(monkeypatch):
    monkeypatch.setattr("sys.argv", ["makejudges", "digit-cnn"])
    with pytest.raises(UsageError, match=r"unknown judge 'digit-cnn': did you mean 'digits-cnn'"):
        makejudges.main()
