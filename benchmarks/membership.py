"""LiRA on the demo's recommender: fitted on exact counts, and on released ones at several epsilons; and what epsilon allows.

Shadow models are fitted on random halves of msweb's people, each release drawn anew under a throwaway key. Under (epsilon, delta) no
attack has a true positive rate above e^epsilon FPR + delta. Run: python benchmarks/membership.py [--json]
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars

from pellucid.privacy import attacks
from pellucid.privacy.mechanisms import gram
from pellucid.privacy.noise.gaussian import DiscreteGaussian
from pellucid.privacy.noise.stream import Stream

VISITS = Path(__file__).parents[1] / "src" / "pellucid" / "cli" / "msweb" / "visits.csv"
FALSE, MODELS, CAP = 0.01, 24, 5


def bounded(log: attacks.Histories) -> Any:
    """Each person's first five items (a fixed order stands for the keyed draw: the attack does not care which they are)."""
    matrix = log.matrix.copy()
    for person in range(matrix.shape[0]):
        matrix.data[matrix.indptr[person] + CAP : matrix.indptr[person + 1]] = 0
    matrix.eliminate_zeros()
    return matrix


def weights(counts: np.ndarray[Any, Any], ridge: float) -> np.ndarray[Any, Any]:
    values, vectors = np.linalg.eigh((counts + counts.T) / 2)
    inverse = (vectors / (np.maximum(values, 0) + ridge)) @ vectors.T
    found = inverse / -np.diag(inverse)
    np.fill_diagonal(found, 0)
    return found


def main() -> int:
    warnings.simplefilter("ignore")
    log = attacks.histories(polars.read_csv(VISITS), "user_id", "area_id")
    matrix, items, rows = bounded(log), len(log.items), []
    good = True
    for epsilon in (None, 4.0, 1.0):
        plan = None if epsilon is None else gram("area_id", max_contributions=CAP).numbers(epsilon, 1e-6)
        sigma = 0.0 if plan is None else plan["sigma"]

        def fit(inside: np.ndarray[Any, Any], draw: int, sigma: float = sigma) -> np.ndarray[Any, Any]:
            part = matrix[np.flatnonzero(inside)]
            counts = (part.T @ part).toarray()
            if sigma:
                stream = Stream(hashlib.sha256(f"membership {sigma} {draw}".encode()).digest())
                noise = np.triu(
                    DiscreteGaussian(Fraction(sigma).limit_denominator(1000) ** 2)
                    .draw(stream, items * items)
                    .reshape(items, items)
                )
                counts = counts + noise + np.triu(noise, 1).T
            return weights(counts, max(10.0, 2 * sigma * math.sqrt(items)))

        def score(model: np.ndarray[Any, Any], places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            held = matrix[places]
            return np.asarray((held @ model * held.toarray()).sum(axis=1) / np.maximum(1, held.sum(axis=1)))

        name = "exact counts" if epsilon is None else f"released counts, epsilon {epsilon:g}"
        found = attacks.membership(fit, score, len(log.people), target=name, models=MODELS, targets=2000, false_positive=FALSE)
        allowed = 1.0 if epsilon is None else min(1.0, math.exp(epsilon) * FALSE + 1e-6)
        good = good and found.rate.low <= allowed
        rows.append({**found.to_json(), "allowed": allowed})
        if "--json" not in sys.argv:
            print("\n".join([*found.to_lines(), f"  allowed by epsilon: {allowed:.3f}"]))
    if "--json" in sys.argv:
        print(json.dumps(rows))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
