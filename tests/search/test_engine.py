"""The engine: what matches, how it is shown, and queries that were made to break it."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.search import Engine, build, documents_of
from pellucid.search.full_text import asked_words, checked_query
from pellucid.search.spelling import Words, _edits

ROWS = [
    ("1", "Shock waves on a wing", "The shock wave stands at the edge of the swept wing.", "1958", "lighthill"),
    ("2", "Heat transfer in slabs", "Heat flows through a composite slab; the wave of heat is slow.", "1958", "biot"),
    ("3", "Boundary layers", "A laminar boundary layer meets a shock.", "1960", "lighthill"),
    ("4", "Überschallströmung", "Étude d'une onde de choc.", "1961", "prandtl & sons"),
    ("5", "<script>alert(1)</script>", "Markup & entities: <b>bold</b> wing", "1961", ""),
]
NASTY = [
    "(" * 900, "((" * 20 + "wing" + "))" * 20, "[" * 500 + "wing", '"' * 999, '"wing', "wing AND", "AND AND", "NOT", "-wing", "title:",
    ":", "*", "?", "wing^9999999999", "wing~99", "[a TO", "{a TO b}", "title:[* TO *]", "number:[0 TO 5]", "/(a+)+$/", "a\x00b",
    "\u202eabc", "\ud800", "😀" * 100, "%", "\\", "\\" * 500, "+", "- - -", "' OR 1=1 --", "<script>", "IN [a b]",
    "title:IN [a b", "wing " * 200, "facet_0:1958", "plain:wing",
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Engine:
    columns = ("id", "title", "text", "year", "author")
    table = pa.table({name: [row[at] for row in ROWS] for at, name in enumerate(columns)})
    return Engine(build(documents_of(table, others=["year", "author"]), facets=["year", "author"]))


def ids(engine: Engine, query: str, **options) -> list[str]:
    return [hit.id for hit in engine.search(query, **options).hits]


def test_words_phrases_signs_and_fields(engine):
    assert set(ids(engine, "shock")) == {"1", "3"}
    assert ids(engine, '"shock wave"') == ["1"]
    assert ids(engine, '"wave shock"') == []
    assert ids(engine, '"edge of the swept wing"') == ["1"] and ids(engine, '"waves on a wing"') == ["1"]
    assert ids(engine, '"the of"') == []
    assert set(ids(engine, "wave -slab")) == {"1"}
    assert set(ids(engine, "shock AND laminar")) == {"3"}
    assert set(ids(engine, "title:heat OR title:layers")) == {"2", "3"}
    assert ids(engine, "uberschallstromung") == ["4"]
    assert ids(engine, "slabs") == ["2"]


def test_a_query_without_a_known_word_finds_nothing_and_says_so(engine):
    for query, said in (
        ("zebra", "no document has a word of the query"),
        ("the of", "no document has a word of the query"),
        ("!!!", "no words"),
    ):
        answer = engine.search(query)
        assert answer.total == 0 and any(said in note for note in answer.notes)
    everything = engine.search("")
    assert [hit.id for hit in everything.hits] == ["1", "2", "3", "4", "5"]


def test_filters_and_counts(engine):
    answer = engine.search("shock wave", filters={"year": ["1958"]})
    assert {hit.id for hit in answer.hits} == {"1", "2"} and answer.total == 2
    assert dict(answer.facets["author"]) == {"biot": 1, "lighthill": 1}
    assert dict(engine.search("").facets["year"]) == {"1958": 2, "1960": 1, "1961": 2}
    assert set(ids(engine, "", filters={"year": ["1960", "1961"]})) == {"3", "4", "5"}
    assert ids(engine, "", filters={"author": ["prandtl & sons"]}) == ["4"]
    with pytest.raises(UsageError, match='no filter "yaer"'):
        engine.search("x", filters={"yaer": ["1958"]})


def test_highlights_are_of_characters_not_bytes(engine):
    (hit,) = engine.search("choc").hits
    assert [hit.snippet.text[begin:end] for begin, end in hit.snippet.marks] == ["choc"]
    (hit,) = engine.search("slab").hits
    assert [hit.snippet.text[begin:end].lower() for begin, end in hit.snippet.marks] == ["slab"]
    assert [hit.title[begin:end] for begin, end in hit.title_marks] == ["slabs"]


def test_spelling_and_completion(engine):
    assert engine.search("shok wavs").did_you_mean == "shock wave"
    assert engine.search("shock").did_you_mean is None
    assert engine.search("zzzzzz").did_you_mean is None
    assert "boundary" in engine.text.completions("bou")
    assert "shock wave" in engine.text.completions("shock wav")
    assert engine.text.completions("") == [] and engine.text.completions("(((") == []


@pytest.mark.parametrize("query", NASTY)
def test_hostile_queries_are_answered_or_refused(engine, query):
    begun = time.perf_counter()
    answer = engine.search(query)
    assert len(answer.hits) <= 10
    assert time.perf_counter() - begun < 5  # a bound on hanging, not a measurement


@given(st.text(max_size=120) | st.text(alphabet='()[]{}":+-*^~/\\ ANDORT wing', max_size=200))
@settings(max_examples=150)
def test_any_text_is_answered(engine, query):
    answer = engine.search(query)
    assert len(answer.hits) <= 10 and answer.total >= len(answer.hits)


def test_a_query_too_long_is_refused():
    with pytest.raises(UsageError, match="1,001 characters"):
        checked_query("x" * 1001)


def test_what_is_excluded_does_not_rank():
    assert asked_words('shock -wave "boundary layer" -"heat flow" NOT slab title:wing').split() == [
        "shock",
        "boundary",
        "layer",
        "wing",
    ]


@pytest.mark.parametrize("bad", [{"k": 0}, {"k": 101}, {"offset": -1}, {"offset": 5000}, {"ranking": "magic"}])
def test_pages_and_rankings_there_are_not(engine, bad):
    with pytest.raises(UsageError):
        engine.search("wing", **bad)


@given(st.text("abcd", max_size=7), st.text("abcd", max_size=7))
def test_edits_are_the_distance_of_damerau(a, b):
    table = [[max(i, j) if not i or not j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            options = [table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a[i - 1] != b[j - 1])]
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                options.append(table[i - 2][j - 2] + 1)
            table[i][j] = min(options)
    assert _edits(a, b) == table[-1][-1]


@given(
    st.dictionaries(st.text("abcdef", min_size=3, max_size=8), st.integers(1, 9), min_size=1, max_size=30),
    st.text("abcdef", min_size=4, max_size=8),
)
def test_the_nearest_word_is_the_nearest(words, asked):
    found = Words(sorted(words), [words[word] for word in sorted(words)]).nearest(asked)
    most = 1 if len(asked) <= 5 else 2
    near = sorted((_edits(asked, word), -count, word) for word, count in words.items() if _edits(asked, word) <= most)
    assert found == (None if asked in words or not near else near[0][2])
