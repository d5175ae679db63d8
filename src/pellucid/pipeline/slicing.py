"""Which top-level statements of a module a function depends on.

In the file where a step is written stand other steps too, and a change in one must not re-run all. So the module is cut into its
top-level statements, and those the function can reach are kept: definitions it names, what these name, and every statement that
might change one of them. Where the cut cannot be sure (a bare statement with effects, `exec`, `globals()`, a star import) it keeps
more than needed: a step that re-runs for nothing costs time, a stale result costs the truth.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import opcode
import types
from collections.abc import Iterator, Set
from dataclasses import dataclass

_READS = frozenset(
    opcode.opmap[name]
    for name in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "DELETE_GLOBAL", "DELETE_NAME")
    if name in opcode.opmap
)
_WRITES = frozenset(opcode.opmap[name] for name in ("STORE_GLOBAL", "STORE_NAME"))
_LOAD_GLOBAL, _STORE_GLOBAL, _EXTENDED = (opcode.opmap[name] for name in ("LOAD_GLOBAL", "STORE_GLOBAL", "EXTENDED_ARG"))
_DYNAMIC = {"globals", "locals", "vars", "eval", "exec", "__import__"}
_IMPORTS = (ast.Import, ast.ImportFrom)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NEVER = ("__name__ == '__main__'", "'__main__' == __name__", "TYPE_CHECKING", "typing.TYPE_CHECKING")


@dataclass(frozen=True)
class Statement:
    """A top-level statement: the module names it binds, and the global names it or anything inside it reads."""

    node: ast.stmt
    binds: frozenset[str]
    reads: frozenset[str]
    inner_reads: frozenset[str]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def compiled(code: types.CodeType) -> tuple[str, frozenset[str]]:
    """A digest of compiled code, for functions that have no file; and the names it may look up."""
    h = hashlib.sha256()
    names: set[str] = set()
    for part in _codes(code):
        names.update(part.co_names)
        constants = [_constant(held) for held in part.co_consts if not isinstance(held, types.CodeType)]
        h.update(repr((part.co_code, part.co_names, part.co_varnames, constants)).encode())
    return h.hexdigest(), frozenset(names)


def _constant(held: object) -> str:
    """A constant of compiled code; the order of a set depends on the hash seed."""
    return f"frozenset({sorted(map(repr, held))})" if isinstance(held, frozenset) else repr(held)


def _named(code: types.CodeType) -> Iterator[tuple[int, str]]:
    """(operation, name) of each instruction that reads or binds a global name. `dis` tells the same, ten times slower."""
    raw, high = code.co_code, 0
    for at in range(0, len(raw), 2):
        operation, argument = raw[at], raw[at + 1] | high
        high = argument << 8 if operation == _EXTENDED else 0
        if operation in _READS or operation in _WRITES:
            # LOAD_GLOBAL keeps a flag in its lowest bit (since Python 3.11)
            yield operation, code.co_names[argument >> 1 if operation == _LOAD_GLOBAL else argument]


def _statement(node: ast.stmt, flags: int) -> Statement:
    code = compile(ast.Module([node], []), "<slice>", "exec", flags=flags, dont_inherit=True)
    binds, reads, inner = set(), set(), set()
    for part in _codes(code):
        for operation, name in _named(part):
            if operation in _READS:
                reads.add(name)
                if part is not code:
                    inner.add(name)
            elif part is code or operation == _STORE_GLOBAL:
                binds.add(name)
    return Statement(node, frozenset(binds), frozenset(reads), frozenset(inner))


@functools.lru_cache(maxsize=1024)  # trees are cached by their text (sources.parse), so the same text is the same tree
def statements(tree: ast.Module) -> list[Statement]:
    """The module's top-level statements. `from __future__` imports are honoured and left out (they bind names of no use)."""
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            import __future__

            for alias in node.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    return [_statement(node, flags) for node in tree.body]


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
            if isinstance(inner, _DEFINITIONS):
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


@dataclass(frozen=True)
class _Module:
    """What the cut must know of a module: names that stand for pellucid, and names that stand for a plain container or constant."""

    api: frozenset[str]
    plain: frozenset[str]


def _calls(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Call | ast.Await | ast.NamedExpr) for part in ast.walk(node))


