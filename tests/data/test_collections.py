"""SMART test collections and MovieLens, on the real files where they are, and on small ones of the same form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from pellucid.data import open_table
from pellucid.errors import DataError, UsageError

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real collections are not at {SHARED}")

DOCS = (
    ".I 1\n.T\na title\nin two lines\n.A\nsomebody\n.B\na journal\n.W\nthe text\n. with a dot\n.I 2\n.T \n.A\n.B\n.W\n.W\nmore\n"
)
QUERIES = ".I 001\n.W\nfirst question\n.I 004\n.W\nsecond\nquestion .\n"


def smart(path, part, **options):
    return open_table(path, format="smart", options={"part": part, **options}).read_all()


def movielens(path, **options):
    return open_table(path, format="movielens", options=options).read_all()


def test_documents(tmp_path):
    (tmp_path / "x.all").write_text(DOCS)
    assert smart(tmp_path, "docs").to_pylist() == [
        {
            "doc_id": 1,
            "title": "a title in two lines",
            "author": "somebody",
            "source": "a journal",
            "text": "the text . with a dot",
        },
        {"doc_id": 2, "title": "", "author": "", "source": "", "text": "more"},
    ]


def test_queries_are_numbered_by_their_order_as_the_judgements_are(tmp_path):
    (tmp_path / "cran.qry").write_text(QUERIES)
    assert smart(tmp_path, "queries").to_pylist() == [
        {"query_id": 1, "number": 1, "text": "first question"},
        {"query_id": 2, "number": 4, "text": "second question ."},
    ]


def test_a_lower_cranfield_code_is_a_higher_grade(tmp_path):
    path = tmp_path / "cranqrel"
    path.write_text("1 10 1 \n1 11 2\n1 12 3\n1 13 4\n1 14 5\n1 15 -1\n")
    found = smart(path, "judgements").to_pylist()
    assert [(row["code"], row["grade"]) for row in found] == [(1, 4), (2, 3), (3, 2), (4, 1), (5, 0), (-1, 0)]


def test_a_judgement_without_code_is_relevant(tmp_path):
    path = tmp_path / "CISI.REL"
    path.write_text("     1     28\t0\t0.000000\n\n")
    assert smart(path, "judgements").to_pylist() == [{"query_id": 1, "doc_id": 28, "grade": 1, "code": None}]


BROKEN = [
    ("docs", "hello\n", "line 1: text before the first entry or field"),
    ("docs", "\n\n", "holds no entries"),
    ("judgements", "1 2\n", "line 1: not a judgement"),
    ("judgements", "1 2 3\n1 2 9\n", "line 2: not a judgement"),
    ("judgements", "1 x 3\n", "line 1: not a judgement"),
    ("queries", b".I 1\n.W\n\xff\n", "not UTF-8"),
]


@pytest.mark.parametrize(("part", "text", "says"), BROKEN)
def test_what_is_not_smart_is_named_with_its_line(part, text, says, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as caught:
        smart(path, part)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_part_must_be_one_there_is(tmp_path):
    (tmp_path / "a.all").write_text(DOCS)
    with pytest.raises(UsageError, match="say which part to read"):
        open_table(tmp_path, format="smart")
    with pytest.raises(UsageError, match="there is no part 'titles'"):
        smart(tmp_path, "titles")
    with pytest.raises(DataError, match="cannot tell which file holds the queries"):
        smart(tmp_path, "queries")
    (tmp_path / "b.all").write_text(DOCS)
    with pytest.raises(DataError, match=r"candidates: a\.all, b\.all"):
        smart(tmp_path, "docs")
    with pytest.raises(DataError, match=r"no column 'abstract'\. Its columns: doc_id, title"):
        smart(tmp_path / "a.all", "docs", columns=["abstract"])


@needs_shared
def test_cranfield_as_it_is():
    docs, queries = smart(SHARED / "cranfield-original", "docs"), smart(SHARED / "cranfield-original", "queries")
    judged = smart(SHARED / "cranfield-original", "judgements")
    assert (docs.num_rows, queries.num_rows, judged.num_rows) == (1400, 225, 1837)
    assert Counter(judged["grade"].to_pylist()) == {4: 128, 3: 387, 2: 734, 1: 363, 0: 225}
    assert set(judged["query_id"].to_pylist()) == set(queries["query_id"].to_pylist())
    assert set(judged["doc_id"].to_pylist()) <= set(docs["doc_id"].to_pylist())
    assert queries["number"].to_pylist()[-1] == 365
    assert Counter(Counter(row["query_id"] for row in judged.to_pylist() if row["code"] == -1).values()) == {1: 225}


@needs_shared
def test_cranfield_questions_meet_their_answers_only_when_joined_by_order():
    """The words of a question occur more often in its best answers than in those of another one: so the join is right."""
    docs = {row["doc_id"]: set(row["text"].split()) for row in smart(SHARED / "cranfield-original", "docs").to_pylist()}
    questions = smart(SHARED / "cranfield-original", "queries").to_pylist()
    judged = [row for row in smart(SHARED / "cranfield-original", "judgements").to_pylist() if row["grade"] == 4]

    def overlap(name):
        texts = {row[name]: set(row["text"].split()) for row in questions}
        shares = [
            len(texts[row["query_id"]] & docs[row["doc_id"]]) / len(texts[row["query_id"]])
            for row in judged
            if row["query_id"] in texts
        ]
        return sum(shares) / len(shares)

    assert overlap("query_id") > overlap("number") + 0.1


@needs_shared
def test_cisi_as_it_is():
    docs, queries, judged = (smart(SHARED / "cisi", part) for part in ("docs", "queries", "judgements"))
    assert (docs.num_rows, queries.num_rows, judged.num_rows) == (1460, 112, 3114)
    assert queries["query_id"].equals(queries["number"])
    assert len(judged["query_id"].unique()) == 76
    assert set(judged["doc_id"].to_pylist()) <= set(docs["doc_id"].to_pylist())
    assert all(docs["text"].to_pylist())


@needs_shared
def test_movielens_as_it_is():
    folder = SHARED / "ml-latest-small"
    ratings = movielens(folder, part="ratings")
    assert ratings.num_rows == 100_836
    assert len(ratings["userId"].unique()) == 610
    assert ratings["rating"].type == pa.float64()
    assert movielens(folder / "tags.csv").num_rows == 3683
    movies = movielens(folder, part="movies", columns=["title"])
    assert (movies.num_rows, movies.schema.names) == (9742, ["title"])
    links = movielens(folder, part="links")
    assert links["imdbId"][0].as_py() == "0114709"
    assert links["tmdbId"].null_count == 8


def test_movielens_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="no MovieLens part"):
        movielens(tmp_path, part="genres")
    with pytest.raises(DataError, match=r"there is no ratings\.csv in the folder"):
        movielens(tmp_path, part="ratings")
    (tmp_path / "ratings.csv").write_text("userId,rating\n1,2\n")
    with pytest.raises(DataError, match=r"no column 'movieId'\. Its columns: userId, rating"):
        movielens(tmp_path, part="ratings")
