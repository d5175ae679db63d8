"""pylock.toml (PEP 751): the lock of a package with the name, address and hash of every file, and the wheels inside on request.

uv knows which files an index has for the locked versions; their addresses are those of the index that publishes them. With the
wheels inside, each package has the one wheel that fits the publisher's machine, by path, and an index is not needed at all.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import PackageError

FILE = "pylock.toml"
WHEELS = "environment/wheels"
_MAX_WHEEL = 1 << 30
_TIMEOUT = 60.0


def resolved(lock_text: str) -> dict[str, Any]:
    """The lock with its files, as uv finds them in its cache or on its index. Raises PackageError where it cannot."""
    from pellucid.packages.venv import uv_command, uv_settings

    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(lock_text)
        out = Path(folder, FILE)
        command = [*uv_command(), "pip", "compile", str(wanted), "--universal", "--python-version", "3.11", "--no-deps"]
        command += ["--generate-hashes", "--format", FILE, "--quiet", "--no-header", "--output-file", str(out)]
        said = ""
        for offline in (True, False):
            done = subprocess.run(command, env=uv_settings(offline), capture_output=True, text=True, check=False, cwd=folder)
            if done.returncode == 0:
                return tomllib.loads(out.read_text())
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise PackageError(
        "the files of the locked packages cannot be named",
        where=FILE,
        why=said,
        fix="Check that the package index can be reached",
    )


def text(found: Mapping[str, Any], paths: Mapping[str, str] | None = None) -> str:
    """pylock.toml as text. `paths`: package name -> the path of its wheel in the package, for those that are inside."""
    lines = [
        'lock-version = "1.0"',
        'created-by = "pellucid"',
        f"requires-python = {_quoted(found.get('requires-python', '>=3.11'))}",
    ]
    for package in sorted(found["packages"], key=lambda one: (one["name"], one["version"])):
        lines += ["", "[[packages]]", f"name = {_quoted(package['name'])}", f"version = {_quoted(package['version'])}"]
        if "marker" in package:
            lines.append(f"marker = {_quoted(package['marker'])}")
        wheels = package.get("wheels", [])
        if paths is not None and package["name"] in paths:
            path = paths[package["name"]]
            wheel = next(one for one in wheels if one["url"].rpartition("/")[2] == path.rpartition("/")[2])
            wheels = [{"path": path, "size": wheel["size"], "hashes": wheel["hashes"]}]
        lines.append("wheels = [")
        for wheel in wheels:
            where = f"path = {_quoted(wheel['path'])}" if "path" in wheel else f"url = {_quoted(wheel['url'])}"
            lines.append(
                f"    {{ {where}, size = {wheel['size']}, hashes = {{ sha256 = {_quoted(wheel['hashes']['sha256'])} }} }},"
            )
        lines.append("]")
    return "\n".join(lines) + "\n"


def fitting(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """For each package that this machine needs the wheel that fits it best. Raises PackageError for one that has none."""
    from packaging.markers import Marker
    from packaging.tags import sys_tags
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    rank = {tag: at for at, tag in enumerate(sys_tags())}
    for package in found["packages"]:
        if "marker" in package and not Marker(package["marker"]).evaluate():
            continue
        best: tuple[int, Mapping[str, Any]] | None = None
        for wheel in package.get("wheels", []):
            try:
                tags = parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]
            except InvalidWheelFilename:
                continue
            fit = min((rank[tag] for tag in tags if tag in rank), default=None)
            if fit is not None and (best is None or fit < best[0]):
                best = fit, wheel
        if best is None:
            raise PackageError(f"{package['name']} {package['version']} has no wheel for this machine", where=FILE)
        yield package["name"], best[1]


def fetched(wheel: Mapping[str, Any], folder: Path) -> Path:
    """Get a wheel from its address into `folder`, checked by its hash; from the cache of earlier ones where it is there.

    Raises PackageError.
    """
    name, wanted = str(wheel["url"].rpartition("/")[2]), str(wheel["hashes"]["sha256"])
    cached: Path = _cache() / wanted / name
    if not cached.is_file():
        body = _downloaded(wheel["url"], name)
        if hashlib.sha256(body).hexdigest() != wanted:
            raise PackageError("the index serves a file whose hash differs from the lock's", where=name)
        cached.parent.mkdir(parents=True, exist_ok=True)
        draft = cached.with_suffix(f".{os.getpid()}.part")
        draft.write_bytes(body)
        draft.replace(cached)
    target: Path = folder / name
    target.write_bytes(cached.read_bytes())
    if hashlib.sha256(target.read_bytes()).hexdigest() != wanted:
        cached.unlink()
        raise PackageError("the cached file was damaged and has been removed", where=str(cached), fix="Run it again")
    return target


def _downloaded(url: str, name: str) -> bytes:
    if not url.startswith("https://"):
        raise PackageError("its address is not https", where=name)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            return bytes(answer.read(_MAX_WHEEL))
    except (urllib.error.URLError, OSError) as error:
        raise PackageError(
            "it cannot be fetched", where=name, why=str(error), fix="Check the network, or publish without wheels"
        ) from None


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pellucid" / "wheels"


def _quoted(text: str) -> str:
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
