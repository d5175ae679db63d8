"""What the catalogue learns by opening the artifacts of packages: run sealed, many packages after one start of Python.

Each package is looked at in a process of its own, forked from one that has read nothing of any, which gives up all files but that package's
(Landlock) before it reads; what it says goes through a pipe to the first. So no package can speak for another. Where the system
has no Landlock, and where a batch does not end well, each package gets a sealed process from the start.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST = 8 << 20  # bytes of what is said of one package
_BATCH = 64
_INHERIT_ORPHANS = 36
_ROOMS = ("pellucid.packages.format", "pellucid.packages.standards", "pellucid.packages.checking", "pellucid.store")
_WARM = (
    "jinja2",
    "packaging.licenses",
    "pellucid.packages.catalogue.looking.artifact_preview",
    "pellucid.packages.catalogue.looking.notebook_blocks",
    "pellucid.pipeline.declaration.graph_drawing",
    "pellucid.pipeline.record.artifact",
    "pellucid.privacy.accounting.published_guarantee",
    "pyarrow.compute",
    "pyarrow.parquet",
)


def looks(folders: Sequence[Path]) -> list[Mapping[str, Any]]:
    """For each package, {"otherwise": descriptions that are not as this pellucid writes them, "tables", "pages"} or {"error": why it is
    refused}. What it says beside `otherwise` is the package's word."""
    from pellucid.sandbox import landlock

    wide = max(1, min(os.cpu_count() or 1, 8))
    size = min(_BATCH, -(-len(folders) // wide)) if landlock.abi() else 1
    batches = [folders[at : at + size] for at in range(0, len(folders), max(1, size))]
    with ThreadPoolExecutor(wide) as pool:
        return [one for batch in pool.map(_batch, batches) for one in batch]


def _batch(folders: Sequence[Path]) -> list[Mapping[str, Any]]:
    found, why = _sealed(folders)
    if len(found) == len(folders):
        return found
    if len(folders) == 1:
        return [{"error": f"its artifacts could not be read: {why}"}]
    return [_batch([folder])[0] for folder in folders]


def _sealed(folders: Sequence[Path]) -> tuple[list[Mapping[str, Any]], str]:
    from pellucid.sandbox import launcher, limits

    command = [sys.executable, "-P", "-m", "pellucid.packages.catalogue.looking.sealed_look", *map(str, folders)]
    bound = limits.of_reading(path for folder in folders for path in (folder / "artifacts").rglob("*"))
    with tempfile.TemporaryDirectory(prefix="pellucid-look-") as work:
        scratch = Path(work, "scratch")
        scratch.mkdir()
        ended = launcher.run(
            command, read=[*folders, *launcher.own_folders()], write=[scratch], env=launcher.own_environment() | {"TMPDIR": str(scratch)},
            folder=Path(work), log="look", limits=bound, output=(MOST + 2) * len(folders),
        )  # fmt: skip
    found = []
    with suppress(ValueError):
        found = [json.loads(line) for line in ended.output.splitlines() if not ended.stopped]
    return [one if isinstance(one, dict) else {"error": "it could not be read"} for one in found], ended.why


def main(*packages: str) -> None:
    """Entry of the process: a line of JSON for each package."""
    from pellucid.sandbox import end_descendants, libc

    for room in map(importlib.import_module, _ROOMS):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    for name in _WARM:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    libc().prctl(_INHERIT_ORPHANS, 1, 0, 0, 0)
    for package in packages:
        said = _of_one(package)
        end_descendants(os.getpid())
        print(said.decode(), flush=True)


def _of_one(package: str) -> bytes:
    """What a process of its own says of a package, as one line of JSON."""
    readable, writable = os.pipe()
    scratch = tempfile.mkdtemp()
    pid = os.fork()
    if not pid:
        try:
            os.close(readable)
            _say(package, scratch, writable)
        finally:
            os._exit(0)
    os.close(writable)
    with open(readable, "rb") as pipe:
        said = pipe.read(MOST + 1)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    shutil.rmtree(scratch, ignore_errors=True)
    with suppress(ValueError, RecursionError):
        if len(said) <= MOST and isinstance(found := json.loads(said), dict):
            return json.dumps(found).encode()
    return json.dumps({"error": "its artifacts could not be read"}).encode()


def _say(package: str, scratch: str, to: int) -> None:
    from pellucid.errors import PellucidError
    from pellucid.packages.catalogue.looking.artifact_preview import previews
    from pellucid.packages.checking import otherwise, unpacked
    from pellucid.packages.format import reading
    from pellucid.sandbox import landlock
    from pellucid.store import nothing_lasts

    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    if landlock.abi():
        landlock.restrict([package], [scratch])
    nothing_lasts()
    found: Any
    try:
        with reading("the artifacts"):
            found = {"otherwise": otherwise(Path(package))}
            found |= previews(Path(package))
    except PellucidError as error:
        found = {"error": str(error)}
    except MemoryError:
        found = {"error": unpacked()}
    with open(to, "wb") as pipe:
        pipe.write(json.dumps(found).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
