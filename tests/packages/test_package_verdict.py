"""Packages re-run for real, each in a fresh environment: whole ones, and ones with a planted difference."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from package_shop import run_file

from pellucid.errors import UsageError
from pellucid.packages.format import fixity
from pellucid.packages.format.manifest import Value
from pellucid.packages.publishing import publish
from pellucid.packages.reproducing import reproduce
from pellucid.packages.reproducing.virtual_environment import LONGEST, in_one_line
from pellucid.store import folders, kinds

pytestmark = pytest.mark.timeout(300)


def restate(package: Path, name: str, *, digest: bool = True) -> None:
    """Let the trace state what the changed artifact `name` now is, wherever it names it (without `digest`: its bytes alone); then list
    the files anew."""
    manifest: dict[str, Any] = json.loads((package / "manifest.json").read_text())
    found = next(e["outputs"][name] for e in manifest["trace"] if name in e.get("outputs", {}))
    value = Value.from_json(found, name)
    stated = kinds.digest(package / value.path, value.kind) if digest else value.digest
    found |= {"digest": stated, "sha256": fixity.sha256_of(package / value.path), "size": (package / value.path).stat().st_size}
    for entry in manifest["trace"]:
        for given in entry.get("inputs", {}).values():
            if given["artifact"] == name:
                given["digest"] = stated
    (package / "manifest.json").write_text(json.dumps(manifest))
    fixity.write(package)


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def change_count(package: Path) -> None:
    """One cell of the released table, one more."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = package / "artifacts" / "counts.parquet"
    table = pq.read_table(path)
    counts = table.column("count").to_numpy().copy()
    counts[0] += 1
    changed = table.set_column(table.schema.get_field_index("count"), "count", pa.array(counts))
    kinds.save(changed, "table", path.parent, path.stem)


def test_a_package_as_published_is_bit_identical(package: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in package.rglob("*") if path.is_file()}
    started = time.perf_counter()
    verdict = reproduce(package, workspace=tmp_path / "work")
    assert verdict.verdict == "bit-identical", verdict
    assert (verdict.exit_code, verdict.first_difference, verdict.reason) == (0, None, None)
    assert [(s.step, s.role, s.result) for s in verdict.steps if s.role != "private"] == [
        ("goods", "given", "bit-identical"),
        ("counts", "given", "bit-identical"),
        ("shares", "re-run", "bit-identical"),
        ("best", "re-run", "bit-identical"),
    ]
    assert {s.step for s in verdict.steps if s.role == "private"} == {"sales", "tidy", "private_mean", "tills", "per_till"}
    assert verdict.environment == ()
    assert verdict.runner == "the pellucid in the package is byte for byte yours"
    assert sum(verdict.seconds.values()) <= time.perf_counter() - started
    assert {path: path.read_bytes() for path in package.rglob("*") if path.is_file()} == before
    assert (tmp_path / "work" / "environment" / "bin" / "python").exists()
    shown = json.loads(json.dumps(verdict.to_json()))
    assert (shown["verdict"], shown["first_difference"]) == ("bit-identical", None)
    assert str(verdict).startswith("verdict: bit-identical\n")
    with pytest.raises(UsageError, match="there already"):
        reproduce(package, workspace=tmp_path / "work")


def test_a_changed_number_is_found_at_the_step_that_gives_it(package: Path) -> None:
    path = package / "artifacts" / "best.json"
    path.write_text(re.sub(r'"top_1": 0\.\d', '"top_1": 0.9', path.read_text()))
    restate(package, "best", digest=False)
    verdict = reproduce(package)
    assert (verdict.verdict, verdict.exit_code) == ("different", 1)
    parted = verdict.to_json()["first_difference"]
    assert (parted["step"], parted["output"]) == ("best", "best")
    assert parted["detail"].startswith("metric 'top_1': 0.9")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_changed_release_is_found_by_its_digest(package: Path) -> None:
    change_count(package)
    restate(package, "counts", digest=False)
    parted = reproduce(package).first_difference
    assert parted is not None
    assert (parted.step, parted.output) == ("counts", "counts")
    assert "not the one its trace states" in parted.detail


@pytest.mark.slow
def test_a_changed_release_with_a_changed_digest_is_found_by_what_was_made_of_it(package: Path) -> None:
    change_count(package)
    restate(package, "counts")
    parted = reproduce(package).first_difference
    assert parted is not None
    assert (parted.step, parted.output) == ("shares", "shares")
    assert "element 'power=1.0': column 'count'" in parted.detail


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_changed_code_is_found_at_the_first_step_that_uses_it(package: Path) -> None:
    rewrite(package / "code" / "shop_lib" / "weights.py", "count**power / total for", "count**power / total * (1 + 1e-15) for")
    fixity.write(package)
    verdict = reproduce(package)
    parted = verdict.first_difference
    assert verdict.verdict == "different"
    assert parted is not None
    assert (parted.step, parted.output) == ("shares", "shares")
    assert re.search(r"column 'share': \d of \d+ cells differ, by at most .*e-1", parted.detail)
    assert [s.result for s in verdict.steps if s.step == "best"] == ["bit-identical"]  # from its recorded inputs it is right


