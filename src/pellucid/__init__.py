"""Pellucid: private usage data in, verified open models out.

    import pellucid as pl

    visits = pl.source("visits.csv", label="private", unit="user_id")
    matrix = pl.release(pl.privacy.gram(item="area_id", cap=5), of=visits, epsilon=1.0, delta=1e-6)

    @pl.step
    def model(matrix: pl.Table, regularization: float = 300.0) -> pl.Model: ...

    pipeline = pl.Pipeline("areas", [visits, matrix, model])

Names are loaded when first used, so that importing pellucid is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid import evaluation, models, privacy
    from pellucid.errors import PellucidError
    from pellucid.pipeline.about import About
    from pellucid.pipeline.graph import Pipeline
    from pellucid.pipeline.report import Run
    from pellucid.pipeline.step import Budget, Row, UserDay, source, step
    from pellucid.privacy.release import release
    from pellucid.privacy.transforms.protect import protect
    from pellucid.store.kinds import Array, File, Metrics, Model, Table

__version__ = "0.1.0"

_HOMES = {
    "About": "pipeline.about",
    "Array": "store.kinds",
    "Budget": "pipeline.step",
    "File": "store.kinds",
    "Metrics": "store.kinds",
    "Model": "store.kinds",
    "PellucidError": "errors",
    "Pipeline": "pipeline.graph",
    "Row": "pipeline.step",
    "Run": "pipeline.report",
    "Table": "store.kinds",
    "UserDay": "pipeline.step",
    "protect": "privacy.transforms.protect",
    "release": "privacy.release",
    "source": "pipeline.step",
    "step": "pipeline.step",
}
_ROOMS = ("evaluation", "models", "privacy")

__all__ = [
    "About", "Array", "Budget", "File", "Metrics", "Model", "PellucidError", "Pipeline", "Row", "Run", "Table", "UserDay",
    "evaluation", "models", "privacy", "protect", "release", "source", "step",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(f"pellucid.{_HOMES[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"pellucid.{name}")
    else:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
