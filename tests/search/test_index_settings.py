"""Synonyms, years and updates of an index: what they change, and that nothing else does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search_index import ROWS, table

from pellucid.errors import UsageError
from pellucid.pipeline.running import load, run
from pellucid.search import Engine, build, documents_of
from pellucid.search.publication_dates import LONGEST_LIST, day_of, in_ranges, year_range
from pellucid.search.search_index import update
from pellucid.search.synonyms import checked_synonyms, widening
from pellucid.store import Model, kinds

WORDS = ["car", "automobile", "motor car", "wing", "shock wave", "plane", "jet"]


def digest(model: Model, folder, name: str) -> str:
    return kinds.save(model, "model", folder, name).sha256


@given(ROWS, ROWS, st.integers(0, 3))
@settings(max_examples=10)
def test_an_updated_index_is_that_of_all_documents_at_once(tmp_path_factory, old, new, remove):
    folder = tmp_path_factory.mktemp("indexes")
    first = build(documents_of(table(old)))
    fresh = {name: texts for name, texts in new.items() if any(texts)}  # an empty document replaces none
    kept = [name for name in first.arrays["id"].tolist() if name not in fresh]
    gone = kept[:remove]
    merged = {**{name: old[name] for name in kept if name not in gone}, **fresh}
    changed = documents_of(table(fresh)) if fresh else None
    if changed is None or not merged:
        return
    found = update(Model(first.kind, first.arrays, {**first.settings, "left_out": []}), changed, gone)
    whole = build(documents_of(table(merged)))
    assert digest(found, folder, "found") == digest(whole, folder, "whole")


def test_an_update_keeps_columns_settings_and_counts(tmp_path):
    rows = pa.table({"id": ["a", "b", ""], "title": ["wing", "car", "x"], "year": [1990, None, 1], "kind": ["p", "q", "r"]})
    held = documents_of(rows, others=["year", "kind"])
    index = build(held, facets=["kind"], years="year", synonyms=[("car", "automobile")])
    new = pa.table(
        {"id": ["b", "c", "c"], "title": ["jet", "plane", "plane"], "year": [2001, 2002, 2002], "kind": ["q", "s", "s"]}
    )
    found = update(index, documents_of(new, others=["year", "kind"]), ["a"])
    assert found.arrays["id"].tolist() == ["b", "c"]
    assert found.settings["left_out"] == ["1 nameless", "1 repeated"] and found.settings["years"] == "year"
    answer = Engine(found).search("jet", filters={"year": ["2001"], "kind": ["q"]})
    assert [hit.id for hit in answer.hits] == ["b"] and answer.facets["year"] == [("2001", 1)]
    with pytest.raises(UsageError, match='no column "kind"'):
        update(index, documents_of(new, others=["year"]))
    with pytest.raises(UsageError, match="to remove"):
        update(index, documents_of(new, others=["year", "kind"]), ["zz"])


@given(
    st.lists(st.sets(st.sampled_from(WORDS), min_size=2, max_size=4), max_size=4),
    st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join),
)
@settings(max_examples=60)
def test_a_query_is_widened_by_what_means_the_same_and_nothing_else(groups, query):
    checked = checked_synonyms([sorted(one) for one in groups], "english")
    assert checked == checked_synonyms([sorted(one, reverse=True) for one in reversed(groups)], "english")
    found = widening(checked, "english")(query)
    terms = f" {query} "
    hit = [group for group in checked if any(f" {one} " in terms for one in group)]
    wanted = {one for group in hit for one in group if f" {one} " not in terms}
    assert set(found) == wanted and len(found) == len(wanted)


def test_synonyms_find_what_the_words_do_not():
    rows = {"a": ("An automobile on the road", ""), "b": ("The wing", ""), "c": ("Motor cars", "")}
    plain, wide = (
        build(documents_of(table(rows))),
        build(documents_of(table(rows)), synonyms=[("car", "automobile", "motor car")]),
    )
    assert [hit.id for hit in Engine(plain).search("automobiles").hits] == ["a"]
    found = Engine(wide).search("automobiles")
    assert {hit.id for hit in found.hits} == {"a", "c"} and found.notes == ("also asked: car, motor car",)
    assert {hit.id for hit in Engine(wide).search("automobiles", ranking="bm25f").hits} == {"a", "c"}
    assert {hit.id for hit in Engine(wide).search("title:automobile").hits} == {"a"}
    assert "synonyms" not in plain.settings and wide.arrays.keys() == plain.arrays.keys()
    assert all(np.array_equal(wide.arrays[name], plain.arrays[name]) for name in plain.arrays)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([("car",)], "2 to 50"), ([("car", " car ")], "2 to 50"), (["car"], "no group"), ([("car", "the")], "cannot be a synonym"),
        ([("car", "x" * 101)], "cannot be a synonym"), ([("car", "\x00")], "cannot be a synonym"), ([[1, 2]], "no group"),
        ([tuple(f"w{n}" for n in range(51))], "2 to 50"),
    ],
)  # fmt: skip
def test_what_is_no_synonym_is_refused(groups, said):
    with pytest.raises(UsageError, match=said):
        checked_synonyms(groups, "english")


def test_years_are_read_as_people_write_them():
    told = {"2024": "2024-12-31", "2024-02": "2024-02-29", "2023-05-17T10:00": "2023-05-17", " 1999 ": "1999-12-31"}
    assert {text: str(day_of(text)) for text in told} == told
    for nothing in ("", "May 2024", "24", "20245", "2024-13", "2024-02-30", "0000", "2024-1"):
        assert day_of(nothing) is None, nothing
    assert year_range("1995") == (1995, 1995) and year_range("1990-1999") == (1990, 1999)
    assert year_range("1990-") == (1990, 9999) and year_range("-1999") == (0, 1999)
    for wrong in ("", "-", "x", "1990-x", "1990--1999", "19900", "1990,1991"):
        with pytest.raises(UsageError, match="no range"):
            year_range(wrong)


@given(st.dictionaries(st.integers(1, 9999), st.integers(1, 9), max_size=60))
def test_ranges_of_years_hold_every_year_once(counts):
    found = in_ranges(counts)
    assert len(found) <= LONGEST_LIST and sum(count for _, count in found) == sum(counts.values())
    spans = [year_range(value) for value, _ in found]
    assert spans == sorted(spans) and all(a[1] < b[0] for a, b in pairwise(spans))
    assert all(sum(first <= year <= last for first, last in spans) == 1 for year in counts)


def test_an_index_cannot_have_years_that_are_not_there():
    rows = pa.table({"id": ["a"], "title": ["wing"], "year": ["1999"]})
    for years, facets in (("date", []), ("year", ["year"])):
        with pytest.raises(UsageError, match="years cannot be taken"):
            build(documents_of(rows, others=["year"]), facets=facets, years=years)


def test_an_update_is_a_step(tmp_path):
    (tmp_path / "old.csv").write_text("id,title\na,wing\nb,car\n")
    (tmp_path / "new.csv").write_text("id,title\nb,jet\nc,plane\n")
    (tmp_path / "all.csv").write_text("id,title\na,wing\nb,jet\nc,plane\n")
    (tmp_path / "p.py").write_text("""
import pellucid as pl

old, new, every = (pl.source(f"{name}.csv", label="open", name=name) for name in ("old", "new", "all"))
index = pl.search.index(old)
updated = pl.search.update(index, new)
whole = pl.search.index(every, name="whole")
pipeline = pl.Pipeline("p", [old, new, every, index, updated, whole])
""")
    done = run(load(tmp_path / "p.py"), home=tmp_path / ".pellucid", jobs=1)
    assert done.status == "done"
    assert done.steps["updated"].outputs["updated"].digest == done.steps["whole"].outputs["whole"].digest