DEEP = """
import os
for place in (os.environ["TMPDIR"], os.environ["HOME"], os.path.join(os.environ["TMPDIR"], "..", "state", "objects")):
    if os.path.exists(os.path.join(place, "d")):
        continue
    os.makedirs(place, exist_ok=True)
    at = os.open(place, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=at)
        at, before = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(before)
    os.close(at)
"""


@pytest.mark.slow
def test_folders_without_an_end_do_not_end_the_verifier_and_leave_nothing(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = package / "code" / "shop_lib" / "weights.py"
    weights.write_text(weights.read_text() + DEEP)
    fixity.write(package)
    removed, original = [], folders.remove

    def remove(folder: Path) -> None:
        removed.append(folder)
        original(folder)

    monkeypatch.setattr(folders, "remove", remove)
    verdict = reproduce(package)
    assert verdict.network.startswith("none"), verdict  # it was run
    assert removed and not any(folder.exists() for folder in removed)


@pytest.mark.slow
def test_a_step_that_fails_is_named(package: Path) -> None:
    rewrite(
        package / "code" / "shop_lib" / "weights.py", "    total =", "    raise ValueError('\\x1b[31mno weights')\n    total ="
    )
    fixity.write(package)
    verdict = reproduce(package)
    assert (verdict.verdict, verdict.exit_code, verdict.first_difference) == ("could not run", 2, None)
    assert verdict.reason is not None
    assert re.match(r'step "shares" failed: .*ValueError.*no weights', verdict.reason)
    assert "\x1b" not in str(verdict)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_code_that_does_not_load_says_why(package: Path) -> None:
    rewrite(package / "code" / "shop.py", "import pellucid as pl\n", "import pellucid as pl\nimport not_there\n")
    fixity.write(package)
    verdict = reproduce(package)
    assert verdict.verdict == "could not run"
    assert "ModuleNotFoundError" in str(verdict.reason)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_wrong_hash_in_the_lock_installs_nothing(package: Path) -> None:
    lock = package / "environment" / "requirements.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", lock.read_text()))
    named = package / "pylock.toml"
    named.write_text(re.sub(r'sha256 = "[0-9a-f]{8}', 'sha256 = "00000000', named.read_text()))
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["environment"]["lock"] = fixity.sha256_of(lock)
    (package / "manifest.json").write_text(json.dumps(manifest))
    fixity.write(package)
    verdict = reproduce(package)
    assert verdict.verdict == "could not run"
    said = r"its environment could not be built: .*Hash mismatch for `[^`]+` Expected: .{1,90} Computed: sha256:[0-9a-f]{64}$"
    assert re.match(said, str(verdict.reason)), verdict.reason  # however many files the lock allows
    assert (verdict.network, verdict.confined) == ("nothing ran", "nothing ran")


def test_what_the_installer_says_becomes_one_line_with_its_what_and_why() -> None:
    hashes = "\n".join(f"           sha256:{number:064x}" for number in range(60))
    told = (
        "  × Failed to download `one==1`\n  ╰─▶ Hash mismatch for `one==1`\n\n         Expected:\n{}\n\n         Computed:\n{}\n"
    )
    one = f"           sha256:{7:064x}"
    assert in_one_line(told.format(hashes, one)) == (
        f"Failed to download `one==1` Hash mismatch for `one==1` Expected: one of 60 hashes Computed: {one.strip()}"
    )
    assert in_one_line(told.format(one, one)).count("sha256:") == 2
    long = in_one_line("error: what\n" + "between\n" * 1000 + "cause: why\n")
    assert len(long) <= LONGEST + 5
    assert long.startswith("error: what ")
    assert long.endswith(" cause: why")
    assert in_one_line("\n \n") == ""


