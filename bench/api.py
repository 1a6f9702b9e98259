"""The verbs of the command line from Python; each returns a DataFrame.

    from bench import api
    table = api.run("mode-collapse", tier="quick")
    api.show("runs/mode-collapse/quick")

`run` works in this process unless told `executor="processes"`; a script that asks for
processes needs the usual `if __name__ == "__main__":`.
"""

from __future__ import annotations

import pandas as pd

from bench.attack.attack import Classifier, Data, attack, evaluate_attack
from bench.attack.norms import AttackedInNorms
from bench.attack.report import Attacked
from bench.catalogue.parts import REGISTRIES, cache_contents, cite, clean, env
from bench.catalogue.parts import list_parts as list
from bench.core.errors import BenchError, StoreError, UsageError
from bench.datasets import DATASETS
from bench.figures.figure import Illustrated, figure
from bench.gate.compare import calibrate, calibration, compare, comparison
from bench.gate.selfcheck import check_gate
from bench.laws.check import check_part
from bench.report.export import export
from bench.report.log import log
from bench.report.report import report
from bench.report.show import show
from bench.run.merge import merge
from bench.run.plan import Plan
from bench.run.run import Report, Watcher, execute, plan, plan_of, run
from bench.sample.film import film
from bench.sample.sample import sample, truncations
from bench.score.report import Scored
from bench.score.samples import Given
from bench.score.score import measure_score, score
from bench.score.selfcheck import check_metrics
from generative import RECIPES
from metrics import JUDGES, METRICS
from results.ledger.listing import ledger
from results.opened import Opened, load
from results.pictures.plot import plot
from results.runs import claims, records_of, refusing_damage, summary_of

__all__ = [
    "DATASETS",
    "JUDGES",
    "METRICS",
    "RECIPES",
    "REGISTRIES",
    "Attacked",
    "AttackedInNorms",
    "BenchError",
    "Classifier",
    "Data",
    "Given",
    "Illustrated",
    "Opened",
    "Plan",
    "Report",
    "Scored",
    "StoreError",
    "UsageError",
    "Watcher",
    "attack",
    "cache_contents",
    "calibrate",
    "calibration",
    "check_gate",
    "check_metrics",
    "check_part",
    "cite",
    "claims",
    "clean",
    "compare",
    "comparison",
    "env",
    "evaluate_attack",
    "execute",
    "export",
    "figure",
    "film",
    "ledger",
    "list",
    "load",
    "log",
    "measure_score",
    "merge",
    "pd",
    "plan",
    "plan_of",
    "plot",
    "records_of",
    "refusing_damage",
    "report",
    "run",
    "sample",
    "score",
    "show",
    "summary_of",
    "truncations",
]
