"""Functions of libraries that change nothing outside of what they return, so that calling them while a file loads has no effect.

What is not listed here counts as having an effect. A name that is missing costs a step that runs for nothing; a name that is wrong
would cost the truth, so the lists hold what is known and nothing that sets a state.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import re
import types
from collections import deque
from pathlib import PurePath
from typing import Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BUILTINS = _words(
    """abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float format
    frozenset getattr hasattr hash hex id int isinstance issubclass iter len list map max memoryview min next object oct open ord
    pow print property range repr reversed round set slice sorted staticmethod str sum super tuple type zip"""
)
_MODULES = _words(
    """abc base64 bisect collections copy csv dataclasses datetime enum fractions functools hashlib heapq importlib io itertools
    json math ntpath numbers pathlib posixpath re statistics string struct textwrap tomllib types typing typing_extensions
    unicodedata zlib numpy pandas polars pyarrow duckdb scipy sklearn pellucid"""
)
_MORE = frozenset(
    {
        ("decimal", "Decimal"),
        ("contextlib", "contextmanager"),
        ("contextlib", "nullcontext"),
        ("contextlib", "suppress"),
        ("logging", "getLogger"),
        ("os", "getenv"),
        ("os", "listdir"),
        ("os", "fspath"),
        ("posix", "listdir"),
        ("posix", "fspath"),
        ("_operator", "itemgetter"),
        ("operator", "itemgetter"),
        ("operator", "attrgetter"),
        ("operator", "methodcaller"),
    }
)
_SETTERS = (
    "set",
    "seed",
    "register",
    "unregister",
    "enable",
    "disable",
    "use_",
    "option",
    "reset",
    "config",
    "reload",
    "invalidate",
)
_READ_ONLY = (str, bytes, int, float, complex, bool, tuple, frozenset, range, type(None), re.Pattern, re.Match, PurePath, datetime.date,
              datetime.time, datetime.timedelta, decimal.Decimal, fractions.Fraction, types.MappingProxyType)  # fmt: skip
OWN_CONTAINERS = (list, dict, set, deque, bytearray)
READERS = _words(
    """absolute as_posix astype capitalize casefold collect columns copy count decode difference encode endswith exists expanduser
    find format get glob group groups hexdigest index intersection is_dir is_file isdigit items iterdir join joinpath keys lower
    lstrip match most_common open partition read read_bytes read_text readline readlines resolve rglob rpartition rsplit rstrip
    search split splitlines startswith strftime strip sum title to_dict to_list tolist to_numpy to_pandas union upper values
    with_name with_suffix zfill __enter__"""
)
"""Methods that only read, whatever they belong to."""


def is_quiet(callee: Any) -> bool:
    """Whether a function, class or method of a library is known to change nothing but what it returns."""
    if isinstance(callee, type) and issubclass(callee, BaseException):
        return True
    bound = getattr(callee, "__self__", None)
    if isinstance(callee, types.MethodType | types.BuiltinFunctionType) and not isinstance(bound, types.ModuleType | type | None):
        return isinstance(bound, _READ_ONLY) or _is_listed(type(bound).__module__, callee.__name__)
    if isinstance(bound, type):
        return _is_listed(bound.__module__, f"{bound.__qualname__}.{getattr(callee, '__name__', '')}")
    module, name = getattr(callee, "__module__", None), getattr(callee, "__qualname__", None)
    if isinstance(callee, types.MethodDescriptorType | types.WrapperDescriptorType):
        module = callee.__objclass__.__module__
    if isinstance(module, str) and isinstance(name, str):
        return _is_listed(module, name)
    return _is_listed(type(callee).__module__, type(callee).__qualname__)  # an object that can be called, such as `polars.col`


def _is_listed(module: str, name: str) -> bool:
    if (module, name) in _MORE:
        return True
    if module == "builtins":
        return name.split(".", maxsplit=1)[0] in _BUILTINS
    last = name.rpartition(".")[2].lower().lstrip("_")
    root = module.partition(".")[0].lstrip("_")
    return root in _MODULES and not last.startswith(_SETTERS) and "config" not in name.lower()


def is_read_only(value: Any) -> bool:
    """Whether no method of a value can change anything."""
    return isinstance(value, _READ_ONLY)
