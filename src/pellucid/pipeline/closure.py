"""The import closure of a step: everything of the project that its result can depend on, by content.

From the step's function go: the statements of its file that it can reach (`slicing`), every project module these import, and what
those import, whole; the values it closes over; the globals it reads. Each becomes a named part with a digest, so that a re-run can
say which of them changed. Comments, docstrings, time stamps and the place of the checkout are in none of them.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from pellucid.pipeline import slicing, sources, values


@dataclass(frozen=True)
class Closure:
    """Named parts with their digests, the project files they come from, and one digest over all parts."""

    parts: dict[str, str]
    files: tuple[Path, ...]
    modules: tuple[tuple[str, Path], ...]

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(f"{k} {v}" for k, v in sorted(self.parts.items())).encode()).hexdigest()


class _Walk:
    """One traversal: parts found so far, and functions and modules still to visit."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.parts: dict[str, str] = {}
        self.files: set[Path] = set()
        self.modules: set[str] = set()
        self.packages: set[str] = set()
        self.named: dict[str, Path] = {}
        self.visited: set[object] = set()

    def function(self, fn: Any) -> str:
        """Visit a function or class; return the name it goes by in values that hold it."""
        if isinstance(fn, type):
            return self._class(fn)
        code: types.CodeType = fn.__code__
        module = getattr(fn, "__module__", None) or "?"
        name = f"{_shown(fn.__globals__)}:{code.co_qualname}"
        if code in self.visited:
            return name
        self.visited.add(code)
        wrapped = getattr(fn, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            self.function(wrapped)
        for variable, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
            try:
                held = cell.cell_contents
            except ValueError:
                continue
            if not _is_declaration(held):
                what = f'the closed-over "{variable}"'
                self.parts[f"closure {name} {variable}"] = values.digest_or_refuse(held, self.function, what, self.where)
        for which, defaults in (("defaults", fn.__defaults__), ("defaults by name", fn.__kwdefaults__)):
            if defaults:
                try:
                    self.parts[f"{which} {name}"] = values.digest(defaults, self.function)
                except values.OpaqueError:
                    pass  # its text is in the statement; settings are checked one by one
        if not sources.is_project_file(code.co_filename):
            self.parts[f"library {module}:{code.co_qualname}"] = "in the environment"
            if code.co_filename.startswith("<"):
                self._bytecode(fn, name)
            return name
        path = Path(code.co_filename)
        data = sources.read(path, self.where)
        sources.check_unchanged(fn.__globals__.get("__name__", ""), data, self.where)
        self.files.add(path)
        roots = _statement_names(sources.parse(data, path.name), code)
        if not roots:
            self._bytecode(fn, name)
            return name
        nodes, reads = slicing.reachable(sources.parse(data, path.name), roots)
        shown = _shown(fn.__globals__)
        self.named[shown] = path
        self.parts[f"code {shown}:{code.co_qualname}"] = sources.text_digest(tuple(nodes))
        self._globals(fn.__globals__, reads, shown)
        package = fn.__globals__.get("__package__") or None
        self._imports(nodes, package)
        return name

    def _class(self, cls: type) -> str:
        module = sys.modules.get(cls.__module__)
        file = getattr(module, "__file__", None)
        if module is None or not file or not sources.is_project_file(file):
            return f"{cls.__module__}.{cls.__qualname__}"
        name = f"{_shown(vars(module))}:{cls.__qualname__}"
        if cls not in self.visited:
            self.visited.add(cls)
            data = sources.read(Path(file), self.where)
            sources.check_unchanged(module.__name__, data, self.where)
            tree = sources.parse(data, Path(file).name)
            nodes, reads = slicing.reachable(tree, frozenset([cls.__qualname__.split(".")[0]]))
            self.files.add(Path(file))
            self.parts[f"code {name}"] = sources.text_digest(tuple(nodes))
            self._globals(vars(module), reads, _shown(vars(module)))
            self._imports(nodes, module.__package__ or None)
        return name

    def _bytecode(self, fn: types.FunctionType, name: str) -> None:
        """Code typed into a console or made by exec: no file to read, so the compiled form and the globals it names."""
        h = hashlib.sha256()
        reads: set[str] = set()
        for code in slicing._codes(fn.__code__):
            reads.update(code.co_names)
            constants = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
            h.update(repr((code.co_code, code.co_names, code.co_varnames, constants)).encode())
        self.parts[f"bytecode {name}"] = h.hexdigest()
        for read in sorted(reads):
            held = fn.__globals__.get(read)
            if isinstance(held, types.FunctionType):
                self.function(held)
            elif isinstance(held, types.ModuleType):
                self.module(held.__name__, None)
        self._globals(fn.__globals__, frozenset(reads), _shown(fn.__globals__))

    def _globals(self, scope: dict[str, Any], reads: frozenset[str], shown: str) -> None:
        for name in sorted(reads):
            held = scope.get(name)
            if isinstance(held, types.FunctionType) and held.__closure__:
                self.function(held)
            if name not in scope or _is_declaration(held) or isinstance(held, types.ModuleType | types.FunctionType | type):
                continue
            try:
                self.parts[f"global {shown}:{name}"] = values.digest(held, self.function)
            except values.OpaqueError:
                continue  # a logger or a lock: how it is made is in the statements

    def _imports(self, nodes: list[ast.stmt], package: str | None) -> None:
        for name, level in _imported(nodes):
            self.module("." * level + name, package)

    def module(self, name: str, package: str | None) -> None:
        """Visit a module and all it imports, whole. Modules outside of the project end the search."""
        try:
            absolute = resolve_name(name, package) if name.startswith(".") else name
        except ImportError:
            return
        if absolute in self.modules:
            return
        self.modules.add(absolute)
        parent = absolute.rpartition(".")[0]
        if parent:
            self.module(parent, None)
            if parent not in self.packages:
                return
        spec = sources.spec_of(absolute, None)
        if spec is None:
            return
        places = list(spec.submodule_search_locations or ())
        if places and any(sources.is_project_file(str(Path(place, "x.py"))) for place in places):
            self.packages.add(absolute)
        if not spec.origin or spec.origin in ("built-in", "frozen") or not sources.is_project_file(spec.origin):
            return
        path = Path(spec.origin)
        data = sources.read(path, self.where)
        self.files.add(path)
        self.named[spec.name] = path
        if path.suffix != ".py":
            self.parts[f"module {spec.name}"] = hashlib.sha256(data).hexdigest()
            return
        sources.check_unchanged(spec.name, data, self.where)
        self.parts[f"module {spec.name}"] = sources.module_digest(data, path.name)
        tree = sources.parse(data, path.name)
        inside = spec.name if spec.submodule_search_locations is not None else parent
        self._imports(tree.body, inside or None)
        loaded = sys.modules.get(spec.name)
        if loaded is not None:
            self._constants(loaded, tree)

    def _constants(self, module: types.ModuleType, tree: ast.Module) -> None:
        """Values a helper's functions read whose text does not tell them (`LIMIT = int(os.environ["LIMIT"])`)."""
        inner = frozenset[str]().union(*(s.inner_reads for s in slicing.statements(tree)))
        atoms = {n: v for n, v in vars(module).items() if n in inner and isinstance(v, int | float | str | bytes | bool | tuple)}
        self._globals(atoms, frozenset(atoms), module.__name__)


def _shown(scope: dict[str, Any]) -> str:
    """A module's name in parts. A pipeline file is loaded under another name, or is __main__: its file's stem is the same."""
    name = str(scope.get("__name__", "?"))
    file = scope.get("__file__")
    return Path(file).stem if file and (name == "__main__" or name.startswith("_pellucid_file_")) else name


def _is_declaration(held: Any) -> bool:
    return type(held).__module__.startswith("pellucid.pipeline")


def _statement_names(tree: ast.Module, code: types.CodeType) -> frozenset[str]:
    """The names bound by the top-level statement that holds a function."""
    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if first <= code.co_firstlineno <= (node.end_lineno or node.lineno):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                return frozenset([node.name])
            return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return frozenset()


def _imported(nodes: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """(module name, level) of every import anywhere inside, with a constant `import_module("...")` among them."""
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Import):
                yield from ((alias.name, 0) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module or "", node.level
                for alias in node.names:
                    yield (f"{node.module}.{alias.name}" if node.module else alias.name), node.level
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")) and node.args:
                if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                    yield node.args[0].value, 0


def closure_of(fn: Callable[..., Any], where: str) -> Closure:
    """The closure of a step's function. Raises UsageError for state that cannot be part of a key, or code changed in memory."""
    walk = _Walk(where)
    target: Any = fn
    if isinstance(target, functools.partial | types.MethodType) or not inspect.isroutine(target):
        walk.parts["callable"] = values.digest_or_refuse(target, walk.function, "its own state", where)
        if not isinstance(target, functools.partial | types.MethodType):
            walk.function(type(target).__call__)
    elif isinstance(target, types.BuiltinFunctionType):
        walk.parts["callable"] = f"{target.__module__}.{target.__qualname__}"
    else:
        walk.function(target)
    return Closure(walk.parts, tuple(sorted(walk.files)), tuple(sorted(walk.named.items())))
