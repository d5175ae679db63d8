"""Mechanisms: one file for each differentially private statistic, with the argument for its guarantee.

Thresholds are shared. `MECHANISMS` lists them all. May import private_tables, noise and accounting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.mechanisms.bounded_sum import Sum, sum
    from pellucid.privacy.mechanisms.clicks import Clicks, clicks
    from pellucid.privacy.mechanisms.equal_norm_gram import EqualNormGram
    from pellucid.privacy.mechanisms.gram_matrix import Gram
    from pellucid.privacy.mechanisms.gram_norm import gram
    from pellucid.privacy.mechanisms.histogram import Histogram, histogram
    from pellucid.privacy.mechanisms.marginals import Bins, Marginals, bins, marginals
    from pellucid.privacy.mechanisms.mean import Mean, mean
    from pellucid.privacy.mechanisms.pairs import Pairs, pairs
    from pellucid.privacy.mechanisms.partitions import Partitions, partitions
    from pellucid.privacy.mechanisms.private_selection import SelectBest, select_best
    from pellucid.privacy.mechanisms.quantiles import Quantiles, quantiles
    from pellucid.privacy.mechanisms.registry import MECHANISMS
    from pellucid.privacy.mechanisms.top_k import TopK, top_k
    from pellucid.privacy.mechanisms.weighted_matrix import weight_table

__all__ = [
    "MECHANISMS",
    "Bins",
    "Clicks",
    "EqualNormGram",
    "Gram",
    "Histogram",
    "Marginals",
    "Mean",
    "Pairs",
    "Partitions",
    "Quantiles",
    "SelectBest",
    "Sum",
    "TopK",
    "bins",
    "clicks",
    "gram",
    "histogram",
    "marginals",
    "mean",
    "pairs",
    "partitions",
    "quantiles",
    "select_best",
    "sum",
    "top_k",
    "weight_table",
]

__getattr__ = lazy_names(
    __name__,
    {
        "bounded_sum": (
            "Sum",
            "sum",
        ),
        "clicks": (
            "Clicks",
            "clicks",
        ),
        "equal_norm_gram": ("EqualNormGram",),
        "gram_matrix": ("Gram",),
        "gram_norm": ("gram",),
        "histogram": (
            "Histogram",
            "histogram",
        ),
        "marginals": (
            "Bins",
            "Marginals",
            "bins",
            "marginals",
        ),
        "mean": (
            "Mean",
            "mean",
        ),
        "pairs": (
            "Pairs",
            "pairs",
        ),
        "partitions": (
            "Partitions",
            "partitions",
        ),
        "private_selection": (
            "SelectBest",
            "select_best",
        ),
        "quantiles": (
            "Quantiles",
            "quantiles",
        ),
        "registry": ("MECHANISMS",),
        "top_k": (
            "TopK",
            "top_k",
        ),
        "weighted_matrix": ("weight_table",),
    },
)
