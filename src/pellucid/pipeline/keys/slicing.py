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
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pellucid.pipeline.keys.statement_effects import DEFINITIONS, IMPORTS, Module, effect

_READS = frozenset(
    opcode.opmap[name]
    for name in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "DELETE_GLOBAL", "DELETE_NAME")
    if name in opcode.opmap
)
_WRITES = frozenset(opcode.opmap[name] for name in ("STORE_GLOBAL", "STORE_NAME"))
_LOAD_GLOBAL, _STORE_GLOBAL, _EXTENDED = (opcode.opmap[name] for name in ("LOAD_GLOBAL", "STORE_GLOBAL", "EXTENDED_ARG"))
_DYNAMIC = {"globals", "locals", "vars", "eval", "exec", "__import__"}


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


def statement_names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The module names that a statement binds when it runs (not those that are `global` in a function of it), those that it or anything
    inside it reads, and those that something inside it reads."""
    found = _statement(node, 0)
    return frozenset([node.name]) if isinstance(node, DEFINITIONS) else found.binds, found.reads, found.inner_reads


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


@dataclass(frozen=True)
class _Index:
    """For each name the statements (by place) that bind it, that might change it, and the definitions that read it; and the statements that
    are always kept. So a slice costs what it holds, not what the file holds."""

    binding: Mapping[str, list[int]]
    touching: Mapping[str, list[int]]
    setting: Mapping[str, list[int]]
    readers: Mapping[str, list[int]]
    own: frozenset[str]
    always: tuple[int, ...]
    star: bool


@functools.lru_cache(maxsize=1024)
def _index(tree: ast.Module) -> _Index:
    found, module = statements(tree), _module(tree)
    binding, touching, setting, readers = (defaultdict[str, list[int]](list) for _ in range(4))
    always = []
    star = any(isinstance(s.node, ast.ImportFrom) and any(a.name == "*" for a in s.node.names) for s in found)
    for at, statement in enumerate(found):
        change = effect(statement.node, module)
        if change.always or (star and isinstance(statement.node, ast.ImportFrom)):
            always.append(at)
        for names, places in ((statement.binds, binding), (change.touches, touching), (change.targets, setting)):
            for name in names:
                places[name].append(at)
        if isinstance(statement.node, DEFINITIONS):
            for name in statement.reads:
                readers[name].append(at)
    own = frozenset(name for s in found if not isinstance(s.node, IMPORTS) for name in s.binds)
    return _Index(binding, touching, setting, readers, own, tuple(always), star)


@functools.lru_cache(maxsize=1024)
def _module(tree: ast.Module) -> Module:
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
    times = Counter(name for s in found for name in s.binds)
    several = {name for name, count in times.items() if count > 1}
    return Module(frozenset(api), frozenset(plain - others - several))


@functools.lru_cache(maxsize=65536)
def reachable(
    tree: ast.Module, roots: frozenset[str], also: frozenset[int] = frozenset()
) -> tuple[list[ast.stmt], frozenset[str]]:
    """The statements the names in `roots` depend on, and those at the places `also`, in source order, and the global names these read.

    A function nested in another is reached through the outer one's name.
    """
    found, index = statements(tree), _index(tree)
    relevant, touchable, kept = set[str](), set[str](), set[int]()
    names, places = list(roots), [*index.always, *sorted(also)]
    while names or places:
        while places:
            at = places.pop()
            if at not in kept:
                kept.add(at)
                names += found[at].reads | found[at].binds
        while names:
            name = names.pop()
            if name in relevant:
                continue
            relevant.add(name)
            places += index.binding.get(name, ())
            places += index.setting.get(name, ())
            reached = [name] if name in index.own else []  # of imported things the helper module is in the key whole
            while reached:
                other = reached.pop()
                if other not in touchable:
                    touchable.add(other)
                    places += index.touching.get(other, ())
                    reached += [bound for place in index.readers.get(other, ()) for bound in found[place].binds]
    reads = frozenset[str]().union(*(found[at].reads for at in kept))
    if reads & _DYNAMIC or (index.star and not roots <= {name for s in found for name in s.binds}):
        return [s.node for s in found], frozenset().union(*(s.reads for s in found))
    return [found[at].node for at in sorted(kept)], reads


@functools.lru_cache(maxsize=65536)
def read_when_called(tree: ast.Module, roots: frozenset[str]) -> frozenset[str]:
    """The global names that the functions and classes in `roots`, and those of the same file that they name, read when they are called."""
    found, index = statements(tree), _index(tree)
    names, known, reads = list(roots), set[str](), set[str]()
    while names:
        name = names.pop()
        if name in known:
            continue
        known.add(name)
        for at in index.binding.get(name, ()):
            if isinstance(found[at].node, DEFINITIONS):
                reads |= found[at].inner_reads
                names += found[at].inner_reads
    return frozenset(reads)
