"""Which statements of the executed cells a pipeline is made of.

Cells run in any order and names are bound again, so a statement sees a name as it was bound last before it ran. A function sees the
names of its module when it is called: as they are now. The pipeline itself sees its steps as they are now too: a step that was defined
again is the one that runs, though the cell with the pipeline was not run again. Statements that show something, and magics, stay out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from pellucid.errors import UsageError
from pellucid.pipeline.declaration import Pipeline, Source, Step
from pellucid.pipeline.keys import statement_names
from pellucid.pipeline.notebook.executed_cells import CellStatement

_SHOWING = frozenset({
    "describe", "display", "head", "hist", "imshow", "info", "len", "plot", "plot_graph", "pprint", "print", "run", "sample", "savefig",
    "scatter", "show", "tail", "type",
})  # fmt: skip
_SETTING = frozenset({"basicConfig", "filterwarnings", "seed", "set_option", "set_printoptions", "seterr", "simplefilter"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CONTAINERS = ("list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter")


@dataclass(frozen=True)
class Names:
    """What a statement binds, reads when it runs (`reads`) and when a function of it is called (`later`), and may change (`changes`).
    `whole` says that it binds its names afresh, whatever they were before."""

    binds: frozenset[str]
    reads: frozenset[str]
    later: frozenset[str]
    changes: frozenset[str]
    whole: bool
    star: bool


@dataclass
class _Slice:
    """The work of one slice: what is kept so far, by place."""

    statements: Sequence[CellStatement]
    names: list[Names]
    live: Mapping[str, Any]
    after_runs: set[int]
    kept: set[int] = field(default_factory=set)
    seen: set[tuple[str, int]] = field(default_factory=set)

    def need(self, name: str, at: int) -> None:
        """Keep what makes `name` what it is just before the place `at`."""
        waiting = [(name, at)]
        while waiting:
            one = waiting.pop()
            if one not in self.seen:
                self.seen.add(one)
                waiting += self._needs(*one)

    def _needs(self, name: str, at: int) -> Iterator[tuple[str, int]]:
        first = next((i for i in range(at - 1, -1, -1) if name in self.names[i].binds and self.names[i].whole), 0)
        for i in range(first, at):
            found = self.names[i]
            if name in found.binds or found.star or (name in found.changes and i not in self.after_runs):
                self.kept.add(i)
                yield from ((read, i) for read in found.reads | found.binds - {name} if read != name or not found.whole)
                yield from ((read, at) for read in found.later)


def slice_of(pipeline: Pipeline, statements: Sequence[CellStatement], live: Mapping[str, Any]) -> list[CellStatement]:
    """The statements that make `pipeline`, in an order in which a file can have them: its own statement comes last.

    `live` are the names of the kernel as they are. Raises UsageError where the pipeline has no name in a cell, or a needed name comes
    from a magic.
    """
    named = sorted(name for name, value in live.items() if value is pipeline and not name.startswith("_"))
    names = [_names(statement.node, live) for statement in statements]
    own = next((i for i in range(len(names) - 1, -1, -1) if names[i].binds & set(named)), None)
    if own is None:
        raise UsageError(
            "this pipeline has no name in a cell",
            where="notebook",
            why="its file is written from the cells that make it",
            fix='Give it one, in a cell: pipeline = pl.Pipeline("name", [...])',
        )
    work, end = _Slice(statements, names, live, _after_runs(names, live)), len(statements)
    for read in sorted(names[own].reads | names[own].later):
        work.need(read, end)
    work.kept.discard(own)
    _refuse_results(work)
    _refuse_outdated(work, own)
    future = [i for i, one in enumerate(statements) if one.text.startswith("from __future__ ")]
    chosen = [statements[i] for i in sorted({*work.kept, *future})] + [statements[own]]
    for statement in chosen:
        if statement.uses_shell:
            said = "the pipeline needs a name that comes from a magic or a shell command"
            fix = "Write it in Python: a pipeline file has neither"
            raise UsageError(said, where=statement.place, why=statement.text.splitlines()[0][:80], fix=fix)
    return chosen


def _after_runs(names: Sequence[Names], live: Mapping[str, Any]) -> set[int]:
    """The statements that use a pipeline or what came of running one: they cannot be a part of it."""
    used = {name for name, value in live.items() if isinstance(value, Pipeline)}
    found = set()
    for i, one in enumerate(names):
        if one.reads & used:
            found.add(i)
            used |= one.binds
        elif one.whole:
            used -= {name for name in one.binds if not isinstance(live.get(name), Pipeline)}
    return found


def _refuse_results(work: _Slice) -> None:
    """A pipeline that needs what came of running one would have to run it while its file loads."""
    for i in sorted(work.kept & work.after_runs):
        raise UsageError(
            f"the pipeline needs {', '.join(sorted(work.names[i].binds)) or 'what this makes'}, which comes from running a pipeline",
            where=work.statements[i].place,
            fix="Make it in a step, or write it to a file and take that as a source",
        )


def _refuse_outdated(work: _Slice, own: int) -> None:
    """A step or source that was made from another one, which has been defined again since, still means the old one."""
    for i in sorted(work.kept):
        for name in sorted(work.names[i].reads):
            later = [j for j in range(i + 1, len(work.names)) if name in work.names[j].binds and j in work.kept and j != own]
            if later and isinstance(work.live.get(name), Source | Step):
                raise UsageError(
                    f'this still uses the "{name}" from before {work.statements[later[-1]].place}',
                    where=work.statements[i].place,
                    fix="Run this cell again, and then the pipeline",
                )


def _names(node: ast.stmt, live: Mapping[str, Any]) -> Names:
    binds, reads, inner = statement_names(node)
    star = isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    if isinstance(node, _FUNCTIONS):
        return Names(binds, reads - inner | _at_definition(node), inner, frozenset(), True, False)
    whole = isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef) or (
        isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and not binds & reads
    )
    return Names(binds, reads, inner, frozenset(_changed(node, live)), whole, star)


def _at_definition(node: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """Names in decorators and defaults, lambdas and comprehensions there included: they are read when the definition is reached."""
    parts = [*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
    return frozenset(part.id for one in parts for part in ast.walk(one) if isinstance(part, ast.Name))


def _changed(node: ast.stmt, live: Mapping[str, Any]) -> Iterator[str]:
    """Names of things that a statement may change: by setting an item or attribute, by a method, by handing them to a function."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store | ast.Del):
            yield from _base(part)
        elif isinstance(part, ast.Delete):
            yield from (target.id for target in part.targets if isinstance(target, ast.Name))
        elif isinstance(part, ast.Call) and _is_statement(node, part):
            called = (
                part.func.attr
                if isinstance(part.func, ast.Attribute)
                else part.func.id
                if isinstance(part.func, ast.Name)
                else ""
            )
            if called in _SHOWING:
                continue
            if isinstance(part.func, ast.Attribute) and ast.unparse(part.func.value) == "sys.path":
                yield "sys"
            elif isinstance(part.func, ast.Attribute):
                yield from (name for name in _base(part.func) if _method_changes(live.get(name), called))
            given = [*part.args, *(keyword.value for keyword in part.keywords)]
            yield from (one.id for one in given if isinstance(one, ast.Name) and _changeable(live.get(one.id)))


def _is_statement(node: ast.stmt, call: ast.Call) -> bool:
    """Whether a call is there for its effect: a statement of its own, or inside of a compound one."""
    return not isinstance(node, ast.Expr) or node.value is call


def _base(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _method_changes(value: Any, called: str) -> bool:
    """Whether a method that is called for its effect may change what a step sees: of any value but Pellucid's own, and of a module where
    its name says so."""
    if isinstance(value, ModuleType):
        return called in _SETTING
    return value is not None and not type(value).__module__.startswith("pellucid.")


def _changeable(value: Any) -> bool:
    """Whether a value is one that a call may change and that a pipeline file can make: a container, or a thing of the notebook's own."""
    return type(value).__name__ in _CONTAINERS or type(value).__module__ == "__main__"
