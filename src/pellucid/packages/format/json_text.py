"""JSON of packages: written as the same bytes each time, read from someone else within bounds, and taken apart by type."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pellucid.errors import PackageError, PellucidError

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 40
_T = TypeVar("_T")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def as_json(value: Any) -> bytes:
    """JSON as it is written into packages: indented, in the order given."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def printable(text: str) -> str:
    """Text from someone else as it may go to a terminal: without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def refuse(where: str, what: str, why: str = "") -> NoReturn:
    """Raise the PackageError for a part of a package that is not as it should be."""
    raise PackageError(
        printable(what), where=printable(where), why=printable(why), fix="Get the package again from its publisher"
    )


@contextmanager
def reading(where: str) -> Iterator[None]:
    """What goes wrong in it is the package's fault: an error that nobody foresaw becomes a PackageError, so that one bad package never
    ends the work on others with a traceback."""
    try:
        yield
    except (PellucidError, MemoryError):  # who bounds the memory says what it means to run out of it
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE):
            raise
        refuse(where, "it cannot be read", type(error).__name__)


def read_json(path: Path, shown: str) -> dict[str, Any]:
    """The JSON object in a file of at most `MAX_BYTES` and `MAX_DEPTH` levels. Raises PackageError naming `shown`."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        refuse(shown, "it cannot be read", error.strerror or str(error))
    return parse_json(text, shown)


def parse_json(text: bytes, shown: str) -> dict[str, Any]:
    """The JSON object in a text, within the same bounds."""
    if len(text) > MAX_BYTES:
        refuse(shown, f"it is larger than {MAX_BYTES:,} bytes")
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", text):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        refuse(shown, f"it is nested {deepest} deep, more than {MAX_DEPTH}")
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        refuse(shown, "it is not JSON", str(error))
    if not isinstance(found, dict):
        refuse(shown, "it is not a JSON object")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two members of one name are read differently by different readers: neither reading can be trusted."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has two members of one name")
    return found


def take(data: Mapping[str, Any], name: str, kind: type[_T], where: str) -> _T:
    """The member `name`, which must be a `kind`. Raises PackageError."""
    if name not in data:
        refuse(where, f'it has no "{name}"')
    value = data[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        refuse(where, f'its "{name}" is not a {kind.__name__}')
    return value
