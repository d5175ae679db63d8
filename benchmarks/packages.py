"""Packages: fixity against plain SHA-256, and the time to a verdict on the demo's package against its original run.

Bars: fixity of 1 GiB at 0.9 of plain SHA-256 of the same file or better; environment at most 10 s with a warm cache and 60 s cold from the
wheels inside; the rest (check, re-run, comparison) at most 1.2 times the original run. Run: python benchmarks/packages.py [--json]
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pellucid.packages.format import fixity

EXAMPLE = Path(__file__).parents[1] / "src" / "pellucid" / "cli" / "msweb"


def fixity_of_a_gibibyte(folder: Path) -> tuple[float, float]:
    """Seconds: plain SHA-256 of a file, and checking a package that holds it; best of three, in turn."""
    package = folder / "large"
    package.mkdir()
    block = os.urandom(1 << 20)
    with (package / "large.bin").open("wb") as file:
        for _ in range(1024):
            file.write(block)
    fixity.write(package)
    plain, checked = [], []
    for _ in range(3):
        start = time.perf_counter()
        with (package / "large.bin").open("rb") as file:
            hashlib.file_digest(file, "sha256")
        middle = time.perf_counter()
        fixity.check(package)
        plain.append(middle - start)
        checked.append(time.perf_counter() - middle)
    shutil.rmtree(package)
    return min(plain), min(checked)


def pellucid(folder: Path, *words: Any, **variables: str) -> dict[str, Any]:
    env = {**os.environ, "PELLUCID_KEYS": str(folder / "keys"), **variables}
    command = [sys.executable, "-m", "pellucid", *map(str, words), "--json"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def verdicts(folder: Path) -> dict[str, float]:
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    start = time.perf_counter()
    pellucid(folder, "run", "areas.py")
    original = time.perf_counter() - start
    pellucid(folder, "publish", "last", "plain")
    pellucid(folder, "publish", "last", "wheels", "--with-wheels")
    pellucid(folder, "reproduce", "plain")
    warm = pellucid(folder, "reproduce", "plain")["seconds"]
    cold = pellucid(folder, "reproduce", "wheels", UV_CACHE_DIR=str(folder / "empty"))["seconds"]
    rest = warm["check"] + warm["rerun"] + warm["comparison"]
    return {"original": original, "warm": warm["environment"], "cold": cold["environment"], "rest": rest}


def main() -> int:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        plain, checked = fixity_of_a_gibibyte(Path(name))
        took = verdicts(Path(name))
    figures = {"sha256 GB/s": 1.0737 / plain, "fixity GB/s": 1.0737 / checked, "ratio": plain / checked, **took}
    if "--json" in sys.argv:
        print(json.dumps(figures))
    else:
        print(f"fixity of 1 GiB: {figures['fixity GB/s']:.2f} GB/s, {plain / checked:.2f} of plain SHA-256")
        print(f"environment: {took['warm']:.1f} s warm, {took['cold']:.1f} s cold from the wheels inside")
        print(f"the rest: {took['rest']:.1f} s, {took['rest'] / took['original']:.2f} of the original run")
    good = plain / checked >= 0.9 and took["warm"] <= 10 and took["cold"] <= 60 and took["rest"] <= 1.2 * took["original"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
