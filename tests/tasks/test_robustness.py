"""What the tasks that attack a classifier read: each thing that is swapped changes the rows, and
nothing else does.
"""

from dataclasses import replace

import pytest
import torch
from swapped import Nearest, others, permuted, retrained, usual
from torch import nn

from attacks import UNIT, FixedBudget
from attacks.audit import audit, tools
from attacks.engine import softmax
from bench.core.errors import UsageError
from bench.core.randomness import stream_seed
from bench.models.classifiers import Victim
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench
from bench.tasks.robustness.attack import attack_values
from bench.tasks.robustness.base import image_seeds, trial_on
from bench.tasks.robustness.settings import choose_attack

__all__ = ["others", "permuted", "retrained"]
"""Asked for by name."""
TOOLS = {
    "single": "bim",
    "iterative": "uniform-noise",
    "black_box": "pgd-last",
    "noise": "sign-noise",
    "search": "fab",
}
SETTINGS = {
    "attack": {"radii": "0.1,0.2", "images": 40, "steps": 2},
    "transfer": {"radii": "0.2", "images": 40, "steps": 2},
    "audit": {"radii": "0.1,0.2", "images": 12, **TOOLS},
    "rubbish": {"inputs": 50},
}
NAMES = sorted(SETTINGS)
LOOKING = ["attack", "audit", "transfer"]
"""Those that look at held-out images."""


class Gone(Nearest):
    missing = "it is not here"


class Far(FixedBudget):
    """It goes twice as far as it may."""

    norms = ("linf",)

    def __call__(self, model, images, labels, *, radius, norm, seeds, box=UNIT, stop="never"):
        return (images + 2 * radius).clamp(0, 1)


