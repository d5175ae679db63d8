"""Settings: the values a step is called with that are not artifacts. They are part of its key, so they must be plain data."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import types
import typing
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from pellucid.errors import UsageError, suggest

_WHOLE_BITS = 1000  # Python refuses to print an integer of more than 4,300 digits, and people to read one of 300
_WRITTEN = (
    (datetime.datetime, "datetime"),
    (datetime.date, "date"),
    (datetime.time, "time"),
    (datetime.timedelta, "timedelta"),
    (decimal.Decimal, "decimal"),
    (fractions.Fraction, "fraction"),
    (uuid.UUID, "uuid"),
)


def plain(value: Any, where: str) -> Any:
    """The JSON form of a setting; equal settings have equal forms. Raises UsageError for what has none.

    Tuples become lists, sets sorted lists; dataclasses, members of an enum, dates, paths and decimals tagged objects. Floats keep their
    value exactly (JSON numbers as Python prints them); NaN, infinities and integers of more than 1,000 bits become text. What this form
    does not tell apart (a tuple from a list), the key of a step does: it holds a digest of the value itself too.
    """
    if isinstance(value, enum.Enum):
        return {"enum": f"{type(value).__qualname__}.{value.name}"}
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _WHOLE_BITS else {"int": hex(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, bytes | bytearray):
        return {"bytes": value.hex()}
    if isinstance(value, PurePath):
        return {"path": value.as_posix()}
    for kind, tag in _WRITTEN:
        if isinstance(value, kind):
            return {tag: value.isoformat() if hasattr(value, "isoformat") else str(value)}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if isinstance(value, set | frozenset):
        return {"set": sorted((plain(item, where) for item in value), key=json.dumps)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise UsageError("a setting's dictionary needs text keys", where=where)
        return {key: plain(held, where) for key, held in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name), where) for f in dataclasses.fields(value)}
        return {"dataclass": type(value).__qualname__, "fields": fields}
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "shape", None) == ():
        return plain(value.item(), where)
    raise UsageError(
        f"a setting cannot be a {type(value).__name__}",
        where=where,
        why="it is part of the key, so it must be plain data: numbers, text, dates, paths, enums, lists, dictionaries, dataclasses",
        fix="Pass data through a source or a step instead",
    )


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type; annotations this cannot judge fit everything."""
    if hint is None or hint is Any:
        return hint is Any or value is None
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if origin is typing.Literal:
        return value in args
    if origin is typing.Annotated:
        return fits(value, args[0])
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is type(None):
        return value is None
    if origin in (list, tuple, set, frozenset):
        container = isinstance(value, list | tuple if origin in (list, tuple) else origin)
        inner = [arg for arg in args if arg is not Ellipsis]
        return container and (len(inner) != 1 or all(fits(item, inner[0]) for item in value))
    if origin is dict:
        return isinstance(value, dict) and (len(args) != 2 or all(fits(v, args[1]) for v in value.values()))
    return isinstance(value, hint) if isinstance(hint, type) else True


IN_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def shown(hint: Any) -> str:
    """A type as people write it."""
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def parse(text: str, hint: Any, where: str) -> Any:
    """Read the value of `--set step.setting=value` as the annotated type. Raises UsageError naming both."""
    candidates: list[Any] = []
    try:
        candidates.append(json.loads(text, parse_constant=float))
    except ValueError:
        if text in ("True", "False", "None"):
            candidates.append({"True": True, "False": False, "None": None}[text])
        elif text.lower() in ("nan", "inf", "-inf"):
            candidates.append(float(text))
    candidates += [text, *_from_text(text, hint)]
    for value in candidates:
        if hint is not _UNKNOWN and fits(value, hint):
            return float(value) if hint is float else value
    if hint is _UNKNOWN:
        return candidates[0]
    fix = f"Give {IN_WORDS.get(hint, f'a {shown(hint)}')}"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        fix = suggest(text, hint.__members__)
    raise UsageError(f'"{text}" is no value of type {shown(hint)}', where=where, fix=fix)


def _from_text(text: str, hint: Any) -> list[Any]:
    """A value of a type that people write as text: a member of an enum by its name or value, a date, a path, a decimal."""
    kinds = [hint, *typing.get_args(hint)]
    found: list[Any] = []
    for kind in (each for each in kinds if isinstance(each, type)):
        if issubclass(kind, enum.Enum):
            found += [member for member in kind if text in (member.name, str(member.value))]
        elif issubclass(kind, PurePath | decimal.Decimal | fractions.Fraction | uuid.UUID):
            with suppress(ValueError, ArithmeticError):
                found.append(kind(text))
        elif issubclass(kind, datetime.date | datetime.time):
            with suppress(ValueError):
                found.append(kind.fromisoformat(text))
    return found


class _Unknown:
    """Stands for a setting with neither annotation nor default: any value fits."""


_UNKNOWN = _Unknown()


def hint_for(hints: Mapping[str, Any], name: str, default: Any) -> Any:
    """A setting's type: its annotation, else the type of its default, else unknown."""
    if name in hints:
        return hints[name]
    return _UNKNOWN if default is None else type(default)


def check(value: Any, hint: Any, where: str) -> Any:
    """A setting given in Python must fit its annotation. Raises UsageError naming the value's type and the wanted one."""
    if hint is not _UNKNOWN and not fits(value, hint):
        raise UsageError(f"{value!r} is a {type(value).__name__}", where=where, why=f"it is declared as {shown(hint)}")
    return value
