"""One content, one label, one account: twenty ways to bring private data in again, as open or under another account."""

from __future__ import annotations

import pytest
from workshop import *  # noqa: F403

ROWS = "user_id,area\n471100815,Zebulon\n471200815,Quagmire\n471300815,Zebulon\n"
PRIVATE = 'visits = pl.source("visits.csv", label="private", unit="user_id")\n'
HASH = "import os, shutil, pathlib\nHERE = pathlib.Path(__file__).parent\n"
END = 'pipeline = pl.Pipeline("p", [visits, rows])\n'
# name -> how an open source comes to the private content, in one pipeline file; files are made beforehand
WAYS = {
    "the same path": 'rows = pl.source("visits.csv", label="open")',
    "a path around": 'rows = pl.source("../" + HERE.name + "/visits.csv", label="open")',
    "an absolute path": 'rows = pl.source(HERE / "visits.csv", label="open")',
    "a link": 'rows = pl.source("link.csv", label="open")',
    "a second name": 'rows = pl.source("hard.csv", label="open")',
    "a copy": 'rows = pl.source("copy.csv", label="open")',
    "a copy in a folder": 'rows = pl.source("folder/other.csv", label="open")',
    "a copy under another ending": 'rows = pl.source("copy.txt", label="open", format="csv")',
    "a copy as bytes": 'rows = pl.source("copy.csv", label="open", format="file")',
    "the same path as bytes": 'rows = pl.source("visits.csv", label="open", format="file")',
    "one of its columns": 'rows = pl.source("copy.csv", label="open", columns=["area"])',
    "as Parquet": 'rows = pl.source("visits.parquet", label="open")',
    "with other line ends": 'rows = pl.source("dos.csv", label="open")',
    "with quotes": 'rows = pl.source("quoted.csv", label="open")',
    "with a byte order mark": 'rows = pl.source("bom.csv", label="open")',
    "with an empty line at the end": 'rows = pl.source("line.csv", label="open")',
    "as lines of JSON": 'rows = pl.source("visits.jsonl", label="open")',
}


def _scene(project) -> None:
    import json
    import os

    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    project.write(visits_csv=ROWS)
    at = project.folder
    (at / "folder").mkdir()
    for name in ("copy.csv", "copy.txt", "folder/other.csv"):
        (at / name).write_text(ROWS)
    os.symlink(at / "visits.csv", at / "link.csv")
    os.link(at / "visits.csv", at / "hard.csv")
    table = pa.csv.read_csv(at / "visits.csv")
    pa.parquet.write_table(table, at / "visits.parquet")
    (at / "dos.csv").write_bytes(ROWS.replace("\n", "\r\n").encode())
    (at / "quoted.csv").write_text(ROWS.replace("Zebulon", '"Zebulon"'))
    (at / "bom.csv").write_bytes(b"\xef\xbb\xbf" + ROWS.encode())
    (at / "line.csv").write_text(ROWS + "\n")
    (at / "visits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


@pytest.mark.quick(2)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.replace(" ", "-"))
@pytest.mark.parametrize(
    "first", ["at once", *(pytest.param(n, marks=pytest.mark.slow) for n in ("open first", "private before"))]
)
def test_private_content_is_no_open_source(project, way: str, first: str) -> None:
    """In one graph in either order, and in a later run of another pipeline."""
    _scene(project)
    if first == "private before":
        project.write(pipeline=PRIVATE + 'pipeline = pl.Pipeline("before", [visits])\n')
        assert project.run().code == 0
        text = HASH + WAYS[way] + '\npipeline = pl.Pipeline("after", [rows])\n'
    else:
        text = (
            HASH + PRIVATE + WAYS[way] + "\n" + (END if first == "at once" else END.replace("[visits, rows]", "[rows, visits]"))
        )
    project.write(pipeline=text)
    done = project.pellucid("run", "pipeline.py")
    assert done.code != 0
    assert 'the open source "rows"' in done.err and "not open" in done.err, done.err
    published = project.pellucid("publish", "last", "package")
    assert published.code != 0 and not (project.folder / "package").exists()


