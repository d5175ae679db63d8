"""Files: an input kept as it came, byte for byte."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import DataError
from pellucid.store.atomic_write import sha256_of, writing
from pellucid.store.row_iteration import named_type

SUFFIX = ".bin"


@dataclass(frozen=True)
class File:
    """A read-only file; `open(file)` works, for it is a path."""

    path: Path

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def read_bytes(self) -> bytes:
        return self.path.read_bytes()


def write(value: Any, path: Path) -> str:
    """Copy a file (a path or `File`), or write bytes; return its canonical digest, the SHA-256 of the bytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        with writing(path), path.open("wb") as file:
            file.write(value)
    elif isinstance(value, str | os.PathLike):
        if not Path(value).is_file():
            raise DataError("there is no such file", where=os.fspath(value))
        with Path(value).open("rb") as source, writing(path), path.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    else:
        raise TypeError(f"returned {named_type(value)}, declared a file: return its path, or bytes")
    return f"file:{sha256_of(path)}"


def read(path: Path) -> File:
    """The handle on a stored file."""
    return File(path)


def digest(path: Path) -> str:
    """The canonical digest, from the file."""
    return f"file:{sha256_of(path)}"
