"""Rankers that learn from judgements: never much below their baseline, better where there is something to learn, explained, repeatable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from test_ranking import COLLECTIONS, SHARED, here

import pellucid as pl
from pellucid.errors import DataError, UsageError
from pellucid.evaluation import evaluate, read_judgements
from pellucid.pipeline.running import load, run
from pellucid.search import Engine, Ranker, build, checked_ranking, documents_of, read_documents, read_queries
from pellucid.search import learned_ranking as learned
from pellucid.search.ranking_features import DEPTH, NAMES, Judged, as_table, features, judged_features, of_table
from pellucid.store import Model, kinds


def made_up(taste: float, queries: int = 60, seed: int = 1) -> Judged:
    """Judgements that follow the label-free sum, and by so much the length of a document."""
    random = np.random.Generator(np.random.PCG64(seed))
    values = random.normal(size=(queries * 50, len(NAMES)))
    wanted = values[:, 0] + taste * values[:, NAMES.index("length")] + 0.3 * random.normal(size=len(values))
    grades = np.clip(np.floor(wanted + 0.2), 0, 4).astype(np.int64)
    return Judged(values, grades, np.arange(0, queries * 50 + 1, 50))


@pytest.mark.parametrize("method", learned.METHODS)
def test_a_taste_that_can_be_learned_is_learned(method: str) -> None:
    model = learned.fit(made_up(1.5), method)
    other = made_up(1.5, seed=2)
    gains = []
    for query in range(60):
        rows = slice(other.begins[query], other.begins[query + 1])
        values, grades = other.values[rows], other.grades[rows]
        gains.append(learned._ndcg(learned.scores(model, values), grades) - learned._ndcg(values[:, 0], grades))
    assert model.settings["strength"] > 0 and np.mean(gains) > 0.03


@pytest.mark.parametrize("method", learned.METHODS)
def test_where_nothing_is_to_be_learned_the_ranker_is_its_baseline(method: str) -> None:
    model = learned.fit(made_up(0.0), method)
    values = made_up(0.0, seed=3).values[:50]
    assert model.settings["strength"] == 0.0
    assert np.array_equal(learned.scores(model, values), values[:, 0])
    assert not learned.contributions(model, values).any()


@pytest.mark.parametrize("method", learned.METHODS)
def test_contributions_add_up_but_for_what_all_documents_share(method: str, tmp_path: Path) -> None:
    model = learned.fit(made_up(1.5), method)
    kept = kinds.load(kinds.save(model, "model", tmp_path, "ranker").path, "model")
    values = made_up(1.5, seed=4).values[:40]
    assert np.array_equal(learned.scores(kept, values), learned.scores(model, values))
    rest = learned.scores(model, values) - values[:, 0] - learned.contributions(model, values).sum(axis=1)
    assert np.ptp(rest) < 1e-9


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_bytes_in_fresh_processes_with_other_hash_seeds(tmp_path: Path) -> None:
    program = f"""
import sys, pathlib
sys.path.insert(0, {str(Path(__file__).parent)!r})
from threadpoolctl import threadpool_limits
from test_learned_ranking import made_up
from pellucid.search import learned_ranking as learned
from pellucid.store import kinds
with threadpool_limits(1):
    for method in learned.METHODS:
        print(kinds.save(learned.fit(made_up(1.5), method), "model", pathlib.Path(sys.argv[1]), method).sha256)
