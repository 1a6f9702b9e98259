"""`bench attack` on a user's own classifier and images: every form, every refusal, every file."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from harness import bench
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from bench import api
from bench.attack.pictures import pictures_named, pictures_of
from bench.core.errors import UsageError
from bench.datasets.digits import digits8
from bench.models.users import Preparation, load_model
from results.rows import COLUMNS
from results.statistics import wilson

NET = """
import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, images):
        return self.layer(images.flatten(1))


network = Net()


def broken():
    return lambda images: torch.full((len(images), 10), float("nan"))


def flat():
    return lambda images: images.mean()


def integers():
    return lambda images: network(images).long()


def leaves():
    return lambda images: exit(3)


def alone():
    return lambda images: network(images.reshape(1, 1, 8, 8))


def fails():
    raise RuntimeError("not today")


number = 3


def drops():
    return lambda images: network(nn.functional.dropout(images, 0.3, True))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with a module, a network's weights, and digits as arrays and as files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"nets{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(NET)
    split = digits8()
    images, labels = split.held_images[:40] / np.float32(255), split.held_labels[:40]
    np.savez(tmp_path / "digits.npz", images=images.astype(np.float32), labels=labels)
    for index, (image, label) in enumerate(zip(split.held_images[:20], labels, strict=False)):
        folder = tmp_path / "pictures" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index:02}.png")
    return tmp_path, name


def _attack(name, data="digits.npz", *more):
    return bench("attack", name, data, "--epsilons", "0,0.1", "--no-audit", *more)


def test_a_network_of_ones_own(home, capsys):
    """Rows under the columns of every table; all rates with their denominators."""
    _, name = home
    assert _attack(f"{name}:network", "digits.npz", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[0]) == {*COLUMNS, "low", "high", "verdict", "said"}
    assert rows[0]["settings"]["images"] == 40
    at = {(row["metric"], row["epsilon"]): row for row in rows}
    clean, success = at["clean_error", None], at["attack_success", 0.1]
    assert clean["n"] == at["adversarial_error", 0.1]["n"] == 40
    assert success["n"] == round(40 * (1 - clean["value"]))
    assert at["adversarial_error", 0.0]["value"] == clean["value"]
    assert at["robust_accuracy", 0.0]["value"] == pytest.approx(1 - clean["value"])
    assert at["attack_success", 0.0]["value"] == 0
    assert ("attack_success_within@0,0.1", 0.1) in at


def test_every_form_of_a_classifier(home):
    """An exported program, TorchScript, weights beside a class: all the same numbers."""
    folder, name = home
    table = api.attack(f"{name}:network", "digits.npz", audit=False)
    network = load_model(f"{name}:network", None, Preparation()).model
    example = torch.zeros(2, 1, 8, 8)
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (example,), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "net.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, example), folder / "net.pt")
    torch.save(network.state_dict(), folder / "weights.pth")
    save_file(network.state_dict(), folder / "weights.safetensors")
    forms = [
        ("net.pt2", None),
        ("net.pt", None),
        (f"{name}:Net", "weights.pth"),
        (f"{name}:Net", "weights.safetensors"),
    ]
    for form, weights in forms:
        other = api.attack(form, "digits.npz", audit=False, weights=weights)
        assert other["value"].tolist() == pytest.approx(table["value"].tolist()), form


def test_a_folder_of_class_folders(home):
    """Folders named by numbers are labels; each image knows its file."""
    found = pictures_named("pictures", None, 12)
    assert found.images.shape == (12, 1, 8, 8)
    split = digits8()
    for name, label, image in zip(found.names, found.labels, found.images, strict=True):
        number = int(name.split("/")[1].split(".")[0])
        assert int(label) == split.held_labels[number]
        assert np.allclose(image[0].numpy() * 255, split.held_images[number])


def test_names_of_folders_are_classes(tmp_path):
    """In alphabetical order from 0."""
    for label in ("dog", "cat"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (12, 10), "red").save(tmp_path / label / "one.jpg")
    found = pictures_named(str(tmp_path), 8, 10)
    assert found.classes == ["cat", "dog"]
    assert found.labels.tolist() == [0, 1]
    assert found.images.shape == (2, 3, 8, 8)


