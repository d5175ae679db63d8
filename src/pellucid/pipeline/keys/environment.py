"""The environment a step runs in: the lock, Python, pellucid itself, and what a verdict needs to know of the machine."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration import source_code

LOCK_NAMES = ("requirements.lock", "pylock.toml", "uv.lock")
DETERMINISM = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "1",
    "POLARS_MAX_THREADS": "1",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
}


def find_lock(folder: Path) -> Path:
    """The lock that speaks for a pipeline in `folder`.

    `PELLUCID_LOCK`, else the nearest `requirements.lock`, `pylock.toml` or `uv.lock` in the folder or above it (up to the top of
    its checkout), else the lock pellucid itself is shipped with.
    """
    named = os.environ.get("PELLUCID_LOCK")
    if named:
        return Path(named).absolute()
    for place in [folder, *folder.parents]:
        for name in LOCK_NAMES:
            if (place / name).is_file():
                return place / name
        if (place / ".git").exists():
            break
    return shipped_lock()


def shipped_lock() -> Path:
    """The lock of pellucid's own dependencies, inside the package."""
    return Path(__file__).resolve().parents[2] / "requirements.lock"


@functools.lru_cache(maxsize=1)
def pellucid_digest() -> str:
    """A digest of pellucid's own source, so that a changed built-in step is not mistaken for the old one."""
    root = Path(__file__).resolve().parents[2]
    h = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        h.update(f"{path.relative_to(root).as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return h.hexdigest()


def key_part(lock: Path) -> dict[str, str]:
    """What of the environment is part of every key: the lock's bytes, the Python version, pellucid's source."""
    return {
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "none",
        "python": platform.python_version(),
        "pellucid": pellucid_digest(),
    }


def installed() -> dict[str, tuple[str, Path]]:
    """The installed distributions by their normalised names: version and RECORD. Read from the folder names (fast)."""
    return _installed(tuple((place, os.stat(place).st_mtime_ns) for place in _places()))


@functools.lru_cache(maxsize=16)
def _installed(places: tuple[tuple[str, int], ...]) -> dict[str, tuple[str, Path]]:
    """The same of some folders, each with the time of its last change: whatever is installed or removed changes it."""
    found: dict[str, tuple[str, Path]] = {}
    for place, _ in places:
        for entry in os.scandir(place):
            match = re.fullmatch(r"(.+?)-([^-]+)\.dist-info", entry.name)
            if match:
                found.setdefault(_normal(match[1]), (match[2], Path(entry.path, "RECORD")))
    return found


@functools.lru_cache(maxsize=16)
def _locked(lock: Path, _time: int) -> dict[str, set[str]]:
    """Names and versions a lock allows (several where markers choose)."""
    found: dict[str, set[str]] = {}
    if lock.suffix == ".toml" or lock.name == "uv.lock":
        import tomllib

        data = tomllib.loads(lock.read_text())
        for package in data.get("packages", data.get("package", [])):
            if "version" in package:
                found.setdefault(_normal(package["name"]), set()).add(package["version"])
        return found
    for line in lock.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9_.-]+)==([^\s;\\]+)", line)
        if match:
            found.setdefault(_normal(match[1]), set()).add(match[2])
    return found


