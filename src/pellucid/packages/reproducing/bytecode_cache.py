"""Bytecode for the environment of a re-run, compiled once instead of by both interpreters of every level.

Installed packages come as source, and a re-run may not write beside them. So before the levels a process of the environment imports
what they will and writes what was compiled into a folder of its own; from there it is moved beside the sources. That process is as
sealed as a re-run, and sees nothing of the package: what it leaves cannot carry anything of its data to a step that may not see them.
It is a matter of speed alone: where it does not come off, each level compiles for itself.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.store import folders

if TYPE_CHECKING:
    from pellucid.packages.reproducing.virtual_environment import Environment
    from pellucid.sandbox import Limits

SECONDS, DISK = 60.0, 256 << 20
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_LOOK = 1 << 20  # characters of a file
_OWN = (
    "pellucid.packages.reproducing.rerun_process",
    "pellucid.packages.reproducing.rerun_zygote",
    "pellucid.packages.reproducing.rerun_outputs",
    "pellucid.pipeline.running.scheduler",
    "pellucid.pipeline.running.worker_pool",
    "pellucid.pipeline.running.execution",
    "pellucid.pipeline.running.plan",
    "pellucid.pipeline.running.executors",
)


def prepare(environment: Environment, code: Iterable[Path], folder: Path, limits: Limits) -> None:
    """Compile what a re-run of the source files `code` imports, working below `folder`, which must exist."""
    from pellucid.packages.reproducing import virtual_environment
    from pellucid.sandbox import launcher

    work = folder / "bytecode"
    compiled = work / "compiled"
    compiled.mkdir(parents=True)
    (site,) = environment.python.parents[1].glob("lib/python3.*/site-packages")
    names = sorted(name for name in _imported(code) if (site / name).is_dir() or (site / f"{name}.py").is_file())
    command = [
        str(environment.python),
        "-P",
        "-m",
        "pellucid.packages.reproducing.bytecode_cache",
        str(site),
        str(compiled),
        json.dumps(names),
    ]
    env = virtual_environment.strangers_environment(home=work, scratch=work)
    some = replace(limits, seconds=min(limits.seconds, SECONDS), disk=min(limits.disk, DISK))
    launcher.run(command, read=environment.folders, write=[work], env=env, folder=work, log="bytecode", limits=some)
    take(compiled, site)


def _imported(code: Iterable[Path]) -> set[str]:
    """The first words of what these files import, as far as they say so on lines of their own."""
    found: set[str] = set()
    for path in code:
        with path.open(errors="replace") as file:
            found.update(_IMPORT.findall(file.read(_LOOK)))
    return found


def take(compiled: Path, site: Path) -> None:
    """Move bytecode to where an import from `site` looks for it. Nothing else of what is there is touched: it was a stranger's to write."""
    for entry in list(folders.entries(compiled)):
        at = site / Path(entry.path).relative_to(compiled)
        beside = at.parent.parent
        source = beside / f"{at.name.partition('.')[0]}.py"
        with suppress(OSError):  # wheels have strange files too, such as a folder of this name
            wanted = at.suffix == ".pyc" and at.parent.name == "__pycache__" and not at.parent.is_symlink() and source.is_file()
            if wanted and entry.is_file(follow_symlinks=False) and beside.resolve() == site.resolve() / beside.relative_to(site):
                at.parent.mkdir(exist_ok=True)
                os.replace(entry.path, at)


def main(site: str, compiled: str, names: str) -> None:
    """Entry of the process: `python -m` this module with SITE COMPILED NAMES. NAMES is a JSON list of modules."""
    sys.dont_write_bytecode = False

    def set_data(self: SourceFileLoader, path: str, data: Any, *, _mode: int = 0) -> None:
        with suppress(ValueError, OSError):
            at = Path(compiled, Path(path).relative_to(site))
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(data)

    SourceFileLoader.set_data = set_data  # type: ignore[method-assign]
    for name in [name for name in sys.modules if name.partition(".")[0] == "pellucid"]:  # imported before, and so not written
        del sys.modules[name]
    for name in _OWN:
        importlib.import_module(name)
    zygote = importlib.import_module("pellucid.pipeline.running.zygote")
    for name in (*zygote.WARM, *json.loads(names)):
        with suppress(Exception):
            importlib.import_module(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
