"""Digests of live Python values: what a step's function closes over, and the globals it reads.

The source text of `LIMIT = int(os.environ["LIMIT"])` does not say what LIMIT is, so the value itself is part of the key. A value
is digested by content: the parts that copying it would take (`__reduce_ex__`), never its identity and never a pickle's bytes. What
has no content that can be told (a lock, an open file) is refused by name.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import io
import re
import types
import weakref
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from pellucid.errors import UsageError

_ATOMS = (int, float, complex, str, bytes, bytearray, bool, type(None), type(Ellipsis), type(NotImplemented))
_TEXT = (datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction, PurePath, range)
_STATEFUL = ("__reduce__", "__reduce_ex__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_DEEPEST = 200  # a value nested deeper is a web of objects, not data

_LIVE = (io.IOBase, types.GeneratorType, types.CoroutineType, weakref.ref)
_CONNECTIONS = ("sqlite3", "_socket", "socket", "duckdb", "_duckdb")  # modules whose objects are; they are not imported for this

Named = Callable[[Any], str]
"""Gives the name of a function, class or module that a value holds, after its code has become part of the key."""


class OpaqueError(Exception):
    """A value that has no digest by content; `held` is the one, which may lie deep in another."""

    def __init__(self, held: Any, how: str = "") -> None:
        super().__init__(type(held).__qualname__ + how)
        self.held = held


def _feed(h: Any, tag: str, body: bytes) -> None:
    h.update(f"{tag}:{len(body)}:".encode())
    h.update(body)


class _Digests:
    """One digestion: what was digested already (an object held in two places is not walked twice), and the path to here."""

    def __init__(self, named: Named) -> None:
        self.named = named
        self.known: dict[int, tuple[Any, bytes]] = {}
        self.path: list[int] = []

    def feed(self, h: Any, value: Any) -> None:
        kind = type(value).__qualname__
        if type(value) in _ATOMS:
            _feed(h, kind, _atom(value))
        elif id(value) in self.path:
            _feed(h, "cycle", str(len(self.path) - self.path.index(id(value))).encode())
        else:
            if id(value) not in self.known:
                if len(self.path) > _DEEPEST:
                    raise OpaqueError(value, " in a web of objects")
                inner = hashlib.sha256()
                self.path.append(id(value))
                try:
                    self._compound(inner, value, kind)
                finally:
                    self.path.pop()
                self.known[id(value)] = (value, inner.digest())  # the value is held, so that its id is not given away
            h.update(self.known[id(value)][1])

    def _compound(self, h: Any, value: Any, kind: str) -> None:
        if isinstance(value, enum.Enum):
            _feed(h, "enum", f"{kind}.{value.name}".encode())
            self._all(h, [type(value), value.value])
        elif isinstance(value, _TEXT):
            _feed(h, kind, repr(value).encode())
        elif isinstance(value, re.Pattern):
            _feed(h, "re", repr((value.pattern, value.flags)).encode())
        elif isinstance(value, types.ModuleType | types.FunctionType | type):
            _feed(h, "code", self.named(value).encode())
        elif isinstance(value, types.BuiltinFunctionType):
            _feed(h, "builtin", f"{value.__module__}.{value.__qualname__}".encode())
            if not isinstance(value.__self__, types.ModuleType | None):
                self.feed(h, value.__self__)
        elif isinstance(value, types.MethodType):
            self._all(h, ["method", value.__func__, value.__self__])
        elif isinstance(value, functools.partial):
            self._all(h, ["partial", value.func, value.args, value.keywords])
        elif isinstance(value, staticmethod | classmethod):
            self._all(h, [kind, value.__func__])
        elif isinstance(value, property):
            self._all(h, ["property", value.fget, value.fset, value.fdel])
        elif isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
            self._all(h, ["wrapper", type(value), value.__wrapped__])
        elif _is_array(value):
            self._array(h, value, kind)
        else:
            self._container(h, value, kind)

    def _array(self, h: Any, value: Any, kind: str) -> None:
        """Type with names of fields, shape, order in memory (sums differ with it) and bytes."""
        dtype, order = value.dtype, "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        described = dtype.descr if dtype.names is not None else dtype.str
        _feed(h, kind, f"{described!r}{value.shape}{order}".encode())
        _feed(h, "data", value.tobytes())
        for name in dtype.metadata or ():
            self._all(h, [name, dtype.metadata[name]])

    def _container(self, h: Any, value: Any, kind: str) -> None:
        if isinstance(value, list | tuple | set | frozenset | Mapping) and type(value).__module__ != "builtins":
            self._all(h, ["kind", type(value), getattr(value, "default_factory", None)])
        if isinstance(value, list | tuple):
            _feed(h, kind, str(len(value)).encode())
            self._all(h, value)
        elif isinstance(value, set | frozenset):
            _feed(h, kind, b"".join(sorted(self.one(item) for item in value)))
        elif isinstance(value, Mapping):
            _feed(h, kind, str(len(value)).encode())
            for pair in value.items():  # order is part of a dictionary's meaning
                self._all(h, pair)
        else:
            self._object(h, value, kind)
            return
        if hasattr(value, "__dict__"):
            self.feed(h, vars(value))

    def _object(self, h: Any, value: Any, kind: str) -> None:
        """The state of an object: its attributes, or what it says of itself where it has a say (`__getstate__`, `__reduce__`)."""
        family = [cls for cls in type(value).__mro__ if cls is not object]
        plain = not any(name in vars(cls) for cls in family for name in _STATEFUL)
        if plain and all(map(_is_written_in_python, family)):
            slots = [name for cls in family for name in _slots(cls) if hasattr(value, name)]
            held = {name: getattr(value, name) for name in sorted(slots)} | dict(getattr(value, "__dict__", {}))
            self._all(h, ["object", type(value), {n: v for n, v in held.items() if not n.startswith("__")}])
            return
        try:
            parts = value.__reduce_ex__(4)
        except Exception as error:
            raise OpaqueError(value) from error
        listed = [parts] if isinstance(parts, str) else [list(p) if hasattr(p, "__next__") else p for p in parts]
        self._all(h, ["reduced", type(value), *listed])

    def _all(self, h: Any, items: Any) -> None:
        for item in items:
            self.feed(h, item)

    def one(self, value: Any) -> bytes:
        h = hashlib.sha256()
        self.feed(h, value)
        return bytes(h.digest())


def _atom(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    return (hex(value) if type(value) is int else repr(value)).encode()


def _is_written_in_python(cls: type) -> bool:
    """Whether all state of a class's objects is in attributes: it was made by a class statement, not in C."""
    in_c = any(isinstance(held, types.MethodDescriptorType | types.WrapperDescriptorType) for held in vars(cls).values())
    return bool(cls.__flags__ & _HEAP_TYPE) and not in_c


