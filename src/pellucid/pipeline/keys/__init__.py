"""Keys: what decides whether a step must run again. A cache key covers the step's code (its closure), settings, inputs and environment.

May import the declaration, the record and the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.pipeline.keys.cache_key import canonical, changed
    from pellucid.pipeline.keys.closure import Closure, closure_of
    from pellucid.pipeline.keys.environment import DETERMINISM, blas, key_part, machine, pellucid_digest
    from pellucid.pipeline.keys.loading_effects import LoadingEffects, effects_of
    from pellucid.pipeline.keys.run_comparison import compare_runs
    from pellucid.pipeline.keys.slicing import statement_names
    from pellucid.pipeline.keys.value_digests import value_digest

__all__ = [
    "DETERMINISM",
    "Closure",
    "LoadingEffects",
    "blas",
    "canonical",
    "changed",
    "closure_of",
    "compare_runs",
    "effects_of",
    "key_part",
    "machine",
    "pellucid_digest",
    "statement_names",
    "value_digest",
]

__getattr__ = lazy_names(
    __name__,
    {
        "cache_key": (
            "canonical",
            "changed",
        ),
        "closure": (
            "Closure",
            "closure_of",
        ),
        "environment": (
            "DETERMINISM",
            "blas",
            "key_part",
            "machine",
            "pellucid_digest",
        ),
        "loading_effects": (
            "LoadingEffects",
            "effects_of",
        ),
        "run_comparison": ("compare_runs",),
        "slicing": ("statement_names",),
        "value_digests": ("value_digest",),
    },
)
