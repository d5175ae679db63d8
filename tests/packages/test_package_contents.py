"""What is in a package, that it is always the same, and what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from package_shop import Shop, run_file, write_shop

from pellucid.errors import DamagedError, LabelError, PackageError, UsageError
from pellucid.packages.checking.package_check import whole_package
from pellucid.packages.publishing import publish
from pellucid.pipeline.record.run_record import Record
from pellucid.store import kinds
from pellucid.store.objects import Objects


def manifest_of(package: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((package / "manifest.json").read_text())
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_package_holds_the_open_artifacts_their_code_and_their_environment(published: Path) -> None:
    paths = set(contents(published))
    assert {
        "MANIFEST.sha256", "README.md", "manifest.json", "artifacts/goods.parquet", "artifacts/counts.parquet",
        "artifacts/counts_guarantee.json", "artifacts/shares/0000-power=1.0.parquet", "artifacts/shares/0001-power=2.0.parquet",
        "artifacts/best.json", "code/shop.py", "code/shop_lib/__init__.py", "code/shop_lib/weights.py", "code/shop_cellar.py",
        "environment/requirements.lock", "pylock.toml", "privacy/counts.json", "ro-crate-metadata.json", "ro-crate-preview.html",
        "croissant.json", "datacite.json", "CITATION.cff", "sbom.cdx.json",
    } == {path for path in paths if not path.endswith(".whl")}  # fmt: skip
    assert sum(path.endswith(".whl") for path in paths) == 1


def test_the_trace_says_of_each_step_what_may_be_said(published: Path) -> None:
    trace = {entry["step"]: entry for entry in manifest_of(published)["trace"]}
    assert [entry["role"] for entry in trace.values()].count("private") == 5
    for step in ("sales", "tidy", "private_mean", "tills", "per_till"):
        assert set(trace[step]) == {"step", "kind", "label", "role", "note"}
    assert set(trace["counts"]) == {"step", "kind", "label", "role", "outputs", "guarantee"}
    assert trace["counts"]["guarantee"]["epsilon"] == 2.0
    assert trace["best"]["settings"] == {"floor": 0.25}
    assert trace["best"]["inputs"]["shares"]["digest"] == trace["shares"]["outputs"]["shares"]["digest"]


def test_every_stated_digest_is_that_of_the_file(published: Path) -> None:
    for entry in manifest_of(published)["trace"]:
        for value in entry.get("outputs", {}).values():
            for leaf in value.get("items", [value]):
                body = (published / leaf["path"]).read_bytes()
                assert (hashlib.sha256(body).hexdigest(), len(body)) == (leaf["sha256"], leaf["size"])
                assert kinds.digest(published / leaf["path"], leaf["kind"]) == leaf["digest"]


def test_sha256sum_agrees(published: Path) -> None:
    assert subprocess.run(["sha256sum", "-c", "--quiet", "MANIFEST.sha256"], cwd=published, check=False).returncode == 0


def test_the_readme_has_the_numbers_the_guarantee_and_what_is_withheld(published: Path) -> None:
    text = (published / "README.md").read_text()
    for said in ("| best | `top_0` |", "epsilon 2 and delta 1e-06", "e^2 = 7.39", "`private_mean`", "pellucid reproduce"):
        assert said in text


def test_published_twice_a_run_gives_the_same_bytes(shop: Shop, published: Path, tmp_path: Path) -> None:
    publish(shop.home, shop.run, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(published)


def test_the_summary_names_what_was_withheld(shop: Shop, tmp_path: Path) -> None:
    done = publish(shop.home, "last", tmp_path / "out")
    assert done.withheld == ("sales", "tidy", "private_mean", "tills", "per_till")
    assert done.open == ("goods", "counts", "counts_guarantee", "shares", "best")
    texts = b"\n".join(contents(tmp_path / "out").values()).decode("latin-1")
    shown = {
        node["step"] for node in json.loads((tmp_path / "out/manifest.json").read_text())["graph"] if node["kind"] != "source"
    }
    assert set(done.steps) == shown and {name.split(".")[0] for name in done.settings} <= shown
    assert all(name in texts for name in (*done.steps, *(setting.split(".")[1] for setting in done.settings)))
    assert set(done.code) == {path for path in contents(tmp_path / "out") if path.startswith("code/")}
    assert done.files == len(contents(tmp_path / "out"))
    assert done.size == sum(map(len, contents(tmp_path / "out").values()))
    json.dumps(done.to_json())


def test_a_folder_in_use_is_refused_and_left_alone(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(UsageError, match="there already"):
        publish(shop.home, shop.run, tmp_path)
    assert contents(tmp_path) == {"mine": b"keep"}
    (tmp_path / "empty").mkdir()
    publish(shop.home, shop.run, tmp_path / "empty")


def test_an_unknown_run_is_refused(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such run"):
        publish(shop.home, "1999", tmp_path / "out")


def test_a_failure_leaves_nothing_behind(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.packages.standards import readme

    monkeypatch.setattr(readme, "_files", lambda manifest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(shop.home, shop.run, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def own_shop(tmp_path: Path, keys: Path) -> Shop:
    file = write_shop(tmp_path / "shop")
    return Shop(file.parent, file.parent / ".pellucid", run_file(file, "--only", "best", keys=keys))


@pytest.mark.slow
def test_what_is_no_longer_what_ran_is_refused(tmp_path: Path, keys: Path) -> None:
    shop = own_shop(tmp_path, keys)
    out = tmp_path / "out"
    weights, pipeline = shop.folder / "shop_lib" / "weights.py", shop.folder / "shop.py"
    good_weights, good_pipeline = weights.read_text(), pipeline.read_text()

    weights.write_text(good_weights.replace("count**power / total", "count**power / total * 2"))
    with pytest.raises(PackageError, match=r'step "shares": what ran is no longer here.*Run the pipeline again'):
        publish(shop.home, "last", out)
    weights.write_text(good_weights + "\n# a comment is no change\n")
    pipeline.write_text(good_pipeline.replace('"goods.csv", label="open", licence="CC0-1.0"', '"goods.csv", label="protected"'))
    with pytest.raises(PackageError, match="steps, inputs or labels"):
        publish(shop.home, "last", out)
    pipeline.write_text(good_pipeline.replace("floor: float = 0.0", "floor: float = 0.1"))
    with pytest.raises(PackageError, match=r"setting floor was 0.0, is 0.1"):
        publish(shop.home, "last", out)
    pipeline.write_text(good_pipeline)

    rows = {row.step: row for row in Record(shop.home).steps(shop.run)}
    leaves = [leaf for step in ("best", "shares", "goods") for leaf in rows[step].outputs[step].leaves]
    stored = [Objects(shop.home).path(leaf.sha256, leaf.suffix) for leaf in leaves]
    for path in stored[:-1]:
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    stored[-1].unlink()
    with pytest.raises(DamagedError, match=r"3 artifacts are damaged or gone: goods: .*shares: .*best: ") as caught:
        publish(shop.home, "last", out)
    assert "Run the pipeline again" in str(caught.value) and not out.exists()
    assert not any(path.exists() for path in stored)  # out of the way, so that the next run makes them anew


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_partial_run_is_published_as_far_as_it_went(tmp_path: Path, keys: Path) -> None:
    shop = own_shop(tmp_path, keys)
    publish(shop.home, shop.run, tmp_path / "out")
    assert [entry["step"] for entry in manifest_of(tmp_path / "out")["trace"]] == [
        "sales", "goods", "tidy", "counts", "shares", "best",
    ]  # fmt: skip


PRIVATE_ONLY = """
import pellucid as pl