ACCOUNTS = {
    "another name": 'visits = pl.source("visits.csv", label="private", unit="user_id", account="second")',
    "another relation": 'visits = pl.source("visits.csv", label="private", unit="user_id", relation="replace", account="second")',
    "another unit": 'visits = pl.source("visits.csv", label="private", unit=pl.Row(), account="second")',
    "another column": 'visits = pl.source("visits.csv", label="private", unit="area", account="second")',
    "a copy": 'visits = pl.source("copy.csv", label="private", unit="user_id", account="second")',
    "a second name": 'visits = pl.source("hard.csv", label="private", unit="user_id", account="second")',
    "as Parquet": 'visits = pl.source("visits.parquet", label="private", unit="user_id", account="second")',
    "some of its columns": 'visits = pl.source("copy.csv", label="private", unit="user_id", account="second", columns=["area", "user_id"])',
    "another name of the source": 'visits = pl.source("visits.csv", label="private", unit="user_id", name="others")',
    "a path around": 'visits = pl.source("folder/../visits.csv", label="private", unit="user_id", account="second")',
    "an absolute path": 'visits = pl.source(HERE / "visits.csv", label="private", unit="user_id", account="second")',
    "a link": 'visits = pl.source("link.csv", label="private", unit="user_id", account="second")',
    "a copy in a folder": 'visits = pl.source("folder/other.csv", label="private", unit="user_id", account="second")',
    "another ending": 'visits = pl.source("copy.txt", label="private", unit="user_id", account="second", format="csv")',
    "other line ends": 'visits = pl.source("dos.csv", label="private", unit="user_id", account="second")',
    "quotes": 'visits = pl.source("quoted.csv", label="private", unit="user_id", account="second")',
    "a byte order mark": 'visits = pl.source("bom.csv", label="private", unit="user_id", account="second")',
    "an empty line at the end": 'visits = pl.source("line.csv", label="private", unit="user_id", account="second")',
    "lines of JSON": 'visits = pl.source("visits.jsonl", label="private", unit="user_id", account="second")',
    "another budget": 'visits = pl.source("visits.csv", label="private", unit="user_id", account="second", budget=pl.Budget(50, 0.01, "zcdp"))',
    "a budget by periods": 'visits = pl.source("visits.csv", label="private", unit="user_id", account="second",'
    ' budget=pl.Budget(5, 1e-4, period="day", period_epsilon=2, period_delta=1e-5))',
}
RELEASE = """
rel = pl.release(pl.privacy.histogram({column!r}), of=visits, epsilon={epsilon}, delta=1e-6)
pipeline = pl.Pipeline({name!r}, [visits, rel])
"""


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "way", [w if w in ("another name", "another unit") else pytest.param(w, marks=pytest.mark.slow) for w in ACCOUNTS]
)
def test_one_content_pays_from_one_account_until_the_steward_shares_it(project, way: str) -> None:
    _scene(project)
    project.write(pipeline=PRIVATE + RELEASE.format(column="area", epsilon=0.5, name="first"))
    assert project.run().code == 0
    column = "user_id" if way == "another column" else "area"
    project.write(pipeline=HASH + ACCOUNTS[way] + RELEASE.format(column=column, epsilon=0.25, name="second"))
    second = "others" if way == "another name of the source" else "second"
    refused = project.pellucid("run", "pipeline.py")
    assert refused.code != 0 and "pay from account 'visits' already" in refused.err, refused.err
    assert second not in {a for a in project.pellucid("ledger", "--json").json["accounts"] if a != "visits"}
    assert project.pellucid("ledger", "share", second, "--with", "visits").code == 0
    assert project.pellucid("run", "pipeline.py").code == 0
    assert project.pellucid("ledger", "verify").code == 0
