"""Every mechanism by its name: what has to be tested, documented and kept."""

from __future__ import annotations

from pellucid.privacy.mechanisms.bounded_sum import Sum
from pellucid.privacy.mechanisms.clicks import Clicks
from pellucid.privacy.mechanisms.equal_norm_gram import EqualNormGram
from pellucid.privacy.mechanisms.gram_matrix import Gram
from pellucid.privacy.mechanisms.histogram import Histogram
from pellucid.privacy.mechanisms.marginals import Marginals
from pellucid.privacy.mechanisms.mean import Mean
from pellucid.privacy.mechanisms.pairs import Pairs
from pellucid.privacy.mechanisms.partitions import Partitions
from pellucid.privacy.mechanisms.private_selection import SelectBest
from pellucid.privacy.mechanisms.quantiles import Quantiles
from pellucid.privacy.mechanisms.top_k import TopK

MECHANISMS: dict[str, type] = {
    "select_best": SelectBest,
    "clicks": Clicks,
    "equal_norm_gram": EqualNormGram,
    "gram": Gram,
    "histogram": Histogram,
    "marginals": Marginals,
    "mean": Mean,
    "pairs": Pairs,
    "partitions": Partitions,
    "quantiles": Quantiles,
    "top_k": TopK,
    "sum": Sum,
}