"""
    found = set()
    for seed in ("0", "23"):
        (tmp_path / seed).mkdir()
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin"}
        made = subprocess.run(
            [sys.executable, "-c", program, tmp_path / seed], env=environment, capture_output=True, text=True, check=True
        )
        found.add(made.stdout)
    assert len(found) == 1


def test_tables_of_features_are_read_as_they_were_written() -> None:
    judged = made_up(0.5, queries=25)
    again = of_table(as_table(judged, [f"q{n}" for n in range(25)]))
    assert all(np.array_equal(a, b) for a, b in zip(judged, again, strict=True))
    with pytest.raises(DataError, match="no table of ranking features"):
        of_table(pa.table({"query": ["1"]}))
    mixed = as_table(judged, [f"q{n}" for n in range(25)]).take(pa.array([0, 60, 1]))
    with pytest.raises(DataError, match="do not stand together"):
        of_table(mixed)


def test_too_few_queries_and_unknown_methods_are_refused() -> None:
    with pytest.raises(DataError, match="only 5 judged queries"):
        learned.fit(made_up(1.0, queries=5))
    with pytest.raises(UsageError, match='no learned ranking "forest"'):
        learned.fit(made_up(1.0), "forest")
    with pytest.raises(DataError, match="no ranking learned from these features"):
        checked_ranking(Model("ease", {}, {}))


def test_the_engine_puts_the_first_hundred_in_the_learned_order() -> None:
    rows = [(str(n), f"wing number {n}", "shock " * (1 + n % 7) + "wing " * (n % 3)) for n in range(150)]
    engine = Engine(
        build(documents_of(pa.table(dict(zip(("id", "title", "text"), map(list, zip(*rows, strict=True)), strict=True)))))
    )
    arrays = {"weights": np.eye(len(NAMES))[NAMES.index("length")], "means": np.zeros(len(NAMES)), "scales": np.ones(len(NAMES))}
    model = Model("learned-ranking", arrays, {"method": "ridge", "features": list(NAMES), "strength": 100.0})
    before, after = engine.search("wing shock", 100), engine.search("wing shock", 100, learned=model)
    assert {hit.id for hit in after.hits} == {hit.id for hit in before.hits} and after.total == before.total
    lengths = [len(rows[int(hit.id)][2].split()) for hit in after.hits]
    assert lengths == sorted(lengths, reverse=True) and len(after.hits) == DEPTH
    for hit in after.hits[:5]:
        assert hit.score == pytest.approx(sum(hit.why.values()), abs=1e-2)


PIPELINE = """
import pellucid as pl

docs = pl.source("docs.jsonl", label="open")
asked = pl.source("asked.jsonl", label="open")
judged = pl.source("judged.jsonl", label="open")
index = pl.search.index(docs)
features = pl.search.features(index, queries=asked, judgements=judged)


@pl.step(kind="train")
def ranker(features: pl.Table) -> pl.Model:
    return pl.search.learn(features)


pipeline = pl.Pipeline("learn", [docs, asked, judged, index, features, ranker])
"""


def test_a_pipeline_from_documents_to_a_ranker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    words = ["wing", "shock", "wave", "heat", "flow", "layer", "plate", "cone", "slab", "body", "jet", "nose"]
    rows: dict[str, list[dict[str, Any]]] = {
        "docs": [
            {"id": n, "title": words[n % 12], "text": " ".join(words[(n * k) % 12] for k in range(1, 6))} for n in range(80)
        ],
        "asked": [{"query_id": n, "text": f"{words[n % 12]} {words[(n * 5 + 1) % 12]}"} for n in range(30)],
        "judged": [{"query_id": n, "doc_id": (n * 7 + k) % 90, "grade": k % 3} for n in range(30) for k in range(6)],
    }
    for name, held in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    (tmp_path / "learn.py").write_text(PIPELINE)
    monkeypatch.setenv("PELLUCID_KEYS", str(tmp_path / "keys"))
    done = run(load(tmp_path / "learn.py"), home=tmp_path / ".pellucid", jobs=2, confined=True)
    assert done.status == "done"
    assert done["ranker"].kind == "learned-ranking" and done["features"].arrow().num_rows > 0
    assert pl.search.Engine(done["index"]).search("wing", learned=done["ranker"]).total > 0


@here
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", learned.METHODS)
@pytest.mark.parametrize("name", COLLECTIONS)
def test_on_judged_collections_the_learned_is_not_below_the_label_free(name: str, method: str) -> None:
    """Five folds by query: nDCG@10 of all queries, each ranked by a ranker that has not seen it."""
    documents, queries, judgements, _ = COLLECTIONS[name]
    ranker, judged = Ranker(build(read_documents(SHARED / documents, "smart"))), read_judgements(SHARED / judgements)
    asked = [
        one for one in read_queries(SHARED / queries, "smart") if any(grade > 0 for grade in judged.get(one[0], {}).values())
    ]
    names, runs, base = ranker.index.arrays["id"].tolist(), {}, {}
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(asked))
    for fold in range(5):
        out = [asked[at] for at in order[fold::5].tolist()]
        kept = [one for one in asked if one not in out]
        model = learned.fit(judged_features(ranker, kept, judged)[0], method)
        for query, text in out:
            ranked = ranker.rank(text)
            turn = np.argsort(-np.round(learned.scores(model, features(ranker, text, ranked)), 6), kind="stable")
            best = ranked.documents[:1000].tolist()
            base[query] = [names[at] for at in best]
            runs[query] = [names[best[at]] for at in turn.tolist()] + base[query][DEPTH:]
    found = evaluate(runs, judged, {"label-free": base})
    assert found.means["nDCG@10"] >= found.baselines["label-free"].means["nDCG@10"] - 0.005
