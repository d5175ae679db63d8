"""Learning from clicks: no preference, no statement in the mean; a step never follows noise; a taste is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pellucid.errors import DataError, UsageError
from pellucid.evaluation.trec_files import read_judgements
from pellucid.privacy.local import Directions
from pellucid.privacy.noise import Stream
from pellucid.search import Engine, Ranker, build, checked_ranking, learn_from_clicks, read_documents, read_queries
from pellucid.search.click_feedback import PARTS, FeedbackRanking, begin, learned, shrunk
from pellucid.search.documents import Documents
from pellucid.store import Model

CRANFIELD = Path(__file__).parents[3] / "shared" / "data" / "cranfield-original"
pytestmark = pytest.mark.skipif(not CRANFIELD.exists(), reason="the collection is not here")
QUERIES = ("boundary layer on a flat plate", "shock wave", "heat transfer in hypersonic flow")


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    found = read_documents(CRANFIELD / "cran.all.1400", "smart")
    liked = np.random.Generator(np.random.PCG64(11)).integers(0, 2, found.table.num_rows)
    table = found.table.append_column("open", pa.array(["yes" if one else "no" for one in liked.tolist()]))
    return Ranker(build(Documents(table, found.left_out), facets=["open"]))


@pytest.fixture(scope="module")
def model(ranker: Ranker) -> Model:
    return begin(ranker, [("open", "yes")], counts=[("Shock  wave", 30), ("shock wave", 20), ("flat plate", 5), ("", 0)])


def test_it_begins_as_the_label_free_ranking(ranker: Ranker, model: Model) -> None:
    engine = Engine(ranker.index)
    for query in QUERIES:
        ours, plain = (engine.search(query, 20, learned=one) for one in (model, None))
        assert [one.id for one in ours.hits] == [one.id for one in plain.hits]
        assert [one.score for one in ours.hits] == pytest.approx([one.score for one in plain.hits], abs=1e-5)
        for hit in ours.hits:
            assert sum(hit.why.values()) == pytest.approx(hit.score, abs=1e-3)
        assert all(hit.statement for hit in ours.hits[:10]) and not any(hit.statement for hit in ours.hits[10:])
        assert not any(hit.statement for hit in engine.search(query, 10, 10, learned=model).hits)
    assert engine.search("shock wave", learned=model).weight == 0.1 and engine.search("FLAT plate", learned=model).weight == 1.0


def test_readers_who_open_by_place_alone_say_nothing_in_the_mean(ranker: Ranker, model: Model) -> None:
    ranking = FeedbackRanking(model, ranker.index)
    for query in QUERIES:
        found = ranking.statements(ranking.values(ranker.rank(query))[:10])
        looked = 1 / np.arange(1, 11)
        assert np.abs(looked @ found / looked.sum()).max() < 1e-5


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_statements_vary_alike_in_every_coordinate(ranker: Ranker, model: Model) -> None:
    """On some of the open pseudo-queries that the whitening is fitted on."""
    ranking, total, places = FeedbackRanking(model, ranker.index), 0.0, (1 / np.arange(1, 11))[:, None]
    places = places / places.sum()
    titles = [Engine(ranker.index).title_of(name) for name in ranker.index.arrays["id"].tolist()[::15]]
    lists = [ranking.values(ranker.rank(str(title)))[:10] for title in titles]
    lists = [one for one in lists if len(one) == 10]
    for one in lists:
        found = ranking.statements(one)
        total = total + (found * places).T @ found
    assert np.abs(total / len(lists) - np.eye(len(ranking.coordinates))).max() < 0.25


@given(arrays(np.float64, 4, elements=st.floats(-1, 1)), st.floats(0, 10))
@settings(max_examples=60, deadline=None)
def test_any_mean_gives_weights_and_noise_alone_gives_those_there_were(model: Model, mean: Any, error: float) -> None:
    size = model.arrays["whitening"].shape[1]
    direction = np.resize(mean, size)
    found = learned(model, direction, error).arrays["weights"]
    assert np.isfinite(found).all() and found.shape == model.arrays["weights"].shape
    assert (learned(model, direction, 1e3).arrays["weights"] == model.arrays["weights"]).all()
    assert (learned(model, np.zeros(size), 0.0).arrays["weights"] == model.arrays["weights"]).all()
    ray = np.linalg.pinv(model.arrays["whitening"]) @ model.arrays["weights"]
    against = -ray + 0.1 * direction
    if against @ ray <= 0:
        assert (learned(model, against, 0.0).arrays["weights"] == model.arrays["weights"]).all()


def test_shrinking_beats_the_mean_itself_where_little_is_off_the_ray() -> None:
    random, size, error = np.random.Generator(np.random.PCG64(3)), 7, 0.05
    ray = np.eye(size)[0]
    for off, least in ((0.0, 0.4), (0.05, 0.8), (0.3, 1.0)):
        truth = 0.3 * ray + off * np.eye(size)[1]
        seen = truth + random.normal(0, error, (4000, size))
        shrunken = np.array([along * ray + rest for along, rest in (shrunk(one, ray, error**2) for one in seen)])
        assert ((shrunken - truth) ** 2).sum() < least * ((seen - truth) ** 2).sum()


def test_a_taste_is_found_by_randomised_reports(ranker: Ranker, model: Model) -> None:
    """2,000 readers at epsilon 2 who like open documents: the weight of the attribute rises, judged by the grades they have."""
    ranking, names = FeedbackRanking(model, ranker.index), ranker.index.arrays["id"].tolist()
    judged = read_judgements(CRANFIELD / "cranqrel")
    statements, chances = [], []
    for name, text in read_queries(CRANFIELD / "cran.qry", "smart")[:100]:
        ranked = ranker.rank(text)
        values = ranking.values(ranked)[:10]
        is_open = values[:, len(PARTS)] > 0
        grades = np.array([judged.get(name, {}).get(names[one], 0) for one in ranked.documents[:10].tolist()])
        statements.append(ranking.statements(values))
        chances.append((0.1 + 0.9 * (2.0 ** np.where(is_open, grades, np.maximum(grades - 2, 0)) - 1) / 15) / np.arange(1, 11))
    random = np.random.Generator(np.random.PCG64(5))
    asked = random.integers(0, 100, (2000, 5))
    opened = random.random((2000, 5, 10)) < np.stack(chances)[asked]
    sums = np.einsum("psk,pskd->pd", opened, np.stack(statements)[asked])
    oracle = Directions(sums.shape[1], 2.0)
    mean = oracle.mean(oracle.aggregate(oracle.perturb(sums, Stream(bytes(32)))), 2000)
    table = pa.table({"coordinate": ranking.coordinates, "mean": mean.mean, "error": [mean.error] * len(mean.mean)})
    found = learn_from_clicks(model, _Table(table))
    assert found.arrays["weights"][len(PARTS)] > 0.3
    assert found.settings["steps"] == 1
    top = Engine(ranker.index).search(QUERIES[0], 10, learned=found).hits
    before = Engine(ranker.index).search(QUERIES[0], 10).hits
    assert sum(one.columns["open"] == "yes" for one in top) > sum(one.columns["open"] == "yes" for one in before)


class _Table:
    """A table as a step is given it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def arrow(self) -> pa.Table:
        return self._table


