"""How a room shows its names: each is loaded from its file when it is first used, so that importing a room is cheap."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(room: str, homes: Mapping[str, tuple[str, ...]], modules: tuple[str, ...] = ()) -> Callable[[str], Any]:
    """The `__getattr__` (PEP 562) of the package `room`: `homes` gives the names that each of its modules or sub-packages shows,
    `modules` those that are shown whole.

    A name that is also the name of its module is loaded at once: a later import of the module would hide it.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name in modules:
            return import_module(f"{room}.{name}")
        if name not in home_of:
            raise AttributeError(f"module {room!r} has no attribute {name!r}", name=name, obj=sys.modules[room])
        value = getattr(import_module(f"{room}.{home_of[name]}"), name)
        setattr(sys.modules[room], name, value)
        return value

    for name, home in home_of.items():
        if name == home:
            load(name)
    return load
