"""What a top-level statement might change, from its own text alone.

Slicing asks it of every statement of a file for every step, so it is worked out once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace

IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NEVER = ("__name__ == '__main__'", "'__main__' == __name__", "TYPE_CHECKING", "typing.TYPE_CHECKING")


@dataclass(frozen=True)
class Module:
    """What the cut must know of a module: names that stand for pellucid, and names that stand for a plain container or constant."""

    api: frozenset[str]
    plain: frozenset[str]


@dataclass(frozen=True)
class Effect:
    """What a statement that is not itself needed might change: always something, or something if one of `touches` is needed or is a
    function by which what is needed can be reached, or if one of `targets` is needed itself."""

    always: bool = False
    touches: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()


def _is_api_call(node: ast.expr, api: Set[str]) -> bool:
    """A call of pellucid's own declarations (`pl.source(...)`): it changes nothing that is handed to it.

    Another call among its arguments may (`pl.step(f, settings=SETTINGS.pop("f"))`), so then it is not one.
    """
    target = node.func if isinstance(node, ast.Call) else node
    while isinstance(target, ast.Attribute):
        target = target.value
    if not (isinstance(target, ast.Name) and target.id in api):
        return False
    given = [*node.args, *(keyword.value for keyword in node.keywords)] if isinstance(node, ast.Call) else []
    calls = [part for each in given for part in ast.walk(each) if isinstance(part, ast.Call | ast.NamedExpr)]
    return all(isinstance(call, ast.Call) and _is_api_call(call, api) for call in calls)


def _run_at_definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[ast.expr | ast.stmt]:
    """What runs when a definition is reached: decorators, defaults, bases, and a class's body; the bodies of functions do not."""
    yield from node.decorator_list
    if isinstance(node, ast.ClassDef):
        yield from [*node.bases, *(keyword.value for keyword in node.keywords)]
        for inner in node.body:
            if isinstance(inner, DEFINITIONS):
                yield from _run_at_definition(inner)
            else:
                yield inner
    else:
        defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
        yield from (
            default for default in defaults if any(isinstance(part, ast.Call | ast.NamedExpr) for part in ast.walk(default))
        )


def _names(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def _calls(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Call | ast.Await | ast.NamedExpr) for part in ast.walk(node))


def _together(effects: Iterable[Effect]) -> Effect:
    always, touches, targets = False, set[str](), set[str]()
    for one in effects:
        always |= one.always
        touches |= one.touches
        targets |= one.targets
    return Effect(always, frozenset(touches), frozenset(targets))


def effect(node: ast.stmt, module: Module) -> Effect:
    """What a statement might change, from its own text alone: worked out once, since every step of a file asks about every statement."""
    if isinstance(node, (*IMPORTS, ast.Pass)):
        return Effect()
    if isinstance(node, DEFINITIONS):
        parts = [part for part in _run_at_definition(node) if isinstance(part, ast.stmt) or not _is_api_call(part, module.api)]
        return Effect(touches=frozenset(name for part in parts for name in _names(part)))
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return _effect_of_assignment(node, module)
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Constant) or _is_api_call(node.value, module.api):
            return Effect()
        plain = _on_plain(node, module)
        return Effect(always=plain is None, touches=frozenset([plain] if plain else []))
    if isinstance(node, ast.If):
        if not node.orelse and ast.unparse(node.test) in _NEVER:
            return Effect()
        inner = _together(effect(each, module) for each in [*node.body, *node.orelse])
        return replace(inner, always=inner.always or _calls(node.test))
    if isinstance(node, ast.Try):
        blocks = [*node.body, *node.orelse, *node.finalbody, *(inner for handler in node.handlers for inner in handler.body)]
        return _together(effect(each, module) for each in blocks)
    return Effect(always=True)


def _effect_of_assignment(node: ast.Assign | ast.AnnAssign | ast.AugAssign, module: Module) -> Effect:
    """An item or attribute that is set changes what it belongs to; a call may change what it is given, and another name for a thing lets
    others change it."""
    targets = set[str]()
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        for part in ast.walk(target):
            if isinstance(part, ast.Attribute | ast.Subscript):
                base: ast.expr = part
                while isinstance(base, ast.Attribute | ast.Subscript):
                    base = base.value
                if not isinstance(base, ast.Name):
                    return Effect(always=True)
                targets.add(base.id)
    if node.value is None or _is_api_call(node.value, module.api):
        return Effect(targets=frozenset(targets))
    return Effect(touches=frozenset(_names(node.value)), targets=frozenset(targets))


def _on_plain(node: ast.Expr, module: Module) -> str | None:
    """`SIZES.append(4)` where SIZES is a plain list: it changes that list and nothing else. The list's name, or None for anything else."""
    call = node.value
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)):
        return None
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    name = call.func.value.id
    return name if name in module.plain and not any(_calls(each) for each in given) else None