def _slots(cls: type) -> list[str]:
    slots = vars(cls).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "dtype") and not value.dtype.hasobject


def is_live(value: Any) -> bool:
    """Whether a value gives something else from one moment to the next, and so may be in no module that a step uses. (A lock, which has no
    content either, may: it guards what a step does, and does not change what it gives.)"""
    return isinstance(value, _LIVE) or type(value).__module__.partition(".")[0] in _CONNECTIONS


def digest(value: Any, named: Named) -> str:
    """The digest of a value, in hex. `named` is asked for each function, class and module in it. Raises OpaqueError."""
    try:
        return _Digests(named).one(value).hex()
    except RecursionError as error:
        raise OpaqueError(value) from error


def value_digest(value: Any) -> str:
    """The digest of a setting. Functions and classes in it count by their names: their code is in the closure. Raises OpaqueError."""
    return digest(value, lambda held: f"{getattr(held, '__module__', '')}.{getattr(held, '__qualname__', held.__name__)}")


def digest_or_refuse(value: Any, named: Named, what: str, where: str) -> str:
    """The digest of a value a step depends on. Raises UsageError naming it when it has none."""
    try:
        return digest(value, named)
    except OpaqueError as error:
        raise refusal(what, error, where) from error


def refusal(what: str, error: OpaqueError, where: str) -> UsageError:
    """What to say of a value that cannot be part of a key."""
    return UsageError(
        f"it depends on {what}, a {error}, which cannot be part of its key",
        where=where,
        why="nothing in it can be compared by content, so a change of it would go unseen",
        fix="Make it inside the step, or pass plain data as a setting",
    )
