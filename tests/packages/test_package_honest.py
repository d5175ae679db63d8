"""What honest publishers write: outputs in any order, files read while loading, folders and columns of any name. All of it works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Tool = Callable[[str], Path]
PELLUCID = [sys.executable, "-m", "pellucid"]
ABOUT = 'about=pl.About(title="t", description="d", creators=("A, B",), licence="MIT", data_licence="CC0-1.0")'
PARTS = f"""
from typing import NamedTuple
import pellucid as pl
class Parts(NamedTuple):
    train: pl.Metrics
    test: pl.Metrics
    all: pl.Metrics
@pl.step
def split() -> Parts:
    return Parts({{"n": 8.0}}, {{"n": 2.0}}, {{"n": 1.0}})
pipeline = pl.Pipeline("p", [split], {ABOUT})
"""
READS = f"""
import json
from pathlib import Path
import pellucid as pl
import settings
HERE = Path(__file__).parent
SCALE = json.loads((HERE / "config.json").read_text())["scale"]
QUERY = (HERE / "queries" / "top [1].sql").read_text()
@pl.step
def one(scale: float = SCALE, limit: int = settings.LIMIT) -> pl.Metrics:
    return {{"n": scale * len(QUERY) + limit}}
pipeline = pl.Pipeline("p", [one], {ABOUT})
"""
COLUMNS = f"""
import pellucid as pl
@pl.step
def out() -> pl.Table:
    import pyarrow as pa
    return pa.table({{name: [1] for name in ["Age (years)", 'x"y', "a/b", "é ß", "%41", "#", "a?b&c", "<b>", " "]}})
@pl.step
def größe(out: pl.Table) -> pl.Metrics:
    return {{"n": float(out.num_rows)}}
