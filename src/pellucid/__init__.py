"""Pellucid: private usage data in, verified open models out.

    import pellucid as pl

    visits = pl.source("visits.csv", label="private", unit="user_id")
    matrix = pl.release(pl.privacy.gram(item="area_id", max_contributions=5), of=visits, epsilon=1.0, delta=1e-6)

    @pl.step
    def model(matrix: pl.Table, regularization: float = 300.0) -> pl.Model: ...

    pipeline = pl.Pipeline("areas", [visits, matrix, model])

Names are loaded when first used, so that importing pellucid is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid import evaluation, models, privacy, search, synthesize
    from pellucid.errors import PellucidError
    from pellucid.packages import load
    from pellucid.pipeline.declaration import About, Budget, Pipeline, Row, UserDay, source, step
    from pellucid.pipeline.record import Run, log, runs
    from pellucid.privacy import release
    from pellucid.privacy.transforms import protect
    from pellucid.registry import predict, registry_model
    from pellucid.store import Array, File, Metrics, Model, Table

__version__ = "0.1.0"

__all__ = [
    "About", "Array", "Budget", "File", "Metrics", "Model", "PellucidError", "Pipeline", "Row", "Run", "Table", "UserDay",
    "evaluation", "load", "log", "models", "predict", "privacy", "protect", "registry_model", "release", "runs", "search",
    "source", "step", "synthesize",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {
        "errors": ("PellucidError",),
        "packages": ("load",),
        "pipeline.declaration": ("About", "Budget", "Pipeline", "Row", "UserDay", "source", "step"),
        "pipeline.record": ("Run", "log", "runs"),
        "privacy": ("release",),
        "privacy.transforms": ("protect",),
        "registry": ("predict", "registry_model"),
        "store": ("Array", "File", "Metrics", "Model", "Table"),
    },
    modules=("evaluation", "models", "privacy", "search", "synthesize"),
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