def test_the_preparation_is_applied_inside():
    """Range, mean and deviation, in this order."""
    seen = []
    model = nn.Module()
    model.forward = lambda x: seen.append(x) or x.flatten(1)
    prepared = load_model.__globals__["Prepared"](model, Preparation(0, 255, (10.0,), (2.0,)))
    prepared(torch.full((1, 1, 2, 2), 0.5))
    assert torch.allclose(seen[0], torch.full((1, 1, 2, 2), (127.5 - 10) / 2))


def test_the_files_of_an_attack(home):
    """A figure, a curve, and arrays that hold what was measured."""
    folder, name = home
    files = ("--figure", "a.png", "--curve", "b.png", "--save-adversarials", "c.npz")
    assert _attack(f"{name}:network", "digits.npz", *files) == 0
    for picture in ("a.png", "b.png"):
        with Image.open(folder / picture) as opened:
            assert np.asarray(opened).std() > 10
    with np.load(folder / "c.npz") as saved:
        moved = np.abs(saved["images"] - saved["clean"])
        assert moved.max() == pytest.approx(0.1, abs=1e-6)
        assert len(saved["labels"]) == len(saved["predictions"]) == 40
        wrong = [saved[x] != saved["labels"] for x in ("clean_predictions", "predictions")]
    table = api.attack(f"{name}:network", "digits.npz", audit=False, epsilons=(0, 0.1))
    found = table.set_index(["metric", "epsilon"])["value"]
    assert wrong[0].mean() == found["adversarial_error", 0.0]
    assert wrong[1].mean() == found["adversarial_error", 0.1] > wrong[0].mean()


def test_the_audit_is_printed(home, capsys):
    """With a row a diagnostic and a sentence."""
    _, name = home
    options = ("--epsilons", "0.05,0.1", "-n", "12")
    assert bench("attack", f"{name}:network", "digits.npz", *options) == 0
    text = capsys.readouterr().out
    assert "zero gradients" in text
    assert "diagnostics fire" in text or "nothing speaks against" in text


@pytest.mark.parametrize(
    ("epsilons", "said"),
    [
        ("0.1,-0.2", "number 1 is -0.2"),
        ("0.1,nan", "finite numbers of 0 or more, number 1 is nan"),
        ("inf", "finite numbers of 0 or more"),
        ("a", "expected numbers such as"),
        ("1/0", "expected numbers such as"),
    ],
)
def test_radii_that_are_none(home, capsys, epsilons, said):
    """Exit code 2 and the one at fault."""
    _, name = home
    assert bench("attack", f"{name}:network", "digits.npz", "--epsilons", epsilons) == 2
    assert said in capsys.readouterr().err


def _arrays(images=None, labels=None):
    count = 4
    images = np.zeros((count, 8, 8), np.float32) if images is None else images
    return images, np.zeros(count, np.int64) if labels is None else labels


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((4, 8, 8), np.int64), None, "uint8, uint16, or floats in \\[0, 1\\], got int64"),
        (np.zeros((4, 8, 8), complex), None, "or floats in \\[0, 1\\], got complex128"),
        (np.full((4, 8, 8), 255.0), None, "image 0 has values of 255 to 255.*divide by 255"),
        (np.full((4, 8, 8), 1.5), None, "image 0 has values of 1.5 to 1.5.*what stands for white"),
        (np.full((4, 8, 8), -0.5), None, "image 0 has values of -0.5.*gets `range`"),
        (np.linspace(-2, 2.5, 256).reshape(4, 8, 8), None, "image 0 has values of -2.*`mean` and"),
        (np.full((4, 8, 8), np.nan), None, "image 0 has values that are not finite"),
        (np.zeros((4, 8)), None, "expected images \\[n, h, w"),
        (None, np.zeros(3, np.int64), "a label for each of 4 images, got \\(3,\\)"),
        (None, np.zeros((4, 10)), "got \\(4, 10\\): argmax\\(1\\) makes numbers of them"),
        (None, np.array([0, 1, 0.5, 0]), "label 2 is 0.5: expected whole numbers"),
        (None, np.array([0, 1, np.nan, 0]), "label 2 is nan: expected whole numbers"),
        (None, np.array(list("abcd")), "labels as integers, got <U1"),
    ],
)
def test_arrays_that_are_no_images(images, labels, said):
    """Each with the index and what to do."""
    with pytest.raises(UsageError, match=said):
        pictures_of(*_arrays(images, labels), "x.npz", 10)


