"""Evaluation: how good a model is, measured so that the measurement itself can be released.

`hold_out` and `score` are steps for a pipeline. They wrap `split`, which parts people into train and hold-out and hides some
items of the latter, and `per_person`, which scores a model on them, one row per person. `mean` averages (as private as its
input; to publish it, release it with `pellucid.privacy.mechanisms.mean`). May import models, privacy, pipeline, store and data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.evaluation.evaluation_steps import hold_out, score
    from pellucid.evaluation.hold_out_split import Split, split
    from pellucid.evaluation.ranking_measures import mean, per_person

__all__ = ["Split", "hold_out", "mean", "per_person", "score", "split"]

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
        ),
        "ranking_measures": (
            "mean",
            "per_person",
        ),
    },
)
