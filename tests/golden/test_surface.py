"""The public surface is a promise: what is here may be added to, never silently changed."""

import importlib

from bench import api
from bench.cli import VERBS
from results.rows import COLUMNS, STATUSES

DESIGNED_COLUMNS = """
schema_version suite tier task series cell_id key artifact_key dataset dataset_fingerprint model
source_model attack norm epsilon step label settings seed metric metric_version direction value
std_error n status reason seconds peak_rss_mb device threads commit dirty versions started_at
outcomes examples
""".split()

RUN_OPTIONS = """
suite tier only grid seeds set out workers executor device timeout fresh keep_old
""".split()

MODELS = "oracle noise gmm gmm-bic one-gaussian gan nsgan rsgan".split()
DATASETS = "ring8@pacgan ring8@unrolled-paper ring@unrolled-notebook grid25@pacgan hd10@veegan"
METRICS = """
modes_covered modes_raw missing_mass empty_mass high_quality high_quality@euclid3 high_quality@box3
high_quality@veegan high_quality@pacgan high_quality@rms reverse_kl_modes forward_kl_modes js_modes
kl_floor reverse_kl_pacgan reverse_kl_density reverse_kl_smoothed log_likelihood
""".split()


def test_the_columns_of_a_row():
    """Every column of the design is there, in its order."""
    assert [name for name in COLUMNS if name in DESIGNED_COLUMNS] == DESIGNED_COLUMNS


def test_the_statuses_are_closed():
    """Eight, and no other."""
    assert set(STATUSES) == set("ok diverged failed timeout crashed oom skipped invalid".split())


def test_the_verbs_and_the_options_of_run():
    """What users and CI scripts type."""
    assert set("list plan run show cite env clean".split()) <= set(VERBS)
    command = importlib.import_module("bench.commands.run").command
    assert set(RUN_OPTIONS) <= {option.name for option in command.params}


def test_the_verbs_of_the_api():
    """The same verbs from Python."""
    for name in ("list", "plan", "run", "execute", "show", "cite", "env", "clean"):
        assert callable(getattr(api, name))


def test_the_names_of_parts():
    """A name that is on a published row stays."""
    assert set(MODELS) <= set(api.RECIPES)
    assert set(DATASETS.split()) <= set(api.DATASETS)
    assert set(METRICS) <= set(api.METRICS)
