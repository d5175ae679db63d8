"""What private feedback is worth: readers with a taste of their own, on Cranfield.

The shifted taste: half of the documents, drawn once, have an attribute (as full text, or recent); those without it lose two grades. 4,000
readers ask 5 queries each (popularity by Zipf's law, exponent 1), are shown the first ten of the label-free ranking, look at place i
with chance 1 / i and open what they look at with chance .1 + .9 (2^grade - 1) / 15. Weights are learned from four fifths of the queries
and judged on the others, which nobody clicked: five folds, several repetitions. Everything on the readers' side is the product's own:
statements, directions, mean, step.

`raw`: the server sees every click, and takes the sums as they are or, as the others do, their directions; the better counts.
`central`: a trusted server adds discrete Gaussian noise to the sum of directions in fixed point (the price of 4^10 + 16 cells moved by 1),
delta 1e-6; it is what a central release would give.

Shares are of the raw gain over the label-free ranking. Exits 1 where local epsilon 2 keeps less than 0.75 of it or is not better
than label-free at p < .01, or central epsilon 1 keeps less than 0.95.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pellucid.evaluation.paired_tests import randomisation
from pellucid.evaluation.trec_files import read_judgements
from pellucid.privacy.local import Directions
from pellucid.privacy.noise import DiscreteGaussian, Stream, sigma_for_counts
from pellucid.search import Ranker, build, read_documents, read_queries
from pellucid.search.click_feedback import FeedbackRanking, begin, learned
from pellucid.search.documents import Documents

CRANFIELD = Path(__file__).parents[2] / "shared" / "data" / "cranfield-original"
SESSIONS, FOLDS, HALF = 5, 5, 1 << 10


class World:
    """Queries with the features of their first hundred documents, and how good each document is to these readers."""

    def __init__(self) -> None:
        found = read_documents(CRANFIELD / "cran.all.1400", "smart")
        liked = np.random.Generator(np.random.PCG64(11)).integers(0, 2, found.table.num_rows)
        table = found.table.append_column("open", pa.array(["yes" if one else "no" for one in liked.tolist()]))
        self.ranker = Ranker(build(Documents(table, found.left_out)))
        names = self.ranker.index.arrays["id"].tolist()
        judged = read_judgements(CRANFIELD / "cranqrel", minus_one=1)
        attribute = dict(zip(table.column("id").to_pylist(), liked.tolist(), strict=True))
        self.model = begin(self.ranker, [("open", "yes")])
        ranking = FeedbackRanking(self.model, self.ranker.index)
        self.values, self.grades, self.ideal = [], [], []
        for name, text in read_queries(CRANFIELD / "cran.qry", "smart"):
            grades = {one: g if attribute.get(one, 1) else max(g - 2, 0) for one, g in judged.get(name, {}).items()}
            if not any(grades.values()):
                continue
            ranked = self.ranker.rank(text)
            self.values.append(ranking.values(ranked))
            self.grades.append(np.array([grades.get(names[one], 0) for one in ranked.documents[:100].tolist()]))
            self.ideal.append(self.gain(np.sort(list(grades.values()))[::-1]))
        self.statements = np.stack([ranking.statements(one[:10]) for one in self.values])
        self.shown = np.stack([one[:10] for one in self.grades])

    @staticmethod
    def gain(grades: Any) -> float:
        return float((grades[:10] / np.log2(np.arange(2, 2 + min(10, len(grades))))).sum())

    def ndcg(self, weights: Any, queries: Any) -> Any:
        found = []
        for query in queries:
            order = np.argsort(-np.round(self.values[query] @ weights, 6), kind="stable")
            found.append(self.gain(self.grades[query][order]) / self.ideal[query])
        return np.array(found)

    def clicks(self, train: Any, people: int, seed: int) -> Any:
        """Each reader's sum of statements over their sessions."""
        random = np.random.Generator(np.random.PCG64(seed))
        asked = random.permutation(train)
        chance = 1 / np.arange(1, len(asked) + 1)
        weight = chance.min() / chance
        place = random.choice(len(asked), p=chance / chance.sum(), size=(people, SESSIONS))
        rate = 0.1 + 0.9 * (2.0 ** self.shown[asked[place]] - 1) / 15
        opened = random.random((people, SESSIONS, 10)) < rate / np.arange(1, 11)
        return np.einsum("psk,ps,pskd->pd", opened, weight[place], self.statements[asked[place]])


