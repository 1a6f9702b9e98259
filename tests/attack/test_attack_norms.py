"""Several norms at once and their worst case, the classes, and the file of attacked images."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import bench
from PIL import Image
from torch import nn

from bench.attack.attack import evaluate_attack
from bench.attack.norms import asked_norms
from bench.attack.report import Attacked
from bench.attack.schema import AttackRows, schema_text
from bench.attack.verdict import Verdict
from bench.core.errors import UsageError
from bench.datasets.digits import digits8
from results.statistics import wilson

N = 40
SPLIT = digits8()
IMAGES, LABELS = SPLIT.held_images[:N], SPLIT.held_labels[:N]
SCHEMA = Path(__file__).parents[2] / "docs" / "attack-schema.json"


@pytest.fixture(scope="module")
def network():
    """A linear network that tells digits apart."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    x, y = torch.tensor(SPLIT.images).float().flatten(1) / 255, torch.tensor(SPLIT.labels)
    step = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(80):
        step.zero_grad()
        nn.functional.cross_entropy(made(x), y).backward()
        step.step()
    return made


def _made(network, **more):
    return evaluate_attack(network, (IMAGES, LABELS), **{"audit": False, **more})


def _bits(row):
    raw = np.frombuffer(b64decode(row["outcomes"]), np.uint8)
    return np.unpackbits(raw)[: int(row["n"])].astype(bool)


NORMS = {"linf": "0.02,0.05", "l2": "0.2,0.34"}


class Two(nn.Module):
    """Reads 32 pixels of images whose last but one is white, and the last pixel of the others: the
    first are near the boundary in linf, the others in l2.
    """

    def forward(self, images):
        flat = images.flatten(1)
        many, one = (flat[:, :32] - 0.5).sum(1), 8 * (flat[:, 63] - 0.5)
        side = 100 * (flat[:, 62] - 0.5)
        return torch.stack([many + side, side - many, one - side, -one - side], 1)


def _near():
    """Eight images: of each kind two near the boundary, one far from it, and one that is wrong."""
    images = torch.full((8, 1, 8, 8), 0.5)
    flat = images.flatten(1)
    flat[:4, 62], flat[4:, 62] = 1.0, 0.0
    flat[:4, :32] += torch.tensor([0.03, 0.03, 0.3, -0.3])[:, None]
    flat[4:, 63] += torch.tensor([0.1, 0.1, 0.4, -0.4])
    return flat.reshape(images.shape), torch.tensor([0, 0, 0, 0, 2, 2, 2, 2])


BOTH = {"linf": "0.01,0.05", "l2": "0.05,0.15"}


@pytest.mark.parametrize("attack", ["pgd", "fab", ("fgsm", "pgd")])
def test_the_worst_case_of_norms_is_taken_image_by_image(attack):
    """Each norm's figures are those of the norm alone; any norm misleads what one of them does."""
    asked = {"attack": attack, "audit": False}
    whole = evaluate_attack(Two(), _near(), epsilons=BOTH, **asked)
    robust = {"linf": [2, 4, 5, 6], "l2": [0, 1, 2, 6]}
    for norm, radii in BOTH.items():
        alone = evaluate_attack(Two(), _near(), norm=norm, epsilons=radii, **asked).table
        rows = whole.table[(whole.table["norm"] == norm)]
        alone = alone[alone["norm"] == norm]
        assert rows["value"].tolist() == alone["value"].tolist()
        assert rows["outcomes"].tolist() == alone["outcomes"].tolist()
        last = alone[alone["metric"] == "robust_accuracy"].iloc[-1]
        assert last["epsilon"] == float(radii.split(",")[1])
        assert np.flatnonzero(_bits(last)).tolist() == robust[norm]
    found = whole.table[whole.table["norm"] == "any"].set_index("metric")
    assert np.flatnonzero(_bits(found.loc["robust_accuracy"])).tolist() == [2, 6]
    assert found.loc["robust_accuracy", "value"] == 2 / 8
    assert found.loc["attack_success", "value"] == 4 / 6
    assert found.loc["attack_success", "n"] == 6
    assert set(found["label"]) == {"linf:0.05 l2:0.15"}
    assert len(set(whole.table["key"])) == 3


def test_forms_of_radii_for_norms():
    plain = {"linf": ("0,8/255",), "l2": ("0.5",)}
    for form in (plain, ["linf:0,8/255", "l2:0.5"], ("linf: 0,8/255", "l2:0.5")):
        found = asked_norms(None, form)
        assert {n: tuple(r.strip() for r in some) for n, some in found.items()} == plain
    assert asked_norms("linf,l2", None) == {"linf": None, "l2": None}
    assert asked_norms(["l2", "l2"], 0.5) == {"l2": (0.5,)}
    assert asked_norms("l2,linf", ["linf:1"]) == {"l2": None, "linf": ("1",)}
    assert asked_norms(None, ["linf:1", "linf:2"]) == {"linf": ("1", "2")}
    assert asked_norms(None, None) == {None: None}
    with pytest.raises(UsageError, match=r"0\.5 is of which norm"):
        asked_norms("linf,l2", 0.5)