def test_what_stands_in_a_folder_beside_its_images_is_told(home, capsys):
    """Of photos that were read, too: which of them were turned, and which were grey. As in a score:
    one mechanism. Hidden files are nobody's.
    """
    folder, name = home
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    first, *_, last = sorted((folder / "pictures").glob("*/*.png"))
    for file in ("0/x.tiff", "1/x.gif", "1/y.GIF", "beside.txt", "1/.hidden.txt"):
        (folder / "pictures" / file).touch()
    turned = Image.fromarray(pixels)
    tag = turned.getexif()
    tag[0x0112] = 3
    turned.save(first, exif=tag)
    Image.fromarray(np.dstack([pixels] * 4)).save(last)
    upright = "1 images of pictures are turned upright, as EXIF says"
    others = "files of pictures that were left out: 2 .gif, 1 .tiff, 1 .txt"
    told = [
        "19 of the 20 images of pictures are grey: they are taken as colour",
        "1 images of pictures have transparency, which is left out",
        upright,
        others,
    ]
    assert _attack(f"{name}:network", "pictures") == 0
    out = " ".join(capsys.readouterr().out.split())
    for note in told:
        assert f"! {note}" in out
    asked = {"epsilons": "0", "audit": False, "images": 2}
    found = api.attack(f"{name}:network", "pictures", **asked)
    assert found.attrs["notes"] == [upright, others]


def test_the_folder_that_a_classifier_is_trained_on_is_told_of(home):
    """It is read by the same mechanism."""
    folder, _ = home
    (folder / "pictures" / "0" / "x.tiff").touch()
    found = api.attack("softmax", "pictures", epsilons="0", audit=False)
    assert found.attrs["notes"] == ["files of pictures that were left out: 1 .tiff"]


@pytest.mark.parametrize("epsilons", ["a", "-1", "1/0", "inf", [-0.5]])
def test_radii_are_refused_by_the_name_of_the_parameter(home, epsilons):
    with pytest.raises(UsageError, match=r"^`epsilons`: expected "):
        api.attack(f"{home[1]}:network", "digits.npz", epsilons=epsilons)


def test_channels_come_first_or_last():
    """Both are understood."""
    last = np.random.default_rng(0).random((4, 8, 6, 3)).astype(np.float32)
    first = pictures_of(np.moveaxis(last, -1, 1), np.zeros(4, int), "x", 10)
    assert torch.equal(pictures_of(last, np.zeros(4, int), "x", 10).images, first.images)


