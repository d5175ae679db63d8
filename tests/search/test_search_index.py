"""The index: the same from the same documents, whatever their order and the process; its tables are what they say."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import DataError, UsageError
from pellucid.search import Engine, build, documents_of
from pellucid.search import latent_semantics as lsa
from pellucid.search.search_index import unpack
from pellucid.search.text_analysis import LANGUAGES, analyser
from pellucid.store import kinds

WORDS = ["wing", "shock", "wave", "heat", "flow", "layer", "of", "the", "Überschall", "naïve", "95"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
ROWS = st.dictionaries(st.text("abc019", min_size=1, max_size=3), st.tuples(TEXTS, TEXTS), min_size=1, max_size=12).filter(
    lambda rows: any(any(texts) for texts in rows.values())
)


def table(rows: dict[str, tuple[str, str]]) -> pa.Table:
    return pa.table({"id": list(rows), "title": [one for one, _ in rows.values()], "text": [one for _, one in rows.values()]})


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_rows_does_not_matter(rows, random):
    mixed = list(rows.items())
    random.shuffle(mixed)
    ours, theirs = build(documents_of(table(rows))), build(documents_of(table(dict(mixed))))
    assert ours.settings == theirs.settings
    for name, array in ours.arrays.items():
        assert np.array_equal(array, theirs.arrays[name]), name


@given(ROWS)
@settings(max_examples=40)
def test_the_arrays_are_what_they_say(rows):
    index = build(documents_of(table(rows)))
    kept = sorted(name for name, texts in rows.items() if any(texts))
    assert index.arrays["id"].tolist() == kept
    terms, ends = index.arrays["terms"].tolist(), index.arrays["tokens.ends"]
    held: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for number, name in enumerate(kept):
        title = rows[name][0]
        assert unpack(index, "title", number) == title
        for place, part in enumerate((title, unpack(index, "text", number))):
            begin, end = ends[2 * number + place], ends[2 * number + place + 1]
            assert [terms[token] for token in index.arrays["tokens"][begin:end]] == analyser("english").analyze(part)
        held.update(set(analyser("english").analyze(title)) | set(analyser("english").analyze(unpack(index, "text", number))))
        whole.update({word.lower() for word in f"{title} {unpack(index, 'text', number)}".split()})
    assert dict(zip(index.arrays["words"].tolist(), index.arrays["words.documents"].tolist(), strict=True)) == whole
    assert dict(zip(terms, index.arrays["terms.documents"].tolist(), strict=True)) == held


def test_twice_in_fresh_processes_with_other_hash_seeds(tmp_path):
    program = """
import sys, pathlib
from threadpoolctl import threadpool_limits
from pellucid.search import build, documents_of
from pellucid.store import kinds
import pyarrow as pa
words = "wing shock wave heat flow layer plate cone slab body jet".split()
texts = [" ".join(words[(i * k) % 11] for k in range(1, 9)) for i in range(400)]
with threadpool_limits(1):
    index = build(documents_of(pa.table({"id": [str(i) for i in range(400)], "title": texts[::-1], "text": texts})))
