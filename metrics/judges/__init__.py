"""Frozen classifiers that score samples: a network, its weights, and a card for each.

Never trained at run time. The weights differ in their last bits where the script that made them,
`python -m bench.models.makejudges`, runs on another machine, and every score with them: the files here
are the judges.
"""

from metrics.judges.frozen import JUDGES, Judge, JudgeFacts, Reading

__all__ = ["JUDGES", "Judge", "JudgeFacts", "Reading"]