@pytest.mark.parametrize(
    ("classifier", "more", "said"),
    [
        ("{}:broken", (), "answers digits.npz[0] with a logit that is not finite"),
        ("{}:flat", (), "expected logits [n, classes], got []"),
        ("{}:fails", (), "fails() failed: RuntimeError: not today"),
        ("{}:number", (), "is a int: expected module:callable"),
        ("{}:nothing", (), "has no 'nothing'"),
        ("no_such_module:net", (), "can't import 'no_such_module'"),
        ("nothing.pt2", (), "nothing.pt2 is not there"),
        ("torchvision:resnet18", (), "random weights: name its weights' file"),
        ("torchvision:resnet1", ("--weights", "x.pth"), "did you mean 'resnet1"),
        ("timm:resnet18", ("--weights", "x.pth"), "needs timm"),
        ("{}:Net", ("--weights", "gone.pth"), "gone.pth is not there"),
        ("{}:network", ("--mean", "1,2", "--std", "1"), "as many numbers"),
        ("{}:network", ("--std", "0", "--mean", "0"), "expected numbers above 0"),
        ("{}:network", ("--range", "1,0"), "two rising numbers"),
        ("{}:network", ("--attack", "fgms"), "did you mean 'fgsm'"),
        ("{}:network", ("--norm", "l0"), "unknown norm 'l0'"),
        ("{}:network", ("--set", "stpes=3"), "unknown setting 'stpes': did you mean 'stop'"),
        ("{}:network", ("--attack", "pgd", "--set", "stpes=3"), "did you mean 'steps'"),
        ("{}:network", ("--set", "steps=3"), "attack fgsm has no settings of its own"),
        ("{}:network", ("--attack", "bim", "--set", "restarts=3"), "attack bim has these"),
        ("{}:network", ("--attack", "foolbox:FGSM", "--set", "steps=3"), "foolbox:FGSM has these"),
        ("{}:network", ("--attack", "foolbox:LinfPGD", "--set", "steps=x"), "expected a int"),
        ("{}:network", ("--figure", "a.jpg"), "ends in .png"),
        ("{}:network", ("-n", "0"), "-n: expected 1 to"),
        ("sofmax", (), "did you mean 'softmax'"),
        ("{}:network", ("--attack", "pgd", "--set", "steps=0"), "expected a number above 0, got 0"),
        ("{}:network", ("--attack", "pgd", "--set", "step_size=nan"), "expected a number above 0"),
        ("{}:network", ("--attack", "pgd", "--set", "keep=foo"), "unknown keep of pgd 'foo'"),
        ("{}:network", ("--attack", "square", "--set", "p_init=7"), "expected a share above 0"),
        (
            "{}:network",
            ("--attack", "foolbox:LinfPGD", "--set", "abs_stepsize=a"),
            "expected a number, got 'a'",
        ),
        ("{}:network", ("--set", "radii=0.5"), "it has an option of its own, --epsilons"),
        ("{}:network", ("--attack", "lbfgs", "--epsilons", "-1"), "--epsilons: expected finite"),
        ("{}:network", ("--targets", "next"), "--targets: expected one of none, random"),
        ("{}:network", ("--targets", "99"), "--targets: expected a class from 0 to"),
        (
            "{}:network",
            ("--attack", "lbfgs", "--attack", "fgsm"),
            "lbfgs searches for the smallest",
        ),
        ("{}:network", ("--seed", "99999999999"), "--seed: expected 0 to"),
        ("{}:network", ("--epsilons", "a"), "--epsilons: expected numbers such as 0,0.1,8/255"),
        ("{}:network", ("--epsilons", "0,-1"), "--epsilons: expected finite numbers of 0 or more"),
        ("{}:Net", ("--weights", ""), "--weights: the name is empty: expected a file's"),
        ("{}:network", ("--figure", "nodir/a.png"), "expected a file in a folder that is there"),
        ("{}:network", ("--figure", "a.png", "--curve", "a.png"), "a.png is named twice"),
        ("{}:integers", (), "expected logits as floats, got torch.int64"),
        ("{}:leaves", (), "ended Python by SystemExit(3)"),
        ("{}:alone", (), "3 at once"),
        ("torchvision:fasterrcnn_resnet50_fpn", ("--weights", "x.pth"), "has no classifier"),
    ],
)
def test_classifiers_that_are_none(home, capsys, classifier, more, said):
    """Exit code 2 and one line that helps."""
    _, name = home
    assert _attack(classifier.format(name), "digits.npz", *more) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_pickle_is_refused(home, capsys):
    """As a model, because reading it would run its code, and as weights."""
    folder, name = home
    network = load_model(f"{name}:network", None, Preparation()).model
    torch.save(network, folder / "whole.pt")
    assert _attack("whole.pt") == 2
    assert "a pickle that could run code" in capsys.readouterr().err
    assert _attack(f"{name}:Net", "digits.npz", "--weights", "whole.pt") == 2
    assert "was refused: expected tensors alone" in capsys.readouterr().err


def test_folders_that_hold_no_images(home, capsys):
    """An empty one, an unreadable image, images of two sizes."""
    folder, name = home
    (folder / "empty").mkdir()
    assert _attack(f"{name}:network", "empty") == 2
    assert "empty holds no images" in capsys.readouterr().err
    (folder / "pictures" / "0" / "bad.png").write_bytes(b"no image")
    assert _attack(f"{name}:network", "pictures") == 2
    assert "bad.png: it is no image" in capsys.readouterr().err
    Image.new("L", (9, 9)).save(folder / "pictures" / "0" / "bad.png")
    assert _attack(f"{name}:network", "pictures") == 2
    assert "bring all to one with --size" in capsys.readouterr().err


