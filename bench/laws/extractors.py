"""What holds for every extractor of features that is here."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from bench.core.registry import Entry
from bench.extractors import EXTRACTORS, Extractor, Loading
from bench.laws import base

ABOUT = partial(base.law, EXTRACTORS.kind)


def _is_here(entry: Entry) -> bool:
    return not entry.part.missing and not entry.part.fetches


law = partial(ABOUT, where=_is_here)


def _images(extractor: Extractor, n: int = 6) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    size = extractor.size or (9, 7)
    return torch.rand(n, extractor.channels or 3, *size, generator=rng)


@law()
def features_are_a_finite_row_an_image(extractor: Entry) -> None:
    """As many as it says, float32; probabilities that sum to 1 where there are any."""
    images = _images(extractor.part)
    before = images.clone()
    features, probabilities = extractor.part.load(Loading())(images)
    assert features.shape == (6, extractor.part.dims or images[0].numel())
    assert features.dtype == torch.float32
    assert features.isfinite().all()
    assert torch.equal(images, before)
    if probabilities is not None:
        torch.testing.assert_close(probabilities.sum(1), torch.ones(6))


@law()
def an_image_does_not_depend_on_its_batch(extractor: Entry) -> None:
    """To 1e-4 of the features' size, alone, among others, in another order, and the second time."""
    images, read = _images(extractor.part), extractor.part.load(Loading())
    with torch.inference_mode():
        whole = read(images).features
        alone = torch.cat([read(image[None]).features for image in images])
        turned = read(images.flip(0)).features.flip(0)
    for again in (alone, turned, read(images).features.detach()):
        torch.testing.assert_close(again, whole, atol=1e-4 * float(whole.abs().max()), rtol=0)
    assert float((whole[0] - whole[1]).abs().max()) > 0


@law()
def resizing_keeps_images_images(extractor: Entry) -> None:
    """In [0, 1], a grey plane stays one, the right size stays as it is."""
    images, part = _images(extractor.part), extractor.part
    size = (images.shape[-2], images.shape[-1])
    torch.testing.assert_close(part.resized(images, size), images, atol=0.5 / 255, rtol=0)
    grown = part.resized(images, (13, 40))
    assert grown.shape[-2:] == (13, 40)
    assert grown.min() >= 0
    assert grown.max() <= 1
    plane = torch.full((1, 1, 5, 5), 100 / 255)
    flat = plane[..., :1, :1].expand(1, 1, 11, 3)
    torch.testing.assert_close(part.resized(plane, (11, 3)), flat)


@ABOUT()
def a_tag_is_no_other_extractors(extractor: Entry) -> None:
    """What stands behind the @ of a metric; it has no @ itself. One alone may be called FID."""
    tag = extractor.part.tag
    assert tag
    assert "@" not in tag
    for other in EXTRACTORS.entries():
        assert other.part is extractor.part or other.part.tag != tag
    assert extractor.part.published.lower() != "fid" or extractor.name == "inception"


@partial(ABOUT, where=lambda entry: not _is_here(entry))()
def what_is_not_here_says_how_to_get_it(extractor: Entry) -> None:
    """What to install, or that its weights are fetched."""
    missing = extractor.part.missing
    assert extractor.part.fetches or "pip install" in missing
