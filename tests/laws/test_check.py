"""Whoever has a part can put it to the laws: good parts pass, and each planted fault is caught."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import api
from bench.cli import main
from bench.core.errors import UsageError
from bench.laws.base import judge, laws_of, load

load()
HOME = Path(api.__file__).parents[1]
PLANTED = Path(__file__).with_name("planted_parts.py")
CAUGHT = {
    "WrongSign": "the-generator-pulls-fakes-up",
    "Reduced": "a-loss-is-unreduced",
    "Exponential": "a-loss-is-stable",
    "Cautious": "a-limit-of-the-logits-is-needed",
    "one_norm": "a-batch-is-its-samples",
    "halve": "projecting-twice-is-projecting-once",
    "out_of_the_ball": "an-attack-stays-in-the-ball-and-the-box",
    "normless": "an-attack-names-its-norms",
    "mates": "batch-mates-do-not-matter",
    "of_the_first": "the-order-does-not-matter",
    "one_seed": "another-seed-has-other-data",
    "seedless": "a-learner-depends-on-its-seed",
    "columns": "a-critic-gives-a-logit-each",
    "centred": "an-image-does-not-depend-on-its-batch",
}
GOOD = {
    "GoodLoss": "",
    "good_penalty": "",
    "good_constraint": "",
    "good_attack": "",
    "good_metric": "",
    "good_dataset": "",
    "good_extractor": "",
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The folder of the user's file; its parts leave the registries when the module is done."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copy(PLANTED, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        from bench.laws.parts import registries

        for registry in registries().values():
            patch.setattr(registry, "_entries", dict(registry._entries))
        yield folder
        sys.modules.pop("planted_parts", None)


def _broken(found):
    rows = found[found["verdict"] == "broken"]
    return dict(zip(rows["law"], rows["counter_example"], strict=True))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_part_passes(planted, name):
    """All its laws hold, or it is exempt by what it declares."""
    found = api.check_part(f"planted_parts:{name}")
    assert list(found.columns) == ["law", "verdict", "counter_example"]
    assert set(found["verdict"]) <= {"holds", "exempt", "skipped"}, _broken(found)
    assert (found["verdict"] == "holds").sum() >= 3


@pytest.mark.parametrize("name", CAUGHT)
def test_a_planted_fault_is_caught(planted, name):
    """By the law that is about it, with a counter-example."""
    broken = _broken(api.check_part(f"planted_parts:{name}"))
    assert CAUGHT[name] in broken, broken
    assert broken[CAUGHT[name]]


def test_every_capability_of_a_model_has_a_law_that_sees_its_fault(planted):
    """A fault of one method each, and the law that is about it."""
    import planted_parts

    for name, entry in planted_parts.ABLE.items():
        (law,) = [law for law in laws_of(entry, "model") if law.name == name]
        found = [judge(law, entry, case, values) for case, values in law.cases_of(entry).items()]
        assert "broken" in {finding.verdict for finding in found}, name


def test_unknown_parts_are_refused(planted):
    """With the nearest name; what is no part, and a kind that there is not."""
    with pytest.raises(UsageError, match="unknown part 'hinj': did you mean 'hinge'"):
        api.check_part("hinj")
    with pytest.raises(UsageError, match="unknown kind of part 'los': did you mean 'loss'"):
        api.check_part("hinge", kind="los")
    with pytest.raises(UsageError, match="'planted_parts:FACTS' is no part: expected one of loss"):
        api.check_part("planted_parts:FACTS")
    with pytest.raises(UsageError, match="unknown attack 'hinge'"):
        api.check_part("hinge", kind="attack")
    with pytest.raises(UsageError, match="'fgan-kl' is a loss and a model: say which by `kind`"):
        api.check_part("fgan-kl")


def test_an_exemption_that_nothing_needs_is_an_error(planted):
    """A known issue that is none any more, too."""
    from generative import LOSSES

    for given in ({"exempt": "a-loss-is-stable: no"}, {"known_issue": "a-loss-is-stable[*]: no"}):
        LOSSES.register(f"my-{next(iter(given)).replace('_', '-')}", summary="mine", **given)(
            type("Loss", (LOSSES["nonsaturating"].part,), {})
        )
    for name in ("my-exempt", "my-known-issue"):
        assert "strike that off" in _broken(api.check_part(name))["a-loss-is-stable"]


def test_an_exemption_names_a_law(planted):
    """And a reason."""
    from generative import LOSSES

    for name, text in (("my-first", "no-such-law: no"), ("my-second", "a-loss-is-stable")):
        part = type("Loss", (LOSSES["nonsaturating"].part,), {})
        LOSSES.register(name, summary="mine", exempt=text)(part)
        assert "exemptions-name-laws" in _broken(api.check_part(name))


WITHOUT_TESTS = """
import sys

for name in ("pytest", "hypothesis", "_pytest"):
    sys.modules[name] = None
from bench.cli import main

main(sys.argv[1:])
"""


def _bench(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TESTS, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _exit_code(*arguments):
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    return left.value.code


def test_exit_codes(planted, capsys):
    """0 where all laws hold, 2 for an unknown part."""
    assert _exit_code("check", "part", "planted_parts:GoodLoss") == 0
    assert "a-loss-is-unreduced" in capsys.readouterr().out
    assert _exit_code("check", "part", "planted_parts:Nothing") == 2
    assert "has no 'Nothing'" in capsys.readouterr().err


def test_the_command_needs_no_pytest(planted):
    """In a user's folder, outside the tree: rows, and exit code 4 where a law is broken."""
    bad = _bench(planted, "check", "part", "planted_parts:WrongSign", "--json")
    assert bad.returncode == 4, bad.stderr
    rows = {row["law"]: row for row in json.loads(bad.stdout)}
    assert rows["the-generator-pulls-fakes-up"]["verdict"] == "broken"
    assert "by_fake" in rows["the-generator-pulls-fakes-up"]["counter_example"]