def locked(lock: Path) -> dict[str, set[str]]:
    """Names and versions that a lock allows: requirements with versions, `pylock.toml` or `uv.lock`."""
    return _locked(lock, lock.stat().st_mtime_ns) if lock.is_file() else {}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def unlocked(lock: Path, libraries: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Of some top-level modules those whose distribution is not in the lock, or not in the version that is installed.

    Distribution -> (its version, a digest of the files in its record). A module that no distribution owns counts by its own files.
    """
    allowed, have, found = locked(lock), installed(), {}
    for library in sorted(set(libraries) - {"pellucid"} - sys.stdlib_module_names):
        same = _normal(library)
        if same in have and have[same][0] in allowed.get(same, ()):
            continue  # most are called as their distribution is, and looking into every record takes a while
        owners = _distributions().get(library, ())
        for name in owners:
            version, record = have[name]
            if version not in allowed.get(name, ()):
                found[name] = (version, _digest_of_record(record))
        if not owners and (digest := _digest_of_files(library)):
            found[library] = ("of no distribution", digest)
    return found


def _digest_of_files(library: str) -> str | None:
    """The Python files of a module that nobody installed; None where there is no such module."""
    spec = source_code.spec_of(library, None)
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec is not None else []
    found = [path for folder in folders for path in folder.rglob("*.py")] or [
        Path(spec.origin or "") if spec is not None else Path()
    ]
    files = sorted(path for path in found if path.is_file() and not source_code.is_project_file(str(path)))
    if not files:
        return None
    h = hashlib.sha256()
    for path in files:
        h.update(hashlib.sha256(path.read_bytes()).digest())
    return h.hexdigest()


def _places() -> list[str]:
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    others = [place for place in sys.path if place.endswith(("site-packages", "dist-packages")) and os.path.isdir(place)]
    return list(dict.fromkeys([*own, *others]))


def _distributions() -> dict[str, list[str]]:
    """The distributions of each top-level module."""
    return _modules_of(tuple((place, os.stat(place).st_mtime_ns) for place in _places()))


@functools.lru_cache(maxsize=4)
def _modules_of(_places_and_times: tuple[tuple[str, int], ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, (_, record) in installed().items():
        try:
            listed = record.read_text().splitlines()
        except OSError:
            continue
        tops = {
            re.split(r"[/.,]", line, maxsplit=1)[0] for line in listed if ".dist-info/" not in line and not line.startswith("..")
        }
        for top in sorted(tops):
            found.setdefault(top, []).append(name)
    return found


def _digest_of_record(record: Path) -> str:
    """What a distribution's files are: not who installed it, or where from."""
    lines = [line for line in record.read_text().splitlines() if ".dist-info/" not in line and ",sha256=" in line]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def drift(lock: Path) -> list[str]:
    """Where the installed environment differs from the lock, one line a package; empty when it agrees."""
    return _drift(
        lock, lock.stat().st_mtime_ns if lock.is_file() else 0, tuple(os.stat(place).st_mtime_ns for place in _places())
    )


@functools.lru_cache(maxsize=16)
def _drift(lock: Path, *_times: object) -> list[str]:
    have = {name: version for name, (version, _) in installed().items()}
    return [
        f"{name} {have[name]} is installed, the lock says {' or '.join(sorted(versions))}"
        for name, versions in sorted(locked(lock).items())
        if name in have and have[name] not in versions
    ]


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@functools.lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """Python, operating system, C library and CPU, for the record."""
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": platform.system(),
        "release": platform.release(),
        "libc": "-".join(platform.libc_ver()),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "pellucid": importlib.metadata.version("pellucid"),
    }


def blas() -> list[dict[str, Any]]:
    """The BLAS libraries loaded in this process: name, version, kernel (architecture) and threads."""
    from threadpoolctl import threadpool_info

    keep = ("internal_api", "version", "architecture", "num_threads")
    return [{key: pool[key] for key in keep if key in pool} for pool in threadpool_info()]


def git_commit(folder: Path, *, status: bool = False) -> str | None:
    """The commit of the checkout around `folder`, None outside of one; with `status`, "+changes" where files differ from it.

    The commit is read from the checkout's files; only `status` asks git (tens of milliseconds).
    """
    top = next((place for place in [folder, *folder.parents] if (place / ".git").exists()), None)
    if top is None:
        return None
    try:
        git = top / ".git"
        if git.is_file():  # a worktree or submodule
            git = (top / git.read_text().partition("gitdir:")[2].strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            shared = git / "commondir"
            refs = (git / shared.read_text().strip()).resolve() if shared.is_file() else git
            loose, packed = refs / head[5:], refs / "packed-refs"
            if loose.is_file():
                head = loose.read_text().strip()
            else:
                lines = packed.read_text().splitlines() if packed.is_file() else []
                head = next((line.split()[0] for line in lines if line.endswith(" " + head[5:])), "")
        if head and status:
            command = ["git", "status", "--porcelain", "--untracked-files=no"]
            changed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
            head += "+changes" if changed else ""
        return head or None
    except (OSError, subprocess.TimeoutExpired):
        return None
