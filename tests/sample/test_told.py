"""bench sample --caption: a trained model told captions, and what is refused."""

import numpy as np
import pytest
from harness import bench

from bench import api
from bench.core.errors import UsageError
from bench.sample.told import COLUMNS

SEVEN, TWO = "a thin upright seven", "a thick slanted two"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of a short training, and the cache of what it trained."""
    home = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_CACHE", str(home / "cache"))
        patch.setattr("bench.tasks.generation.text.feature_scores", lambda *of: ())
        api.execute(
            "text-to-image",
            tier="quick",
            out=str(home / "run"),
            grid={"model": ["gan-int-cls", "real-pairs", "stackgan"]},
            set={"steps": 4, "samples": 100, "evaluations": 1},
        )
    return home


@pytest.fixture
def run(measured, monkeypatch):
    monkeypatch.setenv("MINIMAX_CACHE", str(measured / "cache"))
    return str(measured / "run")


def test_a_caption_decides_the_samples(run, tmp_path):
    """As many as asked, the same again, others of another caption."""
    first = api.sample(run, "gan-int-cls", caption=SEVEN, n=3)
    assert first.shape == (3, 1, 28, 28)
    assert np.array_equal(first, api.sample(run, "gan-int-cls", caption="seven upright thin", n=3))
    assert not np.array_equal(first, api.sample(run, "gan-int-cls", caption=TWO, n=3))
    out = tmp_path / "sheet.png"
    api.sample(run, "gan-int-cls", caption=SEVEN, n=3, out=str(out))
    assert out.exists()


def test_a_way_from_one_caption_to_another(run):
    """Rows of eight that begin at the one and end at the other, by one code each."""
    way = api.sample(run, "gan-int-cls", caption=SEVEN, to=TWO, n=2 * COLUMNS)
    back = api.sample(run, "gan-int-cls", caption=TWO, to=SEVEN, n=2 * COLUMNS)
    rows = way.reshape(2, COLUMNS, -1).astype(int)
    assert abs(rows - back.reshape(2, COLUMNS, -1)[:, ::-1]).max() <= 1
    assert not np.array_equal(rows[:, 0], rows[:, -1])
    plain = api.sample(run, "gan-int-cls", caption=SEVEN, n=2)
    gaps = [abs(plain.reshape(2, -1).astype(int) - rows[:, end]).sum() for end in (0, -1)]
    assert gaps[0] < gaps[1]


def test_what_each_of_two_stages_draws(run):
    """Of the same codes: the first at its own size, and both, which is what is drawn unasked."""
    both = api.sample(run, "stackgan", caption=SEVEN, n=3)
    assert np.array_equal(api.sample(run, "stackgan", caption=SEVEN, n=3, level=1), both)
    first = api.sample(run, "stackgan", caption=SEVEN, n=3, level=0)
    assert both.shape == (3, 1, 28, 28)
    assert first.shape == (3, 1, 14, 14)
    assert not np.array_equal(first, api.sample(run, "stackgan", caption=TWO, n=3, level=0))
    assert not np.array_equal(both, api.sample(run, "stackgan", caption=TWO, n=3))


def test_real_pairs_show_what_is_asked_for(run):
    assert len(api.sample(run, "real-pairs", caption=TWO, n=4)) == 4


@pytest.mark.parametrize(
    ("model", "told", "message"),
    [
        ("gan-int-cls", {"caption": "a thn upright seven"}, "unknown word 'thn': did you mean 'th"),
        ("gan-int-cls", {"caption": "seven"}, "expected one thickness of thin, medium, thick, got"),
        ("gan-int-cls", {"to": TWO}, "from which caption"),
        ("gan-int-cls", {"caption": SEVEN, "interpolate": True}, "expected one of .*caption"),
        ("gan-int-cls", {"caption": SEVEN, "label": 3}, "expected one of .*label"),
        ("real-pairs", {"caption": SEVEN, "to": TWO}, "has nothing between two captions"),
        ("gan-int-cls", {"caption": SEVEN, "level": 0}, "has no two stages: stackgan has"),
        ("stackgan", {"caption": SEVEN, "level": 2}, "level 2 was not trained: expected 0, what"),
        ("stackgan", {"caption": SEVEN, "to": TWO, "level": 0}, "expected one of .*level"),
    ],
)
def test_what_is_refused(run, model, told, message):
    with pytest.raises(UsageError, match=message):
        api.sample(run, model, **told)


def test_unknown_words_are_one_line_and_exit_2(run, tmp_path, capsys):
    out = tmp_path / "x.png"
    asked = ["sample", run, "--model", "gan-int-cls", "--caption", "a thin sevn", "-o", out]
    assert bench(*asked) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert "unknown word 'sevn': did you mean 'seven'" in said
    assert not out.exists()
