"""Captions of digits: words and attributes, thirds of each digit, combinations held out."""

import numpy as np
import pytest
import torch

from bench.core.errors import UsageError
from bench.datasets import DATASETS, captioned, captions
from bench.datasets.digits import mnist5k
from bench.datasets.pixels import to_bytes
from metrics.judges.towers import TOWERS, VOCABULARY

DATA = DATASETS["captions@digits"].part


@pytest.fixture(scope="module")
def source():
    return DATA.source(0)


def test_captions_and_attributes_are_one_fact_twice():
    """All ninety: to tokens and back, to words and back, each with its own number."""
    every = captions.every_combination()
    tokens = captions.tokens_of(every)
    assert tokens.shape == (90, captions.WORDS)
    assert np.array_equal(captions.attributes_of(tokens), every)
    assert np.array_equal(captions.combinations_of(every), np.arange(90))
    words = [captions.in_words(row) for row in tokens]
    assert len(set(words)) == 90
    assert np.array_equal(np.stack([captions.read(each) for each in words]), tokens)
    assert len(set(captions.VOCABULARY)) == len(captions.VOCABULARY) == VOCABULARY


def test_a_caption_as_a_person_writes_it():
    """In any order, with other capitals, with an article or without."""
    wanted = captions.tokens_of(np.array([[2, 0, 7]]))[0]
    assert captions.in_words(wanted) == "a thick upright seven"
    for said in ("an upright, thick SEVEN", "seven thick upright.", "a thick upright seven"):
        assert np.array_equal(captions.read(said), wanted)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("a thin uprigth seven", r"unknown word 'uprigth': did you mean 'upright'"),
        ("a thin upright svn", r"unknown word 'svn': did you mean 'seven'"),
        ("a thn upright svn", r"unknown words thn, svn: did you mean thin, seven\? .*known: thin"),
        ("a purple cow", r"unknown words purple, cow: \(of the caption .*known: thin"),
        ("a thin seven", r"expected one slant of upright, leaning, slanted, got none"),
        ("thin thick upright two", r"expected one thickness of .*, got thin and thick"),
        ("", r"expected one thickness of .*got none: write such as 'a thick slanted seven'"),
    ],
)
def test_what_no_caption_says_is_refused(said, message):
    with pytest.raises(UsageError, match=message):
        captions.read(said)


def test_thirds_are_of_each_digit():
    """Of its 400 training images a third is thin, a third thick; and so with the slant."""
    split, cuts = mnist5k(), captioned.cuts()
    found = cuts.read(split.images, split.labels)
    for digit in range(10):
        own = found[split.labels == digit]
        assert (own[:, 2] == digit).all()
        for kind in range(2):
            counts = np.bincount(own[:, kind], minlength=3)
            assert (abs(counts - 400 / 3) <= 2).all(), (digit, kind)
    other = cuts.read(split.images[:200], (split.labels[:200] + 1) % 10)
    assert (other[:, :2] != found[:200, :2]).any()


def test_a_caption_is_measured_again_on_what_a_model_sees(source):
    """As floats and back as bytes: the attributes of its caption, of every held-out image."""
    images = to_bytes(source.held_out)[:, 0].numpy()
    wanted = captions.attributes_of(source.held_captions.numpy())
    assert np.array_equal(captioned.cuts().read(images, wanted[:, 2]), wanted)
    assert np.array_equal(wanted[:, 2], mnist5k().held_labels)


def test_no_training_pair_has_a_held_out_combination(source):
    """Twenty: two of each digit, every style of two or three of them; held-out images have them,
    and images that were set aside are of them alone.
    """
    out = captioned.unseen()
    assert out.reshape(10, 9).sum(1).tolist() == [2] * 10
    assert set(out.reshape(10, 9).sum(0)) == {2, 3}
    found = DATA.load()
    assert not out[found.split.labels].any()
    assert out[found.aside_labels].all()
    assert len(found.split.labels) + len(found.aside_labels) == 4_000
    assert 200 < out[found.split.held_labels].sum() < 260
    trained = source.numbers(source.captions)
    assert torch.equal(source.seen, torch.from_numpy(~out))
    assert set(trained.tolist()) == set(np.flatnonzero(~out).tolist())


def test_batches_are_pairs(source):
    """Each image with the caption that is measured on it."""
    images, tokens = source.captioned_batches().next(200)
    wanted = captions.attributes_of(tokens.numpy())
    assert np.array_equal(
        captioned.cuts().read(to_bytes(images)[:, 0].numpy(), wanted[:, 2]), wanted
    )
    position = source.captioned_batches()
    position.next(7)
    again = source.captioned_batches()
    again.seek(position.position())
    assert all(map(torch.equal, position.next(9), again.next(9)))


def test_others_are_of_another_caption(source):
    """Never of the same, and all others alike often."""
    rng = torch.Generator().manual_seed(0)
    known = {row.numpy().tobytes(): i for i, row in enumerate(source.training)}
    numbers = source.numbers(source.captions)
    for number in (int(numbers.min()), 40, int(numbers.max())):
        tokens = source.prompts[number].expand(6_000, -1)
        places = [known[row.numpy().tobytes()] for row in source.others(tokens, rng)]
        counts = np.bincount(places, minlength=len(numbers))
        assert counts[(numbers == number).numpy()].sum() == 0
        rest = counts[(numbers != number).numpy()]
        assert (rest > 0).mean() == pytest.approx(1 - np.exp(-6_000 / len(rest)), abs=0.03)
        assert rest.mean() * 0.7 < rest[:1_000].mean() < rest.mean() * 1.3


def test_captions_are_asked_for_as_often_as_there_are(source):
    rng = torch.Generator().manual_seed(0)
    asked = np.bincount(source.numbers(source.asked(20_000, rng)), minlength=90) / 20_000
    there = np.bincount(source.numbers(source.captions), minlength=90) / len(source.captions)
    assert abs(asked - there).max() < 0.005


def test_vectors_of_captions(source):
    """Those of the frozen towers, centred and scaled over all captions, whoever asks."""
    own = TOWERS["captions-towers"].part.texts(source.prompts)
    found = source.encode(source.prompts)
    torch.testing.assert_close(found.mean(0), torch.zeros(64), atol=1e-5, rtol=0)
    assert found.square().mean() == pytest.approx(1, abs=1e-5)
    scale = (own - own.mean(0)).square().mean().sqrt()
    torch.testing.assert_close(found[7] * scale + own.mean(0), own[7])
    assert torch.equal(source.encode(source.prompts.flip(0)), found.flip(0))
    with pytest.raises(UsageError, match="expected tokens of a caption of the data, got"):
        source.encode(torch.zeros(1, 4, dtype=torch.int64))


def test_all_images_of_a_caption(source):
    """Trained on, held out or set aside: all 5,000, each where it belongs."""
    assert sum(map(len, source.kin.values())) == 5_000
    for number in (0, 33, 89):
        images = source.kin[number][:, 0].numpy()
        wanted = captions.every_combination()[[number] * len(images)]
        assert np.array_equal(captioned.cuts().read(images, wanted[:, 2]), wanted)
