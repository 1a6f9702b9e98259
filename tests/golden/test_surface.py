"""The public surface is a promise: what is here may be added to, never silently changed."""

import importlib
import inspect

from bench import api
from bench.cli import VERBS
from results import published
from results.gate.verdicts import COLUMNS as GATE_COLUMNS
from results.gate.verdicts import FAILURE, REGRESSION, SEVERITY, UNSETTLED
from results.rows import COLUMNS, STATUSES

DESIGNED_COLUMNS = """
schema_version suite tier task series cell_id key artifact_key dataset dataset_fingerprint model
source_model attack norm epsilon step label settings seed metric metric_version direction value
std_error n status reason seconds peak_rss_mb device threads commit dirty versions started_at
outcomes examples
""".split()

VERDICTS = "REGRESSED FAILED INCOMPARABLE INCONCLUSIVE IMPROVED NEW IGNORED PASS".split()
VERDICT_COLUMNS = """
level verdict suite tier task series cell_id dataset model source_model attack norm epsilon metric
metric_version direction primary kind before after shift margin loss low high p p_adjusted
seeds_before seeds_after seeds_needed seed reason
""".split()

RUN_OPTIONS = """
suite tier only grid seeds set out workers executor device timeout fresh keep_old
""".split()

MODELS = """
oracle noise one-mode drop-one gmm gmm-bic one-gaussian pca-gaussian untrained vae vae-mean
autoencoder denoising-autoencoder gan nsgan lsgan lsgan-pearson hingegan rsgan rasgan rlsgan
ralsgan rhinge rahinge wgan wgan-gp dragan r1gan sngan
fgan-kl fgan-reverse-kl fgan-pearson fgan-neyman fgan-hellinger fgan-jeffrey fgan-js fgan-tv
fgan-alpha softmax-gan bgan b-gan smoothed-gan
ali bigan veegan aae vae-gan latent-regressor
""".split()
LOSSES = """
boundary-seeking density-ratio smoothed softmax
fgan-kl fgan-reverse-kl fgan-pearson fgan-neyman fgan-hellinger fgan-jeffrey fgan-js fgan-tv
fgan-alpha
""".split()
DATASETS = """
ring8@pacgan ring8@unrolled-paper ring@unrolled-notebook grid25@pacgan hd10@veegan
single@mnist5k stack2@mnist5k stack3@mnist5k single@optdigits stack2@optdigits stack3@optdigits
single@mnist stack2@mnist stack3@mnist single@fashion stack2@fashion stack3@fashion
""".split()
JUDGES = "digits-cnn optdigits-cnn fashion-cnn".split()
PUBLISHED = "pacgan-table1 veegan-table1 pacgan-table2 pacgan-table3 veegan-table2 engan-stacked"
KINDS = """
suites models losses penalties constraints protocols metrics rules datasets judges published
""".split()
METRICS = """
modes_covered modes_raw missing_mass empty_mass high_quality high_quality@euclid3 high_quality@box3
high_quality@veegan high_quality@pacgan high_quality@rms reverse_kl_modes forward_kl_modes js_modes
kl_floor reverse_kl_pacgan reverse_kl_density reverse_kl_smoothed log_likelihood
stack_modes stack_modes_raw off_manifold off_manifold_digits reverse_kl_stack reverse_kl_stack_raw
stack_kl_floor elbo elbo_reconstruction elbo_divergence log_likelihood_importance
""".split()


def test_the_columns_of_a_row():
    """Every column of the design is there, in its order."""
    assert [name for name in COLUMNS if name in DESIGNED_COLUMNS] == DESIGNED_COLUMNS


def test_the_statuses_are_closed():
    """Eight, and no other."""
    assert set(STATUSES) == set("ok diverged failed timeout crashed oom skipped invalid".split())


def test_the_gate():
    """Verdicts, exit codes, options and rows that CI scripts read."""
    assert set(SEVERITY) == set(VERDICTS)
    assert (REGRESSION, FAILURE, UNSETTLED) == (3, 4, 5)
    assert set(VERDICT_COLUMNS) <= set(GATE_COLUMNS)
    options = {option.name for option in _command("compare").params}
    assert {"base", "new", "policy", "on_inconclusive", "junit", "markdown", "as_json"} <= options
    assert {"set", "show", "list"} <= set(_command("baseline").commands)
    assert {"metrics", "gate", "part"} <= set(_command("check").commands)
    assert "run" in {option.name for option in _command("calibrate").params}


def _command(verb):
    return importlib.import_module(f"bench.commands.{verb}").command


def test_the_verbs_and_the_options_of_run():
    """What users and CI scripts type."""
    assert set("list plan run show claims sample cite env clean".split()) <= set(VERBS)
    command = importlib.import_module("bench.commands.run").command
    assert set(RUN_OPTIONS) <= {option.name for option in command.params}


def test_the_verbs_of_the_api():
    """The same verbs from Python."""
    for name in (
        "list",
        "plan",
        "run",
        "execute",
        "show",
        "sample",
        "cite",
        "env",
        "clean",
        "ledger",
        "claims",
    ):
        assert callable(getattr(api, name))


def test_the_names_of_parts():
    """A name that is on a published row stays."""
    assert set(MODELS) <= set(api.RECIPES)
    assert set(LOSSES) <= set(api.list("losses")["name"])
    assert set(DATASETS) <= set(api.DATASETS)
    assert set(METRICS) <= set(api.METRICS)
    assert set(JUDGES) <= set(api.JUDGES)
    assert set(PUBLISHED.split()) <= set(published.names())


def test_the_kinds_of_a_list():
    """Each can be listed, from Python and by the command, in one order."""
    assert set(KINDS) <= set(importlib.import_module("bench.commands.list").KINDS)
    for kind in KINDS:
        assert len(api.list(kind)) > 0


def test_the_options_of_sample():
    """What documents and notebooks type."""
    command = importlib.import_module("bench.commands.sample").command
    assert {option.name for option in command.params} >= set(
        "run model dataset seed count out".split()
    )
    assert {"-n"} <= {text for option in command.params for text in option.opts}
    names = set(inspect.signature(api.sample).parameters)
    assert names >= set("run model dataset seed n out".split())