def test_radii_that_are_none_in_the_second_norm_are_refused_before_the_first_is_attacked(network):
    def tell(said):
        raise AssertionError(said)

    for radii in ({"linf": 0.1, "l2": -1}, {"linf": 0.1, "l2": "a"}):
        with pytest.raises(UsageError, match="`epsilons`: expected"):
            _made(network, epsilons=radii, notify=tell)
    with pytest.raises(UsageError, match="unknown norm 'l0'"):
        _made(network, norm="linf,l0", notify=tell)


def test_a_verdict_over_norms_is_the_worst_of_them(network, monkeypatch):
    whole = _made(network, epsilons=NORMS, audit=True, images=20, attack="pgd")
    words = [member.verdict.word for member in whole.members]
    order = ["weak", "doubtful", "unaudited", "fine"]
    assert whole.verdict.word == min(words, key=order.index)
    assert whole.verdict.said.startswith("linf: ")
    assert "; l2: " in whole.verdict.said
    told = whole.told
    rows = told[(told["norm"] == "any") & (told["metric"] == "robust_accuracy")]
    assert rows["verdict"].tolist() == [whole.verdict.word]
    at = wilson(float(rows["value"].iloc[0]), 20)
    assert (rows["low"].iloc[0], rows["high"].iloc[0]) == (at.low, at.high)


@pytest.mark.parametrize(
    ("words", "worst"),
    [
        ({"linf": "fine", "l2": "weak"}, "weak"),
        ({"linf": "doubtful", "l2": "fine"}, "doubtful"),
        ({"linf": "fine", "l2": "unaudited"}, "unaudited"),
    ],
)
def test_one_norm_is_enough_to_doubt_all(network, monkeypatch, words, worst):
    def verdict(member):
        norm = member.evaluation.asked.settings.norm
        return Verdict(words[norm], (f"it is {words[norm]}",))

    monkeypatch.setattr(Attacked, "verdict", property(verdict))
    whole = _made(network, epsilons={"linf": "0.1", "l2": "0.5"}, images=5)
    assert whole.verdict.word == worst
    assert whole.verdict.said == f"linf: it is {words['linf']}; l2: it is {words['l2']}"


def test_classes_are_told_apart(network):
    """Each of its own images, and what they are taken for; the rows sum to the whole."""
    made = _made(network, epsilons="0.02,0.05", per_class=True, attack="pgd")
    told, evaluation = made.told, made.evaluation
    rows = told[told["metric"] == "class_robust_accuracy"].set_index("label")
    pairs = told[told["metric"] == "confusion"].set_index("label")
    after = evaluation.after.argmax(1).numpy()
    assert set(rows["epsilon"]) == set(pairs["epsilon"]) == {0.05}
    for label in range(10):
        own = label == LABELS
        row = rows.loc[str(label)]
        assert row["n"] == own.sum()
        assert row["value"] == evaluation.robust[own].mean()
        assert _bits(row).tolist() == evaluation.robust[own].tolist()
        at = wilson(row["value"], row["n"])
        assert (row["low"], row["high"]) == (at.low, at.high)
        for answer in set(after[own]):
            found = pairs.loc[f"{label}>{answer}"]
            assert found["value"] == (after[own] == answer).mean()
            assert found["n"] == own.sum()
    assert (pairs["value"] * pairs["n"]).sum() == pytest.approx(N)
    total = told[(told["metric"] == "robust_accuracy") & (told["epsilon"] == 0.05)]["value"].iloc[0]
    assert (rows["value"] * rows["n"]).sum() / N == pytest.approx(total)
    plain = _made(network, epsilons="0.02,0.05", attack="pgd").told
    assert not set(plain["metric"]) & {"class_robust_accuracy", "confusion"}


def test_the_tables_of_classes(network):
    """Short where nobody asks; what is confused beside the label, and counts of all images."""
    made = _made(network, epsilons="0.05", per_class=True)
    classes, confusion = (
        next(one for one in made.layouts() if one.title.startswith(begin))
        for begin in ("classes · linf 0.05", "label (down) by answer (across)")
    )
    after = made.evaluation.after.argmax(1).numpy()
    for row in classes.rows:
        label, n, before, robust, taken = (cell for cell, _ in row)
        own = int(label) == LABELS
        assert int(n) == own.sum()
        assert before.startswith(f"{100 * made.evaluation.right[own].mean():.1f} (")
        assert robust.startswith(f"{100 * made.evaluation.robust[own].mean():.1f} (")
        wrong = after[own][after[own] != int(label)]
        if len(wrong):
            answer, count = taken.split(",")[0].split(" ")
            assert f"({(wrong == int(answer)).sum()})" == count
            assert (wrong == int(answer)).sum() == np.bincount(wrong).max()
        else:
            assert taken == ""
    for row in confusion.rows:
        for head, (cell, _) in zip(confusion.heads[1:], row[1:], strict=True):
            wanted = ((int(row[0][0]) == LABELS) & (after == int(head))).sum()
            assert (0 if cell == "·" else int(cell)) == wanted
    titles = [one.title for one in _made(network, epsilons="0.05").layouts()]
    assert any(title.startswith("classes") for title in titles)
    assert not any(title.startswith("label (down)") for title in titles)


