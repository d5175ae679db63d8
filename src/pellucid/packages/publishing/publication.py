"""Publish: a finished run's open side as a folder that anyone can check and re-run.

Nothing that is not open goes in: of a private step its name, kind and label; of a release what it gave out and its guarantee,
not its key or its input. So no digest, size, count, time, log or message of private data can be read from a package.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import DamagedError, LabelError, PackageError, StoreError, UsageError
from pellucid.packages.format import RERUN
from pellucid.packages.publishing.package_contents import Contents, is_open
from pellucid.store import PROVES_NOTHING

if TYPE_CHECKING:
    from pellucid.packages.format import Manifest
    from pellucid.packages.publishing.code_dependencies import Survey
    from pellucid.pipeline.record import Record, StepRecord
    from pellucid.store import Objects


@dataclass(frozen=True)
class Published:
    """What was written: how many files of how many bytes, the open artifacts and the code in them, what was withheld, by name.

    `steps` (private ones too) and `settings` (of open steps, as STEP.SETTING) are the names that everybody who gets it reads. `notes` is
    what the publisher should know, such as an environment that departs from its lock.
    """

    run: str
    path: Path
    files: int
    size: int
    open: tuple[str, ...]
    code: tuple[str, ...]
    withheld: tuple[str, ...]
    rerun: int = 0  # how many steps anybody can re-run
    steps: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path)}


def publish(
    home: Path,
    run: str,
    destination: Path,
    *,
    lock: Path | None = None,
    with_wheels: bool = False,
    sign: Path | None = None,
    zipped: bool = False,
    against: Sequence[Path] = (),
) -> Published:
    """Write the open side of `run` (its name, the start of it, or "last") in the state folder `home` to the folder `destination`.

    The folder is complete or absent, and the same run always gives the same bytes. `lock` names a requirements lock to ship
    instead of the one the run was keyed with (for a uv.lock: its export); `with_wheels` puts the wheels of this machine inside, so that
    a re-run needs no package index; `sign` names an ed25519 key (PEM) to sign with; `zipped` makes `destination` one zip file; `against`
    names private files whose text cells may stand in no published file (private_scan.py).
    Raises UsageError (unknown or unfinished run, destination in use), LabelError (nothing open), PackageError (the lock or the code
    cannot go into a package, a licence is missing), DamagedError.
    """
    from pellucid.packages.format import archive, fixity, signature
    from pellucid.packages.publishing.code_dependencies import survey
    from pellucid.packages.publishing.loading_check import refuse_unloadable
    from pellucid.packages.publishing.private_scan import refuse_private_values
    from pellucid.pipeline.record import Record
    from pellucid.store import Objects, writing

    destination = destination.absolute()
    if destination.is_symlink() or (destination.exists() and (not destination.is_dir() or any(destination.iterdir()))):
        raise UsageError("it is there already", where=str(destination), fix="Name a folder that does not exist yet")
    record = Record(home)
    try:
        about = _finished(record, run)
        rows = {row.step: row for row in record.steps(about["run"]) if row.outputs}
        _refuse_nothing_open(about["graph"], rows)
        found = survey(home, about["run"])
        about["environment"] = _surroundings(record, about, rows)
    finally:
        record.close()
    text = _lock(found, lock)
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.partial")
    with writing(destination):
        try:
            objects = Objects(home)
            _refuse_damaged(objects, about["graph"], rows)
            temporary.mkdir(parents=True)
            manifest = Contents(temporary, objects, about, rows, found).write(text, with_wheels=with_wheels)
            files = fixity.write(temporary)
            if sign is not None:
                signature.sign(temporary, _signed(manifest), sign)
                files += 2
            _refuse_what_check_would(temporary)
            refuse_unloadable(temporary, manifest.file)
            refuse_private_values(temporary, manifest, against)
            size = sum(path.stat().st_size for path in temporary.rglob("*") if path.is_file())
            _sync_below(temporary)
            if zipped:
                archive.write(temporary, destination)
                shutil.rmtree(temporary)
            else:
                temporary.replace(destination)
            _sync(destination.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    notes = tuple(f"the environment departs from its lock: {line}" for line in about["environment"]["drift"])
    names = tuple(node["step"] for node in about["graph"] if node["kind"] != "source")
    settings = tuple(f"{step}.{name}" for step, known in found.settings.items() for name in known)
    held = tuple(manifest.open), tuple(found.code), manifest.withheld, len(list(manifest.entries(RERUN)))
    return Published(about["run"], destination, files, size, *held, names, settings, notes)


def _refuse_what_check_would(package: Path) -> None:
    """Nothing is published that its first reader would refuse. Raises UsageError."""
    from pellucid.packages.checking import package_check

    try:
        package_check.whole_package(package)
    except PackageError as error:
        where, why = error.where, f"{error.what}: {error.why}" if error.why else error.what
        fix = "Change it in the pipeline, run it again and publish that run"
        raise UsageError("nobody could check this package", where=where, why=why, fix=fix) from None


def _signed(manifest: Manifest) -> dict[str, Any]:
    """What a signature says beside the list of files: the run, and how far each result may differ."""
    tolerances = {entry.step: entry.tolerance for entry in manifest.trace if entry.tolerance is not None}
    known = {"pipeline": manifest.pipeline, "run": manifest.run, "date": manifest.date}
    return known | {"tolerances": tolerances, "other_kernel": manifest.other_kernel}


def _finished(record: Record, run: str) -> dict[str, Any]:
    about = record.find(run)
    if about["status"] != "done":
        raise UsageError(f"it is {about['status']}", where=f"run {about['run']}", fix="Only a run that is done can be published")
    if not about["file"]:
        raise UsageError(
            "it has no pipeline file", where=f"run {about['run']}", fix="Write the pipeline into a file and run that"
        )
    return about


def _refuse_nothing_open(graph: list[dict[str, Any]], rows: Mapping[str, StepRecord]) -> None:
    """Something that a step or a release gave must be open."""
    if any(is_open(node, rows) and node["kind"] != "source" for node in graph):
        return
    used = {name for node in graph for name in node["inputs"].values()}
    ends = [o[0] for node in graph for o in node["outputs"] if node["label"] != "open" and o[0] not in used]
    why = f"{', '.join(ends) or 'what it made'} comes from data that are not open"
    masked = [o[0] for node in graph for o in node["outputs"] if node["label"] == "protected" and node["kind"] == "protect"]
    if masked:
        why += f"; {', '.join(masked)} is protected only: {PROVES_NOTHING}"
    raise LabelError(
        "nothing in this run is open, so there is nothing to publish",
        why=why,
        fix="Release it first: pl.release(mechanism, of=..., epsilon=..., delta=...)",
    )


def _refuse_damaged(objects: Objects, graph: list[dict[str, Any]], rows: Mapping[str, StepRecord]) -> None:
    """Read every stored file that goes in; all that are damaged are moved aside and named at once. Raises DamagedError."""
    wrong: dict[str, str] = {}
    for node in graph:
        for name, artifact in rows[node["step"]].outputs.items() if is_open(node, rows) else ():
            for leaf in artifact.leaves:
                try:
                    objects.open(leaf.sha256, leaf.suffix)
                except StoreError as error:
                    wrong[name] = error.why or error.what
                    if isinstance(error, DamagedError):
                        objects.quarantine(leaf.sha256, leaf.suffix)
    if wrong:
        shown = "; ".join(f"{name}: {why}" for name, why in list(wrong.items())[:20])
        more = f"; and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise DamagedError(
            "the stored files of "
            + (f"{len(wrong)} artifacts are" if len(wrong) > 1 else "an artifact are")
            + " damaged or gone",
            where=str(objects.root),
            why=shown + more,
            fix="Run the pipeline again: they are made anew, unless one is of a source or release that cannot be; then publish that run",
        )


def _surroundings(record: Record, about: Mapping[str, Any], rows: Mapping[str, StepRecord]) -> dict[str, Any]:
    """The public part of the environment. Reused steps ran in an earlier run: that one says on what kernel, and how held."""
    keep = ("python", "implementation", "system", "libc", "machine", "cpu", "pellucid", "drift")
    seen = dict(about["environment"])
    for node in about["graph"]:
        if "blas" in seen or not is_open(node, rows):
            continue
        made = record.db.execute("SELECT run FROM results WHERE key = ?", (rows[node["step"]].key,)).fetchone()
        if made is not None and record.db.execute("SELECT 1 FROM runs WHERE run = ?", (made[0],)).fetchone():
            earlier = record.find(made[0])["environment"]
            seen |= {name: earlier[name] for name in ("cpu", "blas", "confined") if name in earlier}
    found = {name: seen.get(name) for name in keep}
    return found | {
        "drift": seen.get("drift", []),
        "blas": seen.get("blas", []),
        "confined": seen.get("confined", "not recorded"),
    }


def _lock(found: Survey, given: Path | None) -> str:
    """The lock to ship, with no address in it; it must hold all that the code and pellucid itself import."""
    from packaging.requirements import Requirement

    from pellucid.packages.format import lock_file, wheel

    path = given or Path(found.lock)
    if path.suffix == ".toml" or path.name == "uv.lock":
        raise PackageError("a package needs a requirements lock", where=path.name, fix=f"{lock_file.EXPORT}, and run again")
    try:
        pinned = lock_file.parse(path.read_text(), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError("the lock cannot be read", where=path.name, why=str(error), fix=lock_file.HOW) from error
    parsed = [Requirement(text) for text in wheel.requires()]
    lock_file.refuse_lacking(
        pinned, [("pellucid", [r.name]) for r in parsed if r.marker is None or r.marker.evaluate()], path.name
    )
    needed = [(f"import {module}", names) for module, names in found.imports.items() if "pellucid" not in names]
    lock_file.refuse_lacking(pinned, needed, path.name)
    pinned.pins.pop("pellucid", None)  # it travels as the wheel
    return pinned.text()


def _sync_below(folder: Path) -> None:
    """Flush a folder and all in it to the disk: at once where the system can, for one by one takes longer than writing them."""
    from pellucid.sandbox import libc

    handle = os.open(folder, os.O_RDONLY)
    try:
        if getattr(libc(), "syncfs", lambda _: -1)(handle) == 0:
            return
    finally:
        os.close(handle)
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