log = pl.source("log.csv", label="private", unit="person")


@pl.step
def total(log: pl.Table) -> pl.Metrics:
    return {"rows": log.num_rows}


pipeline = pl.Pipeline("closed", [log, total])
"""


def test_a_run_with_nothing_open_says_what_to_release(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "closed.py").write_text(PRIVATE_ONLY)
    (tmp_path / "log.csv").write_text("person,item\na,1\n")
    run_file(tmp_path / "closed.py", keys=keys)
    with pytest.raises(LabelError, match=r"nothing in this run is open.*total comes from data that are not open.*pl\.release"):
        publish(tmp_path / ".pellucid", "last", tmp_path / "out")


def test_the_lock_must_have_hashes_and_all_that_is_imported(shop: Shop, tmp_path: Path) -> None:
    from pellucid.pipeline.keys.environment import shipped_lock

    text = shipped_lock().read_text()
    lock = tmp_path / "requirements.lock"
    lock.write_text("\n".join(line for line in text.splitlines() if "--hash" not in line).replace(" \\", ""))
    with pytest.raises(PackageError, match=r"has no SHA-256.*--generate-hashes"):
        publish(shop.home, shop.run, tmp_path / "out", lock=lock)
    entries = text.replace("\\\n", "\0").splitlines()
    lock.write_text("\n".join(e for e in entries if not e.startswith("polars==")).replace("\0", "\\\n"))
    with pytest.raises(PackageError, match=r"the lock lacks polars"):
        publish(shop.home, shop.run, tmp_path / "out", lock=lock)
    with pytest.raises(PackageError, match=r"needs a requirements lock.*uv export"):
        publish(shop.home, shop.run, tmp_path / "out", lock=tmp_path / "uv.lock")


def test_addresses_and_comments_of_a_lock_stay_with_the_publisher(shop: Shop, tmp_path: Path) -> None:
    from pellucid.pipeline.keys.environment import shipped_lock

    lock = tmp_path / "requirements.lock"
    lock.write_text("--index-url https://me:hush@mirror.example/simple\n# made by me in /home/me\n" + shipped_lock().read_text())
    publish(shop.home, shop.run, tmp_path / "out", lock=lock)
    assert (tmp_path / "out" / "environment" / "requirements.lock").read_text() == shipped_lock().read_text()


NOBODYS = """
import pellucid as pl

rows = pl.source("rows.csv", label="open", licence="CC0-1.0")


@pl.step
def aux(rows: pl.Table) -> pl.Metrics:
    return {"rows": rows.num_rows}


@pl.step
def prénom(rows: pl.Table) -> pl.Table:
    return rows.polars()


about = pl.About(title="Loose", description="Steps", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("loose", [rows, aux, prénom], about=about)
"""


def test_what_its_readers_would_refuse_is_not_published(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "rows.csv").write_text("x\n1\n")
    home = tmp_path / ".pellucid"
    for file, text, why in (
        ("aux.py", NOBODYS, "cannot be the name of a file on Windows"),
        ("twins.py", NOBODYS.replace("prénom", "Rows"), "would be one file"),
    ):
        (tmp_path / file).write_text(text)
        with pytest.raises(UsageError, match=why):
            publish(home, run_file(tmp_path / file, keys=keys), tmp_path / "out")
        assert not (tmp_path / "out").exists()
    (tmp_path / "loose.py").write_text(NOBODYS)
    publish(home, run_file(tmp_path / "loose.py", keys=keys), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out" / "artifacts").iterdir()}
    assert len(names) == 3 and all(name.isascii() and not name.startswith(("aux", "-", ".")) for name in names), names
    assert whole_package(tmp_path / "out").manifest.open.keys() == {"rows", "aux", "prénom"}
