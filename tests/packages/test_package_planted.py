"""Planted differences: each gets the right verdict at the right first step, and untouched packages never raise an alarm.

The re-run starts from the package, so what is planted is a change to the package by somebody who also lists its files anew (re-hashed),
or a change of the surroundings. What a signature would tell is test_package_hostile's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from package_shop import run_file
from test_package_verdict import restate, rewrite

from pellucid.errors import PackageError
from pellucid.packages.checking.package_check import whole_package
from pellucid.packages.format import archive, fixity, manifest
from pellucid.packages.publishing import publish
from pellucid.packages.reproducing import reproduce
from pellucid.packages.reproducing.reproduction import _judged
from pellucid.packages.reproducing.rerun_session import Attempt
from pellucid.packages.reproducing.sealed_session import NoVerdictError
from pellucid.packages.reproducing.verdict import COULD_NOT, StepVerdict, Verdict
from pellucid.sandbox.limits import of_a_rerun
from pellucid.store import kinds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Every kind of value, settings, a seed, a helper module, a threaded step with a tolerance, a fan-out.
PIPELINE = """
import numpy as np
import polars
import pellucid as pl
from helper import scale

rows = pl.source("rows.csv", label="open", licence="CC0-1.0")


@pl.step
def clean(rows: pl.Table, least: float = 0.1) -> pl.Table:
    return rows.polars().filter(polars.col("x") >= least).with_columns(z=polars.col("x") * scale(2.0))


@pl.step
def drawn(clean: pl.Table, seed: int, count: int = 40) -> pl.Array:
    return np.random.default_rng(seed).normal(size=count) + clean.polars().collect()["z"].sum()


@pl.step(threads=2, tolerance=1e-9)
def product(drawn: pl.Array) -> pl.Array:
    wide = np.outer(drawn, drawn) + np.eye(len(drawn))
    return np.linalg.svd(wide, compute_uv=False)


@pl.step(kind="train")
def model(drawn: pl.Array, rate: float = 0.5) -> pl.Model:
    wide = np.outer(np.sin(drawn), np.cos(drawn)) + 50 * np.eye(len(drawn))
    return pl.Model("linear", {"weights": np.linalg.solve(wide, drawn) * rate}, {"rate": rate})


@pl.step(over={"power": [1, 2]})
def powers(model: pl.Model, power: int) -> pl.Table:
    return polars.DataFrame({"power": [power] * 3, "value": np.sort(model["weights"])[:3] ** power})


@pl.step(kind="evaluate")
def quality(model: pl.Model, powers: list[pl.Table]) -> pl.Metrics:
    return {"norm": float(np.linalg.norm(model["weights"])), "parts": len(powers)}


@pl.step
def note(quality: pl.Metrics) -> pl.File:
    return f"norm {quality['norm']:.6f}".encode()


