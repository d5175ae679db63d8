"""Evaluation: how good a model is, measured so that the measurement itself can be released.

`split` parts people into train and hold-out and hides some items of the latter; `per_person` scores a model on them, one row per
person; `mean` averages (as private as its input; to publish it, release it with `pellucid.privacy.mean`). May import models,
privacy, store and data.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pellucid.evaluation.split import Split, split  # bound here because the function shares its name with its file

if TYPE_CHECKING:
    from pellucid.evaluation.ranking import mean, per_person

__all__ = ["Split", "mean", "per_person", "split"]


def __getattr__(name: str) -> Any:
    if name in ("mean", "per_person"):
        return getattr(import_module("pellucid.evaluation.ranking"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
