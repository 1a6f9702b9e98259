"""What holds for every registry: names, facts, answers; and parts from elsewhere."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.core.errors import UsageError
from bench.core.registry import Entry, NoFacts, Registry
from bench.laws.parts import registries
from generative import (
    PARTS,
    RECIPES,
)
from results import bibliography

HOME = Path(bibliography.__file__).parent.parent
EVERY = [pytest.param(registry, id=kind) for kind, registry in registries().items()]


@pytest.fixture(params=EVERY)
def registry(request):
    return request.param


def test_the_parts_of_a_recipe_are_registered():
    """They are cited with it, each under a name of its own."""
    names = [name for kind in PARTS for name in kind]
    assert len(names) == len(set(names))
    for entry in RECIPES.entries():
        assert set(entry.facts.parts) <= set(names), entry.name


def test_every_part_of_a_gan_is_in_use():
    """A part without a recipe can't be compared. What plays alternately says nothing of it."""
    used = {part for entry in RECIPES.entries() for part in entry.facts.parts}
    parts = [entry for kind in PARTS for entry in kind.entries()]
    ours = {entry.name for entry in parts if entry.origin.startswith("generative.")}
    ours -= {"alternating"}
    assert ours <= used <= {entry.name for entry in parts}


def test_a_taken_name_is_refused(registry):
    """And the first entry stays."""
    name = next(iter(registry))
    entry = registry[name]
    message = f"{registry.kind} '{name}' is registered already, by {entry.origin}"
    with pytest.raises(ValueError, match=re.escape(message)):
        registry.register(name)(object())
    assert registry[name] is entry


def test_unknown_facts_are_refused(registry):
    """Beside facts that are known; nothing is registered."""
    known = vars(registry.entries()[0].facts)
    with pytest.raises(TypeError, match="nonsense"):
        registry.register("new", **known, nonsense=1)(object())
    assert "new" not in registry


def test_an_unknown_name_is_answered_with_the_nearest(registry):
    """Or with what there is, where nothing is near."""
    name = max(registry, key=len)
    with pytest.raises(UsageError, match=f"unknown {registry.kind} '{name}y'.*'{name}'"):
        registry[f"{name}y"]
    with pytest.raises(UsageError, match=f"unknown {registry.kind} '~': known: "):
        registry["~"]


def test_a_registry_is_a_collection_of_names(registry):
    """In the order of registration, each once."""
    names = [entry.name for entry in registry.entries()]
    assert list(registry) == names
    assert len(registry) == len(names) == len(set(names)) > 0
    assert "no such name" not in registry


@dataclass(frozen=True)
class Facts:
    """Facts of a registry of the test's own."""

    size: int = 1


def test_registering():
    """A decorator gives the part back; facts, paper and summary stand on the entry."""
    registry = Registry("thing", Facts)

    @registry.register("one", paper="arXiv:1", size=2)
    def one():
        """The first.

        And more.
        """

    registry.register("two", summary="Another.")(one)
    assert registry["one"] == Entry("one", one, "arXiv:1", "The first.", __name__, Facts(2))
    assert registry["two"].summary == "Another."
    assert registry["two"].facts == Facts()
    assert list(registry) == ["one", "two"]


def test_an_empty_registry_says_so():
    """There is no nearest name to offer."""
    with pytest.raises(UsageError, match="unknown thing 'x': none is registered"):
        Registry("thing", Facts)["x"]


def test_a_part_of_the_users_own(tmp_path, monkeypatch):
    """`module:attribute` is loaded, with the default facts; a wrong one is a usage error."""
    (tmp_path / "part_of_mine.py").write_text("class Mine:\n    '''It is mine.'''\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("thing", Facts)
    entry = registry["part_of_mine:Mine"]
    assert (entry.part.__name__, entry.facts, entry.paper) == ("Mine", Facts(), "")
    assert len(registry) == 0
    with pytest.raises(UsageError, match="'part_of_mine' has no 'Yours'"):
        registry["part_of_mine:Yours"]
    with pytest.raises(UsageError, match="can't import 'no_such_module'"):
        registry["no_such_module:Mine"]


OFFERED = '''
from torch.nn.functional import softplus

from generative.contracts import LOSSES, RECIPES, Loss
from generative.recipes.adversarial import Adversarial


@LOSSES.register("offered")
class Offered(Loss):
    """A loss from elsewhere."""

    def critic(self, real, fake):
        return softplus(-real) + softplus(fake)

    def generator(self, real, fake):
        return softplus(-fake)


RECIPES.register("offered-gan", parts=("offered",))(Adversarial("offered"))
'''


REPORT = """
import json, warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import bench.tasks

from generative import LOSSES, RECIPES

found = {
    "loss": LOSSES["offered"].origin if "offered" in LOSSES else None,
    "recipe": "offered-gan" in RECIPES,
    "ours": "minimax" in LOSSES and "oracle" in RECIPES,
    "warnings": [str(w.message) for w in caught if "were not loaded" in str(w.message)],
}
print(json.dumps(found))
"""


def _offer(folder, distribution, points, module):
    """Lay out an installed distribution: its metadata and one module."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[minimax.parts]\n{points}\n")
    (folder / f"{distribution}_parts.py").write_text(textwrap.dedent(module))


def test_parts_from_other_distributions(tmp_path):
    """Those of the entry points are registered; a broken one is a warning, and no more."""
    _offer(tmp_path, "fine", "fine = fine_parts\nodd = fine_parts:missing", OFFERED)
    _offer(tmp_path, "broken", "broken = broken_parts", "raise RuntimeError('not today')")
    _offer(tmp_path, "taken", "taken = taken_parts", OFFERED.replace("offered", "minimax"))
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(HOME)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["loss"] == "fine_parts"
    assert found["recipe"]
    assert found["ours"]
    broken, odd, taken = found["warnings"]
    assert re.match(r"parts 'broken' \(broken_parts\) were not loaded: .*not today", broken)
    assert re.match(r"parts 'odd' \(fine_parts:missing\) were not loaded: .*missing", odd)
    assert re.match(r"parts 'taken' \(taken_parts\) were not loaded: .*registered already", taken)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("One line.", "One line."),
        ("One line.\n\n    More of it.", "One line."),
        ("A sentence that\n    goes on.\n\n    More.", "A sentence that goes on."),
        ("A sentence that\n    goes on; and on.", "A sentence that goes on"),
        ("A line. And another\n    one.", "A line."),
        ("", ""),
    ],
)
def test_a_summary_is_a_whole_sentence_of_the_docstring(text, summary):
    registry = Registry("thing", NoFacts)

    def part() -> None: ...

    part.__doc__ = text
    registry.register("part")(part)
    assert registry["part"].summary == summary
