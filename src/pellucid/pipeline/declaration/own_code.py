"""What is Pellucid's own: gates, protections, references to models and functions that keep units apart, known as objects and never by name.

A label is lowered, or a unit kept, on the word of such an object. Names and module names are texts that any project can set, so
they prove nothing; here the very classes and functions are listed, each by the module of Pellucid that defines it. (A project that writes
into this list wants to deceive itself: a hostile pipeline file is outside the threat model, see SECURITY.md.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_CLASSES: dict[str, set[type]] = {"gate": set(), "protection": set(), "model reference": set(), "keeps units apart": set()}
_FUNCTIONS: set[int] = set()  # of functions that live as long as the process
_KEPT: list[Callable[..., Any]] = []


def own(role: str) -> Callable[[type], type]:
    """Note a class of Pellucid's as what may play a role: "gate", "protection", "model reference" or "keeps units apart"."""

    def note(cls: type) -> type:
        _CLASSES[role].add(cls)
        return cls

    return note


def is_own(role: str, value: object) -> bool:
    """Whether an object is of exactly one of the classes noted for a role. A class derived from one is another class."""
    return type(value) in _CLASSES[role]


def keeps_units_apart(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Note one of Pellucid's functions as per-unit by construction, with the argument in its docstring and a test.

    It is called once with the whole table instead of once per unit, and gets the unit column's name as `unit`. Functions of a project
    are called person by person.
    """
    _FUNCTIONS.add(id(fn))
    _KEPT.append(fn)
    return fn


def proved_per_unit(fn: Any) -> bool:
    """Whether a function is one of those noted by `keeps_units_apart`, or an object of a class noted so."""
    return id(fn) in _FUNCTIONS or is_own("keeps units apart", fn)