def test_offline_with_nothing_cached_says_so(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    verdict = reproduce(package, offline=True)
    assert verdict.verdict == "could not run"
    assert str(verdict.reason).startswith("its environment could not be built: ")


def test_with_nothing_to_re_run_there_is_no_verdict(package: Path) -> None:
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["trace"] = [entry for entry in manifest["trace"] if entry["role"] != "re-run"]
    for path in (*package.glob("artifacts/shares/*"), package / "artifacts" / "best.json"):
        path.unlink()
    (package / "manifest.json").write_text(json.dumps(manifest))
    fixity.write(package)
    verdict = reproduce(package)
    assert verdict.verdict == "could not run"
    assert "sources and releases only" in str(verdict.reason)


NOSY = """
import socket

import pellucid as pl

found = []
for attempt in (
    lambda: open({secret!r}).read(),
    lambda: open({secret!r}, "w"),
    lambda: open(__file__, "a"),
    lambda: open({python!r} + "/more.py", "w"),
    lambda: socket.create_connection(("127.0.0.1", {port}), timeout=2),
):
    try:
        attempt()
        found.append("done")
    except OSError as error:
        found.append(type(error).__name__)
raise RuntimeError("found " + " ".join(found))
"""


def test_what_a_package_runs_is_sealed_off(package: Path, tmp_path: Path) -> None:
    import socket
    import sysconfig

    from pellucid.sandbox import launcher

    if not launcher.available().landlock:
        pytest.skip("this kernel has no Landlock")
    secret = tmp_path / "mine.txt"
    secret.write_text("mine")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (package / "code" / "shop.py").write_text(
            NOSY.format(secret=str(secret), python=sysconfig.get_path("purelib"), port=port)
        )
        fixity.write(package)
        verdict = reproduce(package)
    found = re.search("found (.*)", str(verdict.reason))
    assert found, verdict
    assert "done" not in found[1].split(".")[0].split(), found[1]
    assert secret.read_text() == "mine"


QUIRKS = """
import os
import time

import numpy
import pellucid as pl

base = pl.source("base.csv", label="open", licence="CC0-1.0")


@pl.step
def steady(base: pl.Table) -> pl.Array:
    return base.polars().collect()["x"].to_numpy() / 7


@pl.step(tolerance=1e-9)
def loose(steady: pl.Array) -> pl.Model:
    return pl.Model("loose", {"weights": numpy.sqrt(steady)})


@pl.step
def after(loose: pl.Model) -> pl.Metrics:
    return {"sum": float(loose.arrays["weights"].sum())}

MORE
about = pl.About(title="Quirks", description="Odd steps", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("quirks", [base, steady, loose, after NAMES], about=about)
"""
RANDOM = """
@pl.step
def drawn(steady: pl.Array) -> pl.Array:
    return steady + int.from_bytes(os.urandom(4), "big")


@pl.step
def timed(steady: pl.Array) -> pl.Metrics:
    return {"now": time.time()}

"""


def quirks(folder: Path, keys: Path, more: str = "", names: str = "") -> Path:
    folder.mkdir()
    (folder / "base.csv").write_text("x\n" + "\n".join(map(str, range(1, 50))) + "\n")
    (folder / "quirks.py").write_text(QUIRKS.replace("MORE", more).replace("NAMES", names))
    run_file(folder / "quirks.py", keys=keys)
    publish(folder / ".pellucid", "last", folder / "package")
    return folder / "package"


@pytest.mark.slow
def test_steps_that_are_not_deterministic_are_found(tmp_path: Path, keys: Path) -> None:
    verdict = reproduce(quirks(tmp_path / "quirks", keys, RANDOM, ", drawn, timed"))
    assert verdict.verdict == "different"
    assert verdict.first_difference is not None
    assert verdict.first_difference.step == "drawn"
    results = {step.step: step.result for step in verdict.steps}
    assert results == {
        "base": "bit-identical", "steady": "bit-identical", "loose": "bit-identical", "after": "bit-identical",
        "drawn": "different", "timed": "different",
    }  # fmt: skip


@pytest.mark.slow
def test_a_declared_tolerance_counts_for_its_step_alone(tmp_path: Path, keys: Path) -> None:
    package = quirks(tmp_path / "quirks", keys)
    model = kinds.load(package / "artifacts" / "loose.npz", "model")

    def with_factor(factor: float) -> None:
        weights = np.asarray(model.arrays["weights"]) * factor
        kinds.save(kinds.Model("loose", {"weights": weights}), "model", package / "artifacts", "loose")
        after = {"sum": float(weights.sum())}
        kinds.save(after, "metrics", package / "artifacts", "after")
        restate(package, "loose")
        restate(package, "after")

    with_factor(1 + 1e-11)
    verdict = reproduce(package)
    assert (verdict.verdict, verdict.exit_code) == ("within tolerance", 3)
    assert verdict.first_difference is not None
    assert verdict.first_difference.step == "loose"
    assert {step.step: step.result for step in verdict.steps}["after"] == "bit-identical"
    with_factor(1 + 1e-7)
    verdict = reproduce(package)
    assert (verdict.verdict, verdict.exit_code) == ("different", 1)
    assert verdict.first_difference is not None
    assert verdict.first_difference.step == "loose"


@pytest.mark.slow
def test_modules_from_outside_of_the_pipeline_folder_travel_too(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "src" / "shop_shared"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("")
    (library / "doubling.py").write_text(
        "from shop_shared.factor import FACTOR\n\n\ndef double(value):\n    return value * FACTOR\n"
    )
    (library / "factor.py").write_text("FACTOR = 2\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(library.parent), os.environ.get("PYTHONPATH")])))
    step = "@pl.step\ndef doubled(steady: pl.Array) -> pl.Array:\n    return double(steady)\n"
    more = f"from shop_shared.doubling import double\n\n\n{step}"
    package = quirks(tmp_path / "quirks", keys, more, ", doubled")
    assert {path.name for path in (package / "code" / "_elsewhere" / "shop_shared").iterdir()} == {
        "__init__.py", "doubling.py", "factor.py",
    }  # fmt: skip
    monkeypatch.undo()
    assert reproduce(package).verdict == "bit-identical"
