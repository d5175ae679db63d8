"""Bad input gets one clear line that names the thing, and nothing is lost: what was finished before is still there."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from desk import PIPELINE, Desk, Done, actions, laid

from pellucid.privacy.accounting.ledger import Ledger

Worked = tuple[Desk, dict[str, Any], dict[str, Any]]

# case: (change to the pipeline file: this, by that; more words; exit code; what the line must name)
CASES: dict[str, tuple[str, str, str, int, tuple[str, ...]]] = {
    "a missing file": ('"visits.csv"', '"vists.csv"', "", 2, ('source "visits"', "vists.csv", "no such file")),
    "an empty file": ('"visits.csv"', '"empty.csv"', "", 2, ('source "visits"', "empty.csv", "empty")),
    "a file that is no table": ('"areas.csv"', '"broken.csv"', "", 1, ("areas", "broken.csv")),
    "a wrong unit": ('unit="person"', 'unit="persn"', "", 1, ('"persn"', "visits", 'Did you mean "person"?')),
    "a wrong column": ('histogram("area"', 'histogram("aera"', "", 2, ("aera", 'Did you mean "area"?')),
    "a cycle": ("areas: pl.Table, reg", "areas: pl.Table, quality: pl.Metrics, reg", "", 2, ("cycle", "model", "quality")),
    "two steps of one name": ('")\ndef ceiling', '", name="quality")\ndef ceiling', "", 2, ('two steps are named "quality"',)),
    "a step that is not in the list": ("areas, counts, model", "areas, model", "", 2, ('"counts"', 'step "model"')),
    "a step that is not a step": ("@pl.step(kind=\"train\")\n", "", "", 2, ("is not a source or a step",)),
    "an unknown setting": ("", "", "--set model.regularisation=1", 2, ('"regularisation"', 'Did you mean "regularization"')),
    "an unknown step": ("", "", "--set modle.regularization=1", 2, ('no step "modle"', 'Did you mean "model"')),
    "a value of a wrong type": ("", "", "--set model.regularization=much", 2, ("model.regularization", '"much" is no value of type float')),
    "a default of a wrong type": ("float = 10.0", 'float = "10"', "", 2, ("regularization", "str")),
    "another type than declared": ("found / (found + reg", "{'a': 1} or (reg", "", 1, ('step "model"', "dict", "array")),
    "metrics that are no numbers": ('float(numpy.mean(found))', '"many"', "", 1, ('step "quality"', "metrics")),
    "no return annotation": ("float = 10.0) -> pl.Array", "float = 10.0)", "", 2, ("model", "return annotation")),
    "epsilon 0": ("epsilon=1.0", "epsilon=0", "", 2, ("epsilon", "above 0")),
    "epsilon below 0": ("", "", "--set counts.epsilon=-1", 2, ('release "counts"', "epsilon", "-1")),
    "epsilon not a number": ("", "", "--set counts.epsilon=nan", 2, ('release "counts"', "epsilon", "nan")),
    "epsilon infinite": ("", "", "--set counts.epsilon=inf", 2, ('release "counts"', "epsilon", "inf")),
    "epsilon too small to count": ("", "", "--set counts.epsilon=1e-320", 2, ('release "counts"', "epsilon", "1e-320")),
    "delta 0": ("delta=1e-6", "delta=0.0", "", 2, ("delta",)),
    "delta 0 on the command line": ("", "", "--set counts.delta=0", 2, ('release "counts"', "delta")),
    "delta 1": ("", "", "--set counts.delta=1", 2, ('release "counts"', "delta")),
    "a bound of 0": ("", "", "--set counts.max_contributions=0", 2, ("max_contributions",)),
    "over budget": ("", "", "--set counts.epsilon=1.5", 2, ("'visits'", "epsilon 1 and delta 9e-06 left")),
    "no unit": (', unit="person"', "", "", 2, ('release "counts"', "no unit", "unit=")),
    "an open table released": ("of=visits", "of=areas", "", 2, ('"areas" is open already',)),
    "no label": ('"areas.csv", label="open"', '"areas.csv"', "", 2, ('source("areas.csv")', "no label")),
    "an unknown label": ('"areas.csv", label="open"', '"areas.csv", label="public"', "", 2, ('"public" is not a label',)),
    "an unknown reader's option": ('label="open"', 'label="open", seperator=";"', "", 1, ("seperator",)),
    "a misspelt reader's option": ('label="open"', 'label="open", delimeter=";"', "", 1, ('Did you mean "delimiter"?',)),
    "a misspelt bound": ("max_contributions=", "max_contribution=", "", 2, ("bad.py:", 'Did you mean "max_contributions"?')),
    "a misspelt mechanism": ("privacy.histogram(", "privacy.histogramm(", "", 2, ("bad.py:", 'Did you mean "histogram"?')),
    "a folder as data": ('"areas.csv"', '"."', "", 2, ("does not tell the format", 'format="csv"')),
    "a file that is looked for in the step": (
        "float(numpy.mean(found))", 'float(open("areas.csv").read())', "", 1, ("pl.source('areas.csv', label=...)", "bad.py, line"),
    ),
    "a wrong seed": ("", "", "--seed one", 2, ("--seed",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk with a finished run: what it holds must survive all that follows."""
    desk = laid(tmp_path_factory.mktemp("bench"))
    desk.write("empty.csv", "")
    desk.write("broken.csv", 'area,title\narea0,"never closed\n')
    desk.run()
    return desk


