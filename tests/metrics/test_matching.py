"""Strokes measured on pictures whose answer is known, and scores of captions on small tables."""

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from metrics import METRICS
from metrics.judges.towers import TOWERS, TowersNetwork
from metrics.matching import Paired, Spreads, Told
from metrics.strokes import slant, thickness


def bar(width, lean=0.0, side=28):
    """A bright bar of a width, whose rows are moved by `lean` pixels for each they rise."""
    rows, columns = np.mgrid[:side, :side].astype(float)
    centre = side / 2 + lean * (side / 2 - rows)
    inside = (abs(columns - centre) < width / 2) & (rows >= 4) & (rows < 24)
    return inside.astype(float)


@pytest.mark.parametrize("width", [3, 5, 7])
def test_the_thickness_of_a_bar(width):
    """A bar of w pixels is (w + 1) / 2 deep in the middle: w + 1, but for its ends."""
    found = thickness(bar(width)[None])[0]
    assert found == pytest.approx(width + 1, abs=0.4)


def test_thickness_is_of_the_ink_alone():
    """Nothing is 0 thick, grey below a half is nothing, and a bar at the border is as thick as
    another.
    """
    assert thickness(np.zeros((1, 28, 28)))[0] == 0
    assert thickness(bar(5)[None] * 0.49)[0] == 0
    assert thickness(np.maximum(bar(5), 0.3)[None])[0] == thickness(bar(5)[None])[0]
    moved = np.roll(bar(5), -12, 1)
    assert thickness(moved[None])[0] == pytest.approx(thickness(bar(5)[None])[0])


@pytest.mark.parametrize("lean", [-0.5, -0.2, 0.0, 0.3, 0.7])
def test_the_slant_of_a_leaning_bar(lean):
    """To the right is above 0; where it stands and how bright it is does not matter."""
    image = bar(3, lean)
    found = slant(image[None])[0]
    assert found == pytest.approx(lean, abs=0.03)
    assert slant(0.4 * np.roll(image, 3, 0)[None])[0] == pytest.approx(found)
    assert slant(image[None, :, ::-1])[0] == pytest.approx(-found)


def test_shearing_adds_to_the_slant():
    """x' = x + s y moves mu11 by s mu02: the law of moments, on a smooth blob."""
    rows, columns = np.mgrid[:41, :41] - 20.0
    blob = np.exp(-(columns**2 / 18 + rows**2 / 50))
    sheared = affine_transform(blob, [[1, 0], [0.4, 1]], [0, -0.4 * 20], order=3)
    assert slant(sheared[None])[0] == pytest.approx(0.4, abs=0.01)
    assert slant(np.zeros((1, 5, 5)))[0] == 0


RIGHT = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=bool)
TOLD = Told(
    RIGHT,
    np.array([1, 1, 1, 0, 0, 0], dtype=bool),
    np.array([4, 5, 6, 7, 8, 9]),
    np.array([4, 0, 6, 7, 0, 0]),
)
MATCHES = {
    "caption": (1 / 3, 1 / 3),
    "thickness": (2 / 3, 2 / 3),
    "slant": (2 / 3, 2 / 3),
    "class": (1.0, 2 / 3),
}


@pytest.mark.parametrize("name", MATCHES)
def test_shares_of_what_is_right(name):
    """Seen and unseen apart, each of its own three."""
    for prefix, wanted in zip(("", "unseen_"), MATCHES[name], strict=True):
        found = METRICS[f"{prefix}{name}_match"].part(None, TOLD)
        assert (found.value, found.n) == (pytest.approx(wanted), 3)


def test_each_attribute_has_its_own_column():
    for column, name in enumerate(("thickness", "slant", "class")):
        right = np.zeros((4, 3), dtype=bool)
        right[:, column] = True
        told = Told(right, np.ones(4, dtype=bool), np.arange(4), np.arange(4))
        every = {n: METRICS[f"{n}_match"].part(None, told).value for n in MATCHES}
        assert every == {n: float(n == name) for n in MATCHES}


def test_nearest_captions():
    found = [METRICS[f"{p}r_precision"].part(None, TOLD).value for p in ("", "unseen_")]
    assert found == [pytest.approx(2 / 3), pytest.approx(1 / 3)]


def test_excess_is_samples_less_reals():
    real = np.ones((10, 3), dtype=bool)
    real[:5, 1] = False
    found = METRICS["excess_match"].part(real, RIGHT)
    assert found.value == pytest.approx(2 / 6 - 5 / 10)
    same = METRICS["excess_match"].part(RIGHT, RIGHT)
    assert same.value == 0
    assert same.std_error > METRICS["caption_match"].part(None, TOLD).std_error / 2


def test_what_a_critic_finds_more_real():
    """Beside the own caption; a tie is half a win."""
    paired = Paired(np.array([1.0, 0.0, 2.0, 0.0]), np.array([0.0, 1.0, 2.0, -1.0]))
    assert METRICS["matching_accuracy"].part(None, paired).value == pytest.approx(2.5 / 4)


def test_diversity_is_a_ratio_for_each_caption():
    spreads = Spreads(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    assert METRICS["caption_diversity"].part(None, spreads).value == pytest.approx(0.75)


def test_towers_do_not_care_for_the_order_of_words():
    """Their vectors have norm 1; a picture has no batch mates; its file is the one of the card."""
    towers = TOWERS["captions-towers"].part
    tokens = torch.tensor([[0, 3, 6, 14], [0, 1, 4, 9]])
    found = towers.texts(tokens)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(towers.texts(tokens.flip(1)), found)
    images = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    seen = towers.images(images)
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(towers.images(images[3:4]), seen[3:4], rtol=1e-4, atol=1e-6)
    assert not seen.requires_grad


def test_logits_of_towers_are_cosines():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TowersNetwork().eval()
    x, tokens = torch.rand(3, 1, 28, 28), torch.tensor([[0, 1, 4, 7], [0, 2, 5, 8]])
    wanted = network.sharpness.exp() * network.images(x) @ network.texts(tokens).T
    torch.testing.assert_close(network(x, tokens), wanted)
