"""Past results as values: an output of a run, or an artifact of a package."""

from __future__ import annotations

import atexit
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from pellucid.errors import DamagedError, LabelError, UsageError, suggest
from pellucid.pipeline.record import Run, stored_run
from pellucid.store import Table, home_for, kinds


def load(where: Run | Path | str, name: str, *, home: Path | str | None = None, private: bool = False) -> Any:
    """The value of an output: of a run (a `Run`, its name, the start of its name, "last" or "last~1"), or of a package (its folder or
    zip file).

    Raises UsageError where there is no such run or output, LabelError for what is not open unless `private` (for the data's steward),
    DamagedError for bytes that are not what was stored.
    """
    if isinstance(where, Path) or (isinstance(where, str) and Path(where).exists()):
        return _of_package(Path(where), name)
    run = where if isinstance(where, Run) else stored_run(Path(home) if home is not None else home_for(None), where)
    step = next((step for step in run.steps.values() if name in step.outputs), None)
    if step is not None and not step.label.is_open and not private:
        raise LabelError(f'"{name}" is {step.label}', fix="If you are the data's steward: load(..., private=True)")
    return run[name]


def _of_package(package: Path, name: str) -> Any:
    """An open artifact of a package, its bytes held against the digest that the package states."""
    from pellucid.packages.checking import package_check
    from pellucid.packages.format import archive
    from pellucid.packages.format import manifest as manifests

    unpacked = ExitStack()  # a table is read from its file later on, so what is unpacked goes when this process ends
    atexit.register(unpacked.close)
    scratch = Path(unpacked.enter_context(tempfile.TemporaryDirectory(prefix="pellucid-load-")))
    place = unpacked.enter_context(archive.opened(package.absolute(), scratch))
    package_check.checked(place)
    manifest = manifests.read(place)
    value = manifest.open.get(name)
    if value is None or value.items is not None:
        there = [one for one, held in manifest.open.items() if held.items is None]
        raise UsageError(f'there is no open artifact "{name:.60}"', where=str(package), fix=suggest(name, there))
    path = place / value.path
    if kinds.digest(path, value.kind) != value.digest:
        raise DamagedError("it is not the value that the package states", where=str(path), fix="Run: pellucid reproduce")
    found = kinds.load(path, value.kind)
    return replace(found, is_open=True) if isinstance(found, Table) else found
