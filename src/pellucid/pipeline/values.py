"""Digests of live Python values: what a step's function closes over, and the globals it reads.

The source text of `LIMIT = int(os.environ["LIMIT"])` does not say what LIMIT is, so the value itself is part of the key. A value
is digested by content, never by identity or pickle; what cannot be digested by content is refused by name.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import re
import types
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pellucid.errors import UsageError

_ATOMS = (int, float, complex, str, bytes, bytearray, bool, type(None), type(Ellipsis))
_TEXT = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction, PurePath, range)


class OpaqueError(Exception):
    """A value that has no digest by content."""


def _feed(h: Any, tag: str, body: bytes) -> None:
    h.update(f"{tag}:{len(body)}:".encode())
    h.update(body)


def update(h: Any, value: Any, functions: Any, seen: tuple[int, ...] = ()) -> None:
    """Feed a value to a hash; `functions(fn)` gives the digest of a function or class. Raises OpaqueError."""
    if id(value) in seen:
        _feed(h, "cycle", str(len(seen) - seen.index(id(value))).encode())
        return
    inner = (*seen, id(value))
    kind = type(value).__qualname__
    if isinstance(value, enum.Enum):
        _feed(h, "enum", f"{kind}.{value.name}".encode())
    elif type(value) in _ATOMS or isinstance(value, _TEXT):
        _feed(h, kind, bytes(value) if isinstance(value, bytes | bytearray) else repr(value).encode())
    elif isinstance(value, re.Pattern):
        _feed(h, "re", repr((value.pattern, value.flags)).encode())
    elif isinstance(value, list | tuple):
        _feed(h, kind, str(len(value)).encode())
        for item in value:
            update(h, item, functions, inner)
        if hasattr(value, "__dict__"):
            update(h, vars(value), functions, inner)
    elif isinstance(value, set | frozenset):
        _feed(h, kind, "".join(sorted(digest(item, functions, inner) for item in value)).encode())
    elif isinstance(value, Mapping | types.MappingProxyType):
        _feed(h, kind, str(len(value)).encode())
        for key, item in value.items():  # order is part of a dictionary's meaning
            update(h, key, functions, inner)
            update(h, item, functions, inner)
    elif isinstance(value, functools.partial):
        _feed(h, "partial", b"")
        update(h, (value.func, value.args, value.keywords), functions, inner)
    elif isinstance(value, types.ModuleType):
        _feed(h, "module", value.__name__.encode())
    elif isinstance(value, types.MethodType):
        _feed(h, "method", value.__name__.encode())
        update(h, (value.__func__, value.__self__), functions, inner)
    elif isinstance(value, types.FunctionType | type):
        _feed(h, "code", functions(value).encode())
    elif isinstance(value, types.BuiltinFunctionType):
        _feed(h, "builtin", f"{value.__module__}.{value.__qualname__}".encode())
    elif _is_array(value):
        _feed(h, "array", f"{value.dtype.str}{value.shape}".encode())
        _feed(h, "data", value.tobytes())
    elif dataclasses.is_dataclass(value):
        _feed(h, "dataclass", functions(type(value)).encode())
        update(h, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, functions, inner)
    elif type(value).__reduce_ex__ is object.__reduce_ex__ and hasattr(value, "__dict__"):
        _feed(h, "object", functions(type(value)).encode())
        update(h, {name: held for name, held in vars(value).items() if not name.startswith("__")}, functions, inner)
    else:
        raise OpaqueError(kind)


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "dtype") and not value.dtype.hasobject


def digest(value: Any, functions: Any, seen: tuple[int, ...] = ()) -> str:
    h = hashlib.sha256()
    update(h, value, functions, seen)
    return h.hexdigest()


def digest_or_refuse(value: Any, functions: Any, what: str, where: str) -> str:
    """The digest of a value a step depends on. Raises UsageError naming it when it has none."""
    try:
        return digest(value, functions)
    except OpaqueError as error:
        raise UsageError(
            f"it depends on {what}, a {error}, which cannot be part of its key",
            where=where,
            why="nothing in it can be compared by content, so a change of it would go unseen",
            fix="Make it inside the step, or pass plain data as a setting",
        ) from error
