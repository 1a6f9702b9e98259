"""What is typed in the way that comes to mind is taken, or answered with where it belongs."""

from __future__ import annotations

import pytest
from unrun import run_of

from bench import api
from bench.core.errors import UsageError
from bench.sample.trained import Which, find_cell
from bench.tasks.robustness.settings import choose_attack
from results.shown import Shown


def test_one_radius_is_a_list_of_one():
    """As a number, which is what `--set radii=0.1` is read as."""
    chosen, same = (choose_attack("fgsm", {"radii": value}) for value in (0.1, "0.1"))
    assert chosen.radii == same.radii == [0.1]
    assert chosen.relevant == same.relevant
    assert choose_attack("ddn", {"within": 2}).counted == [2.0]
    with pytest.raises(UsageError, match="radii"):
        choose_attack("fgsm", {"radii": True})


def test_a_plan_of_attacks_has_the_attack_on_its_rows():
    table = api.plan("fgsm", tier="quick")
    assert {"fgsm", "pgd"} <= set(table["attack"])


@pytest.mark.parametrize("name", ["block", "dataset", "seed", "model"])
def test_what_has_a_parameter_is_not_a_setting(tmp_path, name):
    manifest = run_of(tmp_path).manifest
    with pytest.raises(UsageError, match=f"say the {name} by `{name}`, as b"):
        find_cell(manifest, "gan", Which(only=((name, "b"),)))


@pytest.mark.parametrize("order", [("loss", "high_quality"), ("high_quality", "loss")])
def test_columns_stand_in_the_order_that_is_asked_for(tmp_path, order):
    """And rows where they stood."""
    run = run_of(tmp_path)
    (layout,) = Shown([run], metrics=order).layouts()
    assert [name for name in layout.metrics if name] == list(order)
    (usual,) = Shown([run]).layouts()
    assert [row[0][0] for row in layout.rows] == [row[0][0] for row in usual.rows]
    by_name = {name: at for at, name in enumerate(layout.metrics) if name}
    plain = {name: at for at, name in enumerate(usual.metrics) if name}
    for row, same in zip(layout.rows, usual.rows, strict=True):
        assert all(row[by_name[name]] == same[plain[name]] for name in order)
