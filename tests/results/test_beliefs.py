"""What a critic takes for real, as colours, and where a page puts them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from results.pages.sheets import frame_of, way_of
from results.pictures.beliefs import belief, tinted

FACTS = {"centres": [[1.0, 0.0], [-1.0, 0.0]], "widths": [0.1]}


def test_belief_rises_with_the_logit_and_is_a_half_at_its_middle():
    found = belief(np.array([[-3.0, 0.0], [1.0, 2.0]]))
    assert found.ravel().tolist() == sorted(found.ravel())
    assert found.min() >= 0
    assert found.max() <= 1
    assert belief(np.array([1.0, 2.0, 3.0]))[1] == 0.5


def test_a_tint_is_red_where_it_is_taken_for_real_and_its_first_row_is_the_lowest():
    """Logits are laid rows from below, pictures rows from above."""
    logits = np.zeros((5, 5))
    logits[0, 4], logits[4, 0] = 3, -3
    found = tinted(logits).astype(int)
    assert found.shape == (5, 5, 3)
    real, fake = found[4, 4], found[0, 0]
    assert real[0] > real[2] + 25
    assert fake[2] > fake[0] + 25
    assert np.ptp(found[2, 2]) < 12
    assert found.min() > 255 * 0.5


def looked(**more):
    looks = np.array([[[0.0, 0.0]], [[1.0, 0.0]]])
    return {"training": looks, "training_steps": np.array([10, 20]), **more}


def opened(address):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_a_look_has_its_own_field_and_how_wide_it_is():
    """The page's frame is 1.55 wide, from the modes; fields are as wide as they were asked."""
    place = frame_of(FACTS)
    fields = np.zeros((2, 4, 4), dtype=np.float16)
    fields[0, 0, 0] = fields[1, 3, 3] = 5
    arrays = looked(training_fields=fields, training_reach=np.array(3.1))
    way = way_of(arrays, FACTS, place)["way"]
    assert [frame["step"] for frame in way] == [10, 20]
    assert [frame["wide"] for frame in way] == [pytest.approx(2.0, abs=1e-3)] * 2
    for frame, field in zip(way, fields, strict=True):
        assert np.array_equal(opened(frame["field"]), tinted(field.astype(float)))


@pytest.mark.parametrize("missing", ["training_fields", "training_reach", "one"])
def test_without_a_field_of_each_look_there_is_none(missing):
    arrays = looked(training_fields=np.zeros((2, 4, 4)), training_reach=np.array(3.1))
    if missing == "one":
        arrays["training_fields"] = arrays["training_fields"][:1]
    else:
        del arrays[missing]
    way = way_of(arrays, FACTS, frame_of(FACTS))["way"]
    assert [set(frame) for frame in way] == [{"points", "step"}] * 2