far = Far()
one, other = (Nearest(start, nn.Softplus()) for start in (0, 1))
gone = Gone(0, nn.Softplus())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One for all, so that what is kept under too short a name comes back for another cell."""
    return ArtifactStore(tmp_path_factory.mktemp("store"), "cpu")


@pytest.fixture
def rows(store):
    return lambda task, **swapped: _rows(_cell(task, **swapped), store)


def _cell(task, seed=0, settings=None, attack="pgd", **parts):
    """A cell of parts of this file, unless others are named."""
    mine = {"dataset": "usual", "model": "one", "source_model": "other", **parts}
    parts = {axis: f"{__name__}:{name}" if ":" not in name else name for axis, name in mine.items()}
    parts = {axis: {**parts, "attack": attack}[axis] for axis in TASKS[task].part.axes}
    known = TASKS[task].part.resolve(parts, {**SETTINGS[task], **(settings or {})}, None)
    named = (known.settings, seed, "/".join([task, *parts.values()]), "key", known.fingerprint)
    return Cell("block", task, parts, *named, "code", skip=known.skip)


def _rows(cell, store):
    """The values of a cell, and the outcomes of images where it has any."""
    measured = _measure(cell, store)
    assert measured.values
    assert measured.invalid == ""
    return {(v.metric, v.epsilon): (v.value, v.n, v.outcomes, v.label) for v in measured.values}


def _measure(cell, store):
    return TASKS[cell.task].part.measure(cell, Bench(store))


@pytest.mark.parametrize("task", NAMES)
def test_the_same_cell_twice(rows, task):
    assert rows(task) == rows(task)


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("data", ["others", "permuted"])
def test_held_out_images_and_their_labels_are_read(rows, task, data, tmp_path):
    """By all but rubbish, which shows nothing; what is kept of other data is not taken for them."""
    usual, swapped = rows(task), rows(task, dataset=data)
    assert (swapped != usual) == (task in LOOKING)
    assert swapped == _rows(_cell(task, dataset=data), ArtifactStore(tmp_path, "cpu"))


@pytest.mark.parametrize("task", NAMES)
def test_examples_for_training_are_not_read(rows, task):
    """By what is measured on a classifier that comes as it is."""
    assert rows(task, dataset="retrained") == rows(task)


@pytest.mark.parametrize("task", NAMES)
def test_the_seed_decides_what_is_drawn(rows, task):
    """Each of several is another."""
    found = [rows(task, seed=seed) for seed in (0, 1, 2)]
    assert found[0] != found[1] != found[2] != found[0]


@pytest.mark.parametrize("task", ["attack", "transfer"])
def test_an_attack_that_draws_nothing_knows_no_seed(rows, task):
    given = {"attack": "fgsm", "settings": {"images": 20}}
    assert rows(task, seed=3, **given) == rows(task, **given)


@pytest.mark.parametrize("task", NAMES)
def test_the_classifier_is_the_cells(rows, task):
    assert rows(task, model="other") != rows(task)


def test_the_source_model_is_not_the_one_that_is_shown_the_images(rows):
    """Either of them swapped, and both."""
    weak = {"radii": "0.12"}
    pairs = [("one", "other"), ("other", "one"), ("one", "one"), ("other", "other")]
    found = [rows("transfer", source_model=a, model=b, settings=weak) for a, b in pairs]
    assert all(found.count(each) == 1 for each in found)
    for model, own in zip(("one", "other"), found[2:], strict=True):
        alone = rows("attack", model=model, settings=weak)
        assert own["transfer_error", None][::2] == alone["adversarial_error", 0.12][::2]
        assert 0.1 < own["transfer_error", None][0] < 0.9
        sure = alone["confidence_on_errors", 0.12][0]
        assert own["transfer_confidence", None][0] == pytest.approx(sure, rel=1e-12)


CHANGES = [
    ("attack", {"radii": "0.1,0.25"}),
    ("attack", {"images": 41}),
    ("attack", {"clip": False}),
    ("attack", {"norm": "l2"}),
    ("attack", {"steps": 3}),
    ("transfer", {"radii": "0.25"}),
    ("transfer", {"images": 41}),
    ("transfer", {"clip": False}),
    ("transfer", {"norm": "l2"}),
    ("transfer", {"steps": 3}),
    ("transfer", {"amplify": 0.3}),
    ("audit", {"radii": "0.1,0.25"}),
    ("audit", {"images": 13}),
    ("audit", {"clip": False}),
    ("audit", {"norm": "l2"}),
    ("audit", {"single": "gaussian-noise"}),
    ("audit", {"iterative": "fgsm"}),
    ("audit", {"black_box": "gaussian-noise"}),
    ("audit", {"noise": "fgsm"}),
    ("rubbish", {"inputs": 51}),
]


@pytest.mark.parametrize(("task", "setting"), CHANGES)
def test_every_setting_is_heeded(rows, task, setting):
    """And part of what names the cell, where it is not the usual one."""
    assert rows(task, settings=setting) != rows(task)


def test_the_first_images_have_the_same_seeds_however_many_there_are():
    """And no two of them, nor of another run."""
    few, more, others = image_seeds(3, 5), image_seeds(3, 400), image_seeds(4, 400)
    assert torch.equal(more[:5], few)
    assert len({*more.tolist(), *others.tolist()}) == 800


@pytest.mark.parametrize("task", ["attack", "transfer"])
def test_examples_are_named_by_data_and_number(store, task):
    """Whatever is done to them: the outcomes of such rows are pairs."""

    def named(**swapped):
        values = _measure(_cell(task, **swapped), store).values
        (name,) = {value.examples for value in values if value.outcomes}
        return name

    alike = [
        {},
        {"attack": "fgsm"},
        {"model": "other"},
        {"seed": 1},
        {"settings": {"radii": "0.3"}},
    ]
    assert len({named(**swapped) for swapped in alike}) == 1
    assert len({named(), named(dataset="others"), named(settings={"images": 39})}) == 3


@pytest.mark.parametrize("task", ["attack", "transfer"])
def test_an_attack_that_goes_too_far_is_not_believed(store, task):
    """No rows, the reason instead; the second time too, where the images are kept."""
    cell = _cell(task, attack=f"{__name__}:far", settings={"radii": "0.1"})
    for _ in range(2):
        measured = _measure(cell, store)
        assert "farther than the radius" in measured.invalid
        assert not measured.values


def test_an_audit_by_hand(rows):
    """Every attack in its place; the seeds, labels, radii and the box."""
    source = usual.source(0)
    images, labels = source.held_out[:12], source.held_out_labels[:12]
    seeds = torch.arange(12) + stream_seed(5, "attack")
    given = {"seeds": seeds, "norm": "linf", "radii": [0.1, 0.2], "box": UNIT}
    found = audit(one.load(), images, labels, using=tools(*TOOLS.values()), **given)
    table = rows("audit", seed=5)
    assert table["audit_findings", None][0] == sum(finding.fires for finding in found)
    for finding in found:
        assert table[f"audit_{finding.name}", None][0] == finding.value, finding.name


def _resolved(task, settings, **parts):
    usual_parts = {
        "dataset": "optdigits",
        "source_model": "cnn",
        "model": "softmax",
        "attack": "pgd",
    }
    parts = {axis: {**usual_parts, **parts}[axis] for axis in TASKS[task].part.axes}
    return TASKS[task].part.resolve(parts, settings, None)


@pytest.mark.parametrize("task", NAMES)
def test_a_point_is_resolved(task):
    """Usual settings name no cell; those that differ do, and a forecast grows with the work."""
    plain = _resolved(task, {})
    assert plain.differing == {}
    assert plain.skip == ""
    more = {"inputs": 20_000} if task == "rubbish" else {"images": 250}
    found = _resolved(task, more)
    assert found.differing == more
    assert found.settings == {**plain.settings, **more}
    assert (found.seconds > plain.seconds) == (task in ("rubbish", "audit"))
    assert plain.seconds > _resolved(task, {}, model="efficientnet-lite0").seconds == 0
    with pytest.raises(UsageError, match="unknown setting 'colour'"):
        _resolved(task, {"colour": 1})


@pytest.mark.parametrize("task", NAMES)
def test_the_modules_that_make_a_number(task):
    """Task, data, classifiers, attacks and metrics: a change of any makes finished cells stale."""
    known = set(_resolved(task, {}).modules)
    assert {f"bench.tasks.robustness.{task}", "bench.datasets.labelled"} <= known
    own = {"attack": "robustness", "transfer": "transfer", "rubbish": "rubbish"}
    assert task == "audit" or f"metrics.{own[task]}" in known
    for axis in {"model", "source_model", "attack"} & {*TASKS[task].part.axes}:
        name, origin = ("square",) * 2 if axis == "attack" else ("rbf", "classifiers.rbf")
        assert {*_resolved(task, {}, **{axis: name}).modules} - known == {f"attacks.{origin}"}


def test_the_modules_of_an_audit():
    """Its five attacks and every diagnostic."""
    known = set(_resolved("audit", {}).modules)
    assert {"attacks.diagnostics", "attacks.apgd", "attacks.noise", "attacks.fgsm"} <= known
    assert known - {*_resolved("audit", {"black_box": "pgd"}).modules} == {"attacks.square"}


@pytest.mark.parametrize("task", NAMES)
def test_what_is_not_here_is_skipped(task):
    """With the reason, for each classifier of a cell; nothing is trained for it."""
    for axis in {"model", "source_model"} & {*TASKS[task].part.axes}:
        cell = _cell(task, **{axis: "gone"})
        assert cell.skip == "it is not here"
        assert TASKS[task].part.artifact(cell) is None


def test_what_is_said_of_the_parts_of_a_cell():
    """Noise is a floor; a source model has no row of its own."""
    cell = _cell("transfer", dataset="usual", attack="sign-noise")
    cell = replace(cell, parts={**cell.parts, "dataset": "optdigits", "model": "cnn"})
    said = TASKS["transfer"].part.describe(cell)
    assert list(said) == ["dataset", "source_model", "model", "attack"]
    assert said["dataset"]["licence"].endswith("CC BY 4.0")
    assert said["attack"]["role"] == "floor"
    assert said["model"]["role"] == "model"
    assert "role" not in said["source_model"]
    pgd = TASKS["attack"].part.describe(
        replace(_cell("attack"), parts={**cell.parts, "attack": "pgd"})
    )
    assert pgd["attack"]["papers"] == ["arXiv:1706.06083"]
    assert pgd["attack"]["role"] == "model"


class Silent(nn.Module):
    """Logits that are one number where the first pixel is bright, in place of any answer."""

    def __init__(self, odd):
        super().__init__()
        self.odd = odd

    def forward(self, images):
        flat = images.flatten(1)
        logits = torch.stack([flat[:, 0] - flat[:, 1], 0 * flat[:, 0]], 1)
        return torch.where(flat[:, :1] > 0.5, self.odd, logits)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_answers_that_are_not_finite_are_no_figure(odd, when):
    """Neither a misled image nor a robust one: the row is invalid, and says how many there are."""
    first = 0.7 if when == "before" else 0.4
    images = torch.full((4, 1, 2, 2), 0.2)
    images[2:, 0, 0, 0] = first
    labels = torch.tensor([1, 1, 1, 1])
    trial = trial_on(Victim(Silent(odd), softmax, ""), images, labels, 0, "drawn")
    chosen = choose_attack("fgsm", {"radii": "0.05,0.2"})
    values, wrong, _ = attack_values(chosen, trial)
    assert values == []
    assert wrong == (
        f"{when} the attack the classifier answers 2 of 4 images (the first is 2) with a logit "
        "that is not finite: neither misled nor robust"
    )
    climbing = choose_attack("bim", {"radii": "0.05,0.2", "keep": "best"})
    assert bool(attack_values(climbing, trial)[1]) == (when == "before")