about = pl.About(title="Planted", description="Steps of every kind", creators=("Doe, Jane",), licence="MIT", data_licence="CC0-1.0")
pipeline = pl.Pipeline("planted", [rows, clean, drawn, product, model, powers, quality, note], seed=3, about=about)
"""


@dataclass(frozen=True)
class Bench:
    """A published package and its environment, built once: re-runs of copies of it take seconds."""

    package: Path
    attempt: Attempt
    folder: Path

    def verdict(self, package: Path, *, explain: bool = False) -> Verdict:
        """What reproduce would say, in the environment that is there already."""
        found = whole_package(package)
        entries = found.manifest.trace
        verdict = Verdict(COULD_NOT, steps=tuple(StepVerdict(e.step, e.kind, e.role, tolerance=e.tolerance) for e in entries))
        work = Path(tempfile.mkdtemp(dir=self.folder))
        attempt = replace(
            self.attempt, package=package, manifest=found.manifest, wheel=package / found.wheel, folder=work, count=0
        )
        attempt.build = lambda: None  # type: ignore[method-assign]
        steps = [entry.step for entry in found.manifest.entries(manifest.RERUN)]
        try:
            return _judged(attempt, verdict, {}, steps, False, explain)
        except NoVerdictError as error:
            return replace(verdict, reason=str(error))
        finally:
            shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "rows.csv").write_text("name,x\n" + "".join(f"n{at},{at / 10}\n" for at in range(12)))
    (folder / "helper.py").write_text("def scale(x):\n    return x * 1.5\n")
    file = folder / "planted.py"
    file.write_text(PIPELINE)
    run = run_file(file, keys=folder / "keys")
    publish(folder / ".pellucid", run, folder / "package")
    place = Path(tempfile.mkdtemp(dir=folder))
    found = whole_package(folder / "package")
    attempt = Attempt(
        folder / "package", folder / "package" / found.wheel, found.manifest, place, False, of_a_rerun(place), own_pellucid=True
    )
    attempt.build()
    return Bench(folder / "package", attempt, folder)


@pytest.fixture
def copy(bench: Bench, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bench.package, tmp_path / "package"))


def relisted(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def changed(package: Path) -> None:
        change(package)
        fixity.write(package)

    return changed


def table(name: str, change: Callable[[pa.Table], pa.Table], stated: bool = True) -> Callable[[Path], None]:
    """Change a table; with `stated` the trace states what it now is."""

    def changed(package: Path) -> None:
        path = package / f"artifacts/{name}.parquet"
        kinds.save(change(pq.read_table(path)), "table", path.parent, path.stem)
        restate(package, name, digest=stated)

    return changed


def array(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def changed(package: Path) -> None:
        path = package / f"artifacts/{name}.npy"
        kinds.save(change(np.load(path).copy()), "array", path.parent, path.stem)
        restate(package, name)

    return changed


def weights(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def changed(package: Path) -> None:
        path = package / "artifacts/model.npz"
        held = kinds.load(path, "model")
        made = kinds.Model(held.kind, {"weights": change(held.arrays["weights"].copy())}, dict(held.settings))
        kinds.save(made, "model", path.parent, path.stem)
        restate(package, "model")

    return changed


def metric(name: str, old: str, new: str) -> Callable[[Path], None]:
    def changed(package: Path) -> None:
        path = package / f"artifacts/{name}.json"
        text = re.sub(old, new, path.read_text())
        assert text != path.read_text()
        path.write_text(text)
        restate(package, name)

    return changed


def code(old: str, new: str, file: str = "planted.py") -> Callable[[Path], None]:
    return relisted(lambda package: rewrite(package / "code" / file, old, new))


def stated(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def changed(package: Path) -> None:
        data = json.loads((package / "manifest.json").read_text())
        change(data)
        (package / "manifest.json").write_text(json.dumps(data))

    return relisted(changed)


def entry(data: dict[str, Any], step: str) -> Any:
    return next(one for one in data["trace"] if one["step"] == step)


def node(data: dict[str, Any], step: str) -> Any:
    return next(one for one in data["graph"] if one["step"] == step)


def toleration(data: dict[str, Any], tolerance: float | None) -> None:
    """Trace and graph state another tolerance."""
    entry(data, "product")["tolerance"] = node(data, "product")["tolerance"] = tolerance


def rewired(data: dict[str, Any]) -> None:
    """Trace and graph know nothing of an input."""
    del entry(data, "quality")["inputs"]["powers"], node(data, "quality")["inputs"]["powers"]


def first(column: str, value: Any) -> Callable[[pa.Table], pa.Table]:
    """One cell of a column set to something else."""

    def change(old: pa.Table) -> pa.Table:
        values = old.column(column).to_pylist()
        values[0] = value
        return old.set_column(old.schema.get_field_index(column), column, pa.array(values, old.schema.field(column).type))

    return change


def swapped(old: pa.Table) -> pa.Table:
    """Two numeric columns with each other's values."""
    x, z = old.column("x"), old.column("z")
    return old.set_column(old.schema.get_field_index("x"), "x", z).set_column(old.schema.get_field_index("z"), "z", x)


def last(values: Any, by: float) -> Any:
    values[-1] *= 1 + by
    return values


