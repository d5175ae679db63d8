"""What loading a file may change outside of the file: a library's settings, a patched function, the environment.

The values that a step reads are in its key as values, whatever made them. What else loading changed is in no value that the step reads:
`decimal.getcontext().prec = 3`, `json.dumps = mine`, `import patches`. So each top-level statement is asked whether it may have such an
effect. Where that is not sure, it has one, and it counts for every step of the pipeline. A statement has none when all that it
runs is known: names that are bound, literals, calls of functions of the project that are themselves without effect, and of the
library functions in `pure_functions`.

Names are looked up in the module as it stands after loading; a name that the module binds twice could have been another then, so it
counts as unknown.
"""

from __future__ import annotations

import ast
import functools
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pellucid.pipeline.declaration import source_code
from pellucid.pipeline.keys import pure_functions
from pellucid.pipeline.keys.scopes import (
    FUNCTIONS,
    UNKNOWN,
    Scope,
    belongs_to_project,
    bound_in,
    imported_modules,
    is_declaration,
    is_project_class,
    is_project_object,
    source_of,
    tree_of,
)

_MAKING = ("__init__", "__new__", "__post_init__")


class _Judge:
    """Asks of statements and expressions whether running them may change something outside. A function that calls itself is asked once."""

    def __init__(self) -> None:
        self.answers: dict[
            object, tuple[Any, bool]
        ] = {}  # of functions by identity (held, so that none is given away), of modules by name

    # statements ----------------------------------------------------------------------------------------------------------

    def statement(self, node: ast.stmt, scope: Scope) -> bool:
        """Whether a statement is without effect outside."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            return all(self.module(name) for name in imported_modules([node], str(scope.module.get("__package__") or "")))
        if isinstance(node, ast.Pass | ast.Break | ast.Continue | ast.Global | ast.Nonlocal):
            return True
        if isinstance(node, FUNCTIONS):
            defaults = [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
            return self.expressions(defaults, scope) and all(self.decorator(each, scope) for each in node.decorator_list)
        if isinstance(node, ast.ClassDef):
            return self.definition(node, scope)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return (node.value is None or self.expression(node.value, scope)) and all(
                self.target(each, scope, isinstance(node, ast.AugAssign)) for each in targets
            )
        if isinstance(node, ast.Delete):
            return all(self.target(each, scope) for each in node.targets)
        if isinstance(node, ast.For | ast.AsyncFor) and not self.target(node.target, scope):
            return False
        if isinstance(node, ast.With | ast.AsyncWith):
            named = [item.optional_vars for item in node.items if item.optional_vars is not None]
            if not all(isinstance(item.context_expr, ast.Call) for item in node.items):
                return False
            if not all(self.target(each, scope) for each in named):
                return False
        children = list(ast.iter_child_nodes(node))
        return all(self.part(each, scope) for each in children)

    def part(self, node: ast.AST, scope: Scope) -> bool:
        if isinstance(node, ast.stmt):
            return self.statement(node, scope)
        if isinstance(node, ast.expr):
            return self.expression(node, scope)
        return all(self.part(each, scope) for each in ast.iter_child_nodes(node))

    def definition(self, node: ast.ClassDef, scope: Scope) -> bool:
        """A class statement: its decorators, what its bases do when they are inherited from, and the statements of its body."""
        inner = Scope(scope.module, scope.tree)
        inner.local = dict(bound_in(node)) | scope.local
        bases = [self.resolved(each, scope) for each in node.bases if not isinstance(each, ast.Subscript)]
        for base in bases:
            if base is UNKNOWN:
                return False
            kinds = getattr(base, "__mro__", ()) + type(base).__mro__
            hooks = [vars(kind)[name] for kind in kinds for name in ("__init_subclass__", "__new__", "__init__", "__prepare__")
                     if name in vars(kind) and (name == "__init_subclass__" or issubclass(kind, type))]  # fmt: skip
            if not all(self.hook(each) for each in hooks):
                return False
        return (
            self.expressions([keyword.value for keyword in node.keywords], scope)
            and all(self.decorator(each, scope) for each in node.decorator_list)
            and all(self.statement(each, inner) for each in node.body)
        )

    def hook(self, held: Any) -> bool:
        """`__init_subclass__` and what a metaclass does: of libraries it keeps to the class."""
        fn = getattr(held, "__func__", held)
        project = isinstance(fn, types.FunctionType) and source_code.is_project_file(fn.__code__.co_filename)
        return self.function(fn) if project else True

    def target(self, node: ast.expr, scope: Scope, augmented: bool = False) -> bool:
        """Whether setting this changes only what belongs to the project."""
        if isinstance(node, ast.Name):
            if not augmented:
                return True
            held = scope.live(node.id)
            return scope.is_fresh(node.id) or node.id in scope.local or pure_functions.is_read_only(held)
        if isinstance(node, ast.Tuple | ast.List):
            return all(self.target(each, scope) for each in node.elts)
        if isinstance(node, ast.Starred):
            return self.target(node.value, scope)
        if not isinstance(node, ast.Attribute | ast.Subscript):
            return False
        base = node.value
        if isinstance(base, ast.Name):
            if isinstance(node, ast.Attribute) and base.id == scope.self_name:
                return True
            if base.id in scope.local:
                made = scope.local[base.id]
                return scope.is_fresh(base.id) or all(isinstance(each, (*FUNCTIONS, ast.ClassDef)) for each in made)
            if isinstance(node, ast.Subscript) and scope.is_fresh(base.id):
                return True
        held = self.resolved(base, scope)
        return held is not UNKNOWN and belongs_to_project(held)

    # expressions ---------------------------------------------------------------------------------------------------------

    def expressions(self, nodes: Sequence[ast.expr], scope: Scope) -> bool:
        return all(self.expression(each, scope) for each in nodes)

    def expression(self, node: ast.expr, scope: Scope) -> bool:
        if isinstance(node, ast.Lambda):
            return True  # it is made, not run
        if isinstance(node, ast.Call):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if is_declaration(self.resolved(node.func, scope)):  # it keeps the functions that it is given, and calls none
                return self.expressions(given, scope)
            return all(self.argument(each, scope) for each in given) and self.callee(node.func, scope)
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
            return False
        return all(self.part(each, scope) for each in ast.iter_child_nodes(node))

    def argument(self, node: ast.expr, scope: Scope) -> bool:
        """An argument may be a function, which is then run."""
        if isinstance(node, ast.Lambda):
            inner = Scope(scope.module, scope.tree, node)
            return self.expression(node.body, inner)
        if isinstance(node, ast.Name | ast.Attribute):
            held = self.resolved(node, scope)
            if isinstance(held, types.FunctionType | functools.partial) or is_project_class(held):
                return self.called(held)
        return self.expression(node, scope)

    def decorator(self, node: ast.expr, scope: Scope) -> bool:
        """A decorator is called with what it decorates; one with arguments is called twice."""
        if isinstance(node, ast.Call):
            if not self.expression(node, scope):
                return False
            held = self.resolved(node.func, scope)
            fn = getattr(held, "__func__", held)
            if isinstance(fn, types.FunctionType) and source_code.is_project_file(fn.__code__.co_filename):
                return self.inner_functions(fn)  # what it returns is called too
            return True
        return self.callee(node, scope)

    def callee(self, node: ast.expr, scope: Scope) -> bool:
        """Whether calling this is without effect outside."""
        if isinstance(node, ast.Name) and node.id in scope.local:
            made = scope.local[node.id]
            return all(isinstance(each, FUNCTIONS) and self.body(each, scope) for each in made)
        if isinstance(node, ast.Lambda):
            return self.expression(node.body, Scope(scope.module, scope.tree, node))
        if isinstance(node, ast.Attribute):
            if not self.expression(node.value, scope):
                return False
            held = self.resolved(node, scope)
            if held is not UNKNOWN:
                owner = self.resolved(node.value, scope)
                if isinstance(owner, pure_functions.OWN_CONTAINERS):
                    return node.attr in pure_functions.READERS or (
                        isinstance(node.value, ast.Name) and scope.is_fresh(node.value.id)
                    )
                return (node.attr in pure_functions.READERS and not is_project_object(owner)) or self.called(held)
            if isinstance(node.value, ast.Name) and scope.is_fresh(node.value.id):
                return True
            return node.attr in pure_functions.READERS or isinstance(node.value, ast.Constant | ast.JoinedStr)
        held = self.resolved(node, scope)
        return held is not UNKNOWN and self.called(held)

    def resolved(self, node: ast.expr, scope: Scope) -> Any:
        """The thing that a name, or an attribute of a module, class or object, stands for; `UNKNOWN` where that is not sure."""
        if isinstance(node, ast.Name):
            return scope.live(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolved(node.value, scope)
            if owner is UNKNOWN:
                return UNKNOWN
            try:
                return getattr(owner, node.attr, UNKNOWN)
            except Exception:  # noqa: BLE001 - a property of the project may raise anything
                return UNKNOWN
        return UNKNOWN

    def called(self, held: Any) -> bool:
        """Whether calling an object is without effect outside."""
        if isinstance(held, functools.partial):
            return self.called(held.func)
        wrapped = getattr(held, "__wrapped__", None)
        fn = getattr(held, "__func__", held)
        if isinstance(fn, types.FunctionType):
            if not source_code.is_project_file(fn.__code__.co_filename):
                inner = wrapped is None or self.called(wrapped)
                return pure_functions.is_quiet(fn) and inner
            return self.function(fn) and (wrapped is None or self.called(wrapped))
        if isinstance(wrapped, types.FunctionType):
            return self.called(wrapped)
        if isinstance(held, type):
            if not is_project_class(held):
                return pure_functions.is_quiet(held)
            made = [vars(kind)[name] for kind in held.__mro__ if is_project_class(kind) for name in _MAKING if name in vars(kind)]
            made += [vars(type(held))["__call__"]] if is_project_class(type(held)) and "__call__" in vars(type(held)) else []
            return all(self.hook(each) for each in made)
        if is_project_object(held):
            return callable(held) and self.hook(type(held).__call__)
        return pure_functions.is_quiet(held)

    # functions and modules -----------------------------------------------------------------------------------------------

    def function(self, fn: types.FunctionType) -> bool:
        """Whether a function of the project is without effect outside."""
        node, tree = source_of(fn)
        if node is None or tree is None:
            return False
        return self._once(id(fn), fn, lambda: self.body(node, Scope(fn.__globals__, tree)))

    def _once(self, asked: object, held: Any, answer: Callable[[], bool]) -> bool:
        """An answer that is asked for once. While it is worked out it is taken to be yes: what calls itself adds nothing. Where it is no in
        the end, a yes that was found meanwhile may rest on it, and is forgotten."""
        if asked not in self.answers:
            before = len(self.answers)
            self.answers[asked] = (held, True)
            if not answer():
                for other in [each for each in list(self.answers)[before:] if self.answers[each][1]]:
                    del self.answers[other]
                self.answers[asked] = (held, False)
        return self.answers[asked][1]

    def body(self, node: ast.AST, scope: Scope) -> bool:
        inner = Scope(scope.module, scope.tree, node)
        inner.local = scope.local | inner.local
        body = getattr(node, "body", [])
        return all(self.statement(each, inner) for each in body) if isinstance(body, list) else self.expression(body, inner)

    def inner_functions(self, fn: types.FunctionType) -> bool:
        """Whether the functions that a function defines are without effect, in case one of them is what it returns."""
        node, tree = source_of(fn)
        if node is None or tree is None:
            return False
        scope = Scope(fn.__globals__, tree, node)
        inner = [each for each in getattr(node, "body", []) if isinstance(each, FUNCTIONS)]
        return all(self.body(each, scope) for each in inner)

    def module(self, name: str) -> bool:
        """Whether a project module, and every one that it imports, is without effect outside."""
        module = sys.modules.get(name)
        tree = tree_of(module)
        if module is None or tree is None:
            return True
        scope = Scope(vars(module), tree)
        return self._once(name, module, lambda: all(self.statement(each, scope) for each in tree.body))


def with_effect(tree: ast.Module, scope: dict[str, Any], modules: Iterable[str]) -> tuple[frozenset[int], tuple[str, ...]]:
    """What may change something outside of itself when it is loaded: the places of such top-level statements of a file, and such modules of
    the project, in their order."""
    judge, names = _Judge(), Scope(scope, tree)
    places = frozenset(at for at, node in enumerate(tree.body) if not judge.statement(node, names))
    return places, tuple(name for name in modules if not judge.module(name))
