"""Folders of pages and WARC files: what is in them, and what strangers put there; one bad file costs itself, by name, and no other."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import extraction_process, open_table
from pellucid.data.text_extraction import PROBLEMS, of_html, of_markdown, read_bytes
from pellucid.errors import DataError, UsageError
from pellucid.pipeline.running import load, run
from pellucid.search import documents_of, read_documents


def pdf(text: str) -> bytes:
    """A page with a line of text, as the standard has it."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", "<</Title(A wing)>>",
    ]  # fmt: skip
    out, places = "%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj{one}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer<</Size 7/Root 1 0 R/Info 6 0 R>>\nstartxref\n{len(out)}\n%%EOF"
    return (out + f"xref\n0 7\n0000000000 65535 f \n{table}{end}").encode()


def record(url: str, body: bytes, media: str = "text/html", status: str = "200 OK", length: int | None = None) -> bytes:
    """A WARC record of an answer; `length`: what its header says, where that is not true."""
    http = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\n\r\n".encode() + body
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-01T00:00:00Z\r\n"
    head += (
        "WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000001>\r\nContent-Type: application/http; msgtype=response\r\n"
    )
    return head.encode() + f"Content-Length: {len(http) if length is None else length}\r\n\r\n".encode() + http + b"\r\n\r\n"


PAGE = (
    b"<html><head><title>The  wing</title><style>p{}</style></head>"
    b"<body><nav>menu</nav><script>alert(1)</script><p>lift&amp;drag</p></body>"
)


def rows(path: Path, format: str = "pages") -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in open_table(path, format=format).read_all().to_pylist()}