DIFFERENT, WITHIN, KERNEL, FAILS = "different", "within tolerance", "within what another kernel may do", "could not run"
PLANTED: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    # what was changed: (how, verdict, first step, what the detail says)
    "a cell of the input": (table("rows", first("x", 0.55)), DIFFERENT, "clean", "row"),
    "a cell of the input, not stated": (table("rows", first("x", 0.55), False), DIFFERENT, "rows", "not the one its trace states"),
    "a text of the input": (table("rows", lambda t: t.set_column(0, "name", pc.utf8_upper(t.column("name")))), DIFFERENT, "clean", "'name'"),
    "a row of the input missing": (table("rows", lambda t: t.slice(0, 11)), DIFFERENT, "clean", "row"),
    "a cell of a result": (table("clean", first("z", 9.0)), DIFFERENT, "clean", "column 'z': 1 of"),
    "a cell, in the last digit": (table("clean", lambda t: first("z", float(np.nextafter(t.column("z")[0].as_py(), 9)))(t)), DIFFERENT, "clean", "column 'z'"),
    "a column that the next step needs": (table("clean", lambda t: t.drop_columns(["z"])), FAILS, "", 'step "drawn" failed'),
    "a null": (table("clean", first("x", None)), DIFFERENT, "clean", "column 'x'"),
    "columns swapped": (table("clean", swapped), DIFFERENT, "clean", "column 'x'"),
    "columns in another order": (table("clean", lambda t: t.select(["z", "x", "name"])), DIFFERENT, "clean", "the same values"),
    "a column renamed": (table("clean", lambda t: t.rename_columns(["label", "x", "z"])), DIFFERENT, "clean", "label"),
    "a column dropped": (table("clean", lambda t: t.drop_columns(["name"])), DIFFERENT, "clean", "name"),
    "a column added": (table("clean", lambda t: t.append_column("w", t.column("x"))), DIFFERENT, "clean", "w"),
    "another type": (table("clean", lambda t: t.cast(pa.schema([("name", pa.string()), ("x", pa.float32()), ("z", pa.float64())]))), DIFFERENT, "clean", "x"),
    "rows in another order": (table("clean", lambda t: t.take(pa.array(range(t.num_rows - 1, -1, -1)))), DIFFERENT, "clean", "column 'name'"),
    "a row twice": (table("clean", lambda t: pa.concat_tables([t, t.slice(0, 1)])), DIFFERENT, "clean", "row"),
    "an element of an array": (array("drawn", lambda a: last(a, 1e-9)), DIFFERENT, "drawn", "1 of 40"),
    "an array of another shape": (array("drawn", lambda a: a[:-1]), DIFFERENT, "drawn", "shape"),
    "an array of another type": (array("drawn", lambda a: a.astype(np.float32)), DIFFERENT, "drawn", "float32"),
    "a NaN": (array("product", lambda a: last(a, np.nan)), DIFFERENT, "product", "1 of 40"),
    "within a declared tolerance": (array("product", lambda a: a * (1 + 1e-12)), WITHIN, "product", "relative 1e-12"),
    "beyond a declared tolerance": (array("product", lambda a: a * (1 + 1e-7)), DIFFERENT, "product", "relative 1e-07"),
    "an array of a model": (weights(lambda w: last(w, 1e-12)), DIFFERENT, "model", "weights"),
    "a model's weights in another order": (weights(lambda w: w[::-1].copy()), DIFFERENT, "model", "weights"),
    "a metric": (metric("quality", r'"norm": \d', '"norm": 7'), DIFFERENT, "quality", "metric 'norm'"),
    "a count among metrics": (metric("quality", r'"parts": 2', '"parts": 3'), DIFFERENT, "quality", "metric 'parts'"),
    "a metric renamed": (metric("quality", r'"parts"', '"pieces"'), DIFFERENT, "quality", "pieces"),
    "a file": (relisted(lambda p: ((p / "artifacts/note.bin").write_bytes(b"norm 1"), restate(p, "note"))), DIFFERENT, "note", ""),
    "another seed": (stated(lambda m: m.update(seed=4)), DIFFERENT, "drawn", "40 of 40"),
    "another setting in the file": (code("least: float = 0.1", "least: float = 0.3"), DIFFERENT, "clean", "row"),
    "another setting on record": (stated(lambda m: m["settings"].update({"drawn.count": "41"})), DIFFERENT, "drawn", "shape"),
    "a setting that only scales": (code("rate: float = 0.5", "rate: float = 0.25"), DIFFERENT, "model", "setting 'rate'"),
    "a helper": (code("x * 1.5", "x * 1.50001", "helper.py"), DIFFERENT, "clean", "column 'z'"),
    "a step's code": (code("np.sort(model", "-np.sort(-model"), DIFFERENT, "powers", "column 'value'"),
    "code that changes nothing": (code("return x * 1.5", "y = x * 1.5\n    return y", "helper.py"), DIFFERENT, "clean", "states other code"),
    "a comment": (code("import polars\n", "import polars  # fast\n"), "bit-identical", "", ""),
    "one more thread": (code("threads=2", "threads=1"), DIFFERENT, "product", "states other code"),
    "another fan-out": (code('[1, 2]', '[1, 3]'), DIFFERENT, "powers", "elements are not the same"),
    "a step that fails": (code("return f\"norm", "raise ValueError(quality)\n    return f\"norm"), FAILS, "", 'step "note" failed'),
    "a step that is gone": (code("quality, note]", "quality]"), FAILS, "", 'no step "note"'),
    "code that does not load": (code("import polars\n", "import polarbears\n"), FAILS, "", "polarbears"),
    "a step that draws from the clock": (code("return np.random.default_rng(seed)", "import os\n    return np.random.default_rng(list(os.urandom(8)))"), DIFFERENT, "drawn", "40 of 40"),
    "another package version's behaviour": (code("np.linalg.solve(wide, drawn)", "(np.linalg.inv(wide) @ drawn)"), DIFFERENT, "model", "weights"),
    "a tolerance lifted afterwards": (stated(lambda m: toleration(m, None)), DIFFERENT, "product", "states other tolerance"),
    "a tolerance raised afterwards": (stated(lambda m: toleration(m, 0.5)), DIFFERENT, "product", "states other tolerance"),
    "a setting in the trace that was none": (stated(lambda m: entry(m, "model")["settings"].update(rate=0.7)), DIFFERENT, "model", "states other settings"),
    "code in the trace that was none": (stated(lambda m: entry(m, "note").update(code={"code planted:note": "0" * 64})), DIFFERENT, "note", "states other code"),
    "a kind in the trace that was none": (stated(lambda m: (entry(m, "model").update(kind="predict"), node(m, "model").update(kind="predict"))), DIFFERENT, "model", "states other kind"),
    "an input in the trace that was none": (stated(lambda m: rewired(m)), DIFFERENT, "quality", "states other inputs"),
    "a step in the graph that was none": (stated(lambda m: m["graph"].append({**node(m, "note"), "step": "more", "outputs": []})), DIFFERENT, "more", "no such step"),
    "an input on record that is another": (stated(lambda m: entry(m, "model")["inputs"]["drawn"].update(digest="array:" + "0" * 64)), DIFFERENT, "model", "its input drawn was another"),
    "a digest on record that is another": (stated(lambda m: entry(m, "note")["outputs"]["note"].update(digest="file:" + "0" * 64)), DIFFERENT, "note", "not the one its trace states"),
    "a touched licence": (stated(lambda m: m["about"].update(data_licence="CC-BY-4.0")), "bit-identical", "", ""),
    "a touched readme": (relisted(lambda p: (p / "README.md").write_text("hello")), "bit-identical", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_difference_gets_its_verdict_at_its_first_step(case: str, bench: Bench, copy: Path) -> None:
    plant, verdict, step, said = PLANTED[case]
    plant(copy)
    found = bench.verdict(copy)
    at = found.first_difference
    assert found.verdict == verdict, found
    assert (at.step if at else "") == step, found
    assert said in (at.detail if at else found.reason or ""), found


def test_there_are_enough_of_them() -> None:
    assert len(PLANTED) >= 40


@pytest.mark.timeout(2400)
def test_fifty_untouched_re_runs_raise_no_alarm(bench: Bench, copy: Path) -> None:
    assert {bench.verdict(copy).verdict for _ in range(50)} == {"bit-identical"}


def elsewhere(data: dict[str, Any]) -> None:
    """The record names a kernel that no processor here has."""
    for pool in data["environment"]["blas"]:
        pool["architecture"] = "Zen9"


def fourth(values: Any) -> Any:
    """The fourth number by size changed in its last digit: nothing that is made of the first three or of the norm is another."""
    at = np.argsort(values)[3]
    values[at] = np.nextafter(values[at], 9)
    return values


CLAIMED: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a solution that depends on the kernel": (weights(fourth), KERNEL, ""),
    "the same, by more than a kernel does": (weights(lambda w: last(w, 1e-3)), DIFFERENT, "relative 0.000999"),
    "a sum that does not": (table("clean", first("z", 0.3 * (1 + 1e-12))), DIFFERENT, "it gives the same as here"),
    "numbers drawn from a generator": (array("drawn", lambda a: last(a, 1e-12)), DIFFERENT, "it gives the same as here"),
}


