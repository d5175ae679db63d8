"""The import closure of a step: everything of the project that its result can depend on, by content.

From the step's function go: the statements of its file that it can reach (`slicing`), every project module these import, and
what those import, whole; and the live values behind the text: what functions close over, their defaults, the attributes of
classes, the globals that are read. Each becomes a named part with a digest, so that a re-run can say which of them changed.
Comments, docstrings, time stamps and the place of the checkout are in none of them.
"""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration import source_code
from pellucid.pipeline.keys import slicing, value_digests
from pellucid.pipeline.keys.closure_walk import Walk, shown_name
from pellucid.pipeline.keys.loading_effects import NO_EFFECTS, LoadingEffects


@dataclass(frozen=True)
class Closure:
    """Named parts with their digests, the project files they come from, and one digest over all parts."""

    parts: dict[str, str]
    files: tuple[Path, ...]
    modules: tuple[tuple[str, Path], ...]
    libraries: frozenset[str] = frozenset()  # the modules outside of the project that it imports, by their first name

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(f"{k} {v}" for k, v in sorted(self.parts.items())).encode()).hexdigest()


def _effects_of_loading(walk: Walk) -> None:
    """Visit what counts for every step: the statements and modules that may have changed more than names, in their order."""
    effects = walk.effects
    for module in effects.modules:
        walk.module(module, None)
    if effects.path is not None and effects.scope is not None and effects.places:
        data = source_code.read(effects.path, walk.where)
        walk.slice(
            effects.scope, effects.path, data, frozenset(), f"{shown_name(effects.scope)} while it is loaded", effects.places
        )
    walk.parts |= effects.parts


def _all_that_is_loaded(walk: Walk) -> None:
    """Visit every module of the project that is loaded, and the whole pipeline file: some code reaches what it does not name."""
    effects = walk.effects
    for module in effects.loaded:
        walk.module(module, None)
    if effects.path is not None and effects.scope is not None:
        data = source_code.read(effects.path, walk.where)
        tree = source_code.parse(data, effects.path.name)
        roots = frozenset[str]().union(*(statement.binds for statement in slicing.statements(tree)))
        walk.slice(effects.scope, effects.path, data, roots, f"{shown_name(effects.scope)} as a whole")


def closure_of(fn: Callable[..., Any], where: str, settings: Iterable[Any] = (), effects: LoadingEffects = NO_EFFECTS) -> Closure:
    """The closure of a step's function, of the classes of its settings, and of what loading the pipeline may have changed for it.

    Raises UsageError for state that cannot be part of a key, or code changed in memory.
    """
    walk = Walk(where, effects)
    if isinstance(fn, types.FunctionType):
        name = walk.function(fn)
        if not walk.parts:
            walk.parts["callable"] = name  # a library's function: the lock speaks for what it does
    else:
        walk.parts["callable"] = value_digests.digest_or_refuse(fn, walk.name_of, "its own state", where)
        call = type(fn).__call__
        if isinstance(call, types.FunctionType):
            walk.function(call)
    for setting in settings:
        walk.value("a setting", setting)
    walk.parts.pop("global a setting", None)  # the value is a part of its own; here its classes count
    walk.settle()
    walk.refusing = False  # what follows counts for every step, also for those that never come to it
    _effects_of_loading(walk)
    walk.settle()
    if walk.reaching:
        _all_that_is_loaded(walk)
        walk.settle()
    libraries = frozenset(walk.libraries | effects.libraries)
    return Closure(walk.parts, tuple(sorted(walk.files)), tuple(sorted(walk.named.items())), libraries)
