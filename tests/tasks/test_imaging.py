"""The tasks about images: which images, which settings, whose halves and which level."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.datasets.digits import digits8, mnist5k
from bench.datasets.labelled import Labelled
from bench.models.store import ArtifactStore
from bench.suites.cell import Cell
from bench.tasks import TASKS, Bench
from bench.tasks.imaging.levels import energies
from generative.pyramids import BLENDS, CODERS, PYRAMIDS, Asked
from generative.pyramids.coding import closed_loop
from generative.pyramids.laplacian import Filtering
from generative.pyramids.quantising import to_bytes
from generative.pyramids.steerable import analyse
from metrics.coding import Sent, bits_per_pixel, coded_psnr
from metrics.seams import Joined, seam_ratio

ME = __name__


def _data(name, **arrays):
    return Labelled(
        name, lambda: replace(mnist5k(), **{k: f(mnist5k()) for k, f in arrays.items()})
    )


usual = Labelled("usual", mnist5k)
others = _data("others", held_images=lambda s: s.held_images // 2)
shuffled = _data("shuffled", held_images=lambda s: s.held_images[[0, 2, 1, *range(3, 50)]])
relabelled = _data("relabelled", held_labels=lambda s: np.roll(s.held_labels, 1))
retrained = _data("retrained", images=lambda s: s.images[::-1], labels=lambda s: s.labels[::-1])
coloured = _data(
    "coloured",
    held_images=lambda s: np.stack([s.held_images, s.held_images // 2, 255 - s.held_images], -1),
    images=lambda s: np.stack([s.images] * 3, -1),
)


@pytest.fixture
def measured(tmp_path):
    def found(task, model, dataset="usual", seed=0, **settings):
        part = TASKS[task].part
        parts = {"dataset": f"{ME}:{dataset}", "model": model}
        known = part.resolve(parts, {"levels": 2, **settings}, None)
        assert known.skip == ""
        named = (known.settings, seed, "id", "key", known.fingerprint)
        cell = Cell("block", task, parts, *named, "code")
        return part.measure(cell, Bench(ArtifactStore(tmp_path, "cpu")))

    return found


@pytest.fixture
def rows(measured):
    def found(*given, **swapped):
        return {v.metric: (v.value, v.n) for v in measured(*given, **swapped).values}

    return found


def pixels(n=20):
    return torch.tensor(mnist5k().held_images[:n]).reshape(-1, 1, 28, 28)


def test_a_code_by_hand(rows):
    """Of bytes in, scored as bytes out, with every setting."""
    asked = {"levels": 3, "a": 0.6, "border": "repeat", "step": 16.0, "images": 7}
    found = rows("coding", "laplacian-closed", **asked)
    images = pixels(7)
    coded = closed_loop(images.double(), 3, 16.0, Filtering(0.6, "repeat"))
    sent = Sent(to_bytes(coded.decoded).numpy(), [one.numpy() for one in coded.symbols])
    assert found == {
        "bits_per_pixel": (bits_per_pixel(images.numpy(), sent).value, 7),
        "coded_psnr": (coded_psnr(images.numpy(), sent).value, 7),
    }


def test_jpeg_by_hand(rows):
    """Its files, and no entropy."""
    coded = CODERS["jpeg"].part.code(pixels().double(), Asked(quality=30))
    sent = Sent(coded.decoded.byte().numpy(), (), coded.bits.numpy())
    wanted = [f(pixels().numpy(), sent).value for f in (bits_per_pixel, coded_psnr)]
    found = rows("coding", "jpeg", quality=30)
    assert [value for value, _ in found.values()] == wanted


@pytest.mark.parametrize("name", ["cut", "feather", "multiband", "unsplit"])
def test_seams_by_hand(measured, name):
    """Left of one, right of the next, the last one's next being the first; the truth is the first
    alone.
    """
    made = measured("blending", name, images=5)
    images = pixels(5).double()
    mask = (torch.arange(28) < 14).double().expand(1, 1, 28, 28)
    partners = torch.cat([images[1:], images[:1]])
    joined = to_bytes(BLENDS[name].part.blend(images, partners, mask, 2)).numpy()
    (value,) = made.values
    assert (value.metric, value.value) == ("seam_ratio", seam_ratio(None, Joined(joined, 14)).value)
    np.testing.assert_array_equal(made.arrays["blended"], joined[:4])
    if name == "cut":
        np.testing.assert_array_equal(joined[..., :14], images[..., :14])
        np.testing.assert_array_equal(joined[..., 14:], partners[..., 14:])


def test_energies_by_hand(rows):
    """Of images less their means; bands of one level together; all of them sum to 1."""
    found = rows("levels", "steerable", orientations=2, images=6)
    images = pixels(6).double()
    images = images - images.mean((1, 2, 3), keepdim=True)
    whole = images.square().sum((1, 2, 3))
    bands = analyse(images, 2, 2)
    every = {"high": bands.high, "1": bands.oriented[0], "2": bands.oriented[1], "low": bands.low}
    for name, band in every.items():
        share = band.square().flatten(1).sum(1) / whole
        assert found[f"energy_share@{name}"] == (pytest.approx(float(share.mean())), 6)
    assert found["energy_share@all"][0] == pytest.approx(1, abs=1e-9)
    assert found["rebuilding_error"][0] < 1e-9
    assert len(found) == 6


def test_a_laplacian_pyramid_is_no_tight_frame(rows):
    found = rows("levels", "laplacian")
    assert list(found) == [
        *(f"energy_share@{name}" for name in ("1", "2", "low", "all")),
        "rebuilding_error",
    ]
    assert found["energy_share@all"][0] < 0.9
    assert found["energy_share@1"][0] > found["energy_share@2"][0]
    assert energies([torch.ones(2, 1, 2, 2), 2 * torch.ones(2, 1, 1, 1)]).tolist() == [8, 8]


RAN = [("coding", "dct8"), ("blending", "cut"), ("levels", "laplacian")]


@pytest.mark.parametrize(("task", "model"), RAN)
def test_what_is_read(rows, task, model):
    """Held-out images, in grey; no labels, nothing to train on, and no seed."""
    found = rows(task, model)
    assert rows(task, model, dataset="relabelled") == found
    assert rows(task, model, dataset="retrained") == found
    assert rows(task, model, seed=3) == found
    assert rows(task, model, dataset="others") != found
    assert rows(task, model, images=19) != found


def test_colours_are_weighed(measured):
    made = measured("blending", "unsplit", dataset="coloured", images=3).arrays["blended"]
    held = mnist5k().held_images[:3].astype(np.float64).reshape(3, 1, 28, 28)
    wanted = 0.299 * held + 0.587 * (held // 2) + 0.114 * (255 - held)
    assert np.abs(made - wanted).max() <= 0.51


def test_whose_partner_is_next(rows):
    """Other neighbours, other seams; a truth row has none."""
    for name, same in (("cut", False), ("unsplit", True)):
        found = (
            rows("blending", name, images=3),
            rows("blending", name, images=3, dataset="shuffled"),
        )
        assert (found[0]["seam_ratio"][0] == pytest.approx(found[1]["seam_ratio"][0])) == same


CHANGES = [
    ("coding", "laplacian-open", {"a": 0.6}),
    ("coding", "laplacian-open", {"step": 4.0}),
    ("coding", "laplacian-closed", {"levels": 1}),
    ("coding", "laplacian-closed", {"border": "zero"}),
    ("coding", "jpeg", {"quality": 20}),
    ("blending", "feather", {"levels": 3}),
    ("blending", "multiband", {"levels": 3}),
    ("levels", "laplacian", {"a": 0.6}),
    ("levels", "steerable", {"orientations": 2}),
]


@pytest.mark.parametrize(("task", "model", "setting"), CHANGES, ids=str)
def test_every_setting_is_heeded(measured, task, model, setting):
    one, other = (measured(task, model, **given) for given in ({}, setting))
    assert [v.value for v in one.values] != [v.value for v in other.values] or (
        one.arrays["level01"].shape != other.arrays["level01"].shape
    )


def test_a_point_is_resolved():
    """Only what a part reads is its own; what it can't take is skipped in so many words."""

    def resolved(task, model, dataset="optdigits", **settings):
        parts = {"dataset": dataset, "model": model}
        return TASKS[task].part.resolve(parts, settings, None)

    jpeg = resolved("coding", "jpeg", a=0.6, step=4.0, quality=50)
    assert (jpeg.settings, jpeg.differing) == (
        {"images": 20, "quality": 50},
        {"quality": 50},
    )
    assert jpeg.once
    assert "generative.pyramids.othercoders" in jpeg.modules
    short = resolved("coding", "laplacian-open")
    assert short.skip == "laplacian-open takes 0 to 2 levels of 8 x 8 pixels, got 5"
    assert resolved("coding", "laplacian-open", levels=2).skip == ""
    assert resolved("levels", "steerable", levels=2).skip.startswith("steerable takes 0 to 1 ")
    assert resolved("blending", "multiband").skip.startswith("multiband takes 0 to 2 ")
    assert resolved("blending", "cut").settings == {"images": 20}
    assert resolved("levels", "steerable", levels=1).gives == {
        *(f"energy_share@{name}" for name in ("high", "1", "low", "all")),
        "rebuilding_error",
    }
    for settings, said in (
        ({"bin": 4.0}, "unknown setting 'bin'"),
        ({"border": "mirror"}, "setting 'border'"),
        ({"step": 0.0}, "setting 'step'"),
    ):
        with pytest.raises(UsageError, match=said):
            resolved("coding", "jpeg", **settings)
    with pytest.raises(UsageError, match="unknown coder 'jpg': did you mean 'jpeg'"):
        resolved("coding", "jpg")
    with pytest.raises(UsageError, match="is a Labelled: expected an instance of"):
        resolved("coding", f"{ME}:usual")