@pytest.mark.parametrize("case", CLAIMED)
def test_another_kernel_is_found_here_and_not_claimed_there(case: str, bench: Bench, copy: Path) -> None:
    plant, verdict, said = CLAIMED[case]
    plant(copy)
    stated(elsewhere)(copy)
    found = bench.verdict(copy)
    assert found.verdict == verdict, found
    assert found.first_difference is not None and said in found.first_difference.detail, found


def test_another_kernel_is_within_tolerance_and_named(bench: Bench, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = json.loads((copy / "manifest.json").read_text())["environment"]["blas"]
    recorded = {pool.get("architecture") for pool in there}
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell" if "Haswell" not in recorded else "Nehalem")
    found = bench.verdict(copy, explain=True)
    assert found.verdict == KERNEL, found
    (suspect,) = found.suspects
    assert (suspect.what, suspect.tested) == ("blas kernel", "it explains the difference")
    quiet = bench.verdict(copy)
    assert "suspect: blas kernel (try --explain)" in str(quiet)


def test_a_difference_that_the_kernel_does_not_explain_stays_one(
    bench: Bench, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights(lambda w: w * 1.001)(copy)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    found = bench.verdict(copy, explain=True)
    assert found.verdict == DIFFERENT and found.first_difference is not None
    assert found.first_difference.step == "model"
    assert [suspect.tested for suspect in found.suspects if suspect.what == "blas kernel"] in (
        [],
        ["it does not explain the difference"],
    )


def test_one_step_or_going_on_after_a_failure(bench: Bench, copy: Path, tmp_path: Path) -> None:
    code('return f"norm', 'raise ValueError(1)\n    return f"norm')(copy)
    weights(lambda w: w * 2)(copy)
    alone = reproduce(copy, steps=["quality"])
    assert alone.verdict == DIFFERENT and alone.first_difference is not None and alone.first_difference.step == "quality"
    going = reproduce(copy, keep_going=True)
    results = {step.step: step.result for step in going.steps}
    assert (results["model"], results["note"], results["clean"]) == (DIFFERENT, COULD_NOT, "bit-identical")
    assert going.verdict == DIFFERENT
    assert reproduce(copy).verdict == COULD_NOT


def test_a_zip_from_an_address_is_re_run_and_a_page_is_not(bench: Bench, tmp_path: Path) -> None:
    import functools
    import http.server
    import threading

    archive.write(bench.package, tmp_path / "package.zip")
    (tmp_path / "page.html").write_text("<html>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        assert reproduce(f"{address}/package.zip", steps=["note"]).verdict == "bit-identical"
        with pytest.raises(PackageError, match="not a zip"):
            reproduce(f"{address}/page.html")
        with pytest.raises(PackageError, match="cannot be fetched"):
            reproduce(f"{address}/nothing.zip")
    finally:
        server.shutdown()
        server.server_close()
    assert os.listdir(tmp_path)
