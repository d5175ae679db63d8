"""What a piece of source mentions: modules it imports anywhere inside, and names it may look up in another module."""

from __future__ import annotations

import ast
import functools
import types
from collections import defaultdict
from collections.abc import Iterator, Sequence

from pellucid.pipeline.keys import slicing


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and all inside it but what is there for type checkers only."""
    yield node
    for inner in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.If) and inner in node.body and ast.unparse(node.test).endswith("TYPE_CHECKING")):
            yield from _run(inner)


def imported(nodes: Sequence[ast.stmt]) -> Iterator[tuple[str, int]]:
    """(module name, level) of every import anywhere inside, with a constant `import_module("...")` among them."""
    for top in nodes:
        yield from _imported_in(top)


@functools.lru_cache(maxsize=65536)
def _imported_in(top: ast.stmt) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for node in _run(top):
        if isinstance(node, ast.Import):
            found += [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", node.level))
            found += [(f"{node.module}.{alias.name}" if node.module else alias.name, node.level) for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            if isinstance(name, str) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                found.append((name.lstrip("."), len(name) - len(name.lstrip("."))))
    return tuple(found)


@functools.lru_cache(maxsize=65536)
def names(nodes: tuple[ast.stmt, ...]) -> frozenset[str]:
    """Names by which something of another module may be reached: attributes, imported names, text that could be a name."""
    found: set[str] = set()
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                found.update(alias.name for alias in node.names)  # "*" stands for all of them
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return frozenset(found)


@functools.lru_cache(maxsize=4096)
def read_inside(tree: ast.Module) -> frozenset[str]:
    """The global names that the functions of a module read."""
    return frozenset[str]().union(*(statement.inner_reads for statement in slicing.statements(tree)))


def bound_at(tree: ast.Module, line: int) -> frozenset[str]:
    """The names bound by the top-level statements that cover a line: for a function, the names it may be reached by."""
    return frozenset(_bound_by_line(tree).get(line, ()))


@functools.lru_cache(maxsize=1024)
def _bound_by_line(tree: ast.Module) -> dict[int, set[str]]:
    """The same for every line at which a statement is."""
    found = defaultdict[int, set[str]](set)
    for statement in slicing.statements(tree):
        node = statement.node
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        for line in range(first, (node.end_lineno or node.lineno) + 1):
            found[line] |= statement.binds
    return found


def functions_in(value: object) -> Iterator[types.FunctionType]:
    """The functions behind an attribute of a class: itself, or what a static method, class method or property calls."""
    inner = [getattr(value, name, None) for name in ("__func__", "fget", "fset", "fdel", "func")]
    yield from (each for each in [value, *inner] if isinstance(each, types.FunctionType))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REACHING = _words(
    """__subclasses__ __dict__ __globals__ __getattribute__ f_globals attrgetter methodcaller get_objects get_referrers getmembers
    getmodule currentframe _getframe resolve_name locate pkgutil runpy inspect gc pickle cloudpickle dill joblib globals vars
    eval exec __import__ __builtins__ import_module importlib"""
)
"""Names by which code may reach something that it does not name."""


@functools.lru_cache(maxsize=65536)
def reaches_unnamed(nodes: tuple[ast.stmt, ...]) -> bool:
    """Whether a function in some statements may reach what it does not name: `getattr` with a name that is made up, `sys.modules`,
    subclasses, the import of a module whose name is not written there. What runs while the file loads is in values."""
    return any(
        _reaches(part)
        for top in nodes
        for inner in ast.walk(top)
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for part in ast.walk(inner)
    )


def _reaches(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        at = 1 if name in ("getattr", "hasattr", "setattr") else 0
        if name in ("getattr", "setattr", "import_module", "__import__"):
            return not (len(node.args) > at and isinstance(node.args[at], ast.Constant))
    if isinstance(node, ast.Attribute):
        return (node.attr in _REACHING and node.attr != "import_module") or (
            node.attr == "modules" and isinstance(node.value, ast.Name) and node.value.id == "sys"
        )
    if isinstance(node, ast.Name):
        return node.id in _REACHING - {"import_module", "__import__", "importlib"}
    return False
