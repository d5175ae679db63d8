"""Bytecode of a re-run's environment: it is there, it is what the sources say, and compiling it shows a stranger's code nothing."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
from pathlib import Path

import pytest

from pellucid.packages.checking.package_check import whole_package
from pellucid.packages.reproducing import bytecode_cache, reproduce, virtual_environment
from pellucid.sandbox.limits import of_a_rerun

pytestmark = pytest.mark.timeout(300)
TAG = importlib.util.cache_from_source("x.py").rpartition("x")[2]  # .cpython-311.pyc


@pytest.mark.slow
def test_a_re_run_finds_what_it_imports_compiled(package: Path, tmp_path: Path) -> None:
    assert reproduce(package, workspace=tmp_path / "work").verdict == "bit-identical"
    (site,) = (tmp_path / "work" / "environment").glob("lib/python3.*/site-packages")
    compiled = {str(path.relative_to(site)).replace("__pycache__/", "").replace(TAG, "") for path in site.rglob("*.pyc")}
    assert {
        "pellucid/packages/reproducing/rerun_process",
        "pellucid/pipeline/running/worker",
        "numpy/__init__",
        "pyarrow/parquet/core",
    } <= compiled
    for name in ("pellucid/packages/reproducing/rerun_process", "numpy/_core/numeric"):
        cached = Path(importlib.util.cache_from_source(str(site / f"{name}.py"))).read_bytes()
        source = (site / f"{name}.py").read_bytes()
        assert marshal.loads(cached[16:]) == compile(source, str(site / f"{name}.py"), "exec", dont_inherit=True)


CURIOUS = """
import json, os, socket
def tries(act):
    try:
        return str(act())
    except Exception:
        return ""
found = {"file": tries(lambda: open(OUTSIDE).read()), "folder": tries(lambda: os.listdir(PACKAGE))}
found["environment"] = os.environ.get("SECRET", "")
found["own"] = tries(lambda: open(__file__, "a"))
found["network"] = tries(lambda: socket.create_connection(("127.0.0.1", 9), timeout=1))
found["sees"] = tries(lambda: open(__file__).read())[:7]
json.dump(found, open(os.path.join(os.environ["HOME"], "found.json"), "w"))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_compiling_sees_the_environment_and_nothing_else(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "work"
    place.mkdir()
    found = whole_package(package)
    environment = virtual_environment.build(
        package, package / found.wheel, place / "environment", "3", offline=False, shared=True
    )
    (site,) = environment.python.parents[1].glob("lib/python3.*/site-packages")
    outside = tmp_path / "outside.txt"
    outside.write_text("private")
    (site / "curious.py").write_text(f"OUTSIDE, PACKAGE = {str(outside)!r}, {str(package)!r}\n{CURIOUS}")
    (site / "leaves.py").write_text("raise SystemExit(3)\n")
    code = tmp_path / "steps.py"
    code.write_text("import os\nfrom curious import found\nimport leaves, nowhere\n")
    monkeypatch.setenv("SECRET", "of the verifier")
    bytecode_cache.prepare(environment, [code], place, of_a_rerun(place))
    told = json.loads((place / "bytecode" / "found.json").read_text())
    assert told.pop("sees") == "OUTSIDE"
    assert set(told.values()) == {""}, told
    assert (site / "__pycache__" / f"curious{TAG}").is_file()
    assert not list(package.rglob("*.pyc"))


def test_of_what_a_stranger_left_only_bytecode_of_a_source_is_taken(tmp_path: Path) -> None:
    site, left, outside = tmp_path / "site", tmp_path / "left", tmp_path / "outside"
    for folder in (site / "real" / "deep", left / "real" / "__pycache__", left / "linked" / "__pycache__", outside):
        folder.mkdir(parents=True)
    for source in (site / "real" / "a.py", site / "real" / "b.py", site / "real" / "deep" / "c.py", outside / "d.py"):
        source.write_text("")
    (site / "linked").symlink_to(outside)
    (site / "real" / "deep" / "__pycache__").symlink_to(outside)
    (outside / "secret").write_text("secret")
    taken = left / "real" / "__pycache__" / f"a{TAG}"
    taken.write_bytes(b"compiled")
    (left / "real" / "__pycache__" / f"b{TAG}").symlink_to(outside / "secret")
    (left / "real" / "__pycache__" / f"no_source{TAG}").write_bytes(b"x")
    (left / "real" / "__pycache__" / "a.py").write_bytes(b"x")
    (left / "real" / "a.py").write_bytes(b"x")
    (left / "real" / f"a{TAG}").write_bytes(b"x")
    (left / "linked" / "__pycache__" / f"d{TAG}").write_bytes(b"x")
    (left / "real" / "deep" / "__pycache__").mkdir(parents=True)
    (left / "real" / "deep" / "__pycache__" / f"c{TAG}").write_bytes(b"x")
    (left / "elsewhere").symlink_to(site)
    os.mkfifo(left / "real" / "__pycache__" / f"f{TAG}")
    before = {*site.rglob("*"), *outside.rglob("*")}
    bytecode_cache.take(left, site)
    after = {*site.rglob("*"), *outside.rglob("*")}
    assert after - before == {site / "real" / "__pycache__", site / "real" / "__pycache__" / f"a{TAG}"}
    assert before <= after and (site / "real" / "a.py").read_text() == ""