def mean_direction(sums: Any, kind: str, epsilon: float, seed: int) -> tuple[Any, float]:
    """The mean direction and the standard error of a coordinate, as the server learns them."""
    people, size = sums.shape
    if kind == "raw":
        return sums.mean(axis=0), float(np.sqrt((sums**2).sum(axis=1).mean() / size / people))
    stream = Stream(seed.to_bytes(32, "big"))
    if kind == "local":
        oracle = Directions(size, epsilon)
        found = oracle.mean(oracle.aggregate(oracle.perturb(sums, stream)), people)
        return found.mean, found.error
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    if kind == "raw directions":
        return (sums / np.where(lengths > 0, lengths, 1)).mean(axis=0), 1 / np.sqrt(size * people)
    whole = np.trunc(HALF * sums / np.where(lengths > 0, lengths, 1)).astype(np.int64)
    noise = DiscreteGaussian(sigma_for_counts(epsilon, 1e-6, HALF**2 + 16))
    noised = whole.sum(axis=0) + noise.draw(stream, size)
    return noised / HALF / people, float(np.hypot(noise.sigma / HALF / people, 1 / np.sqrt(size * people)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=6)
    asked = parser.parse_args()
    if not CRANFIELD.exists():
        print(f"Cranfield is not here: {CRANFIELD}")
        return 0
    begun = time.perf_counter()
    world = World()
    count = len(world.values)
    label_free = world.ndcg(world.model.arrays["weights"], range(count))
    print(f"{count} queries, {world.statements.shape[2]} coordinates; label-free nDCG@10 {label_free.mean():.4f}")

    def judged(kind: str, epsilon: float, people: int) -> Any:
        found = np.zeros((asked.repetitions, count))
        for repetition in range(asked.repetitions):
            order = np.random.Generator(np.random.PCG64(0)).permutation(count)
            for fold in range(FOLDS):
                out = np.sort(order[fold::FOLDS])
                seed = 1000 * repetition + fold
                sums = world.clicks(np.setdiff1d(np.arange(count), out), people, seed)
                model = learned(world.model, *mean_direction(sums, kind, epsilon, seed))
                found[repetition, out] = world.ndcg(model.arrays["weights"], out)
        return found

    wrong, raw = 0, 0.0
    rows = [("raw", 0.0, 4000), ("raw directions", 0.0, 4000), ("central", 1.0, 4000),
            ("local", 2.0, 4000), ("local", 1.0, 4000), ("local", 0.5, 4000),
            ("central", 1.0, 1000), ("local", 2.0, 1000), ("local", 1.0, 1000), ("local", 0.5, 1000)]  # fmt: skip
    print(f"{'':<22} {'people':>6} {'nDCG@10':>8} {'gain':>8} {'share':>6} {'p':>8}  worst repetition")
    for kind, epsilon, people in rows:
        found = judged(kind, epsilon, people)
        each = found.mean(axis=1) - label_free.mean()
        gain, p = float(each.mean()), randomisation(found.mean(axis=0), label_free)
        raw = max(raw, gain) if kind.startswith("raw") else raw
        share = gain / raw
        low = (kind, epsilon, people) == ("local", 2.0, 4000) and (share < 0.75 or p >= 0.01)
        low |= (kind, epsilon, people) == ("central", 1.0, 4000) and share < 0.95
        wrong += low
        name = kind if kind.startswith("raw") else f"{kind}, epsilon {epsilon:g}"
        note = "   BELOW ITS BAR" if low else ""
        print(f"{name:<22} {people:>6,} {found.mean():8.4f} {gain:+8.4f} {share:6.2f} {p:8.5f}  {each.min():+.4f}{note}")
    print(f"{time.perf_counter() - begun:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
