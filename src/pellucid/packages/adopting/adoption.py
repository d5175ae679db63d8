"""Adopt: a plain script or notebook with its data becomes a pipeline that can be run, published and re-run by others.

The script runs once in a copy of its folder while what it reads and writes is noted, and once more with only that. From that a folder of
its own is written: a pipeline file with one source for each file and one step that runs the script, a lock of just what it imports, and
in `files` the script, its modules and data at their places. The written file is loaded before anything is said to be done.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PackageError, UsageError
from pellucid.pipeline.declaration import About, checked_licence

STDOUT = "stdout"  # the name of what it prints among its outputs
FILE, LOCK = "pipeline.py", "requirements.lock"


@dataclass(frozen=True)
class Adoption:
    """What was written: the pipeline file, the files it takes (path -> "code" or "data"), the outputs it gives (name -> path), and the
    names of those that are kept as values instead of as the bytes that were written."""

    pipeline: Path
    files: dict[str, str]
    outputs: dict[str, str]
    values: tuple[str, ...] = ()


def adopt(
    script: Path,
    destination: Path,
    *,
    about: About,
    root: Path | None = None,
    data: Iterable[Path] = (),
    arguments: Sequence[str] = (),
    source_licence: str | None = None,
    tolerance: float | None = None,
    although: bool = False,
) -> Adoption:
    """Write a pipeline around `script` (.py or .ipynb) into the new folder `destination`.

    Everything it reads is taken for open data and open code: nothing about people may be adopted. `root` is the folder it belongs to and is
    run from (its own, by default); `data` names files that it reads in a way that cannot be seen (native code); `source_licence` is that of
    the data it reads (by default about.data_licence); `tolerance` from 0 to below 1 is how far numbers may differ (relative) in a re-run.
    It runs twice, the second time with only what it was seen to read; `although` takes it also where the two differ. Raises UsageError
    (also for a script that uses files outside of its root), PellucidError (the script fails), PackageError (its packages cannot be locked);
    `destination` is then not there.
    """
    from pellucid.packages.adopting import wrapper_pipeline
    from pellucid.packages.adopting.run_comparison import compare
    from pellucid.packages.adopting.script_tracer import copied, watch
    from pellucid.pipeline.running import load

    script, destination = Path(os.path.abspath(script)), Path(os.path.abspath(destination))
    if script.suffix not in (".py", ".ipynb") or not script.is_file():
        raise UsageError("there is no such script or notebook", where=str(script), fix="Name a .py or .ipynb file")
    root = script.parent if root is None else Path(os.path.abspath(root))
    if not root.is_dir() or not script.is_relative_to(root):
        raise UsageError(
            "the script is not in this folder", where=f"--root {root}", fix="Name the folder that holds all it needs"
        )
    if destination.exists() or destination.is_symlink():
        raise UsageError("it is there already", where=str(destination), fix="Name a folder that does not exist yet")
    if tolerance is not None and not 0 <= tolerance < 1:
        raise UsageError(
            f"{tolerance!r} is no tolerance", where="--tolerance", fix="Give a share from 0 to below 1, such as 1e-9"
        )
    if arguments and script.suffix == ".ipynb":
        raise UsageError("a notebook takes no arguments", where=str(script), fix="Put them into its first cell")
    licence = checked_licence(source_licence or about.data_licence, "--source-licence")
    named = [Path(os.path.abspath(path)) for path in data]
    with tempfile.TemporaryDirectory(prefix="pellucid-adopt-") as scratch:
        copy, original = Path(scratch).resolve() / "project", Path(scratch).resolve() / "original"
        name = copied(script, root, copy, named)
        shutil.copytree(copy, original)
        started = time.time()
        seen = watch(script, root, name, copy, arguments)
        read = {*seen.read, name, *(path.relative_to(root).as_posix() for path in named)}
        files = {path: "code" if path.endswith((".py", ".ipynb")) else "data" for path in sorted(read)}
        bodies = {path: (original / path).read_bytes() for path in files}
        outputs, kinds = _outputs(copy, seen.written, tolerance is not None)
        if not although:
            compared = {
                path: (copy / path).read_bytes() for name, path in outputs.items() if kinds[name] == "file" and path != STDOUT
            }
            more = bodies, seen.folders, compared, seen.printed, arguments, Path(scratch), original, started
            unseen = compare(name, *more)
            bodies |= unseen
            files |= {path: "code" if path.endswith(".py") else "data" for path in unseen}
        text = wrapper_pipeline.text(name, files, outputs, kinds, arguments, about, licence, tolerance, seen.folders)
        lock = _locked(seen.modules)
        try:
            for path, body in bodies.items():
                target = destination / wrapper_pipeline.FOLDER / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(body)
            (destination / LOCK).write_text(lock)
            (destination / FILE).write_text(text, encoding="utf-8")
            load(destination / FILE)
        except BaseException:
            shutil.rmtree(destination, ignore_errors=True)
            raise
    return Adoption(destination / FILE, files, outputs, tuple(name for name, kind in kinds.items() if kind != "file"))


def _outputs(folder: Path, written: Iterable[str], by_value: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> path of what the script leaves and prints, and name -> kind: "file" for its bytes, or where asked for that of its values."""
    from pellucid.packages.adopting.script_step import kind_of
    from pellucid.packages.adopting.wrapper_pipeline import names

    named = names(written)
    if STDOUT in named:
        raise UsageError(f"it writes a file named {STDOUT}", why="that stands for what it prints", fix="Give it another name")
    outputs = {**{name: path for path, name in named.items()}, STDOUT: STDOUT}
    return outputs, {**{name: kind_of(folder / path) if by_value else "file" for path, name in named.items()}, STDOUT: "file"}


def _locked(modules: Iterable[str]) -> str:
    """A lock, with hashes, of the distributions that the modules come from, and of what they and pellucid need."""
    from packaging.requirements import Requirement

    from pellucid.packages.format import lock_file, uv_command, uv_settings, wheel

    known = importlib.metadata.packages_distributions()
    waiting = {name for module in modules for name in known.get(module, ())} | {
        Requirement(text).name for text in wheel.requires()
    }
    found: dict[str, str] = {}
    while waiting:
        name = lock_file.normal(waiting.pop())
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
                return lock_file.parse(out.read_text(), "requirements.lock").text()
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise PackageError("its packages cannot be locked", why=said, fix="Check that the package index can be reached")