pipeline = pl.Pipeline("p", [out, größe], {ABOUT})
"""


def pellucid(folder: Path, *words: str) -> str:
    done = subprocess.run([*PELLUCID, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout + done.stderr


def refused(folder: Path, *words: str) -> str:
    done = subprocess.run([*PELLUCID, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr.strip().splitlines()[-1]


def published(folder: Path, text: str, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "p.py").write_text(text)
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)
    pellucid(folder, "run", "p.py", "--quiet")
    pellucid(folder, "publish", "last", "pk")
    return folder / "pk"


def test_the_outputs_of_a_step_may_come_in_any_order(tmp_path: Path) -> None:
    package = published(tmp_path, PARTS)
    assert "whole" in pellucid(tmp_path, "check", "pk")
    graph = json.loads((package / "manifest.json").read_text())["graph"]
    assert [output[0] for output in graph[0]["outputs"]] == ["train", "test", "all"]


@pytest.mark.slow
def test_a_package_is_named_by_any_path_that_leads_to_it(tmp_path: Path) -> None:
    """Above, beside, by a link, with brackets and spaces, absolute."""
    odd = tmp_path / "a folder [1] (copy)"
    published(odd, PARTS)
    (odd / "elsewhere").mkdir()
    os.symlink(odd / "pk", odd / "elsewhere" / "link")
    for at, name in ((odd, "./pk"), (odd / "elsewhere", "../pk"), (odd / "elsewhere", "../elsewhere/../pk"),
                     (odd / "elsewhere", "link"), (tmp_path, "a folder [1] (copy)/pk"), (Path("/"), str(odd / "pk"))):  # fmt: skip
        assert "whole" in pellucid(at, "check", name), name
    assert "bit-identical" in pellucid(odd / "elsewhere", "reproduce", "../pk")
    pellucid(odd / "elsewhere", "catalogue", "../pk", "--out", "site")
    assert "p, run" in pellucid(odd / "elsewhere", "check", "../pk") and (odd / "elsewhere/site/index.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_the_pipeline_file_reads_while_it_loads_comes_along(tmp_path: Path) -> None:
    files = {"config.json": '{"scale": 2.5}', "queries/top [1].sql": "SELECT 1", "settings.py": "LIMIT = 3\n"}
    package = published(tmp_path, READS, **files)
    for name, body in files.items():
        assert (package / "code" / name).read_text() == body
    assert "verdict: bit-identical" in pellucid(tmp_path, "reproduce", "pk")


NOT_THERE = {
    "a file above": ("config.json", 'Path(__file__).parent.parent / "config.json"'),
    "a file elsewhere": ("config.json", "Path({elsewhere!r}) / 'config.json'"),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("where", NOT_THERE)
def test_a_pipeline_that_loads_only_here_is_not_published(where: str, tmp_path: Path) -> None:
    name, place = NOT_THERE[where]
    for folder in (tmp_path, tmp_path / "elsewhere"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    (tmp_path / "work").mkdir()
    place = place.format(elsewhere=str(tmp_path / "elsewhere"))
    text = PARTS.replace(
        "import pellucid as pl", f"import pellucid as pl\nfrom pathlib import Path\nREAD = ({place}).read_text()", 1
    )
    (tmp_path / "work/p.py").write_text(text)
    pellucid(tmp_path / "work", "run", "p.py", "--quiet")
    line = refused(tmp_path / "work", "publish", "last", "pk")
    assert "does not load from the package alone" in line and "config.json" in line
    assert not (tmp_path / "work/pk").exists() and not list((tmp_path / "work").glob(".pk*"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ids_are_addresses_whatever_columns_and_steps_are_named(tmp_path: Path, tool: Tool) -> None:
    package = published(tmp_path, COLUMNS)
    ids = re.findall(
        r'"@id": "([^"]*)"', (package / "croissant.json").read_text() + (package / "ro-crate-metadata.json").read_text()
    )
    assert ids and all(re.fullmatch(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", one) for one in ids)
    python = tool("mlcroissant")
    done = subprocess.run(
        [python.parent / "mlcroissant", "validate", "--jsonld", package / "croissant.json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Found the following" not in done.stderr, done.stderr
    assert "whole" in pellucid(tmp_path, "check", "pk")


@pytest.mark.slow
def test_state_may_be_kept_in_a_folder_that_is_named_from_here(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PARTS)
    pellucid(tmp_path, "run", "p.py", "--quiet", "--home", "state")
    (tmp_path / "below").mkdir()
    pellucid(tmp_path / "below", "run", "../p.py", "--quiet", "--home", "../state")
    assert "2 runs" in pellucid(tmp_path, "runs", "--home", "./state") or "reused" in pellucid(
        tmp_path, "show", "--home", "state"
    )


TYPED = {
    "in a comment": ("# Zebulon Quagmire was here\n", ""),
    "in a setting": ("", "Zebulon Quagmire"),
    "in a docstring": ('"""For Zebulon Quagmire."""\n', ""),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("where", TYPED)
def test_a_private_value_that_somebody_typed_is_found_before_it_is_published(where: str, tmp_path: Path) -> None:
    """The file and the column are named, the value is not."""
    head, setting = TYPED[where]
    rows = "user,name,area\n1,Zebulon Quagmire,north\n2,Someone Elsewhere,south\n"
    (tmp_path / "people.csv").write_text(rows)
    text = head + PARTS.replace("def split()", f"def split(who: str = {setting!r})")
    (tmp_path / "p.py").write_text(text)
    pellucid(tmp_path, "run", "p.py", "--quiet")
    line = refused(tmp_path, "publish", "last", "pk", "--against", "people.csv")
    assert "a value of the private column 'name' stands in it" in line and "Zebulon" not in line
    assert ("code/p.py" in line or "manifest.json" in line) and not (tmp_path / "pk").exists()
    (tmp_path / "people.csv").write_text(rows.replace("Zebulon Quagmire", "Quentin Zobel"))
    pellucid(tmp_path, "publish", "last", "pk", "--against", "people.csv")


def test_the_scan_reads_what_is_packed_and_leaves_released_names_alone(tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pellucid.errors import LabelError
    from pellucid.packages.format import Entry, Manifest, Value
    from pellucid.packages.publishing.private_scan import refuse_private_values

    package, private = tmp_path / "package", tmp_path / "people.csv"
    (package / "artifacts").mkdir(parents=True)
    private.write_text("name\nZebulon Quagmire\nshort\n")
    value = Value("table", "table:" + "0" * 64, "artifacts/counts.parquet", "0" * 64, 1)

    def scanned(kind: str) -> None:
        trace = (Entry("counts", kind, "open", "given", {}, {"counts": value}),)
        refuse_private_values(
            package, Manifest("p", "code/p.py", "run", 0, {}, (), trace, {}, (), "", "", 0.0, {}, {}), [private]
        )

    pq.write_table(pa.table({"name": ["Zebulon Quagmire"] * 1000, "n": range(1000)}), package / "artifacts/counts.parquet")
    scanned("release")
    with pytest.raises(LabelError, match="stands in it"):
        scanned("step")
    (package / "artifacts/counts.parquet").unlink()
    np.savez(package / "artifacts/model.npz", items=np.array(["Zebulon Quagmire", "x"]))
    with pytest.raises(LabelError, match="stands in it"):
        scanned("step")
