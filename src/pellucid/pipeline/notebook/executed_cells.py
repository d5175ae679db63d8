"""What a kernel has executed: the top-level statements of its cells, in the order in which they ran."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_WRAPPED = ("time", "capture", "timeit", "prun")  # cell magics whose cell is Python
_SHELL = "get_ipython"


@dataclass(frozen=True)
class CellStatement:
    """A top-level statement of an executed cell: which cell (its execution count), its line there, its text and its tree."""

    cell: int
    line: int
    text: str
    node: ast.stmt

    @property
    def place(self) -> str:
        return f"cell [{self.cell}], line {self.line}"

    @functools.cached_property
    def uses_shell(self) -> bool:
        """Whether it calls the kernel itself: a magic, or a command of the shell."""
        return any(isinstance(part, ast.Name) and part.id == _SHELL for part in ast.walk(self.node))


def kernel() -> Any:
    """The IPython shell that this process runs cells in; None where it runs none."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


def executed(shell: Any) -> list[CellStatement]:
    """The statements of all executed cells, the one that runs now included. A cell that Python cannot parse is left out: it did not run."""
    found: list[CellStatement] = []
    for number, source in enumerate(shell.user_ns.get("In", ())):
        found += _statements(number, str(source))
    return found


def _statements(number: int, source: str) -> Iterator[CellStatement]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.splitlines(keepends=True)
    for node in tree.body:
        inner = _python_of(node)
        if inner is not None:
            yield from _statements(number, inner)
        else:
            yield CellStatement(number, node.lineno, _text(node, source, lines), node)


def _python_of(node: ast.stmt) -> str | None:
    """The cell under a magic such as %%time, which is Python as well."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute)):
        return None
    call = node.value
    if ast.unparse(call.func) != f"{_SHELL}().run_cell_magic" or len(call.args) != 3:
        return None
    name, _, body = (one.value if isinstance(one, ast.Constant) else None for one in call.args)
    return body if name in _WRAPPED and isinstance(body, str) else None


def _text(node: ast.stmt, source: str, lines: list[str]) -> str:
    """A statement as it was written, its decorators and inner comments included."""
    decorators = getattr(node, "decorator_list", [])
    if decorators:
        return "".join(lines[decorators[0].lineno - 1 : node.end_lineno]).rstrip()
    return ast.get_source_segment(source, node) or ast.unparse(node)
