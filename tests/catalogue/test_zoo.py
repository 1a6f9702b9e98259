"""The names of the GAN zoo: all 86, each with what it is, and no recipe claimed without one."""

from __future__ import annotations

import re
from collections import Counter

from harness import bench

from bench import api
from bench.catalogue import zoo

COUNT = 86


def test_every_name_is_there_once_with_a_status_and_what_it_is():
    rows = zoo.rows()
    assert len(rows) == len({row["name"] for row in rows}) == COUNT
    assert {row["status"] for row in rows} <= set(zoo.STATUSES)
    assert all(row["about"] for row in rows)


def test_a_recipe_is_a_model_that_is_registered_and_nothing_else_names_one():
    for row in zoo.rows():
        models = row["models"].split()
        assert bool(models) == (row["status"] == "recipe"), row["name"]
        assert set(models) <= set(api.RECIPES), row["name"]


def test_models_of_the_zoo_are_not_left_out():
    """A model that is called as a name of the list is, is on its line."""
    lines = {re.sub(r"[^a-z0-9]", "", row["name"].lower()): row for row in zoo.rows()}
    for name in api.RECIPES:
        row = lines.get(re.sub(r"[^a-z0-9]", "", name))
        if row is not None and name not in ("lsgan", "bgan"):
            assert name in row["models"].split(), name


def test_what_is_told_apart_is():
    """Names that are nearly one another's say so."""
    about = {row["name"]: row["about"] for row in zoo.rows()}
    for name, other in (("MAD-GAN", "MAGAN"), ("LS-GAN", "LSGAN"), ("SEGAN", "SeGAN")):
        assert f"not {other}" in about[name]


def test_it_can_be_listed(capfd):
    assert bench("list", "zoo") == 0
    text = capfd.readouterr().out
    counted = Counter(row["status"] for row in zoo.rows())
    assert text.count("out of scope") == counted["out of scope"]
    assert "unrolled5" in text
    assert len(api.list("zoo")) == COUNT
