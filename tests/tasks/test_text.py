"""Task text-to-image: models whose answers are known, and what each number depends on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tasks.byhand import cell_of, experiment_of, row_of, scores_of

from bench.core.errors import Notice, UsageError
from bench.datasets.captions import attributes_of, tokens_of
from bench.datasets.pixels import to_bytes
from bench.models.store import ArtifactStore
from bench.suites.builtin import names
from bench.tasks import TASKS, Bench
from bench.tasks.generation.captionscores import mean_distance, over_matching
from generative import RECIPES, CaptionDecoder, CaptionSampler, Training
from metrics import JUDGES, Score

DATA = {"dataset": "captions@digits"}
WANTED = ("caption_match", "class_match", "thickness_match", "slant_match")
TASK = TASKS["text-to-image"].part


class Ruled(CaptionSampler):
    """Held-out images of the captions that a rule makes of those asked for."""

    def __init__(self, data, rule):
        self.data, self.rule = data, rule
        self.pairs = RECIPES["real-pairs"].part.trainer(Training(), (1, 28, 28)).fit(data, 0)

    def sample(self, n, rng, captions=None):
        asked = attributes_of(captions.numpy()).copy()
        wanted = torch.from_numpy(tokens_of(self.rule(asked)))
        return self.pairs.sample(n, rng, wanted)

    def tensors(self):
        return {}


class Critical(CaptionDecoder):
    """A critic that knows digits: the logit of a caption is the probability of its digit."""

    def __init__(self, data, sign=1.0):
        self.data, self.sign = data, sign

    def sample(self, n, rng, captions=None):
        return torch.zeros(n, *self.data.shape)

    def codes(self, n, rng):
        return torch.zeros(n, 1)

    def decode(self, z, captions=None):
        return torch.zeros(len(z), *self.data.shape)

    def between(self, z, first, second, share):
        raise AssertionError("nothing is between captions here")

    def matching(self, x, captions):
        read = torch.from_numpy(JUDGES["digits-cnn"].part.read(x).labels)
        digits = torch.from_numpy(attributes_of(captions.numpy())[:, 2].copy())
        return self.sign * (read == digits).float()

    def tensors(self):
        return {}


@pytest.fixture(scope="module")
def at_work():
    return experiment_of(cell_of("text-to-image", model="real-pairs", **DATA))


@pytest.fixture
def no_features(monkeypatch):
    """Scores of features are those of every task of images, and take longer than all others."""
    monkeypatch.setattr("bench.tasks.generation.text.feature_scores", lambda *of: ())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ArtifactStore(tmp_path_factory.mktemp("text"))


def looked_at(at_work, model):
    """The scores of captions alone, by metric."""
    made = at_work.make(model).values
    images, captions = to_bytes(made), at_work.captions(len(made))
    told = at_work.scores.told(images, captions)
    found = at_work.scores.of(told, model, torch.Generator().manual_seed(0))
    return {name: score.value for name, score, _ in found}


def other_digit(asked):
    asked[:, 2] = (asked[:, 2] + 5) % 10
    return asked


def other_thickness(asked):
    asked[:, 0] = (asked[:, 0] + 1) % 3
    return asked


def other_slant(asked):
    asked[:, 1] = (asked[:, 1] + 2) % 3
    return asked


def test_real_pairs_are_the_ceiling(at_work):
    """Their attributes are exact, their class as good as the judge, and nothing is in excess."""
    source = at_work.source
    pairs = RECIPES["real-pairs"].part.trainer(Training(), source.shape).fit(source, 0)
    found = looked_at(at_work, pairs)
    for prefix in ("", "unseen_"):
        assert found[f"{prefix}thickness_match"] == found[f"{prefix}slant_match"] == 1
        assert found[f"{prefix}class_match"] >= 0.97
        assert found[f"{prefix}caption_match"] == found[f"{prefix}class_match"]
    assert found["excess_match"] == 0
    assert found["caption_diversity"] == pytest.approx(1, abs=0.03)
    assert 0.6 < found["r_precision"] < 0.9
    assert "matching_accuracy" not in found


@pytest.mark.slow
def test_the_features_of_real_pairs_are_those_of_the_data(at_work, store):
    """Against the training images; and every metric that was promised is there."""
    found = row_of(at_work.cell, store)
    assert found["frechet"] < 0.1
    promised = TASK.resolve({**DATA, "model": "real-pairs"}, {}, None).gives or ()
    assert set(found) == {name.partition("@")[0] for name in promised}


def test_shuffled_captions_are_the_floor(store, no_features):
    """Chance: a third, a third, a tenth, and all of it."""
    found = row_of(cell_of("text-to-image", model="shuffled-captions", **DATA), store)
    chance = {"thickness": 1 / 3, "slant": 1 / 3, "class": 0.1, "caption": 1 / 90}
    for name, wanted in chance.items():
        assert found[f"{name}_match"] == pytest.approx(wanted, abs=0.06), name
    assert found["r_precision"] < 0.04
    assert found["caption_diversity"] > 1.1


RULES = {
    "class": (other_digit, "digit"),
    "thickness": (other_thickness, "thickness"),
    "slant": (other_slant, "slant"),
}


@pytest.mark.parametrize("name", RULES)
def test_each_attribute_is_compared_with_its_own(at_work, name):
    """A model that draws another digit, thickness or slant loses that one. (Of another digit the
    picture is measured by the cuts of the digit that was asked for.)
    """
    found = looked_at(at_work, Ruled(at_work.source, RULES[name][0]))
    assert found[f"{name}_match"] < 0.02
    assert found["caption_match"] < 0.02
    assert found["excess_match"] < -0.9
    rest = {"thickness", "slant", "class"} - {name} if name != "class" else set()
    assert all(found[f"{other}_match"] >= 0.97 for other in rest)


@pytest.mark.parametrize("unseen", [False, True])
def test_unseen_combinations_stand_apart(at_work, unseen):
    """A model that is wrong on combinations of one kind alone is wrong in that column alone."""
    source = at_work.source
    kinds = (~source.seen if unseen else source.seen).numpy()

    def rule(asked):
        numbers = source.numbers(torch.from_numpy(tokens_of(asked))).numpy()
        asked[kinds[numbers]] = other_slant(asked[kinds[numbers]])
        return asked

    found = looked_at(at_work, Ruled(source, rule))
    wrong, right = ("unseen_", "") if unseen else ("", "unseen_")
    assert found[f"{wrong}slant_match"] == 0
    assert found[f"{right}slant_match"] == 1
    assert found[f"{wrong}r_precision"] < 0.3 < found[f"{right}r_precision"]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_critic_is_asked_about_held_out_pairs(at_work, sign):
    """One that knows the digit is right as often as the judge; one that has it upside down, never
    but where the judge is wrong.
    """
    found = looked_at(at_work, Critical(at_work.source, sign))
    assert found["matching_accuracy"] == pytest.approx(0.5 + 0.5 * sign, abs=0.02)
    assert found["caption_diversity"] == 0


def test_captions_are_those_of_held_out_images(at_work):
    """In turn, the first of them for what is looked at on the way."""
    source = at_work.source
    assert torch.equal(at_work.captions(1_003)[:1000], source.held_captions)
    assert torch.equal(at_work.captions(1_003)[1000:], source.held_captions[:3])
    made = at_work.make(Ruled(source, lambda asked: asked)).values
    assert sorted(map(float, made.sum((1, 2, 3)))) == sorted(
        map(float, source.held_out.sum((1, 2, 3)))
    )
    glimpse = at_work.glance(to_bytes(made[:200]).numpy())
    assert next(float(score.value) for _, score, _ in glimpse.scores) > 0.97


def test_a_spread_is_between_different_pictures():
    images = torch.tensor([[0.0], [3.0], [6.0]])
    assert mean_distance(images) == pytest.approx(4)


def test_over_matching_is_told():
    """Above 0 by more than the interval, and not at its edge."""
    said = over_matching(Score(0.05, 0.02, 100))
    assert "over-matching" in said
    assert "5.0 points" in said
    assert over_matching(Score(0.039, 0.02, 100)) == ""
    assert over_matching(Score(-0.5, 0.02, 100)) == ""
    assert over_matching(Score(0.5, None, 1)) == ""


def test_a_model_above_the_real_pairs_is_flagged(at_work, monkeypatch, no_features):
    """With real pairs that match less often than the samples."""
    worse = at_work.scores.real.copy()
    worse[:300] = False
    monkeypatch.setitem(at_work.scores.__dict__, "real", worse)
    with pytest.warns(Notice, match="over-matching: samples have all .* points more often"):
        scores_of(at_work, Ruled(at_work.source, lambda asked: asked))


def test_real_pairs_of_captions():
    """Each image of its caption once before any comes again; none where there is none."""
    at_work = experiment_of(cell_of("text-to-image", model="real-pairs", **DATA))
    source = at_work.source
    pairs = RECIPES["real-pairs"].part.trainer(Training(), source.shape).fit(source, 0)
    numbers = source.numbers(source.held_captions)
    counts = torch.bincount(numbers, minlength=90)
    number = int(counts.argmax())
    n = int(counts[number])
    drawn = pairs.sample(2 * n, torch.Generator().manual_seed(0), source.prompts[[number] * 2 * n])
    rows = [row.numpy().tobytes() for row in drawn]
    assert len(set(rows[:n])) == len(set(rows)) == n
    few = replace(at_work.entry.part, name="few")
    lacking = few.source(0)
    kept = numbers != number
    lacking.__dict__["held_captions"] = source.held_captions[kept]
    with pytest.raises(UsageError, match="no held-out image has the caption"):
        type(pairs)(lacking, False).sample(1, torch.Generator(), source.prompts[number][None])


@pytest.mark.parametrize(
    ("task", "dataset", "model", "reason"),
    [
        ("text-to-image", "captions@digits", "nsgan", "is told no captions: task image"),
        ("image", "mnist5k", "gan-cls", "is told captions, and these data have none"),
    ],
)
def test_models_that_do_not_fit_are_skipped(task, dataset, model, reason):
    found = TASKS[task].part.resolve({"dataset": dataset, "model": model}, {}, None)
    assert reason in found.skip


def test_data_without_captions_are_refused():
    with pytest.raises(UsageError, match=r"offers images with classes, and task text-to-image nee"):
        TASK.resolve({"dataset": "mnist5k", "model": "gan-cls"}, {}, None)
    source = experiment_of(cell_of("image", dataset="optdigits", model="oracle")).source
    trainer = RECIPES["gan-cls"].part.trainer(Training("small-dcgan"), source.shape)
    with pytest.raises(UsageError, match="told captions, and these data have none"):
        trainer.start(source, torch.Generator())


def test_metrics_are_named_with_what_they_rest_on():
    facts = TASK.metric_facts("caption_match@digits-cnn")
    assert facts["name"] == f"caption_match@{JUDGES['digits-cnn'].part.tag}"
    assert TASK.metric_facts("r_precision@captions-towers")["name"].startswith("r_precision@capt")
    assert TASK.metric_facts("slant_match")["name"] == "slant_match"
    with pytest.raises(UsageError, match="needs the network that it rests on, such as"):
        TASK.metric_facts("caption_match")


def test_a_training_from_end_to_end(store, no_features):
    """The same twice, and nothing but what was promised."""
    settings = {"steps": 2, "evaluations": 1, "samples": 200}
    cell = cell_of("text-to-image", model="gan-int-cls", settings=settings, **DATA)
    found, again = row_of(cell, store), row_of(cell, store)
    assert found == again
    promised = TASK.resolve({**DATA, "model": "gan-int-cls"}, settings, None).gives or ()
    assert set(found) <= {name.partition("@")[0] for name in promised}
    assert {"matching_accuracy", "unseen_caption_match", *WANTED} <= set(found)
    assert "text-to-image" in names()


def test_samples_are_the_first_that_were_scored(at_work, store, no_features):
    TASK.measure(at_work.cell, Bench(store))
    drawn = TASK.sample(at_work.cell, 5, Bench(store))
    made = to_bytes(at_work.make(TASK.fitted(at_work.cell, Bench(store))).values)
    assert np.array_equal(drawn, made[:5].numpy())
