"""The members of a re-run: a process for each group of steps, forked from one. What a hostile step tries to learn of others, or to tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_package_honest import ABOUT, published
from test_package_verdict import restate

from pellucid.packages.reproducing import reproduce
from pellucid.sandbox import launcher
from pellucid.store import kinds

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not launcher.tried().sealed, reason="this system cannot cut off files and network"),
]
# Two steps of one level with inputs of their own, and one that takes in what the first gives.
PIPELINE = f"""
import pellucid as pl
# top
one = pl.source("one.csv", label="open", licence="CC0-1.0")
two = pl.source("two.csv", label="open", licence="CC0-1.0")

@pl.step
def first(one: pl.Table) -> pl.Metrics:
    found = float(one.num_rows)
    # in first
    return {{"n": found}}

@pl.step
def other(two: pl.Table) -> pl.Metrics:
    return {{"n": float(two.num_rows)}}

@pl.step
def after(first: pl.Metrics) -> pl.Metrics:
    # in after
    return {{"n": first["n"] + 1}}

pipeline = pl.Pipeline("p", [one, two, first, other, after], {ABOUT})
"""
SPIES = {
    # what stands at the top of the file and in the first step: `found` becomes 777.0 if it comes to know what it may not
    "the files of a level": """
import os
SEEN = [os.path.join(folder, name) for top in (os.getcwd() + "/../..", "/") for folder, _, names in os.walk(top)
        if "/proc" not in folder and "/sys" not in folder for name in names]
KNOWN = 0
for _path in SEEN:
    try:
        _body = open(_path, "rb").read(4_000_000)
    except OSError:
        continue
    KNOWN += b"secret-of-two" in _body or b"777.0" in _body.replace(b"SECRET", b"") and _path.endswith(".json")
""",
    "names in the memory": """
import gc, os, re
_texts = [one for one in gc.get_objects() if isinstance(one, dict)]
_names = {name for held in _texts for value in list(held.values()) if isinstance(value, str)
          for name in re.findall(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", value)}
_work = os.getcwd()
_own = os.path.basename(_work)
KNOWN = 0
for _name in _names - {_own}:
    for _place in (os.path.join(os.path.dirname(_work), _name), os.path.join(_work, "../../views", _name + ".json")):
        KNOWN += os.path.exists(_place)
""",
    "the memory of others": """
import os
KNOWN = 0
for _pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        _own = os.readlink(f"/proc/{_pid}/cwd") == os.getcwd()  # the other process of this member
    except OSError:
        _own = False
    for _what in () if _own else ("environ", "mem", "maps", "cwd", "root", "fd"):
        try:
            if _what == "fd":  # how many it has can be seen, but not of what
                KNOWN += any([os.readlink(f"/proc/{_pid}/fd/{_fd}") for _fd in os.listdir(f"/proc/{_pid}/fd")])
            else:
                _at = f"/proc/{_pid}/{_what}"
                KNOWN += bool(os.listdir(_at) if _what in ("cwd", "root") else open(_at, "rb").read(1))
        except OSError:
            pass
""",
    "descriptors": """
import os, stat
KNOWN = 0
for _fd in range(3, 64):
    try:
        _path = os.readlink(f"/proc/self/fd/{_fd}")
    except OSError:
        continue
    KNOWN += "names" in _path or "spec" in _path or "/views" in _path and "/package" not in _path
""",
}


def with_spy(folder: Path, spy: str) -> Path:
    (folder / "one.csv").parent.mkdir(parents=True, exist_ok=True)
    (folder / "one.csv").write_text("a\n1\n2\n")
    (folder / "two.csv").write_text("a\nsecret-of-two\n")
    text = PIPELINE.replace("# top", spy).replace("# in first", "found += 700.0 * bool(KNOWN)")
    return published(folder, text)


@pytest.mark.slow
@pytest.mark.parametrize("spy", SPIES)
def test_a_step_learns_nothing_of_what_is_another_s(spy: str, tmp_path: Path) -> None:
    """The step says so in its result if it does: the package would not come out bit-identical."""
    package = with_spy(tmp_path, f"KNOWN = 0\n{guarded(SPIES[spy])}")
    verdict = reproduce(package)
    assert verdict.verdict == "bit-identical", verdict
    assert {step.result for step in verdict.steps} == {"bit-identical"}


def guarded(spy: str) -> str:
    """The spy looks only where it is re-run: where the package was made nothing is hidden."""
    inside = "".join(f"    {line}\n" for line in spy.splitlines())
    return f"if '/views/' in __file__:\n{inside}"


# A daemon that the first step leaves behind waits for a step that takes in its result, to be told what it should have come to.
TELLS = """
import fcntl, json, os, struct, sys, time
_ENV = os.path.realpath(sys.executable)
def _locked(start):
    with open(_ENV, "rb") as file:
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, start, 1, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK
def _tell(number):
    global _HELD
    _HELD = open(_ENV, "rb")
    for bit in range(12):
        if number >> bit & 1:
            fcntl.fcntl(_HELD, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, bit, 1, 0))
    fcntl.fcntl(_HELD, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 100, 1, 0))
    time.sleep(3)
def _hear(seconds):
    until = time.time() + seconds
    while time.time() < until:
        if _locked(100):
            return sum(_locked(bit) << bit for bit in range(12))
        time.sleep(0.01)
    return None
"""


@pytest.mark.slow
def test_a_later_step_cannot_tell_an_earlier_one_what_to_come_to(tmp_path: Path) -> None:
    """By locks on a file that both may read: the earlier one waits, and has ended before the later one begins."""
    (tmp_path / "one.csv").write_text("a\n1\n2\n")
    (tmp_path / "two.csv").write_text("a\n1\n")
    waits = "told = _hear(6) if '/views/' in __file__ else None\n    found = float(told) if told is not None else found"
    text = PIPELINE.replace("# top", TELLS).replace("# in first", waits)
    text = text.replace("# in after", "'/views/' in __file__ and _tell(int(first['n']))")
    package = published(tmp_path, text)
    path = package / "artifacts/first.json"
    kinds.save({"n": 777.0}, "metrics", path.parent, "first")
    restate(package, "first")
    kinds.save({"n": 778.0}, "metrics", path.parent, "after")
    restate(package, "after")
    verdict = reproduce(package)
    assert verdict.verdict == "different" and verdict.first_difference is not None, verdict
    assert verdict.first_difference.step == "first" and "777.0 and 2.0" in verdict.first_difference.detail, verdict