def test_labels_out_of_range(home, capsys):
    """Named by their place."""
    folder, name = home
    labels = np.zeros(4, np.int64)
    labels[2] = 10
    np.savez(folder / "wrong.npz", images=np.zeros((4, 8, 8), np.float32), labels=labels)
    assert _attack(f"{name}:network", "wrong.npz") == 2
    assert "wrong.npz[2]: label 10 is out of range" in capsys.readouterr().err


def test_images_of_another_size(home, capsys):
    """The model's own error, in one line."""
    folder, name = home
    np.savez(folder / "large.npz", images=np.zeros((4, 9, 9), np.float32), labels=np.zeros(4, int))
    assert _attack(f"{name}:network", "large.npz") == 2
    assert "can't read images [1, 9, 9]" in capsys.readouterr().err


def test_settings_reach_an_attack_of_foolbox(home):
    """Its own, by name, and they stand on the rows; the norm is its own where none is given."""
    _, name = home
    options = {"attack": "foolbox:L2PGD", "epsilons": (0.5,), "audit": False}
    found = {
        steps: api.attack(f"{name}:network", "digits.npz", settings={"steps": steps}, **options)
        for steps in (2, 9)
    }
    for steps, table in found.items():
        assert [json.loads(text)["steps"] for text in table["settings"].unique()] == [steps]
        cost = table.loc[table["metric"] == "attack_backwards", "value"]
        assert cost.unique().tolist() == [steps]
        assert set(table["norm"]) == {"l2"}


def test_a_network_and_arrays_as_they_are(home):
    """From Python; the network is left in the mode it was found in."""
    _, name = home
    network = load_model(f"{name}:network", None, Preparation()).model.train()
    with np.load("digits.npz") as file:
        arrays = file["images"], file["labels"]
    options = {"audit": False, "epsilons": (0.0, 0.1)}
    found = api.attack(network, arrays, **options)
    named = api.attack(f"{name}:network", "digits.npz", **options)
    assert found["value"].tolist() == pytest.approx(named["value"].tolist())
    assert all(module.training for module in network.modules())


def test_what_a_model_prints_is_no_row(home, capsys):
    """It goes to stderr; rows alone are on stdout."""
    folder, name = home
    (folder / f"{name}p.py").write_text(
        f"import {name}\ndef loud():\n    print('hello')\n    return {name}.network\n"
    )
    assert _attack(f"{name}p:loud", "digits.npz", "--json") == 0
    out = capsys.readouterr()
    assert json.loads(out.out)
    assert "hello" in out.err


@pytest.fixture
def learnt(home):
    """Digits with the labels that the network gives them: it gets all of them right."""
    _, name = home
    network = load_model(f"{name}:network", None, Preparation())
    with np.load("digits.npz") as file, torch.no_grad():
        images = file["images"]
        labels = network(torch.from_numpy(images)[:, None]).argmax(1).numpy()
    np.savez("own.npz", images=images, labels=labels)
    return name


WEAK = ("--attack", "pgd", "--set", "steps=1", "--set", "step_size=0.01")
STRONG = ("--attack", "pgd", "--set", "steps=40")


@pytest.mark.usefixtures("quick_audit")
@pytest.mark.parametrize(
    ("network", "options", "word", "code"),
    [
        ("network", STRONG, "fine", 0),
        ("network", WEAK, "weak", 4),
        ("drops", STRONG, "doubtful", 4),
        ("network", ("--attack", "lbfgs", "-n", "5"), "unaudited", 5),
    ],
)
def test_every_output_says_whether_to_believe_the_figures(
    learnt, capsys, network, options, word, code
):
    """The table in words, the JSON on each figure, the exit code where it is asked for; from Python
    on the table.
    """
    search = word == "unaudited"
    asked = ("attack", f"{learnt}:{network}", "own.npz", "-n", "20", *options)
    asked += () if search else ("--epsilons", "0.1")
    assert bench(*asked, "--json", "--fail-if-weak") == code
    out = capsys.readouterr()
    rows = json.loads(out.out)
    figures = [row for row in rows if row["metric"] in ("robust_accuracy", "attack_success")]
    assert {row["verdict"] for row in figures} == {word}
    assert len({row["said"] for row in figures}) == 1
    assert ("--fail-if-weak" in out.err) == bool(code)
    for row in figures:
        at = wilson(row["value"], row["n"])
        assert (row["low"], row["high"]) == (at.low, at.high)
    fires = [row["metric"] for row in rows if row["verdict"] == "fires"]
    assert bool(fires) == (word in ("weak", "doubtful"))
    assert bench(*asked) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(said in text for said in figures[0]["said"].split("; "))
    assert ("pgd is weak: at 0.1 it misleads" in text) == (word == "weak")
    assert ("nothing speaks against" in text) == (word == "fine")


