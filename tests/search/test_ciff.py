"""CIFF: what is written is read back, other tools read the same numbers, rankings agree, and a hostile file is named."""

from __future__ import annotations

import io
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search_index import ROWS, table

from pellucid.cli.main import parse
from pellucid.errors import DataError, UsageError
from pellucid.search import Ranker, build, documents_of, read_ciff, write_ciff
from pellucid.search.exchange.protobuf import delimited, field, fields, read_delimited, varint


def in_one_field(rows):
    return {name: ("", f"{title} {text}") for name, (title, text) in rows.items()}


@given(ROWS)
@settings(max_examples=25)
def test_an_index_comes_back_with_the_same_rankings(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("ciff")
    held = documents_of(table(rows))
    write_ciff(build(held), folder / "a.ciff")
    write_ciff(build(held), folder / "b.ciff")
    assert (folder / "a.ciff").read_bytes() == (folder / "b.ciff").read_bytes()
    back = read_ciff(folder / "a.ciff")
    texts = {
        name: f"{title} {text}"
        for name, title, text in zip(*(held.table.column(one).to_pylist() for one in ("id", "title", "text")), strict=True)
    }
    whole = build(documents_of(table({name: ("", text) for name, text in texts.items()})))
    assert (
        back.arrays["id"].tolist() == whole.arrays["id"].tolist()
        and back.arrays["terms"].tolist() == whole.arrays["terms"].tolist()
    )
    assert np.array_equal(back.arrays["terms.documents"], whole.arrays["terms.documents"])
    assert np.array_equal(back.arrays["tokens.ends"], whole.arrays["tokens.ends"])
    for query in ("wing", "shock wave", "heat flow layer 95", "Überschall"):
        ours, theirs = Ranker(back).by_words(query), Ranker(whole).by_words(query)
        assert ours.documents.tolist() == theirs.documents.tolist() and np.allclose(ours.scores, theirs.scores)
    write_ciff(back, folder / "again.ciff")
    assert (folder / "again.ciff").read_bytes() == (folder / "a.ciff").read_bytes()


def test_the_file_is_what_the_schema_says(tmp_path):
    """Read with nothing but the published schema: field numbers, gaps, counts."""
    rows = {"a": ("wing", "flow wing"), "b": ("", "flow"), "c": ("flow flow", "heat wing")}
    write_ciff(build(documents_of(table(rows))), tmp_path / "x.ciff")
    file = io.BytesIO((tmp_path / "x.ciff").read_bytes())
    head = dict(fields(read_delimited(file, 10**6)))
    assert (
        [head[number] for number in range(1, 7)] == [1, 3, 3, 3, 3, 8]
        and head[7] == pytest.approx(8 / 3)
        and b"english" in head[8]
    )
    lists = {}
    for _ in range(3):
        found = list(fields(read_delimited(file, 10**6)))
        told = dict(found)
        postings = [dict(fields(value)) for number, value in found if number == 4]
        at = np.cumsum([one.get(1, 0) for one in postings]).tolist()
        lists[told[1].decode()] = dict(zip(at, [one[2] for one in postings], strict=True))
        assert told[2] == len(postings) and told[3] == sum(one[2] for one in postings)
    assert lists == {"flow": {0: 1, 1: 1, 2: 2}, "heat": {2: 1}, "wing": {0: 2, 2: 1}}
    records = [dict(fields(read_delimited(file, 10**6))) for _ in range(3)]
    assert [(one.get(1, 0), one[2], one[3]) for one in records] == [(0, b"a", 3), (1, b"b", 1), (2, b"c", 4)]
    assert read_delimited(file, 10**6) is None


@given(st.integers(0, 2**63 - 1))
def test_numbers_and_fields_come_back(number):
    assert list(fields(field(3, number))) == ([(3, number)] if number else [])
    assert len(varint(number)) == max(1, -(-number.bit_length() // 7))
    assert list(fields(field(7, number / 3) + field(8, b"x"))) == [(7, number / 3), (8, b"x")]


def ciff(lists=((b"wing", [(0, 1)]),), names=(b"a",), head=None) -> bytes:
    told = head if head is not None else [1, len(lists), len(names)]
    out = delimited(b"".join(field(number, value) for number, value in enumerate(told, 1)))
    for term, postings in lists:
        out += delimited(field(1, term) + b"".join(field(4, field(1, gap) + field(2, count)) for gap, count in postings))
    for number, name in enumerate(names):
        out += delimited(field(1, number) + field(2, name))
    return out


HOSTILE = {
    "nothing": b"", "text": b"hello there", "zeros": bytes(100), "ones": b"\xff" * 100, "a length beyond": varint(2**60) + b"x",
    "a document beyond": ciff([(b"wing", [(5, 1)])]), "a count of nothing": ciff([(b"wing", [(0, 0)])]),
    "a bomb": ciff([(b"wing", [(0, 2**40)])]), "twice in a list": ciff([(b"wing", [(0, 1), (0, 1)])]),
    "two lists of a term": ciff([(b"wing", [(0, 1)])] * 2), "two documents of a name": ciff(names=(b"a", b"a")),
    "no name": ciff(names=(b"",)),
    "more lists promised": ciff(head=[1, 2**40, 1]), "more documents promised": ciff(head=[1, 1, 2**40]), "more behind": ciff() + ciff(),
    "a double for a gap": delimited(field(2, 1) + field(3, 1)) + delimited(field(1, b"w") + field(4, field(1, 1.5) + field(2, 1))),
    "a text for a count of lists": delimited(field(2, b"x") + field(3, 1)), "group": delimited(varint(3 << 3 | 3)),
    "not a number": delimited(varint(2 << 3 | 1) + struct.pack("<d", float("nan"))),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_none_is_named(tmp_path, name):
    (tmp_path / "x.ciff").write_bytes(HOSTILE[name])
    with pytest.raises(DataError, match="no whole CIFF file"):
        read_ciff(tmp_path / "x.ciff")


@given(st.data())
@settings(max_examples=60)
def test_a_file_that_is_cut_or_changed_is_named_or_read(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ciff")
    whole = ciff([(b"wing", [(0, 1), (1, 2)]), (b"wave", [(1, 3)])], (b"a", b"b"))
    cut = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (folder / "cut.ciff").write_bytes(whole[:cut])
    (folder / "changed.ciff").write_bytes(changed)
    with pytest.raises(DataError, match="no whole CIFF file"):
        read_ciff(folder / "cut.ciff")
    try:
        found = read_ciff(folder / "changed.ciff")
    except DataError:
        return
    assert len(found.arrays["id"]) == 2 and Counter(found.arrays["tokens"].tolist()).total() == found.arrays["tokens.ends"][-1]


def test_the_command_writes_it(tmp_path, capsys):
    (tmp_path / "d.jsonl").write_text('{"id": "a", "text": "wing"}\n{"id": "b", "text": ""}\n')
    words = ["search", "export", "--documents", str(tmp_path / "d.jsonl"), "--out", str(tmp_path / "d.ciff")]
    arguments = parse(words)
    assert arguments.call(arguments) == 0
    assert "1 documents, 1 terms, as CIFF" in capsys.readouterr().out
    assert read_ciff(tmp_path / "d.ciff").arrays["terms"].tolist() == ["wing"]
    with pytest.raises(UsageError, match="there already"):
        arguments.call(parse(words))
    with pytest.raises(UsageError, match="needs --queries"):
        (rank := parse(["search", "rank", *words[2:]])).call(rank)
    with pytest.raises(UsageError, match="no such file"):
        read_ciff(tmp_path / "none.ciff")