def nothing_lost(desk: Desk, found: dict[str, Any] | None = None) -> None:
    """What was there is reused, and the account has paid once."""
    found = found or desk.run()
    assert set(actions(found).values()) == {"reused"}
    ledger = Ledger(Path(desk.variables.get("PELLUCID_HOME", desk.folder / ".pellucid")))
    ledger.verify()
    (account,) = ledger.accounts()
    ledger.close()
    assert (account["spent_epsilon"], account["left_epsilon"]) == (1.0, 1.0)


@pytest.mark.quick(4)
@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_line_and_nothing_is_lost(bench: Desk, case: str) -> None:
    this, by_that, words, code, named = CASES[case]
    assert PIPELINE.count(this) == 1 or not this
    bench.write("bad.py", PIPELINE.replace(this, by_that) if this else PIPELINE)
    done = bench("run", "bad.py", "--quiet", *words.split())
    assert done.code == code, done
    assert len(done.err.splitlines()) == 1, done.err
    for name in named:
        assert name in done.complaint
    nothing_lost(bench)


def test_bad_input_in_json_is_one_object_too(bench: Desk) -> None:
    refused = bench("run", "small.py", "--set", "counts.epsilon=1.5", "--json")
    assert refused.code == 2
    told = refused.json
    assert told["status"] == "failed"
    assert told["error"]["type"] == "BudgetError"
    assert told["steps"]["visits"]["action"] == "reused"
    assert told["steps"]["counts"]["action"] == "failed"
    assert "left" in told["steps"]["counts"]["message"]
    assert bench("show", told["run"], "--json").json["status"] == "failed"
    assert bench("run", "nowhere.py", "--json").json["error"]["type"] == "UsageError"


# the state folder --------------------------------------------------------------------------------------------------------


def copy_of(bench: Desk, folder: Path) -> Desk:
    shutil.copytree(bench.folder / ".pellucid", folder / ".pellucid")
    return Desk(bench.folder, {"PELLUCID_HOME": str(folder / ".pellucid")})


@pytest.mark.parametrize("words", ["run small.py", "runs", "ledger", "show", "gc"])
def test_a_store_of_a_newer_version_is_refused_untouched(bench: Desk, tmp_path: Path, words: str) -> None:
    desk = copy_of(bench, tmp_path)
    file = tmp_path / ".pellucid" / "pellucid.db"
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version=99")
    db.close()
    done = desk(*words.split())
    assert done.code == 2
    assert "format 99" in done.complaint and "Upgrade" in done.complaint
    db = sqlite3.connect(file)
    db.execute("PRAGMA user_version=1")
    db.close()
    nothing_lost(desk)