def test_what_does_not_fit_is_refused(ranker: Ranker, model: Model) -> None:
    with pytest.raises(UsageError, match="no column"):
        begin(ranker, [("opne", "yes")])
    with pytest.raises(UsageError, match="at most 5"):
        begin(ranker, [("open", str(number)) for number in range(6)])
    with pytest.raises(UsageError, match="different"):
        begin(ranker, [("open", "yes")] * 2)
    with pytest.raises(DataError, match="not one of this model"):
        learned(model, [1.0], 0.1)
    with pytest.raises(DataError, match="not one of this model"):
        learned(model, [float("nan")] * model.arrays["whitening"].shape[1], 0.1)
    few = read_documents(CRANFIELD / "cran.all.1400", "smart")
    small = build(Documents(few.table.slice(0, 50), {}))
    with pytest.raises(DataError, match="other documents"):
        FeedbackRanking(model, small)
    with pytest.raises(DataError, match="too few"):
        begin(Ranker(build(Documents(few.table.slice(0, 5), {}))))
    with pytest.raises(DataError, match="not learned from clicks"):
        FeedbackRanking(ranker.index, ranker.index)
    with pytest.raises(UsageError, match="epsilon"):
        begin(ranker, epsilon=9.0)
    for name, bad in (
        ("whitening", np.zeros((3, 3))),
        ("weights", np.full(6, np.nan)),
        ("queries.weights", np.zeros(9)),
        ("whitening", None),
    ):
        arrays = (
            {**model.arrays, name: bad} if bad is not None else {key: one for key, one in model.arrays.items() if key != name}
        )
        with pytest.raises(DataError, match="damaged"):
            checked_ranking(Model(model.kind, arrays, model.settings))
    for changed in ({"epsilon": 50}, {"epsilon": "x"}, {"features": []}, {"documents": 1}, {"attributes": [["a"]]}):
        with pytest.raises(DataError, match="damaged"):
            checked_ranking(Model(model.kind, model.arrays, {**model.settings, **changed}))
    rows = pa.table({"coordinate": ["c1", "c2"], "mean": [0.1, 0.2], "error": [0.1, 0.1]})
    with pytest.raises(DataError, match="not of this model"):
        learn_from_clicks(model, _Table(rows))
