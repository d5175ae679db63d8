"""The default ranking: good on real judged collections, the same in every process, and explained by its parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.cli.main import parse
from pellucid.errors import DataError, UsageError
from pellucid.evaluation import evaluate, read_judgements, read_run
from pellucid.search import Ranker, build, rank_file, read_documents, read_queries
from pellucid.search.label_free import FEATURES, K1, TEXT_B, TITLE_B, TITLE_WEIGHT

SHARED = Path(__file__).parents[3] / "shared" / "data"
COLLECTIONS = {
    "cranfield": ("cranfield-original/cran.all.1400", "cranfield-original/cran.qry", "cranfield-original/cranqrel", 0.49),
    "cisi": ("cisi/CISI.ALL", "cisi/CISI.QRY", "cisi/CISI.REL", 0.425),
}
here = pytest.mark.skipif(not SHARED.exists(), reason="the judged collections are not here: ../shared/data")


@pytest.fixture(scope="module")
def cranfield() -> Ranker:
    if not SHARED.exists():
        pytest.skip("the judged collections are not here: ../shared/data")
    return Ranker(build(read_documents(SHARED / COLLECTIONS["cranfield"][0], "smart")))


@here
@pytest.mark.quick(1)
@pytest.mark.parametrize("name", COLLECTIONS)
def test_judged_collections_without_labels(name, tmp_path):
    documents, queries, judgements, least = COLLECTIONS[name]
    out, base = tmp_path / "run", tmp_path / "base"
    done = rank_file(SHARED / documents, SHARED / queries, out)
    rank_file(SHARED / documents, SHARED / queries, base, method="bm25f")
    assert done.unanswered == ()
    found = evaluate(read_run(out), read_judgements(SHARED / judgements), {"bm25f": read_run(base)})
    assert found.means["nDCG@10"] >= least
    against = next(one for one in found.comparisons if one.measure == "nDCG@10")
    assert against.difference > 0 and against.p < 0.05


@here
def test_parts_add_up_to_the_score_and_the_order_is_total(cranfield):
    for query in ("supersonic boundary layer", "heat transfer in slabs", "wing"):
        found = cranfield.rank(query)
        assert np.allclose(found.parts.sum(axis=1), found.scores, atol=1e-5)
        assert found.parts.shape == (cranfield.count, len(FEATURES) + 1)
        keys = list(zip((-found.scores).tolist(), found.documents.tolist(), strict=True))
        assert keys == sorted(keys)


@here
def test_words_alone_are_bm25f_as_written(cranfield):
    """The formula, term by term and document by document, in plain Python."""
    arrays = cranfield.index.arrays
    terms, tokens, ends = arrays["terms"].tolist(), arrays["tokens"], arrays["tokens.ends"]
    count = len(arrays["id"])
    titles, texts = (
        [[terms[t] for t in tokens[ends[2 * d + f] : ends[2 * d + f + 1]]] for d in range(count) for f in (0, 1)],
        None,
    )
    titles, texts = titles[0::2], titles[1::2]
    query = ["shock", "wave", "wing"]
    mean_title, mean_text = sum(map(len, titles)) / count, sum(map(len, texts)) / count
    wanted = np.zeros(count)
    for term in query:
        holds = [d for d in range(count) if term in titles[d] or term in texts[d]]
        idf = np.log(1 + (count - len(holds) + 0.5) / (len(holds) + 0.5))
        for d in holds:
            tf = TITLE_WEIGHT * titles[d].count(term) / (1 - TITLE_B + TITLE_B * len(titles[d]) / mean_title)
            tf += texts[d].count(term) / (1 - TEXT_B + TEXT_B * len(texts[d]) / mean_text)
            wanted[d] += idf * tf / (tf + K1)
    found = cranfield.by_words("shock wave wing")
    assert np.allclose(found.scores, wanted[found.documents], atol=1e-5)
    assert len(found.documents) == int((wanted > 0).sum())


@here
@given(st.integers(0, 2**32), st.integers(1, 400))
@settings(max_examples=10)
def test_a_pool_ranks_its_own_documents_only(cranfield, seed, size):
    pool = np.sort(np.random.Generator(np.random.PCG64(seed)).choice(cranfield.count, size, replace=False))
    found = cranfield.rank("boundary layer on a flat plate", pool)
    assert sorted(found.documents.tolist()) == pool.tolist()
    assert np.isfinite(found.scores).all()


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    documents = [
        {"id": f"d{n}", "title": t, "text": x}
        for n, (t, x) in enumerate([("Wing", "shock wave"), ("Heat", "slab of heat"), ("", "")])
    ]
    queries = [{"query_id": "q1", "text": "shock"}, {"query_id": "q2", "text": "zebra"}, {"query_id": "q3", "text": "the of"}]
    for name, rows in (("documents", documents), ("queries", queries)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "documents.jsonl", tmp_path / "queries.jsonl"


def test_the_command_ranks_any_collection(small, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["search", "rank", "--documents", str(small[0]), "--queries", str(small[1]), "--out", str(out), "--json"]
    arguments = parse(words)
    assert arguments.call(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["documents"] == 2 and told["left_out"] == {"empty": 1} and told["unanswered"] == ["q2", "q3"]
    assert read_run(out)["q1"][0] == "d0"
    with pytest.raises(UsageError, match="there already"):
        rank_file(*small, out)


def test_trec_files(tmp_path):
    documents, topics = tmp_path / "docs.trec", tmp_path / "topics.txt"
    documents.write_text(
        "<DOC>\n<DOCNO> FT-1 </DOCNO>\n<HEADLINE>Shock &amp; wave</HEADLINE>\n<TEXT>\nWings <b>meet</b> shocks.\n</TEXT>\n</DOC>\n"
        "<DOC>\n<DOCNO>FT-2</DOCNO>\n<TEXT>\nHeat\n</TEXT>\n</DOC>\n"
    )
    topics.write_text("<top>\n<num> Number: 051\n<title> Topic: wings of shocks\n<desc> Description:\nmore\n</top>\n")
    found = read_documents(documents).table.to_pylist()
    assert found[0] == {"id": "FT-1", "title": "Shock & wave", "text": "Wings meet shocks."}
    assert read_queries(topics) == [("51", "wings of shocks")]
    documents.write_text("<DOC>\n<DOCNO>1</DOCNO>\ncut")
    with pytest.raises(DataError, match="line 1: the file ends inside"):
        read_documents(documents)
    documents.write_text("<DOC>\nno number\n</DOC>\n")
    with pytest.raises(DataError, match="line 1: a document without <DOCNO>"):
        read_documents(documents)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.jsonl", '{"query_id": "1", "text": "a"}\n{"query_id": "1", "text": "b"}\n', "given twice"),
        ("q.jsonl", '{"words": "a"}\n', "no id or no text"),
        ("q.what", "hm", "cannot tell how to read it"),
    ],
)
def test_files_that_are_no_queries(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises((DataError, UsageError), match=said):
        read_queries(tmp_path / name)
