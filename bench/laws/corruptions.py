"""What holds for every corruption, on grey digits and on coloured ones."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad

from attacks.corruptions import CORRUPTIONS
from attacks.corruptions.contracts import SEVERITIES
from bench.core.errors import UsageError
from bench.core.registry import Entry
from bench.datasets.digits import mnist5k
from bench.laws import base
from bench.laws.base import each
from bench.laws.examples import raises

IMAGES = 8
COLOURS = ("grey", "colour")

about = partial(base.law, CORRUPTIONS.kind)
law = partial(about, cases=each(COLOURS))


def _images(colours: str, kind: torch.dtype = torch.float32) -> Tensor:
    """Digits 28 x 28; or three in the channels of one image 32 x 32, none quite black or white."""
    held = torch.tensor(mnist5k().held_images[:: len(mnist5k().held_images) // (3 * IMAGES)])
    digits = (held.reshape(-1, 1, 28, 28).to(kind) / 255)[: 3 * IMAGES]
    if colours == "grey":
        return digits[:IMAGES]
    return 0.1 + 0.8 * pad(digits.reshape(IMAGES, 3, 28, 28), [2] * 4)


def _corrupted(entry: Entry, images: Tensor, severity: int = 3, start: int = 7) -> Tensor:
    seeds = torch.arange(start, start + len(images))
    return entry.part(images, severity=severity, seeds=seeds)


@about()
def a_corruption_has_five_severities(corruption: Entry) -> None:
    """Others are refused, and so are points and images of two channels."""
    assert len(set(corruption.part.levels)) == SEVERITIES
    for severity in (0, SEVERITIES + 1):
        with raises(UsageError, f"severity: expected 1 to 5, got {severity}"):
            _corrupted(corruption, _images("grey"), severity)
    for shape in ((2, 784), (2, 2, 28, 28)):
        with raises(UsageError, r"expected images \[batch, 1 or 3 channels"):
            _corrupted(corruption, torch.zeros(shape))


@law()
def a_higher_severity_changes_more(corruption: Entry, colours: str) -> None:
    """The mean squared difference rises with each, from above 0."""
    images = _images(colours)
    changed = [
        float((_corrupted(corruption, images, severity) - images).double().square().mean())
        for severity in range(1, SEVERITIES + 1)
    ]
    assert changed[0] > 0
    for less, more in pairwise(changed):
        assert more > less


@law()
def corrupted_images_are_images(corruption: Entry, colours: str) -> None:
    """In [0, 1], finite, of the same shape and type; those that came are as they were."""
    for kind in (torch.float32, torch.float64):
        images = _images(colours, kind)
        before = images.clone()
        for severity in range(1, SEVERITIES + 1):
            found = _corrupted(corruption, images, severity)
            assert (found.shape, found.dtype) == (images.shape, kind)
            assert found.isfinite().all()
            assert found.min() >= 0
            assert found.max() <= 1
            found.zero_()
            assert torch.equal(images, before)
    assert _corrupted(corruption, images[:0]).shape == (0, *images.shape[1:])


@law()
def batch_mates_of_a_corruption_do_not_matter(corruption: Entry, colours: str) -> None:
    """Alone or in another order an image is corrupted alike; each in a way of its own."""
    images, seeds = _images(colours), torch.arange(IMAGES) + 7
    found = _corrupted(corruption, images)
    for rows in ([0], [7], [3, 1], [7, 6, 5, 4, 3, 2, 1, 0]):
        some = corruption.part(images[rows], severity=3, seeds=seeds[rows])
        torch.testing.assert_close(some, found[rows], rtol=0, atol=1e-6)


@law()
def seeds_decide_a_corruption(corruption: Entry, colours: str) -> None:
    """The same bits again, whatever the global generator; others with other seeds where it draws,
    and there alone.
    """
    images = _images(colours)
    first = _corrupted(corruption, images)
    torch.manual_seed(5)
    untouched = torch.get_rng_state()
    assert torch.equal(_corrupted(corruption, images), first)
    assert torch.equal(torch.get_rng_state(), untouched)
    other = (_corrupted(corruption, images, start=70) != first).flatten(1).any(1)
    assert other.all() if corruption.facts.draws else not other.any()


@law(only="draws")
def each_image_is_corrupted_in_its_own_way(corruption: Entry, colours: str) -> None:
    """Equal images come out different where their seeds are."""
    images = _images(colours)[:1].expand(IMAGES, -1, -1, -1)
    found = _corrupted(corruption, images)
    assert (found[1:] != found[:-1]).flatten(1).any(1).all()
