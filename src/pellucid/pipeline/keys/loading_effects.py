"""What loading a pipeline's files counts for in the key of every step, beside what the step itself reads.

Three things: the statements and modules that may change more than names (`side_effects`); the files and variables that were read by those,
since no value keeps what they read; and which libraries the project imports.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration import Loading, Pipeline, source_code
from pellucid.pipeline.keys import ast_names, side_effects
from pellucid.pipeline.keys.scopes import imported_modules, tree_of


@dataclass(frozen=True)
class LoadingEffects:
    """The pipeline's file and its globals; the places of its statements that may change more than names; the modules that may, in the order
    of loading; named parts for what these read; the modules of the project that are loaded; the libraries they import."""

    path: Path | None = None
    scope: dict[str, Any] | None = None
    places: frozenset[int] = frozenset()
    modules: tuple[str, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    loaded: tuple[str, ...] = ()
    libraries: frozenset[str] = frozenset()


NO_EFFECTS = LoadingEffects()


def effects_of(pipeline: Pipeline) -> LoadingEffects:
    """What loading a pipeline's file counts for. A pipeline without a file (a console) has nothing that could be looked at."""
    module = _module_at(pipeline.file)
    tree = tree_of(module)
    if module is None or tree is None or pipeline.file is None:
        return NO_EFFECTS
    loading = pipeline.loading or Loading()
    loaded = _loaded_modules(tree, module, loading)
    places, modules = side_effects.with_effect(tree, vars(module), loaded)
    lines = _Lines(pipeline.file, tree, places, modules)
    parts = {}
    for path, where in loading.files:
        if lines.holds(where) and os.path.isfile(path) and not _is_of_environment(path):
            parts[f"file {os.path.relpath(path, pipeline.file.parent)} read while loading"] = _digest(Path(path).read_bytes())
    for name, where in loading.variables:
        if lines.holds(where):
            parts[f"variable {name} read while loading"] = _digest(os.environ.get(name, "").encode())
    if len(modules) > 1:
        parts["module order of loading"] = _digest(" ".join(modules).encode())
    trees = [tree, *(each for each in (tree_of(sys.modules.get(name)) for name in loaded) if each is not None)]
    libraries = {name.partition(".")[0] for each in trees for name, level in ast_names.imported(each.body) if not level}
    own = {name.partition(".")[0] for name in loaded}
    return LoadingEffects(
        pipeline.file, vars(module), places, modules, parts, loaded, frozenset(libraries - own - sys.stdlib_module_names)
    )


class _Lines:
    """The lines of the statements and modules that may change more than names."""

    def __init__(self, file: Path, tree: ast.Module, places: Iterable[int], modules: Iterable[str]) -> None:
        self.file = str(file)
        self.spans = [(_first(tree.body[at]), tree.body[at].end_lineno or tree.body[at].lineno) for at in places]
        self.files = {str(getattr(sys.modules.get(name), "__file__", "")) for name in modules}

    def holds(self, lines: Iterable[tuple[str, int]]) -> bool:
        return any(
            file in self.files or (file == self.file and any(first <= line <= last for first, last in self.spans))
            for file, line in lines
        )


def _first(node: ast.stmt) -> int:
    return int(min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))]))


def _module_at(file: Path | None) -> types.ModuleType | None:
    if file is None:
        return None
    named = sys.modules.get(f"_pellucid_file_{file.stem}")
    others = list(sys.modules.values())
    return next((each for each in [named, *others] if each is not None and getattr(each, "__file__", None) == str(file)), None)


def _loaded_modules(tree: ast.Module, module: types.ModuleType, loading: Loading) -> tuple[str, ...]:
    """The modules of the project that the file imports, directly or not, or that loading it imported; in the order of loading."""
    found, waiting = set[str](), [(tree, module.__package__ or "")]
    waiting += [
        (each, sys.modules[name].__package__ or "")
        for name in loading.modules
        if (each := tree_of(sys.modules.get(name))) is not None
    ]
    found |= {name for name in loading.modules if tree_of(sys.modules.get(name)) is not None}
    while waiting:
        text, package = waiting.pop()
        for name in imported_modules(text.body, package):
            inner = tree_of(sys.modules.get(name)) if name not in found else None
            if inner is not None:
                found.add(name)
                waiting.append((inner, sys.modules[name].__package__ or ""))
    own = {module.__name__} | {name for name in found if name.startswith("_pellucid_file_") or name == "__main__"}
    return tuple(name for name in sys.modules if name in found - own)


def _is_of_environment(path: str) -> bool:
    """Whether a file belongs to Python or a library: the lock speaks for it."""
    return not source_code.is_project_file(path) or path.startswith(("/proc/", "/sys/", "/dev/", "/etc/"))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