def test_what_the_audit_says_is_needed_to_fail_by_it(home, capsys):
    _, name = home
    assert bench("attack", f"{name}:network", "digits.npz", "--fail-if-weak", "--no-audit") == 2
    assert "the audit tells what is weak" in capsys.readouterr().err


def test_where_nothing_is_right_the_table_stands_without_an_audit(home, capsys):
    """And so it does for a search, which has no radius; what has no count is blank."""
    _, name = home
    network = load_model(f"{name}:network", None, Preparation())
    with np.load("digits.npz") as file, torch.no_grad():
        images = file["images"]
        wrong = (network(torch.tensor(images)[:, None]).argmax(1) + 1).numpy() % 10
    np.savez("wrong.npz", images=images, labels=wrong)
    assert bench("attack", f"{name}:network", "wrong.npz", "--epsilons", "0.1") == 0
    text = capsys.readouterr().out
    assert "100.0" in text
    assert "no audit: it needs a radius above 0, and images that" in text
    assert bench("attack", f"{name}:network", "digits.npz", "--attack", "lbfgs", "-n", "5") == 0
    assert "no audit: a search" in capsys.readouterr().out


def test_pictures_of_sixteen_bits_and_of_two_kinds(tmp_path):
    """16 bits are scaled, not clipped; grey ones become colour where any is."""
    deep = (np.arange(64, dtype=np.uint16).reshape(8, 8) * 1028).clip(0, 65535).astype(np.uint16)
    (tmp_path / "cat").mkdir()
    Image.fromarray(deep).save(tmp_path / "cat" / "deep.png")
    found = pictures_named(str(tmp_path), None, 10).images
    assert np.allclose(found[0, 0].numpy(), deep / 65535, atol=0.003)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "cat" / "red.png")
    assert pictures_named(str(tmp_path), None, 10).images.shape == (2, 3, 8, 8)


def test_folders_that_are_no_class(tmp_path):
    """What tools leave behind is passed over; a folder too deep is named."""
    for label in ("ant", "bee", ".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / label).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / label / "one.png")
    assert pictures_named(str(tmp_path), None, 10).classes == ["ant", "bee"]
    (tmp_path / "bee" / "more").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "bee" / "more" / "two.png")
    with pytest.raises(UsageError, match=r"two.png lies too deep: expected images directly"):
        pictures_named(str(tmp_path), None, 10)


@pytest.mark.parametrize("kind", ["truncated", "npy"])
def test_damaged_arrays(tmp_path, kind):
    """A file cut off, and one that is no archive."""
    path = tmp_path / "a.npz"
    np.savez(path, images=np.zeros((4, 8, 8), np.float32), labels=np.zeros(4, np.int64))
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    else:
        with open(path, "wb") as file:
            np.save(file, np.zeros(3))
    with pytest.raises(UsageError, match=r"can't read .*a.npz: expected an .npz file of arrays"):
        pictures_named(str(path), None, 10)


def test_weights_of_a_parallel_training(home):
    """A checkpoint around them and the prefix of DataParallel are taken off; junk is refused."""
    folder, name = home
    network = load_model(f"{name}:network", None, Preparation()).model
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"model": state, "epoch": 3}, folder / "wrapped.pth")
    model = load_model(f"{name}:Net", "wrapped.pth", Preparation()).model
    assert torch.equal(model.layer.weight, network.layer.weight)
    (folder / "junk.pth").write_bytes(b"junk")
    with pytest.raises(UsageError, match=r"junk.pth was refused"):
        load_model(f"{name}:Net", "junk.pth", Preparation())
