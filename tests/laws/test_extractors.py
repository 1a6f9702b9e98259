"""What holds for every extractor of features that is here."""

import pytest
import torch

from bench.extractors import EXTRACTORS, Loading

HERE = [
    entry for entry in EXTRACTORS.entries() if not entry.part.missing and not entry.part.fetches
]
ABSENT = [entry for entry in EXTRACTORS.entries() if entry not in HERE]


def _images(extractor, n=6):
    rng = torch.Generator().manual_seed(0)
    size = extractor.size or (9, 7)
    return torch.rand(n, extractor.channels or 3, *size, generator=rng)


@pytest.fixture(params=HERE, ids=lambda entry: entry.name)
def extractor(request):
    return request.param.part


def test_features_are_a_finite_row_an_image(extractor):
    """As many as it says, float32; probabilities that sum to 1 where there are any."""
    images = _images(extractor)
    before = images.clone()
    seen = extractor.load(Loading())(images)
    assert seen.features.shape == (6, extractor.dims or images[0].numel())
    assert seen.features.dtype == torch.float32
    assert bool(seen.features.isfinite().all())
    assert torch.equal(images, before)
    if seen.probabilities is not None:
        torch.testing.assert_close(seen.probabilities.sum(1), torch.ones(6))


def test_an_image_does_not_depend_on_its_batch(extractor):
    """To 1e-4 of the features' size, alone, among others, in another order, and the second time."""
    images, read = _images(extractor), extractor.load(Loading())
    with torch.inference_mode():
        whole = read(images).features
        alone = torch.cat([read(image[None]).features for image in images])
        turned = read(images.flip(0)).features.flip(0)
    for again in (alone, turned, read(images).features.detach()):
        torch.testing.assert_close(again, whole, atol=1e-4 * float(whole.abs().max()), rtol=0)
    assert float((whole[0] - whole[1]).abs().max()) > 0


def test_resizing_keeps_images_images(extractor):
    """In [0, 1], a grey plane stays one, the right size stays as it is."""
    images = _images(extractor)
    size = tuple(images.shape[-2:])
    torch.testing.assert_close(extractor.resized(images, size), images, atol=0.5 / 255, rtol=0)
    grown = extractor.resized(images, (13, 40))
    assert grown.shape[-2:] == (13, 40)
    assert float(grown.min()) >= 0
    assert float(grown.max()) <= 1
    plane = torch.full((1, 1, 5, 5), 100 / 255)
    torch.testing.assert_close(
        extractor.resized(plane, (11, 3)), plane[..., :1, :1].expand(1, 1, 11, 3)
    )


def test_tags_tell_extractors_apart():
    """What stands behind the @ of a metric; it has no @ itself."""
    tags = [entry.part.tag for entry in EXTRACTORS.entries()]
    assert len(set(tags)) == len(tags)
    assert all(tag and "@" not in tag for tag in tags)
    assert [e.name for e in EXTRACTORS.entries() if e.part.published.lower() == "fid"] == [
        "inception"
    ]


@pytest.mark.parametrize("entry", ABSENT, ids=lambda entry: entry.name)
def test_what_is_not_here_says_how_to_get_it(entry):
    assert entry.part.fetches or "pip install" in entry.part.missing
