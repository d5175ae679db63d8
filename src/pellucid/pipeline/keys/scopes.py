"""Names of a module of the project while it is analysed: what they stand for after loading, and where functions and modules come from."""

from __future__ import annotations

import ast
import builtins
import functools
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pellucid.pipeline.declaration import source_code
from pellucid.pipeline.keys import ast_names

UNKNOWN = object()
"""What a name stands for where that is not sure."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FRESH = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


class Scope:
    """Where names are looked up: a module's own, and within a function what the function binds."""

    def __init__(self, module: dict[str, Any], tree: ast.Module, function: ast.AST | None = None) -> None:
        self.module, self.tree = module, tree
        self.self_name = _first_parameter(function) if id(function) in _methods_of(tree) else ""
        self.local: dict[str, list[ast.AST]] = bound_in(function) if function is not None else {}

    def live(self, name: str) -> Any:
        """What a name stands for, where it stands for one thing only."""
        if name in self.local or _times_bound(self.tree).get(name, 0) > 1:
            return UNKNOWN
        return self.module.get(name, getattr(builtins, name, UNKNOWN))

    def is_fresh(self, name: str) -> bool:
        """Whether a name stands for a container that was made here, by a literal or under another such name."""
        made = self.local[name] if name in self.local else _values_of(self.tree).get(name, [])
        return bool(made) and all(
            isinstance(each, _FRESH)
            or (isinstance(each, ast.Name) and each.id != name and self.is_fresh(each.id))
            or _makes(each)
            for each in made
        )


def _makes(node: ast.AST) -> bool:
    """`dict()`, `list(...)`, `set()`, `defaultdict(list)`, `Counter()`: a container of its own."""
    names = ("dict", "list", "set", "defaultdict", "Counter", "OrderedDict", "deque")
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names


def _bindings(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """(name, what it is bound to) of each plain assignment and definition in some statements, not inside of nested functions."""
    for node in nodes:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name, node
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                        yield part.id, node.value if part is target else node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, ast.Pass()
            continue
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield (alias.asname or alias.name).split(".")[0], node
            continue
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node
        inner = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Assign | ast.AnnAssign):
            inner = [node.value] if node.value is not None else []
        yield from _bindings(inner)


@functools.lru_cache(maxsize=16384)
def bound_in(function: ast.AST) -> dict[str, list[ast.AST]]:
    """What a function binds of its own: each name with all that it is bound to. Found once for each function: not to be changed."""
    found: dict[str, list[ast.AST]] = {}
    arguments = getattr(function, "args", None)
    if isinstance(arguments, ast.arguments):
        all_of_them = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        found |= {one.arg: [ast.Pass()] for one in all_of_them if one is not None}
    body = getattr(function, "body", [])
    for name, value in _bindings(body if isinstance(body, list) else [body]):
        found.setdefault(name, []).append(value)
    for node in ast.walk(function):
        if isinstance(node, ast.Global):
            for name in node.names:
                found.pop(name, None)
    return found


def _first_parameter(function: ast.AST | None) -> str:
    arguments = getattr(function, "args", None)
    return str(arguments.args[0].arg) if isinstance(arguments, ast.arguments) and arguments.args else ""


@functools.lru_cache(maxsize=1024)
def _methods_of(tree: ast.Module) -> frozenset[int]:
    """The functions that stand in classes, by identity: the tree is held by whoever asks."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return frozenset(id(each) for node in classes for each in node.body if isinstance(each, FUNCTIONS))


@functools.lru_cache(maxsize=1024)
def _values_of(tree: ast.Module) -> dict[str, list[ast.AST]]:
    found: dict[str, list[ast.AST]] = {}
    for name, value in _bindings(tree.body):
        found.setdefault(name, []).append(value)
    return found


@functools.lru_cache(maxsize=1024)
def _times_bound(tree: ast.Module) -> dict[str, int]:
    return {name: len(values) for name, values in _values_of(tree).items()}


def belongs_to_project(held: Any) -> bool:
    """Whether setting an attribute or item of something changes the project only."""
    if isinstance(held, types.ModuleType):
        return source_code.is_project_file(getattr(held, "__file__", None) or "<none>")
    if isinstance(held, type):
        return is_project_class(held)
    if isinstance(held, types.FunctionType):
        return source_code.is_project_file(held.__code__.co_filename)
    return is_project_object(held)


def is_declaration(held: Any) -> bool:
    """Whether a callable is one of pellucid's own."""
    return callable(held) and str(getattr(held, "__module__", "")).partition(".")[0] == "pellucid"


def is_project_class(held: Any) -> bool:
    """Whether something is a class that a file of the project defines."""
    if not isinstance(held, type):
        return False
    file = getattr(sys.modules.get(held.__module__), "__file__", None)
    return bool(file) and source_code.is_project_file(str(file))


def is_project_object(held: Any) -> bool:
    """Whether something is an instance of such a class."""
    return not isinstance(held, type) and is_project_class(type(held))


def tree_of(module: types.ModuleType | None) -> ast.Module | None:
    """The syntax tree of a module of the project; None for any other."""
    file = getattr(module, "__file__", None)
    if not file or not source_code.is_project_file(file) or not file.endswith(".py"):
        return None
    try:
        return source_code.parse_or_none(Path(file).read_bytes(), Path(file).name)
    except OSError:
        return None


@functools.lru_cache(maxsize=1024)
def _functions_of(tree: ast.Module) -> dict[tuple[str, int], ast.AST]:
    """The functions of a file by name and first line (of the first decorator, as in their code objects)."""
    found: dict[tuple[str, int], ast.AST] = {}
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            found[node.name, min([node.lineno, *(each.lineno for each in node.decorator_list)])] = node
        elif isinstance(node, ast.Lambda):
            key = ("<lambda>", node.lineno)
            found[key] = ast.Pass() if key in found else node  # two on a line: either
    return found


def source_of(fn: types.FunctionType) -> tuple[ast.AST | None, ast.Module | None]:
    """The definition of a function in the syntax tree of its file, and that tree; None where it is not to be found."""
    tree = tree_of(sys.modules.get(fn.__module__)) or _tree_at(fn.__code__.co_filename)
    if tree is None:
        return None, None
    node = _functions_of(tree).get((fn.__code__.co_name, fn.__code__.co_firstlineno))
    return (None if isinstance(node, ast.Pass) else node), tree


def _tree_at(file: str) -> ast.Module | None:
    try:
        return source_code.parse_or_none(Path(file).read_bytes(), Path(file).name)
    except OSError:
        return None


def imported_modules(nodes: Sequence[ast.stmt], package: str) -> Iterator[str]:
    """The loaded modules that import statements anywhere in some statements name, each after the packages that it is in."""
    from importlib.util import resolve_name

    for name, level in ast_names.imported(nodes):
        try:
            parts = (resolve_name("." * level + name, package) if level else name).split(".")
        except ImportError:
            continue
        yield from (part for part in (".".join(parts[:n]) for n in range(1, len(parts) + 1)) if part in sys.modules)
