"""What holds for every pyramid, coder and blend, on digits of even sides and photos' odd crops."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor

from bench.core.registry import Entry
from bench.datasets.digits import mnist5k
from bench.laws import base
from bench.laws.base import each
from generative.pyramids import BLENDS, CODERS, PYRAMIDS, Asked

SIZES = {"even": (28, 28), "odd": (27, 21)}
ASKED = Asked(levels=2)
CLOSE = {"rtol": 0, "atol": 1e-9}

of_pyramids = partial(base.law, PYRAMIDS.kind, cases=each(SIZES))
of_coders = partial(base.law, CODERS.kind, cases=each(SIZES))
of_blends = partial(base.law, BLENDS.kind, cases=each(SIZES))


@cache
def _digits() -> Tensor:
    held = mnist5k().held_images
    return torch.tensor(held[:: len(held) // 4][:4]).double().reshape(4, 1, 28, 28)


def _images(size: tuple[int, int]) -> Tensor:
    """Four digits on a slope, float64 in [0, 255]."""
    height, width = size
    slope = torch.arange(width, dtype=torch.float64) + torch.arange(height)[:, None]
    return (0.7 * _digits()[..., :height, :width] + slope).clone()


def _flat(bands: list[list[Tensor]]) -> list[Tensor]:
    return [band for level in bands for band in level]


@of_pyramids()
def images_come_back_from_their_bands(pyramid: Entry, size: tuple[int, int]) -> None:
    """To 1e-9, and are left as they were."""
    images = _images(size)
    bands = pyramid.part.bands(images, ASKED)
    assert torch.equal(images, _images(size))
    torch.testing.assert_close(pyramid.part.images(bands, ASKED), images, **CLOSE)


@of_pyramids()
def bands_are_linear_in_the_images(pyramid: Entry, size: tuple[int, int]) -> None:
    """One image or several: each by itself."""
    images = _images(size)
    whole = _flat(pyramid.part.bands(images, ASKED))
    mixed = _flat(pyramid.part.bands(2 * images - images.flip(0), ASKED))
    alone = _flat(pyramid.part.bands(images[2:3], ASKED))
    for band, other, one in zip(whole, mixed, alone, strict=True):
        torch.testing.assert_close(other, 2 * band - band.flip(0), **CLOSE)
        torch.testing.assert_close(one, band[2:3], **CLOSE)


@of_pyramids()
def a_constant_is_in_the_last_band(pyramid: Entry, size: tuple[int, int]) -> None:
    """And in no other."""
    *others, last = _flat(pyramid.part.bands(torch.full((1, 1, *size), 7.0).double(), ASKED))
    for band in others:
        assert float(band.abs().max()) < 1e-9
    assert float(last.abs().min()) > 1


@of_pyramids()
def a_tight_frame_says_so(pyramid: Entry, size: tuple[int, int]) -> None:
    """Energy of the coefficients is that of the pixels where that is declared, and there alone."""
    images = _images(size)
    bands = _flat(pyramid.part.bands(images, ASKED))
    ratio = sum(float(band.square().sum()) for band in bands) / float(images.square().sum())
    assert (abs(ratio - 1) < 1e-9) == pyramid.facts.tight


@of_coders()
def a_coder_decodes_what_it_was_given(coder: Entry, size: tuple[int, int]) -> None:
    """Finite images of the same shape, near to those that came; symbols of each, or bits."""
    images = _images(size)
    coded = coder.part.code(images, ASKED)
    assert torch.equal(images, _images(size))
    assert coded.decoded.shape == images.shape
    assert coded.decoded.isfinite().all()
    assert float((coded.decoded - images).square().mean()) < 200
    assert (coded.bits is None) == bool(coded.symbols)
    for one in coded.symbols:
        assert one.dtype == torch.int64
        assert len(one) == len(images)


@of_coders()
def images_are_coded_one_by_one(coder: Entry, size: tuple[int, int]) -> None:
    """Whatever the others are."""
    images = _images(size)
    whole, alone = (coder.part.code(some, ASKED) for some in (images, images[2:3]))
    torch.testing.assert_close(alone.decoded, whole.decoded[2:3], **CLOSE)
    for one, every in zip(alone.symbols, whole.symbols, strict=True):
        assert torch.equal(one, every[2:3])
    if alone.bits is not None:
        assert torch.equal(alone.bits, whole.bits[2:3])


@of_coders()
def finer_steps_err_less(coder: Entry, size: tuple[int, int]) -> None:
    """By the step or the quality, whichever it reads."""
    images = _images(size)
    ways = (Asked(levels=2, step=24, quality=20), Asked(levels=2, step=2, quality=95))
    errors = [float((coder.part.code(images, w).decoded - images).square().mean()) for w in ways]
    assert errors[1] < errors[0] / 4


@of_coders()
def a_coder_reads_what_it_says(coder: Entry, size: tuple[int, int]) -> None:
    """Another value of a setting changes what is decoded where it is listed, and there alone."""
    images = _images(size)
    usual = coder.part.code(images, ASKED).decoded
    others = {"levels": 1, "a": 0.6, "border": "zero", "orientations": 2, "step": 3, "quality": 20}
    for name, value in others.items():
        asked = Asked(**{**vars(ASKED), name: value})
        changed = not torch.equal(coder.part.code(images, asked).decoded, usual)
        assert changed == (name in coder.part.reads), name


@of_blends()
def a_blend_of_an_image_with_itself_is_that_image(blend: Entry, size: tuple[int, int]) -> None:
    """And of a mask that is 1 everywhere the first."""
    images, mask = _images(size), _mask(size)
    torch.testing.assert_close(blend.part.blend(images, images, mask, 2), images, **CLOSE)
    whole = blend.part.blend(images, images.flip(0), torch.ones_like(mask), 2)
    torch.testing.assert_close(whole, images, **CLOSE)


@of_blends()
def both_blends_sum_to_both_images(blend: Entry, size: tuple[int, int]) -> None:
    """What one takes of an image the other leaves over."""
    one, mask = _images(size), _mask(size)
    other = one.flip(0)
    both = blend.part.blend(one, other, mask, 2) + blend.part.blend(other, one, mask, 2)
    torch.testing.assert_close(both, one + other, **CLOSE)
    assert torch.equal(one, _images(size))


@base.law(BLENDS.kind, cases=each(SIZES), unless="truth")
def far_from_the_seam_each_image_is_itself(blend: Entry, size: tuple[int, int]) -> None:
    """To either side, in the outermost columns."""
    one, mask = _images(size), _mask(size)
    other = one.flip(0)
    found = blend.part.blend(one, other, mask, 1)
    torch.testing.assert_close(found[..., :4], one[..., :4], **CLOSE)
    torch.testing.assert_close(found[..., -4:], other[..., -4:], **CLOSE)


def _mask(size: tuple[int, int]) -> Tensor:
    """1 in the left half, [1, 1, h, w]."""
    return (torch.arange(size[1]) < size[1] // 2).double().expand(1, 1, *size).clone()
