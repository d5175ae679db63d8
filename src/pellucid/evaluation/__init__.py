"""Evaluation: how good a model is, measured so that the measurement itself can be released.

`hold_out` and `score` are steps for a pipeline. They wrap `split`, which parts people into train and hold-out and hides some
items of the latter, and `per_person`, which scores a model on them, one row per person. `mean` averages (as private as its
input; to publish it, release it with `pellucid.privacy.mechanisms.mean`).

`evaluate` measures a ranking of documents against relevance judgements, query by query, with intervals and paired tests against
baselines; `read_run`, `write_run` and `read_judgements` are the TREC files it works on.

May import models, privacy, pipeline, store and data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.evaluation.evaluation_steps import hold_out, score
    from pellucid.evaluation.hold_out_split import Split, split, split_by_time
    from pellucid.evaluation.paired_tests import holm, interval, randomisation
    from pellucid.evaluation.ranking_measures import mean, per_person
    from pellucid.evaluation.retrieval_measures import MEASURES, Comparison, Evaluation, evaluate
    from pellucid.evaluation.trec_files import format_of, minus_ones, read_judgements, read_run, write_run

__all__ = [
    "MEASURES", "Comparison", "Evaluation", "Split", "evaluate", "format_of", "hold_out", "holm", "interval", "mean", "minus_ones",
    "per_person", "randomisation", "read_judgements", "read_run", "score", "split", "split_by_time",
    "write_run",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "evaluation_steps": (
            "hold_out",
            "score",
        ),
        "hold_out_split": (
            "Split",
            "split",
            "split_by_time",
        ),
        "paired_tests": ("holm", "interval", "randomisation"),
        "ranking_measures": (
            "mean",
            "per_person",
        ),
        "retrieval_measures": ("MEASURES", "Comparison", "Evaluation", "evaluate"),
        "trec_files": ("format_of", "minus_ones", "read_judgements", "read_run", "write_run"),
    },
)
