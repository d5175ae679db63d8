"""Pellucid as a wheel, built from the installed package itself: the same files always give the same bytes.

Only Python files and what they read go in: never the example data that are shipped beside them.
"""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import importlib.metadata
import io
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO

from pellucid.packages.format.json_text import refuse

_ROOT = Path(__file__).resolve().parents[2]
_BESIDE = ("requirements.lock", "py.typed")
_MAX_UNPACKED = 64 * 1024 * 1024
_MAX_LIBRARY, _MOST_FILES = 4 << 30, 100_000  # of the wheel of a library
_NO_ZIP = (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError)


def name() -> str:
    """The wheel's file name."""
    return f"pellucid-{importlib.metadata.version('pellucid')}-py3-none-any.whl"


def requires() -> list[str]:
    """What pellucid itself needs, without its extras: requirement texts."""
    return sorted(r for r in importlib.metadata.requires("pellucid") or [] if "extra ==" not in r)


def build() -> bytes:
    """The wheel of the running pellucid."""
    version = importlib.metadata.version("pellucid")
    info = f"pellucid-{version}.dist-info"
    files = {f"pellucid/{path.relative_to(_ROOT).as_posix()}": path.read_bytes() for path in sorted(_ROOT.rglob("*.py"))}
    files |= {f"pellucid/{beside}": (_ROOT / beside).read_bytes() for beside in _BESIDE if (_ROOT / beside).is_file()}
    metadata = ["Metadata-Version: 2.4", "Name: pellucid", f"Version: {version}", "License-Expression: Apache-2.0"]
    metadata += ["Requires-Python: >=3.11", *(f"Requires-Dist: {requirement}" for requirement in requires())]
    files[f"{info}/METADATA"] = "\n".join([*metadata, ""]).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: pellucid\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\npellucid = pellucid.cli:main\n"
    record = "".join(f"{path},sha256={_coded(body)},{len(body)}\n" for path, body in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, body in files.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, body)
    return buffer.getvalue()


def _coded(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def version(path: str) -> str:
    """The version in the name of a wheel that was checked."""
    return path.rpartition("/")[2].split("-")[1]


def source_digest(path: Path, shown: str) -> str:
    """The digest of the Python files in a wheel that was checked, as `pellucid.pipeline.keys.environment.pellucid_digest` makes it."""
    return _source_digest(_body(path, shown), shown)


def check(path: Path, shown: str) -> None:
    """Refuse a wheel that would put more than pellucid into an environment (a `.pth` file runs by itself): PackageError."""
    _refuse_more(_body(path, shown), path.name, shown)


def _body(path: Path, shown: str) -> bytes:
    if path.stat().st_size > _MAX_UNPACKED:
        refuse(shown, "it is too large")
    return path.read_bytes()


@functools.lru_cache(maxsize=2)  # many packages hold the same wheel: these very bytes are taken apart once
def _source_digest(body: bytes, shown: str) -> str:
    h = hashlib.sha256()
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = [name for name in archive.namelist() if name.startswith("pellucid/") and name.endswith(".py")]
            for name in sorted(names, key=lambda name: name.split("/")):
                h.update(f"{name.removeprefix('pellucid/')}\0".encode() + hashlib.sha256(archive.read(name)).digest())
    except _NO_ZIP as error:
        refuse(shown, "it is not a wheel", str(error))
    return h.hexdigest()


@functools.lru_cache(maxsize=2)
def _refuse_more(body: bytes, name: str, shown: str) -> None:
    version = re.fullmatch(r"pellucid-([0-9A-Za-z.+]+)-py3-none-any\.whl", name)
    if not version:
        refuse(shown, "it is not a wheel of pellucid")
    allowed = ("pellucid/", f"pellucid-{version[1]}.dist-info/")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        refuse(shown, "it is not a wheel", str(error))
    if sum(entry.file_size for entry in entries) > _MAX_UNPACKED or len(entries) > 10_000:
        refuse(shown, "it is too large")
    for entry in entries:
        parts = entry.filename.split("/")
        if not entry.filename.startswith(allowed) or ".." in parts or "" in parts[:-1] or "\\" in entry.filename:
            refuse(shown, f"it holds {entry.filename!r:.80}, which is no part of pellucid")
    refuse_other_record(io.BytesIO(body), shown)


def refuse_other_record(file: Path | IO[bytes], shown: str) -> None:
    """Hold the RECORD of a wheel (PyPA, Recording installed projects) against what is in it: every file, by hash and size, and no other.
    Raises PackageError."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            names = {entry.filename for entry in entries}
            if len(names) < len(entries):
                refuse(shown, "it holds two files of one name")
            if sum(entry.file_size for entry in entries) > _MAX_LIBRARY or len(entries) > _MOST_FILES:
                refuse(shown, "it is too large")
            records = [name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
            if len(records) != 1:
                refuse(shown, f"it holds {len(records)} files RECORD, not one")
            listed = {row[0]: row[1:] for row in csv.reader(io.StringIO(archive.read(records[0]).decode())) if len(row) == 3}
            signed = {records[0], f"{records[0]}.jws", f"{records[0]}.p7s"}
            for name in sorted((names ^ listed.keys()) - signed):
                refuse(shown, f"its RECORD and its files differ: {name!r:.120} is in one of both only")
            for entry in entries:
                if entry.filename not in signed and listed[entry.filename] != [_hashed(archive, entry), str(entry.file_size)]:
                    refuse(shown, f"its RECORD states another hash or size of {entry.filename!r:.120} than the file has")
    except (*_NO_ZIP, UnicodeDecodeError, csv.Error) as error:
        refuse(shown, "it is not a wheel", str(error))


def _hashed(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    hashed = hashlib.sha256()
    with archive.open(entry) as file:
        while portion := file.read(1 << 20):
            hashed.update(portion)
    return f"sha256={base64.urlsafe_b64encode(hashed.digest()).rstrip(b'=').decode()}"
