"""The pipeline file that is written from the cells, and the check that it says what the kernel holds."""

from __future__ import annotations

import ast
import bisect
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from pellucid.errors import StoreError, UsageError
from pellucid.pipeline.declaration import Step
from pellucid.pipeline.keys import statement_names
from pellucid.pipeline.notebook.executed_cells import CellStatement

HEAD = "# Written by pellucid from the cells of a notebook, each time its pipeline is run. Edit the notebook, not this file.\n"


@dataclass(frozen=True)
class WrittenFile:
    """A pipeline file: where it is, its text, and for each statement its first line there, its cell and its line in the cell."""

    path: Path
    text: str
    places: tuple[tuple[int, int, int], ...]

    def in_cells(self, said: str) -> str:
        """A message with the lines of this file as lines of cells."""
        firsts = [first for first, _, _ in self.places]

        def cell(match: re.Match[str]) -> str:
            at = bisect.bisect_right(firsts, int(match[1])) - 1
            if at < 0:
                return match[0]
            first, number, line = self.places[at]
            return f"cell [{number}], line {line + int(match[1]) - first}"

        return re.sub(rf"(?:\S*/)?{re.escape(self.path.name)}(?:, line |:)(\d+)", cell, said)


def write(name: str, statements: Sequence[CellStatement], folder: Path) -> WrittenFile:
    """Write the statements as NAME.py in `folder`, the kernel's own; NAME_pipeline.py where an import of NAME would find another module.

    Raises UsageError where a file of that name was not written so, StoreError where it cannot be written.
    """
    path = folder / (f"{name}_pipeline.py" if _is_module(name, folder) else f"{name}.py")
    made = _text(path, statements)
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if before is not None and not before.startswith(HEAD):
            raise UsageError(
                "this file is there already, and was not written from a notebook",
                where=str(path),
                fix=f'Give the pipeline another name than "{name}", or run that file: pellucid run {path.name}',
            )
        if before != made.text:
            path.write_text(made.text, encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fix = "Start Jupyter in a folder that you can write to: the pipeline's file is written beside the notebook"
        raise StoreError("the pipeline's file cannot be written", where=str(path), why=why, fix=fix) from error
    return made


def _is_module(name: str, folder: Path) -> bool:
    """Whether a module of Python or of an installed library has this name: the file would stand in its way."""
    if name in sys.stdlib_module_names:
        return True
    elsewhere = [place for place in sys.path if Path(place or ".").resolve() != folder.resolve()]
    return PathFinder.find_spec(name, elsewhere) is not None


def _text(path: Path, statements: Sequence[CellStatement]) -> WrittenFile:
    parts, places, cell = [HEAD], [], None
    line = 2
    statements = sorted(statements, key=lambda one: not one.text.startswith("from __future__ "))
    for statement in statements:
        head = "" if statement.cell == cell else f"\n\n# cell [{statement.cell}]\n"
        cell = statement.cell
        gap = "\n\n" if not head and getattr(statement.node, "body", None) else ""
        line += head.count("\n") + gap.count("\n")
        first = min([statement.node.lineno, *(one.lineno for one in getattr(statement.node, "decorator_list", []))])
        places.append((line, statement.cell, first))
        parts += [head, gap, statement.text, "\n"]
        line += statement.text.count("\n") + 1
    return WrittenFile(path, "".join(parts), tuple(places))


def check(statements: Sequence[CellStatement], executed: Sequence[CellStatement], live: Mapping[str, Any]) -> None:
    """Raise UsageError where the kernel holds something else than the file says: a cell that failed half-way, a name that was changed by
    code inside of a function. Looked at are functions, classes and steps by their code, and plain values that the file writes out, where no
    later statement of the `executed` ones has bound the name again."""
    last = {name: statement for statement in executed for name in statement_names(statement.node)[0]}
    chosen = {id(statement) for statement in statements}
    for name, statement in last.items():
        if id(statement) not in chosen or name not in {bound for bound, _ in _written(statement.node)}:
            continue
        (said,) = (value for bound, value in _written(statement.node) if bound == name)
        if name not in live:
            raise _differs(name, statement, "the kernel does not know it")
        if isinstance(said, ast.AST):
            if not _same_code(said, live[name]):
                raise _differs(name, statement, "the kernel holds another one")
        elif type(live[name]) in (int, float, str, bool, type(None)) and (type(said), said) != (type(live[name]), live[name]):
            raise _differs(name, statement, "the kernel holds another value")


def _differs(name: str, statement: CellStatement, why: str) -> UsageError:
    return UsageError(
        f'"{name}" is not what this cell says', where=statement.place, why=why, fix="Run the cell again, to its end"
    )


def _written(node: ast.stmt) -> Iterator[tuple[str, Any]]:
    """(name, definition or plain value) of what a statement writes out."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name, node
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        try:
            value = ast.literal_eval(node.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return
        if isinstance(value, int | float | str | bool | None):
            yield node.targets[0].id, value


def _same_code(node: ast.AST, value: Any) -> bool:
    """Whether a function, a step's function or a class has the code that its definition says. What a decorator wraps is unwrapped."""
    held = value.fn if isinstance(value, Step) else value
    if isinstance(held, FunctionType):
        held = inspect.unwrap(held)
    if isinstance(node, ast.ClassDef) or not isinstance(held, FunctionType):
        return True
    module = compile(ast.Module([_undecorated(node)], []), "<cell>", "exec", dont_inherit=True)
    (code,) = (one for one in module.co_consts if isinstance(one, CodeType))
    return _shape(code) == _shape(held.__code__)


def _undecorated(node: Any) -> Any:
    plain = type(node)(**{name: getattr(node, name, None) for name in node._fields} | {"decorator_list": [], "returns": None})
    return ast.fix_missing_locations(ast.copy_location(plain, node))


def _shape(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(_shape(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts)
    return (code.co_code, code.co_names, code.co_varnames, constants)
