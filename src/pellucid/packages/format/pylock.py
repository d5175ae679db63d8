"""pylock.toml (PEP 751): the lock of a package with the name, address and hash of every file, and the wheels inside on request.

uv knows which files an index has for the locked versions; their addresses are those of the index that publishes them. With the
wheels inside, each package has the one wheel that fits the publisher's machine, by path, and an index is not needed at all.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import tempfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import PackageError
from pellucid.packages.format import lock_file
from pellucid.packages.format.json_text import refuse

FILE = "pylock.toml"
WHEELS = "environment/wheels"
_MAX_WHEEL = 1 << 30
_MAX_TEXT = 16 << 20
_TIMEOUT = 60.0


def resolved(lock_text: str) -> dict[str, Any]:
    """The lock with its files, as uv finds them in its cache or on its index. Raises PackageError where it cannot."""
    from pellucid.packages.format.uv import uv_command, uv_settings

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
                return _only_locked(tomllib.loads(out.read_text()), lock_text)
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise PackageError(
        "the files of the locked packages cannot be named",
        where=FILE,
        why=said,
        fix="Check that the package index can be reached",
    )


def _only_locked(found: dict[str, Any], lock_text: str) -> dict[str, Any]:
    """Without the files that the index got after the lock was made: the lock does not allow them."""
    allowed = lock_file.parse(lock_text, lock_file.FILE).files
    for package in found["packages"]:
        hashes = allowed.get((lock_file.normal(package["name"]), package["version"]), frozenset())
        package["wheels"] = [wheel for wheel in package.get("wheels", []) if wheel["hashes"]["sha256"] in hashes]
    return found


def refuse_other(body: bytes, locked: lock_file.Lock, listed: Mapping[str, str]) -> None:
    """Hold the pylock.toml of a stranger's package against its lock: the same names and versions, no file but the lock's, and nothing
    that pellucid does not write. `listed` is the package's list of files. Raises PackageError.
    """
    try:
        packages = _packages(body)
        named = {name for name, _ in packages}
        if len(named) < len(packages) or not locked.unconditional <= named <= locked.files.keys():
            refuse(FILE, f"its packages are not those of {lock_file.FILE}")
        for name, wheels in packages:
            for wheel in wheels:
                _refuse_other_file(wheel, locked.files[name], listed)
        inside = {wheel["path"] for _, wheels in packages for wheel in wheels if "path" in wheel}
        for path in listed:
            if path.startswith(f"{WHEELS}/") and path not in inside:
                refuse(path, f"{FILE} does not name it")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        refuse(FILE, "it is no pylock.toml", type(error).__name__)


@functools.lru_cache(maxsize=4)  # packages of one publisher share theirs, and a catalogue reads many
def _packages(body: bytes) -> list[tuple[tuple[str, str], list[Mapping[str, Any]]]]:
    """((name, version), wheels) of each package; not to be changed."""
    found = tomllib.loads(body[:_MAX_TEXT].decode())
    if text(found).encode() != body:
        refuse(FILE, "it is not as pellucid writes it")
    return [((lock_file.normal(one["name"]), one["version"]), one["wheels"]) for one in found["packages"]]


def _refuse_other_file(wheel: Mapping[str, Any], allowed: Container[str], listed: Mapping[str, str]) -> None:
    digest = wheel["hashes"]["sha256"]
    if digest not in allowed:
        refuse(FILE, f"it names a file that {lock_file.FILE} does not allow")
    if "path" in wheel and (not wheel["path"].startswith(f"{WHEELS}/") or listed.get(wheel["path"]) != digest):
        refuse(FILE, f"the file {wheel['path']!r:.120} is not in the package, or has another SHA-256")
    if "path" not in wheel and not re.fullmatch(r"https://[A-Za-z0-9.:-]+/[A-Za-z0-9._~/%+=@!-]*\.whl", wheel["url"]):
        refuse(FILE, f"the address {wheel['url']!r:.120} is not that of a wheel")


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
