"""The patch: what it covers and leaves alone, its fit, and the warps that it and others lie in."""

import math

import pytest
import torch

from attacks.patch import Fitting, Placing, apply, fit, laid
from attacks.warps import warped
from bench.core.errors import UsageError
from bench.core.randomness import stream

SEEDS = torch.arange(40)
UPRIGHT = {"scales": (1.0, 1.0), "degrees": 0.0}


def pictures(count=40, channels=1, side=28):
    return torch.rand(count, channels, side, side, generator=stream("pictures", channels))


def picture(placing, channels=1, side=28):
    length = placing.side(side, side)
    return 2 + torch.rand(channels, length, length, generator=stream("patch", length))


@pytest.mark.parametrize("shape", ["disc", "square"])
def test_a_patch_of_no_area_gives_the_images(shape):
    """To the bit, and as another tensor."""
    placing, images = Placing(area=0.0, shape=shape), pictures()
    found = apply(images, picture(placing), SEEDS, placing)
    assert torch.equal(found, images)
    found.zero_()
    assert images.any()


def test_a_square_of_the_whole_area_is_all_there_is():
    """Undistorted, whatever the seed."""
    placing = Placing(area=1.0, shape="square", **UPRIGHT)
    patch = picture(placing, 3)
    found = apply(pictures(channels=3), patch, SEEDS, placing)
    torch.testing.assert_close(found, patch.expand_as(found), rtol=0, atol=1e-5)


@pytest.mark.parametrize("area", [0.05, 0.1, 0.3])
def test_upright_it_is_undistorted_and_anywhere(area):
    """A square of its own pixels at a whole pixel; all else is as it was."""
    placing = Placing(area=area, shape="square", **UPRIGHT)
    patch, images = picture(placing), pictures()
    found, side, places = apply(images, patch, SEEDS, placing), placing.side(28, 28), set()
    for one, clean in zip(found, images, strict=True):
        rows, columns = (one[0] > 1.5).nonzero().T
        top, left = rows.min(), columns.min()
        places.add((int(top), int(left)))
        inside = one[:, top : top + side, left : left + side]
        torch.testing.assert_close(inside, patch, rtol=0, atol=1e-5)
        rest = one.clone()
        rest[:, top : top + side, left : left + side] = clean[
            :, top : top + side, left : left + side
        ]
        assert torch.equal(rest, clean)
    assert len(places) > 20
    assert {min(top for top, _ in places), max(top for top, _ in places)} == {0, 28 - side}


@pytest.mark.parametrize("shape", ["disc", "square"])
def test_pixels_outside_are_untouched(shape):
    """Turned and scaled too; what is covered is the area, at most, and every pixel of it is of the
    patch alone.
    """
    placing = Placing(area=0.2, shape=shape, scales=(0.7, 1.0), degrees=90.0)
    images, patch = pictures(), picture(placing)
    found = apply(images, patch, SEEDS, placing)
    covered = found > 1.5
    assert torch.equal(found[~covered], images[~covered])
    assert (found[covered] >= 2).all()
    shares = covered.float().mean((1, 2, 3))
    assert shares.max() <= 0.2 * 1.1
    assert shares.min() >= 0.2 * 0.7**2 * 0.75
    assert shares.std() > 0.01


def test_a_quarter_turn_turns_it():
    """Clockwise, as torch.rot90 does the other way about."""
    patch, images = picture(Placing(area=0.2, shape="square")), torch.zeros(1, 1, 28, 28)
    half = patch.shape[-1] / 2
    numbers = (torch.ones(1), torch.full((1,), 90.0), torch.tensor([half]), torch.tensor([half]))
    found = laid(images, patch, "square", numbers)[0, :, : int(2 * half), : int(2 * half)]
    torch.testing.assert_close(found, torch.rot90(patch, -1, (1, 2)), rtol=0, atol=1e-4)


def test_each_image_has_its_own_place():
    """By its seed, whatever its batch mates; other purposes are other draws."""
    placing = Placing(area=0.1)
    images, patch = pictures(1).expand(40, -1, -1, -1), picture(placing)
    found = apply(images, patch, SEEDS, placing)
    assert len({one.numpy().tobytes() for one in found}) == 40
    some = [5, 3, 20]
    torch.testing.assert_close(apply(images[some], patch, SEEDS[some], placing), found[some])
    assert not torch.equal(apply(images, patch, SEEDS, placing, 1), found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"area": 0.9}, "area: expected a share from 0 to 0.7854, got 0.9"),
        ({"area": 1.1, "shape": "square"}, "area: expected a share from 0 to 1, got 1.1"),
        ({"scales": (1.0, 0.5)}, "scales: expected two above 0 in rising order"),
    ],
)
def test_what_no_patch_has_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Placing(**settings)


def bright(images):
    """Three classes: dark, bright, and a bright middle row of whatever it is shown."""
    mean = images.flatten(1).mean(1)
    red = images[:, 0].amax((1, 2))
    return torch.stack([torch.zeros_like(mean), 20 * mean - 14, 3 * red - 4], 1)


def test_a_patch_is_fitted_to_its_target():
    """It beats grey; images of the target are left out; the model is left alone."""
    images, placing = 0.3 * pictures(), Placing(area=0.2)
    weight = torch.ones(1, requires_grad=True)

    def model(x):
        return bright(x) * weight + torch.stack(
            [0 * x[:, 0, 0, 0], 30 * (x[:, 0, :, 14].mean(1) - 0.3), 0 * x[:, 0, 0, 0]], 1
        )

    labels = torch.zeros(40).long()
    given = {"target": 1, "placing": placing, "seeds": SEEDS}
    patch = fit(model, images, labels, fitting=Fitting(steps=40, batch=16), **given)
    grey = torch.full_like(patch, 0.5)
    scores = [(model(apply(images, p, SEEDS, placing, 7))[:, 1]).mean() for p in (patch, grey)]
    assert scores[0] > scores[1]
    assert weight.grad is None
    assert patch.min() >= 0
    assert patch.max() <= 1
    assert not patch.requires_grad
    again = fit(model, images, labels, fitting=Fitting(steps=40, batch=16), **given)
    assert torch.equal(again, patch)
    with torch.inference_mode():
        inside = fit(model, images, labels, fitting=Fitting(steps=40, batch=16), **given)
    assert torch.equal(inside, patch)
    with pytest.raises(UsageError, match="images of other classes than its target, 1: got none"):
        fit(model, images, labels + 1, **given)


def test_warps_know_right_from_left():
    """One pixel right, one down, and a quarter clockwise; none at all is the image itself."""
    image = pictures(1, side=9)
    one, none = torch.ones(1), torch.zeros(1)
    right, down = warped(image, none, none, one), warped(image, none, one, none)
    torch.testing.assert_close(right[..., 1:], image[..., :-1], rtol=0, atol=1e-5)
    torch.testing.assert_close(down[..., 1:, :], image[..., :-1, :], rtol=0, atol=1e-5)
    assert right[..., 0].abs().max() < 1e-5
    turned = warped(image, 90 * one, none, none)
    torch.testing.assert_close(turned, torch.rot90(image, -1, (2, 3)), rtol=0, atol=1e-4)
    assert torch.equal(warped(image, none, none, none), image)
    back = warped(warped(image, 90 * one, none, none), -90 * one, none, none)
    torch.testing.assert_close(back, image, rtol=0, atol=1e-4)
    assert math.isclose(
        warped(image, 30 * one, none, none)[0, 0, 4, 4], image[0, 0, 4, 4], abs_tol=1e-5
    )