def test_a_folder_of_pages_of_every_kind(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_bytes(PAGE)
    (tmp_path / "latin.htm").write_bytes('<meta charset="iso-8859-1"><p>Flügel'.encode("latin-1"))
    (tmp_path / "old.html").write_bytes("<p>Flügel’s".encode("cp1252"))
    (tmp_path / "sub" / "b.md").write_text("---\ntitle: 'Named'\n---\n# Heading\n\nwords *of* it\n")
    (tmp_path / "c.markdown").write_text("intro\n\n## The heading ##\n\nmore\n")
    (tmp_path / "d.txt").write_bytes("﻿shock wave".encode())
    (tmp_path / "e.txt").write_bytes("shock wave".encode("utf-16"))
    (tmp_path / "f.pdf").write_bytes(pdf("supersonic flow"))
    found = rows(tmp_path)
    assert list(found) == ["a.html", "c.markdown", "d.txt", "e.txt", "f.pdf", "latin.htm", "old.html", "sub/b.md"]
    assert {row["problem"] for row in found.values()} == {""}
    assert (found["a.html"]["title"], found["a.html"]["text"]) == ("The wing", "lift&drag")
    assert "Flügel" in found["latin.htm"]["text"] and "Flügel’s" in found["old.html"]["text"]
    assert found["sub/b.md"]["title"] == "Named" and "Heading" in found["sub/b.md"]["text"]
    assert found["c.markdown"]["title"] == "The heading" and found["c.markdown"]["text"].split() == ["intro", "more"]
    assert found["d.txt"]["text"] == found["e.txt"]["text"] == "shock wave"
    assert "supersonic flow" in found["f.pdf"]["text"] and found["f.pdf"]["title"] == "A wing"
    assert rows(tmp_path) == found
    assert read_documents(tmp_path).table.num_rows == 8


def test_bad_files_are_counted_by_name_and_stop_nothing(tmp_path):
    (tmp_path / "good.txt").write_text("wing")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xff" * 5)
    (tmp_path / "bad.md").write_bytes(b"\x80\x81")
    (tmp_path / "empty.html").write_bytes(b"")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nonsense")
    (tmp_path / "big.html").write_bytes(b"")
    os.truncate(tmp_path / "big.html", 60_000_000)
    (tmp_path / "photo.jpg").write_bytes(b"x")
    (tmp_path / ".hidden.md").write_text("no")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    found = rows(tmp_path)
    assert {name: row["problem"] for name, row in found.items() if row["problem"]} == {
        "binary.txt": "not UTF-8 text", "bad.md": "not UTF-8 text", "broken.pdf": "cannot be parsed", "big.html": "larger than 50 MB",
        "photo.jpg": "another kind of file", "link.md": "a link", "loop": "a link", "pipe.txt": "not readable",
    }  # fmt: skip
    held = documents_of(open_table(tmp_path, format="pages").read_all())
    assert held.table.column("id").to_pylist() == ["good.txt"] and held.left_out["a link"] == 2 and held.left_out["empty"] == 1
    assert sum(held.left_out.values()) + 1 == len(found)
    assert set(held.left_out) <= {*PROBLEMS, "empty", "repeated", "nameless"}


def test_names_of_files_are_shown_whatever_they_are(tmp_path):
    names = [
        b"line\nbreak.txt",
        b"bell\x07.txt",
        "über.txt".encode(),
        b"\xff\xfe.txt",
        "bidi\u202e.txt".encode(),
        b'quote".txt',
        b"-rf.txt",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("wing")
    found = rows(tmp_path)
    assert len(found) == len(names) and all(name.isprintable() for name in found)
    assert {"über.txt", "line\\nbreak.txt", "\\xff\\xfe.txt", "bidi\\u202e.txt"} <= set(found)
    assert {row["text"] for row in found.values()} == {"wing"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hostile_pages_end_and_the_next_one_is_read(tmp_path):
    hostile = {
        "deep.html": b"<div>" * 200_000 + b"x", "tags.html": b"<b><i>" * 100_000,
        "attributes.html": b"<p " + b"a=1 " * 500_000 + b">x",
        "entities.html": b"&amp;" * 1_000_000, "comment.html": b"<!--" * 100_000, "nul.html": b"<p>\0wing\0</p>",
        "table.html": b"<table>" * 20_000,
        "charset.html": b'<meta charset="zip"><p>wing', "utf7.html": b'<meta charset="utf-7"><p>+ADw-script+AD4-',
        "half.html": b"\xff\xfe<\x00p",
        "many.pdf": b"%PDF-1.7\n" + b"1 0 obj<</Kids[1 0 R 1 0 R]>>endobj\n" * 10_000,
        "loop.md": b"# " * 500_000, "hash.md": b"#" * 1_000_000,
    }  # fmt: skip
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "z.txt").write_text("the last")
    found = rows(tmp_path)
    assert len(found) == len(hostile) + 1
    assert found["z.txt"]["text"] == "the last"
    assert {row["problem"] for row in found.values()} <= {"", *PROBLEMS}
    assert "<" not in found["utf7.html"]["title"]
    assert documents_of(open_table(tmp_path, format="pages").read_all()).table.num_rows >= 1


def test_a_file_that_kills_or_stalls_the_process_costs_itself(tmp_path, monkeypatch):
    extraction = extraction_process.Extraction()
    try:
        (tmp_path / "a.txt").write_text("wing")
        assert extraction.file("text", str(tmp_path / "a.txt"))["text"] == "wing"
        assert extraction._child is not None
        extraction._child.kill()
        extraction._child.wait()
        assert extraction.file("text", str(tmp_path / "a.txt"))["text"] == "wing", "another process takes over"
        extraction.close()
        dying = ["sh", "-c", "read line; exit 1"]  # while it is asked
        extraction._child = subprocess.Popen(dying, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert extraction.file("text", str(tmp_path / "a.txt"))["problem"] == "took too long or too much memory"
        assert extraction.file("text", str(tmp_path / "a.txt"))["text"] == "wing"
        os.mkfifo(tmp_path / "pipe")  # opening it waits for ever
        monkeypatch.setattr(extraction_process, "SECONDS", 0.2)
        assert extraction.file("text", str(tmp_path / "pipe"))["problem"] == "took too long or too much memory"
        monkeypatch.setattr(extraction_process, "SECONDS", 20.0)
        assert extraction.file("text", str(tmp_path / "a.txt"))["text"] == "wing"
    finally:
        extraction.close()


@given(st.binary(max_size=400), st.sampled_from(["text", "markdown", "html", "pdf"]))
@settings(max_examples=60, deadline=None)
def test_whatever_the_bytes_there_is_an_answer(data, kind):
    told = read_bytes(kind, data)
    assert set(told) == {"title", "text", "problem"} and told["problem"] in ("", *PROBLEMS)


def test_titles_and_texts_of_markdown_and_html():
    assert of_markdown(b"just words") == ("", "just words")
    assert of_html(b"words alone") == ("", "words alone")
    assert of_html(b"") == ("", "")
    assert of_html(b"<p>a</p><p>b</p>")[1] == "a b"


def test_a_warc_gives_its_pages_and_says_what_was_cut_off(tmp_path):
    good = [
        record("https://a.org/", PAGE), record("https://a.org/b", b"plain", "text/plain; charset=utf-8"),
        record("https://a.org/no", b"x", status="404 No"),
        record("https://a.org/pic", b"x", "image/png"), record("https://a.org/", b"<p>again"),
    ]  # fmt: skip
    (tmp_path / "a.warc").write_bytes(b"".join(good))
    (tmp_path / "b.warc.gz").write_bytes(b"".join(gzip.compress(one) for one in good))
    for name in ("a.warc", "b.warc.gz"):
        found = open_table(tmp_path / name).read_all().to_pylist()
        assert [(row["id"], row["title"], row["text"]) for row in found] == [
            ("https://a.org/", "The wing", "lift&drag"), ("https://a.org/b", "", "plain"), ("https://a.org/", "", "again"),
        ], name  # fmt: skip
        assert {row["date"] for row in found} == {"2024-05-01T00:00:00Z"}
        assert read_documents(tmp_path / name).left_out == {"repeated": 1}
    whole = b"".join(good[:2])
    (tmp_path / "cut.warc").write_bytes(whole[:-60])
    assert [row["problem"] for row in open_table(tmp_path / "cut.warc").read_all().to_pylist()] == ["", "truncated"]
    packed = b"".join(gzip.compress(one) for one in good[:2])
    (tmp_path / "cut.warc.gz").write_bytes(packed[:-40])
    problems = [row["problem"] for row in open_table(tmp_path / "cut.warc.gz").read_all().to_pylist()]
    assert problems[-1] == "truncated"
    for name, data in (
        ("no.warc", b"hello\n" * 9),
        ("junk.warc.gz", b"\x1f\x8b" + b"x" * 99),
        ("lies.warc", record("https://a.org", b"x", length=10**12)),
    ):
        (tmp_path / name).write_bytes(data)
        told = open_table(tmp_path / name).read_all().to_pylist()
        assert [row["problem"] for row in told][-1] in ("cannot be parsed", "truncated"), name
        with pytest.raises(DataError, match="not one document"):
            read_documents(tmp_path / name)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_bomb_in_a_warc_is_too_much_and_memory_stays_small(tmp_path):
    bomb = record("https://a.org/bomb", b"<p>" + b"a" * 300_000_000)
    (tmp_path / "bomb.warc.gz").write_bytes(gzip.compress(bomb, 1) + gzip.compress(record("https://a.org/after", b"<p>after")))
    found = open_table(tmp_path / "bomb.warc.gz").read_all().to_pylist()
    assert found[0]["problem"] in ("larger than 50 MB", "took too long or too much memory")
    assert found[-1]["text"] == "after" or found[-1]["problem"] == "took too long or too much memory"


def test_pages_are_a_source_of_a_pipeline(tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.html").write_bytes(PAGE)
    (tmp_path / "pages" / "b.md").write_text("# Drag\n\nof a body")
    (tmp_path / "pages" / "c.pdf").write_bytes(b"no")
    program = """
import pellucid as pl

pages = pl.source("pages", label="open", format="pages")
index = pl.search.index(pages, columns=["kind"], facets=["kind"])
pipeline = pl.Pipeline("p", [pages, index])
"""
    (tmp_path / "p.py").write_text(program)
    done = run(load(tmp_path / "p.py"), home=tmp_path / ".pellucid", jobs=1, confined=True)
    assert done.status == "done"
    index = done["index"]
    assert index.arrays["id"].tolist() == ["a.html", "b.md"] and index.settings["left_out"] == ["1 cannot be parsed"]


def test_what_is_no_folder_of_pages_is_said(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="holds no page"):
        open_table(tmp_path, format="pages")
    (tmp_path / "a.pdf").write_bytes(pdf("x"))
    monkeypatch.setattr(extraction_process, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="reading pdf needs pypdfium2"):
        open_table(tmp_path, format="pages")
