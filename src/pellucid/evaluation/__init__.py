"""Evaluation: how good a model is, measured so that the measurement itself can be released.

`hold_out` and `score` are steps for a pipeline. They wrap `split`, which parts people into train and hold-out and hides some
items of the latter, and `per_person`, which scores a model on them, one row per person. `mean` averages (as private as its
input; to publish it, release it with `pellucid.privacy.mechanisms.mean`).

`evaluate` measures a ranking of documents against relevance judgements, query by query, with intervals and paired tests against
baselines; `read_run`, `write_run` and `read_judgements` are the TREC files it works on. `team_draft` interleaves two rankings; `gate`
decides between them from one bit a person. `off_policy` says what another policy would have earned, from a log with known chances.

May import models, privacy, pipeline, store and data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.evaluation.evaluation_report import html_report
    from pellucid.evaluation.evaluation_steps import hold_out, score
    from pellucid.evaluation.hold_out_split import Split, split, split_by_time
    from pellucid.evaluation.interleaving import Interleaved, team_draft
    from pellucid.evaluation.off_policy import OffPolicy, off_policy
    from pellucid.evaluation.paired_tests import holm, interval, randomisation
    from pellucid.evaluation.promotion_gate import Gate, gate, needed_of, power_of
    from pellucid.evaluation.ranking_measures import mean, per_person
    from pellucid.evaluation.retrieval_measures import MEASURES, Comparison, Evaluation, evaluate, unjudged_documents
    from pellucid.evaluation.trec_files import format_of, minus_ones, read_judgements, read_run, write_run

__all__ = [
    "MEASURES", "Comparison", "Evaluation", "Gate", "Interleaved", "OffPolicy", "Split", "evaluate", "format_of", "gate", "hold_out",
    "holm", "html_report", "interval", "mean", "minus_ones", "needed_of", "off_policy", "per_person", "power_of", "randomisation",
    "read_judgements", "read_run", "score", "split", "split_by_time", "team_draft", "unjudged_documents", "write_run",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "evaluation_report": ("html_report",),
        "evaluation_steps": ("hold_out", "score"),
        "hold_out_split": ("Split", "split", "split_by_time"),
        "interleaving": ("Interleaved", "team_draft"),
        "off_policy": ("OffPolicy", "off_policy"),
        "paired_tests": ("holm", "interval", "randomisation"),
        "promotion_gate": ("Gate", "gate", "needed_of", "power_of"),
        "ranking_measures": ("mean", "per_person"),
        "retrieval_measures": ("MEASURES", "Comparison", "Evaluation", "evaluate", "unjudged_documents"),
        "trec_files": ("format_of", "minus_ones", "read_judgements", "read_run", "write_run"),
    },
)
