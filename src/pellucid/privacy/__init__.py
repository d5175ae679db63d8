"""Privacy: what lowers a label, and who pays for it.

Before: `assess` says what is in the data and how identifying it is; `transforms` change tables in ways that prove nothing.
Mechanisms (`MECHANISMS`) say their unit, neighbouring relation, sensitivity and guarantee, and the argument
why the code meets it, in their docstrings; the ledger holds the accounts they spend from; the steward's key drives all private
randomness. May import store and data, nothing above. Nothing heavy loads before a mechanism runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy import assess, attacks, local, transforms
    from pellucid.privacy.accounting import Ledger, Spend
    from pellucid.privacy.budget_forecast import BudgetForecast, forecast, together
    from pellucid.privacy.mechanisms import (
        MECHANISMS,
        Bins,
        Clicks,
        EqualNormGram,
        Gram,
        Histogram,
        Marginals,
        Mean,
        Pairs,
        Partitions,
        Quantiles,
        SelectBest,
        Sum,
        TopK,
        bins,
        clicks,
        gram,
        histogram,
        marginals,
        mean,
        pairs,
        partitions,
        quantiles,
        select_best,
        sum,
        top_k,
    )
    from pellucid.privacy.parameters import checked_delta, checked_epsilon
    from pellucid.privacy.release_step import ReleaseGate, release
    from pellucid.privacy.secret_keys import KEY_FILE, commitment, pseudonym, release_key, steward_key
    from pellucid.privacy.simulation import simulate

__all__ = [
    "KEY_FILE",
    "MECHANISMS",
    "Bins",
    "BudgetForecast",
    "Clicks",
    "EqualNormGram",
    "Gram",
    "Histogram",
    "Ledger",
    "Marginals",
    "Mean",
    "Pairs",
    "Partitions",
    "Quantiles",
    "ReleaseGate",
    "SelectBest",
    "Spend",
    "Sum",
    "TopK",
    "assess",
    "attacks",
    "bins",
    "checked_delta",
    "checked_epsilon",
    "clicks",
    "commitment",
    "forecast",
    "gram",
    "histogram",
    "local",
    "marginals",
    "mean",
    "pairs",
    "partitions",
    "pseudonym",
    "quantiles",
    "release",
    "release_key",
    "select_best",
    "simulate",
    "steward_key",
    "sum",
    "together",
    "top_k",
    "transforms",
]

__getattr__ = lazy_names(
    __name__,
    {
        "budget_forecast": (
            "BudgetForecast",
            "forecast",
            "together",
        ),
        "parameters": (
            "checked_delta",
            "checked_epsilon",
        ),
        "accounting": (
            "Ledger",
            "Spend",
        ),
        "mechanisms": (
            "SelectBest",
            "Bins",
            "Clicks",
            "EqualNormGram",
            "Gram",
            "Histogram",
            "MECHANISMS",
            "Marginals",
            "Mean",
            "Pairs",
            "Partitions",
            "Quantiles",
            "TopK",
            "Sum",
            "select_best",
            "bins",
            "clicks",
            "gram",
            "histogram",
            "marginals",
            "mean",
            "pairs",
            "partitions",
            "quantiles",
            "top_k",
            "sum",
        ),
        "release_step": (
            "ReleaseGate",
            "release",
        ),
        "secret_keys": (
            "KEY_FILE",
            "commitment",
            "pseudonym",
            "release_key",
            "steward_key",
        ),
        "simulation": ("simulate",),
    },
    modules=("assess", "attacks", "local", "transforms"),
)