def test_many_classes_are_shown_where_they_are_asked_for():
    torch.manual_seed(0)
    many = nn.Sequential(nn.Flatten(), nn.Linear(64, 30))
    images, labels = torch.rand(60, 1, 8, 8), torch.arange(60) % 30
    titles = {}
    for asked in (False, True):
        made = evaluate_attack(many, (images, labels), epsilons="0.1", audit=False, per_class=asked)
        titles[asked] = {one.title.split(" ")[0]: one for one in made.layouts()}
    assert "classes" not in titles[False]
    assert len(titles[True]["classes"].rows) == 30
    assert "too wide: `confusion` draws it" in titles[True]["label"].notes[0]
    with Image.open(io.BytesIO(made.confusion())) as drawn:
        assert np.asarray(drawn).std() > 10


def test_what_is_saved_of_attacked_images(network, tmp_path):
    """All that an analysis needs, measured again here; a row an image and norm."""
    path = tmp_path / "made.npz"
    asked = {"attack": ("fgsm", "pgd"), "epsilons": NORMS, "save_adversarials": str(path)}
    made = _made(network, **asked)
    kept = np.load(path)
    change = (kept["images"].astype(float) - kept["clean"]).reshape(2 * N, -1)
    sizes = {
        "linf": np.abs(change).max(1),
        "l2": np.sqrt((change**2).sum(1)),
        "l1": np.abs(change).sum(1),
        "l0": (change != 0).sum(1),
    }
    for norm, wanted in sizes.items():
        np.testing.assert_allclose(kept[norm], wanted, rtol=1e-6, atol=1e-9)
    assert kept["norm"].tolist() == ["linf"] * N + ["l2"] * N
    assert kept["radius"].tolist() == [0.05] * N + [0.34] * N
    assert kept["places"].tolist() == [*range(N)] * 2
    assert kept["labels"].tolist() == [*LABELS] * 2
    for which, images in (("", "images"), ("clean_", "clean")):
        with torch.no_grad():
            chances = network(torch.tensor(kept[images])).double().softmax(1)
        assert kept[f"{which}predictions"].tolist() == chances.argmax(1).tolist()
        np.testing.assert_allclose(kept[f"{which}confidences"], chances.amax(1), rtol=1e-6)
    robust = np.concatenate([one.robust for one in made.evaluations])
    assert kept["robust"].tolist() == robust.tolist()
    right = kept["clean_predictions"] == kept["labels"]
    misled = right & (kept["predictions"] != kept["labels"])
    assert set(kept["finders"]) == {"", "fgsm", "pgd"}
    assert ((kept["finders"] != "") == misled).all()
    first = _made(network, attack="fgsm", epsilons="0.05").evaluation
    told = first.right & (first.after.argmax(1).numpy() != LABELS)
    fast = (kept["finders"] == "fgsm")[:N]
    assert not (fast & ~told).any()


def test_a_search_is_saved_without_a_radius(network, tmp_path):
    path = tmp_path / "made.npz"
    _made(network, attack="fab", norm="l2", images=12, save_adversarials=str(path))
    kept = np.load(path)
    assert np.isnan(kept["radius"]).all()
    misled = (kept["predictions"] != kept["labels"]) & (kept["clean_predictions"] == kept["labels"])
    assert ((kept["finders"] == "fab") == misled).all()


@pytest.mark.parametrize("norms", [None, NORMS])
def test_pictures(network, tmp_path, norms):
    """One panel a norm; as wide as there are norms."""
    files = {name: str(tmp_path / f"{name}.png") for name in ("figure", "curve", "confusion")}
    _made(network, epsilons=norms or "0.05", **files)
    for name, path in files.items():
        with Image.open(path) as drawn:
            assert np.asarray(drawn).std() > 10
            if name != "figure":
                assert (drawn.width > 1.6 * drawn.height) == (norms is not None or name == "curve")


def test_the_schema_is_that_of_the_documentation(capsys):
    """`bench attack --schema > docs/attack-schema.json` makes it anew."""
    assert bench("attack", "--schema") == 0
    assert capsys.readouterr().out == schema_text() == SCHEMA.read_text()


@pytest.mark.usefixtures("quick_audit")
@pytest.mark.parametrize(
    "more",
    [
        ("--norm", "linf,l2", "--per-class"),
        ("--attack", "fab", "-n", "8"),
        ("--attack", "fgsm", "--attack", "pgd", "--targets", "random"),
        ("--epsilons", "0.1", "--set", "steps=3", "--attack", "pgd", "--no-clip"),
    ],
)
def test_what_is_printed_is_of_the_schema(capsys, more):
    assert bench("attack", "softmax", "optdigits", "-n", "16", "--json", *more) == 0
    rows = json.loads(capsys.readouterr().out)
    AttackRows.model_validate(rows)
    with pytest.raises(ValueError, match="value"):
        AttackRows.model_validate([{**rows[0], "value": "0.5"}])
    with pytest.raises(ValueError, match="more"):
        AttackRows.model_validate([{**rows[0], "more": 1}])
