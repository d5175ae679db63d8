"""Adopt: a plain script or notebook with its data becomes a pipeline that can be run, published and re-run by others.

The script runs once in a copy of its folder while an audit hook notes which files of it are read, and a comparison of the folder
before and after tells what it writes. From that a folder of its own is written: the script, its modules and data at the same places,
a lock of just what it imports, and a pipeline file with one source for each file and one step that runs the script.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import PackageError, PellucidError, UsageError
from pellucid.pipeline.about import About, checked_licence

FILE = "pipeline.py"
MAX_FOLDER = 2 << 30  # bytes that are copied to watch the script
SKIPPED = {".git", ".venv", "venv", "__pycache__", ".pellucid", "node_modules", ".ipynb_checkpoints"}
_HOOK = """
import atexit, json, os, sys
_seen = set()
def _note(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        _seen.add(os.path.abspath(os.fsdecode(arguments[0])))
sys.addaudithook(_note)
@atexit.register
def _write():
    tops = sorted({name.partition(".")[0] for name in sys.modules})
    with open(os.environ["PELLUCID_WATCH"], "w") as file:
        json.dump({"read": sorted(_seen), "modules": tops}, file)
"""


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
    a way that cannot be seen (native code); `source_licence` is that of the data it reads (by default about.data_licence). Raises
    UsageError, PellucidError (the script fails), PackageError (its packages cannot be locked).
    """
    script, destination = script.absolute(), destination.absolute()
    if script.suffix not in (".py", ".ipynb") or not script.is_file():
        raise UsageError("there is no such script or notebook", where=str(script), fix="Name a .py or .ipynb file")
    if destination.exists():
        raise UsageError("it is there already", where=str(destination), fix="Name a folder that does not exist yet")
    licence = checked_licence(source_licence or about.data_licence, "--source-licence")
    with tempfile.TemporaryDirectory(prefix="pellucid-adopt-") as scratch:
        copy = Path(scratch, "project")
        name = _copied(script, copy, [path.absolute() for path in data])
        before = _hashes(copy)
        watched = _watched(copy, name, arguments, Path(scratch))
        after = _hashes(copy)
        written = sorted(path for path, digest in after.items() if before.get(path) != digest)
        read = {path for path in before if str(copy / path) in set(watched["read"]) and path not in written}
        read |= {name} | {path.absolute().relative_to(script.parent).as_posix() for path in data}
        files = {path: "code" if path.endswith(".py") else "data" for path in sorted(read)}
        kinds = _kinds(copy, written)
        lock = _locked(watched["modules"])
        destination.mkdir(parents=True)
        for path in files:
            (destination / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copy / path, destination / path)
    outputs = {**{_name(path): path for path in written}, "stdout": "stdout"}
    (destination / "requirements.lock").write_text(lock)
    text = _pipeline(name, files, outputs, {**kinds, "stdout": "file"}, list(arguments), about, licence, tolerance)
    (destination / FILE).write_text(text)
    return Adopted(destination / FILE, files, outputs)


def _copied(script: Path, copy: Path, data: list[Path]) -> str:
    """Copy the script's folder; the script's path in it. A notebook becomes a script."""
    from pellucid.packages.script import cells

    size = 0
    for folder, folders, names in os.walk(script.parent):
        folders[:] = [one for one in folders if one not in SKIPPED and not one.startswith(".")]
        for one in names:
            path = Path(folder, one)
            if path.is_symlink() or not path.is_file():
                continue
            size += path.stat().st_size
            if size > MAX_FOLDER:
                raise UsageError(
                    f"its folder holds more than {MAX_FOLDER >> 30} GiB", where=str(script.parent), fix="Put it in one of its own"
                )
            target = copy / path.relative_to(script.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in data:
        if not path.is_relative_to(script.parent) or not path.is_file():
            raise UsageError("it is no file in the script's folder", where=str(path), fix="Put it there")
    if script.suffix == ".py":
        return script.name
    made = script.with_suffix(".py").name
    if (copy / made).exists():
        raise UsageError(f"there is a {made} beside the notebook already", where=str(script), fix="Rename one of them")
    (copy / made).write_text(cells(script.read_bytes(), script.name))
    return made


def _hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _watched(copy: Path, name: str, arguments: Sequence[str], scratch: Path) -> dict[str, list[str]]:
    """Run the script once; which files it read, and which modules it imported."""
    hook, out = scratch / "hook", scratch / "watched.json"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_HOOK)
    env = {**os.environ, "PYTHONPATH": f"{hook}{os.pathsep}{copy}", "PELLUCID_WATCH": str(out), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"MPLBACKEND": "Agg", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, name, *arguments], cwd=copy, env=env, capture_output=True, text=True, check=False, errors="replace"
    )
    if done.returncode or not out.is_file():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PellucidError(f"the script ended with {done.returncode}", where=name, why=last[:300], fix="Run it by itself first")
    found: dict[str, list[str]] = json.loads(out.read_text())
    return found


def _kinds(folder: Path, written: list[str]) -> dict[str, str]:
    from pellucid.packages.script import kind_of

    names = [_name(path) for path in written]
    if len(set(names)) < len(names) or "stdout" in names:
        raise UsageError("two files it writes have one name", where=", ".join(written)[:200], fix="Rename one of them")
    return {_name(path): kind_of(folder / path) for path in written}


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


def _name(path: str) -> str:
    """A name for a file in a pipeline."""
    name = re.sub(r"\W+", "_", path).strip("_").lower()
    return name if name[:1].isalpha() else f"file_{name}"


def _pipeline(
    script: str,
    files: dict[str, str],
    outputs: dict[str, str],
    kinds: dict[str, str],
    arguments: list[str],
    about: About,
    licence: str,
    tolerance: float | None,
) -> str:
    shown = {"table": "pl.Table", "array": "pl.Array", "metrics": "pl.Metrics", "file": "pl.File"}
    names = {path: _name(path) for path in files}
    if len(set(names.values())) < len(names):
        raise UsageError("two files it reads have one name", where=", ".join(files)[:200], fix="Rename one of them")
    lines = [f'"""{about.title}: adopted from {script}."""', "", "from typing import NamedTuple", "", "import pellucid as pl"]
    lines += ["from pellucid.packages.script import run_script", ""]
    for path, what in files.items():
        of = about.licence if what == "code" else licence
        lines.append(f'{names[path]} = pl.source({path!r}, label="open", format="file", licence={of!r})')
    lines += ["", "", "class Results(NamedTuple):", '    """What the script leaves."""', ""]
    lines += [f"    {name}: {shown[kinds[name]]}" for name in outputs]
    parameters = ", ".join(f"{name}: pl.File" for name in names.values())
    given = ", ".join(f"{path!r}: {name}" for path, name in names.items())
    options = f'kind="script"{"" if tolerance is None else f", tolerance={tolerance!r}"}'
    lines += ["", "", f"@pl.step({options})", f"def script({parameters}) -> Results:", f'    """Run {script}."""']
    lines += [
        f"    files = {{{given}}}",
        f"    made = run_script({script!r}, files, {outputs!r}, {arguments!r})",
        "    return Results(**made)",
    ]
    lines += [
        "",
        "",
        "pipeline = pl.Pipeline(",
        '    "adopted",',
        f"    [{', '.join(names.values())}, script],",
        "    about=pl.About(",
    ]
    lines += [f"        {name}={value!r}," for name, value in vars(about).items()]
    return "\n".join([*lines, "    ),", ")", ""])