def test_what_tables_need():
    cell = Cell(
        "b", "blending", {"dataset": "photos", "model": "unsplit"}, {}, 0, "i", "k", "f", "c"
    )
    said = TASKS["blending"].part.describe(cell)
    assert said["model"]["role"] == "ceiling"
    assert "ImageNet" in said["dataset"]["licence"]
    levels = TASKS["levels"].part
    assert levels.metric_facts("energy_share@2")["title"] == "energy of level 2"
    assert levels.metric_facts("energy_share@low")["title"] == "energy below all levels"
    for wrong in ("energy_share", "energy_share@0", "energy_share@x", "rebuilding_error@1"):
        with pytest.raises(UsageError, match="expected energy_share@1 for the finest level"):
            levels.metric_facts(wrong)
    with pytest.raises(UsageError, match="metric 'coded_psnr' is not for this task"):
        levels.metric_facts("coded_psnr")
    for task, parts in (("coding", CODERS), ("blending", BLENDS), ("levels", PYRAMIDS)):
        assert TASKS[task].part.every("model") == list(parts)
        assert "photos" in TASKS[task].part.every("dataset")


def test_digits_are_images_too(rows):
    assert digits8().held_images.shape[1:] == (8, 8)
    assert rows("coding", "dct8", dataset="usual")["coded_psnr"][0] > 30
