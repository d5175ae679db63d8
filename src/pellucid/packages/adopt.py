"""Adopt: a plain script or notebook with its data becomes a pipeline that can be run, published and re-run by others.

The script runs once in a copy of its folder while what it reads and writes is noted. From that a folder of its own is written: a
pipeline file with one source for each file and one step that runs the script, a lock of just what it imports, and in `files` the
script, its modules and data at their places. The written file is loaded before anything is said to be done.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PackageError, UsageError
from pellucid.pipeline.about import About, checked_licence

FILE, LOCK = "pipeline.py", "requirements.lock"


@dataclass(frozen=True)
class Adopted:
    """What was written: the pipeline file, the files it takes (path -> "code" or "data") and the outputs it gives (name -> path)."""

    pipeline: Path
    files: dict[str, str]
    outputs: dict[str, str]


def adopt(
    script: Path,
    destination: Path,
    *,
    about: About,
    data: Iterable[Path] = (),
    arguments: Sequence[str] = (),
    source_licence: str | None = None,
    tolerance: float | None = None,
) -> Adopted:
    """Write a pipeline around `script` (.py or .ipynb) into the new folder `destination`.

    Everything it reads is taken for open data and open code: nothing about people may be adopted. `data` names files that it reads in
    a way that cannot be seen (native code); `source_licence` is that of the data it reads (by default about.data_licence); `tolerance`
    from 0 to below 1 is how far numbers may differ (relative) in a re-run. Raises UsageError (also for a script that uses files outside
    of its folder), PellucidError (the script fails), PackageError (its packages cannot be locked); `destination` is then not there.
    """
    from pellucid.packages import wrapper
    from pellucid.packages.watched import copied, watch
    from pellucid.pipeline.load import load

    script, destination = script.absolute(), destination.absolute()
    if script.suffix not in (".py", ".ipynb") or not script.is_file():
        raise UsageError("there is no such script or notebook", where=str(script), fix="Name a .py or .ipynb file")
    if destination.exists() or destination.is_symlink():
        raise UsageError("it is there already", where=str(destination), fix="Name a folder that does not exist yet")
    if tolerance is not None and not 0 <= tolerance < 1:
        raise UsageError(
            f"{tolerance!r} is no tolerance", where="--tolerance", fix="Give a share from 0 to below 1, such as 1e-9"
        )
    licence = checked_licence(source_licence or about.data_licence, "--source-licence")
    named = [path.absolute() for path in data]
    with tempfile.TemporaryDirectory(prefix="pellucid-adopt-") as scratch:
        copy = Path(scratch).resolve() / "project"
        name = copied(script, copy, named)
        seen = watch(script, name, copy, arguments)
        read = {*seen.read, name, *(path.relative_to(script.parent).as_posix() for path in named)}
        files = {path: "code" if path.endswith(".py") else "data" for path in sorted(read)}
        outputs, kinds = _outputs(copy, seen.written)
        text = wrapper.text(name, files, outputs, kinds, arguments, about, licence, tolerance)
        lock = _locked(seen.modules)
        try:
            for path in files:
                target = destination / wrapper.FOLDER / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(copy / path, target)
            (destination / LOCK).write_text(lock)
            (destination / FILE).write_text(text, encoding="utf-8")
            load(destination / FILE)
        except BaseException:
            shutil.rmtree(destination, ignore_errors=True)
            raise
    return Adopted(destination / FILE, files, outputs)


def _outputs(folder: Path, written: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> path of what the script leaves and prints, and name -> kind."""
    from pellucid.packages.script import STDOUT, kind_of
    from pellucid.packages.wrapper import names

    named = names(written)
    if STDOUT in named:
        raise UsageError(f"it writes a file named {STDOUT}", why="that stands for what it prints", fix="Give it another name")
    outputs = {**{name: path for path, name in named.items()}, STDOUT: STDOUT}
    return outputs, {**{name: kind_of(folder / path) for path, name in named.items()}, STDOUT: "file"}


def _locked(modules: Iterable[str]) -> str:
    """A lock, with hashes, of the distributions that the modules come from, and of what they and pellucid need."""
    from packaging.requirements import Requirement

    from pellucid.packages import lock, wheel
    from pellucid.packages.venv import uv_command, uv_settings

    known = importlib.metadata.packages_distributions()
    waiting = {name for module in modules for name in known.get(module, ())} | {
        Requirement(text).name for text in wheel.requires()
    }
    found: dict[str, str] = {}
    while waiting:
        name = lock.normal(waiting.pop())
        if name in found or name == "pellucid":
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system, or an extra nobody asked for
        found[name] = distribution.version
        for text in distribution.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.add(needed.name)
    with tempfile.TemporaryDirectory() as folder:
        wanted, out = Path(folder, "in.txt"), Path(folder, "requirements.lock")
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in sorted(found.items())))
        command = [*uv_command(), "pip", "compile", str(wanted), "--no-deps", "--generate-hashes", "--no-annotate", "--no-header"]
        command += ["--quiet", "--output-file", str(out)]
        said = ""
        for offline in (True, False):
            done = subprocess.run(command, env=uv_settings(offline), capture_output=True, text=True, check=False, cwd=folder)
            if done.returncode == 0:
                return lock.parse(out.read_text(), "requirements.lock").text()
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise PackageError("its packages cannot be locked", why=said, fix="Check that the package index can be reached")