print(kinds.save(index, "model", pathlib.Path(sys.argv[1]), "index").sha256)
"""
    found = set()
    for seed in ("0", "17"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin"}
        made = subprocess.run(
            [sys.executable, "-c", program, folder], env=environment, capture_output=True, text=True, check=True
        )
        found.add(made.stdout)
    assert len(found) == 1


def test_neighbours_are_the_nearest():
    random = np.random.Generator(np.random.PCG64(5))
    points = random.normal(size=(200, 12))
    points = np.round(points / np.linalg.norm(points, axis=1, keepdims=True), 6).astype(np.float32)
    near, weights = lsa.neighbours(points)
    cosines = np.round(points @ points.T, 6)
    np.fill_diagonal(cosines, -1)
    for one in range(200):
        best = sorted(range(200), key=lambda other, one=one: (-cosines[one, other], other))[: lsa.NEIGHBOURS]
        assert near[one].tolist() == best
        wanted = np.maximum(cosines[one, best], 0)
        assert np.allclose(weights[one], wanted / wanted.sum(), atol=1e-6)


def test_many_documents_find_nearly_all_of_their_nearest(monkeypatch):
    random = np.random.Generator(np.random.PCG64(6))
    centres = random.normal(size=(40, 16))
    points = centres[random.integers(0, 40, 3000)] + 0.3 * random.normal(size=(3000, 16))
    points = np.round(points / np.linalg.norm(points, axis=1, keepdims=True), 6).astype(np.float32)
    exact, _ = lsa.neighbours(points)
    monkeypatch.setattr(lsa, "EXACT", 1000)
    coarse, _ = lsa.neighbours(points)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact.tolist(), coarse.tolist(), strict=True)]) > 0.9


def test_what_cannot_be_taken_is_counted():
    rows = pa.table(
        {"id": ["a", "a", "b", None, "c", " d "], "title": ["x", "y", "", "z", None, "w"], "text": ["", "", "", "q", None, "v"]}
    )
    found = documents_of(rows)
    assert found.table.column("id").to_pylist() == ["a", "d"]
    assert found.table.column("title").to_pylist() == ["x", "w"]
    assert found.left_out == {"repeated": 1, "empty": 2, "nameless": 1}


def test_control_characters_and_half_characters_are_no_part_of_a_document():
    rows = pa.table({"id": ["a"], "title": ["one\x00two\u202ethree"], "text": ["x\r\n\ty"]})
    found = documents_of(rows).table.to_pylist()[0]
    assert found["title"].split()[0] == "one" and "\x00" not in found["title"]
    assert found["text"] == "x y"


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ({"name": ["x"]}, {}, "no column for an id"),
        ({"id": ["1"], "n": [3]}, {}, "no column for a title or a text"),
        ({"id": ["1"], "title": ["x"]}, {"text": "txet"}, 'no column "txet"'),
        ({"id": ["1"], "title": ["x"]}, {"others": ["titel"]}, 'Did you mean "title"'),
        ({"id": ["1"], "title": [None]}, {}, "not one document"),
        ({"id": ["1"], "title": [["x"]]}, {}, "not text"),
    ],
)
def test_tables_that_are_no_documents(rows, options, said):
    with pytest.raises((DataError, UsageError), match=said):
        documents_of(pa.table(rows), **options)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_an_analyser(language):
    assert analyser(language).analyze("Informationen, informations; nations 95") != []


def test_columns_may_be_called_anything(tmp_path):
    """Also what an array of the index is called, or what no array can be."""
    names = ["terms", "words", "tokens.ends", "column.0", "year of print", "neighbours"]
    rows = pa.table(
        {"id": ["1", "2"], "title": ["Wing", "Heat"], "text": ["shock", "slab"], **{name: [f"{name} a", "b"] for name in names}}
    )
    index = build(documents_of(rows, others=names), facets=names)
    again = kinds.load(kinds.save(index, "model", tmp_path, "index").path, "model")
    assert [unpack(again, name, 0) for name in names] == [f"{name} a" for name in names]
    engine = Engine(again)
    assert [
        hit.id for hit in engine.search("shock", filters={"terms": ["terms a"], "year of print": ["year of print a"]}).hits
    ] == ["1"]
    assert engine.search("slab").hits[0].columns == dict.fromkeys(names, "b")


def test_an_index_is_kept_as_it_is(tmp_path):
    index = build(
        documents_of(pa.table({"id": ["1"], "title": ["Wing"], "text": [""], "year": [1958]}), others=["year"]), facets=["year"]
    )
    saved = kinds.save(index, "model", tmp_path, "index")
    again = kinds.load(saved.path, "model")
    assert again.settings["facets"] == ["year"] and unpack(again, "year", 0) == "1958"