def _may_change(node: ast.stmt, relevant: Set[str], touchable: Set[str], module: _Module) -> bool:
    """Whether a statement that is not itself needed might change something that is.

    `touchable` are the needed names and the functions that read one. Names of imported things are not among them: a helper module is
    in the key whole, with the values it holds.
    """
    if isinstance(node, _IMPORTS):
        return False
    if isinstance(node, _DEFINITIONS):
        parts = [part for part in _run_at_definition(node) if isinstance(part, ast.stmt) or not _is_api_call(part, module.api)]
        return any(name in touchable for part in parts for name in _names(part))
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Attribute | ast.Subscript):
                    base: ast.expr = part
                    while isinstance(base, ast.Attribute | ast.Subscript):
                        base = base.value
                    if not isinstance(base, ast.Name) or base.id in relevant:
                        return True
        if node.value is None or _is_api_call(node.value, module.api):
            return False
        return any(name in touchable for name in _names(node.value))  # a call may change it, another name for it lets others
    if isinstance(node, ast.Expr):
        return not (
            isinstance(node.value, ast.Constant) or _is_api_call(node.value, module.api) or _on_plain(node, touchable, module)
        )
    if isinstance(node, ast.If):
        if not node.orelse and ast.unparse(node.test) in _NEVER:
            return False
        return _calls(node.test) or any(_may_change(inner, relevant, touchable, module) for inner in [*node.body, *node.orelse])
    if isinstance(node, ast.Try):
        blocks = [*node.body, *node.orelse, *node.finalbody, *(inner for handler in node.handlers for inner in handler.body)]
        return any(_may_change(inner, relevant, touchable, module) for inner in blocks)
    return not isinstance(node, ast.Pass)


def _on_plain(node: ast.Expr, touchable: Set[str], module: _Module) -> bool:
    """`SIZES.append(4)` where SIZES is a list that is not needed: it changes that list and nothing else."""
    call = node.value
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)):
        return False
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return call.func.value.id in module.plain - touchable and not any(_calls(each) for each in given)


def _touchable(found: list[Statement], names: Set[str]) -> Set[str]:
    """The names, and the functions and classes by which they can be reached."""
    reached = set(names)
    while True:
        more = {name for s in found if isinstance(s.node, _DEFINITIONS) and s.reads & reached for name in s.binds} - reached
        if not more:
            return reached
        reached |= more


@functools.lru_cache(maxsize=1024)
def _module(tree: ast.Module) -> _Module:
    found, api, plain = statements(tree), set[str](), set[str]()
    for s in found:
        if isinstance(s.node, ast.Import):
            api |= {alias.asname or alias.name.split(".")[0] for alias in s.node.names if alias.name == "pellucid"}
        elif isinstance(s.node, ast.ImportFrom) and s.node.module == "pellucid" and not s.node.level:
            api |= {alias.asname or alias.name for alias in s.node.names}
        elif isinstance(s.node, ast.Assign | ast.AnnAssign) and isinstance(
            s.node.value, ast.Dict | ast.List | ast.Set | ast.Constant
        ):
            plain |= s.binds
    others = {name for s in found if not isinstance(s.node, ast.Assign | ast.AnnAssign) for name in s.binds}
    several = (
        {name for s in found for name in s.binds if sum(name in other.binds for other in found) > 1} if plain else set[str]()
    )
    return _Module(frozenset(api), frozenset(plain - others - several))


@functools.lru_cache(maxsize=65536)
def reachable(tree: ast.Module, roots: frozenset[str]) -> tuple[list[ast.stmt], frozenset[str]]:
    """The statements the names in `roots` depend on, in source order, and the global names these statements read.

    A function nested in another is reached through the outer one's name.
    """
    found, module = statements(tree), _module(tree)
    own = {name for s in found if not isinstance(s.node, _IMPORTS) for name in s.binds}
    star = any(isinstance(s.node, ast.ImportFrom) and any(a.name == "*" for a in s.node.names) for s in found)
    relevant, kept = set(roots), set[int]()
    grew = True
    while grew:
        grew = False
        touchable = _touchable(found, relevant & own)
        for at, statement in enumerate(found):
            if at in kept:
                continue
            wanted = bool(statement.binds & relevant) or _may_change(statement.node, relevant, touchable, module)
            if wanted or (star and isinstance(statement.node, ast.ImportFrom)):
                kept.add(at)
                relevant |= statement.reads | statement.binds
                grew = True
    reads = frozenset().union(*(found[at].reads for at in kept)) if kept else frozenset()
    if reads & _DYNAMIC or (star and not roots <= {name for s in found for name in s.binds}):
        return [s.node for s in found], frozenset().union(*(s.reads for s in found))
    return [found[at].node for at in sorted(kept)], reads
