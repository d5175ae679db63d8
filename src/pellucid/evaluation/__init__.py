"""Evaluation: how good a model is, measured so that the measurement itself can be released.

`hold_out` and `score` are steps for a pipeline. They wrap `split`, which parts people into train and hold-out and hides some
items of the latter, and `per_person`, which scores a model on them, one row per person. `mean` averages (as private as its
input; to publish it, release it with `pellucid.privacy.mean`). May import models, privacy, pipeline, store and data.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.evaluation.split import Split, split  # bound here because the function shares its name with its file

if TYPE_CHECKING:
    from pellucid.evaluation.ranking import mean, per_person
    from pellucid.evaluation.steps import hold_out, score

__all__ = ["Split", "hold_out", "mean", "per_person", "score", "split"]

_FILES = {"hold_out": "steps", "mean": "ranking", "per_person": "ranking", "score": "steps"}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"pellucid.evaluation.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