def test_a_state_file_that_is_something_else_is_refused_untouched(bench: Desk, tmp_path: Path) -> None:
    desk = copy_of(bench, tmp_path)
    file = tmp_path / ".pellucid" / "pellucid.db"
    for leftover in file.parent.glob("pellucid.db-*"):
        leftover.unlink()
    file.write_bytes(b"this is not a database, not even nearly" * 100)
    for words in (["run", "small.py"], ["runs"], ["ledger"]):
        done = desk(*words)
        assert done.code == 2
        assert "pellucid.db" in done.complaint
    assert file.read_bytes().startswith(b"this is not")


def test_where_no_state_is_the_line_says_how_to_get_there(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for words in (
        "runs",
        "show",
        "ledger",
        "gc",
        "why model",
        "compare",
        "export --mlflow http://127.0.0.1:9",
        "publish last out",
    ):
        done = desk(*words.split())
        assert done.code == 2
        assert "no state" in done.complaint and "--home" in done.complaint
    assert not (tmp_path / ".pellucid").exists()


def test_a_home_that_is_a_file_is_refused(bench: Desk, tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.write_text("")
    done = bench("run", "small.py", "--home", file)
    assert done.code == 2
    assert str(file) in done.complaint


def test_a_key_that_others_can_read_is_refused_before_anything_is_spent(desk: Desk) -> None:
    desk.run("--only", "areas")
    (desk.folder / "keys").mkdir(mode=0o755)
    done = desk("run", "small.py", "--quiet")
    assert done.code == 2
    assert "others can read" in done.complaint and "chmod" in done.complaint
    assert desk("ledger", "--json").json["spends"] == []


# the disk ----------------------------------------------------------------------------------------------------------------


def in_namespace(desk: Desk, script: str) -> Done:
    """A shell script among mounts of its own; `$P` is the command. Skips the test where the system does not allow it."""
    unshare = next((way for way in (["unshare", "-m"], ["unshare", "-rm"]) if _works(way)), None)
    if unshare is None:
        pytest.skip("no private mounts here: unshare -m needs root or user namespaces")
    environment = desk.environment | {"P": f"{sys.executable} -m pellucid"}
    done = subprocess.run(
        [*unshare, "sh", "-ec", script],
        cwd=desk.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _works(way: list[str]) -> bool:
    try:
        return subprocess.run([*way, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.quick(1)
@pytest.mark.parametrize("left", [0, 64, 200], ids="{} KB left".format)
def test_a_full_disk_stops_a_run_and_room_lets_it_go_on(bench: Desk, tmp_path: Path, left: int) -> None:
    script = f"""
        mount -t tmpfs -o size=16m none {tmp_path}
        cp -a .pellucid {tmp_path}/home
        export PELLUCID_HOME={tmp_path}/home
        head -c {left * 1024} /dev/zero > {tmp_path}/spare
        cat /dev/zero > {tmp_path}/filler 2>/dev/null || true
        rm {tmp_path}/spare
        $P run small.py --quiet --set model.regularization=77 --from visits && exit 99 || echo $? >&2
        rm {tmp_path}/filler
        $P run small.py --json --quiet
        $P ledger verify >&2
        $P ledger --json | grep '"spent": 1.0' >&2
    """
    done = in_namespace(bench, script)
    assert done.code == 0, done
    lines = done.err.splitlines()
    assert lines[1] in ("1", "2")
    assert "No space left" in done.complaint or "full" in done.complaint
    assert set(actions(done.json).values()) == {"reused"}


def test_a_read_only_store_is_refused_and_unharmed(bench: Desk, tmp_path: Path) -> None:
    script = f"""
        cp -a .pellucid {tmp_path}/home
        mount --bind {tmp_path}/home {tmp_path}/home
        mount -o remount,bind,ro {tmp_path}/home
        export PELLUCID_HOME={tmp_path}/home
        $P run small.py --quiet --set model.regularization=77 && exit 99 || echo $? >&2
        umount {tmp_path}/home
        $P run small.py --json --quiet
    """
    done = in_namespace(bench, script)
    assert done.code == 0, done
    assert done.err.splitlines()[1:] == ["2"]
    assert "read" in done.complaint or "writable" in done.complaint
    assert set(actions(done.json).values()) == {"reused"}
