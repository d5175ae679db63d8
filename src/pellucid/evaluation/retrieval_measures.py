"""How well a ranking answers judged queries: measures by ir-measures, query by query, with intervals and paired tests.

The measures: nDCG@10 with linear gain, AP, RR, P@10 and R@100, which take an unjudged document for one that is not relevant; bpref,
which does not look at unjudged documents; and judged@10, the share of the first ten that anyone judged at all. A ranking whose
judged@10 is low is not known to be bad.

The mean is over the queries that have a relevant document. A query that the run leaves out counts 0; a document that is judged but
not ranked is missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import DataError
from pellucid.evaluation.paired_tests import holm, interval, randomisation
from pellucid.evaluation.trec_files import Judgements, Run

MEASURES = ("nDCG@10", "AP", "RR", "P@10", "R@100", "bpref", "judged@10")
TESTED = MEASURES[:-1]  # judged@10 says how much is known, not how good a ranking is
DEPTH = 1000


@dataclass(frozen=True)
class Comparison:
    """One measure of a run and of a baseline: the mean difference, its 95 % interval, p, and p adjusted by Holm."""

    baseline: str
    measure: str
    difference: float
    low: float
    high: float
    p: float
    adjusted: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    `per_query`: by measure, by query; `means`, `intervals`: by measure. `left_out`: queries with relevant documents that the run does
    not have; `unjudged`: queries of the run without a relevant document, which are not counted.
    """

    per_query: Mapping[str, Mapping[str, float]]
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    comparisons: tuple[Comparison, ...] = ()
    left_out: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    baselines: Mapping[str, Evaluation] = field(default_factory=dict)

    @property
    def queries(self) -> int:
        """Over how many queries the means are."""
        return len(self.per_query[MEASURES[0]])

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        told: dict[str, Any] = {
            "queries": self.queries,
            "measures": {name: {"mean": self.means[name], "interval_95": list(self.intervals[name])} for name in MEASURES},
            "queries_left_out_by_the_run": list(self.left_out),
            "queries_without_relevant_documents": list(self.unjudged),
            "per_query": {name: dict(values) for name, values in self.per_query.items()},
        }
        if self.baselines:
            told["baselines"] = {name: dict(one.means) for name, one in self.baselines.items()}
            told["comparisons"] = [
                {
                    "baseline": one.baseline,
                    "measure": one.measure,
                    "difference": one.difference,
                    "interval_95": [one.low, one.high],
                    "p": one.p,
                    "p_holm": one.adjusted,
                }
                for one in self.comparisons
            ]
        return told


def evaluate(run: Run, judgements: Judgements, baselines: Mapping[str, Run] | None = None, seed: int = 0) -> Evaluation:
    """Measure a run against judgements and compare it with baselines.

    `run`: by query, documents best first (`read_run`); `judgements`: by query, the grade of each judged document, 0 not relevant.
    Two-sided paired randomisation over the same queries, Holm over all measures and baselines. Raises DataError where no query has a
    relevant document, or where run and judgements share no query.
    """
    queries = [query for query, grades in judgements.items() if any(grade > 0 for grade in grades.values())]
    if not queries:
        raise DataError("no query has a relevant document", fix="Grades above 0 are relevant")
    if not set(queries) & set(run):
        shown = f"{next(iter(run), 'none')} and {queries[0]}"
        raise DataError("the run and the judgements have no query in common", why=f"the first of each: {shown}")
    per_query = _measured(run, judgements, queries)
    means, intervals = {}, {}
    for name in MEASURES:
        values = list(per_query[name].values())
        means[name] = sum(values) / len(values)
        intervals[name] = interval(values, seed)
    others = {name: evaluate(other, judgements, seed=seed) for name, other in (baselines or {}).items()}
    return Evaluation(
        per_query,
        means,
        intervals,
        _compared(per_query, others, seed),
        tuple(query for query in queries if query not in run),
        tuple(query for query in run if query not in set(queries)),
        others,
    )


def unjudged_documents(run: Run, judgements: Judgements, depth: int = 10) -> dict[str, list[str]]:
    """By query that has a relevant document and is in the run: those of its first `depth` documents that nobody judged, best first."""
    return {
        query: [document for document in run[query][:depth] if document not in grades]
        for query, grades in judgements.items()
        if query in run and any(grade > 0 for grade in grades.values())
    }


def _compared(mine: Mapping[str, Mapping[str, float]], others: Mapping[str, Evaluation], seed: int) -> tuple[Comparison, ...]:
    found = []
    for baseline, other in others.items():
        for name in TESTED:
            a, b = list(mine[name].values()), list(other.per_query[name].values())
            parts = [x - y for x, y in zip(a, b, strict=True)]
            found.append((baseline, name, sum(parts) / len(parts), *interval(parts, seed), randomisation(a, b, seed)))
    adjusted = holm([one[-1] for one in found])
    return tuple(Comparison(*one, value) for one, value in zip(found, adjusted, strict=True))


def _measured(run: Run, judgements: Judgements, queries: list[str]) -> dict[str, dict[str, float]]:
    """By measure, by query in the order of `queries`. Ranks are given as scores, so that ties are not broken again.

    The library behind works on C strings: it ends an id at a NUL and falls over one that is no text. So it is given numbers for ids.
    """
    import ir_measures
    from ir_measures import AP, RR, Bpref, Judged, P, R, nDCG

    known = {nDCG @ 10: "nDCG@10", AP: "AP", RR: "RR", P @ 10: "P@10", R @ 100: "R@100", Bpref: "bpref", Judged @ 10: "judged@10"}
    asked = {str(at): query for at, query in enumerate(queries)}
    numbers: dict[str, str] = {}

    def number(document: str) -> str:
        return numbers.setdefault(document, str(len(numbers)))

    truth = {at: {number(one): max(0, grade) for one, grade in judgements[query].items()} for at, query in asked.items()}
    ranked = {
        at: {number(one): float(DEPTH - rank) for rank, one in enumerate(run[query][:DEPTH])}
        for at, query in asked.items()
        if run.get(query)
    }
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(queries, 0.0) for name in MEASURES}
    for metric in ir_measures.iter_calc(list(known), truth, ranked):
        values[known[metric.measure]][asked[metric.query_id]] = float(metric.value)
    return values
