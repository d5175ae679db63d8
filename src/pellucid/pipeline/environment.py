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
from pathlib import Path
from typing import Any

LOCK_NAMES = ("requirements.lock", "pylock.toml", "uv.lock")
DETERMINISM = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
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
    return Path(__file__).resolve().parents[1] / "requirements.lock"


@functools.lru_cache(maxsize=1)
def pellucid_digest() -> str:
    """A digest of pellucid's own source, so that a changed built-in step is not mistaken for the old one."""
    root = Path(__file__).resolve().parents[1]
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


def installed() -> dict[str, str]:
    """Names (normalised) and versions of the installed distributions, read from the folder names (fast)."""
    found = {}
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in os.scandir(place):
            match = re.fullmatch(r"(.+?)-([^-]+)\.dist-info", entry.name)
            if match:
                found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return found


def locked(lock: Path) -> dict[str, set[str]]:
    """Names and versions a requirements lock allows (several where markers choose)."""
    found: dict[str, set[str]] = {}
    for line in lock.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9_.-]+)==([^\s;\\]+)", line)
        if match:
            found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), set()).add(match[2])
    return found


def drift(lock: Path) -> list[str]:
    """Where the installed environment differs from the lock, one line a package; empty when it agrees."""
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return _drift(lock, lock.stat().st_mtime_ns if lock.is_file() else 0, tuple(Path(p).stat().st_mtime_ns for p in places))


@functools.lru_cache(maxsize=16)
def _drift(lock: Path, *_times: object) -> list[str]:
    if lock.suffix != ".lock" or lock.name == "uv.lock" or not lock.is_file():
        return []
    have = installed()
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
