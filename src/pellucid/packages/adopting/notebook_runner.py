"""The cells of a notebook, run one after the other as Jupyter does, without Jupyter; what they show is kept as a page.

Shown is the value of a cell's last expression (not where the cell ends with a semicolon), what `display` is given, and the figures of
matplotlib that are open at the end of a cell. As text all of it goes to the output, pictures by their size; as a page, with pictures
and tables, into an HTML file. `await` works at the top of a cell.

This file runs in the process of the notebook, in an environment that may know nothing of Pellucid: it imports the standard library alone.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import html
import inspect
import io
import json
import sys
import tokenize
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Page:
    """What the cells show: as text on the output, and as parts of a page."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def display(self, *values: Any, **_: Any) -> None:
        """Show values, as `IPython.display.display` does."""
        for value in values:
            self._show(value)

    def _show(self, value: Any) -> None:
        sys.stdout.flush()
        picture = _call(value, "_repr_png_")
        markup = _call(value, "_repr_html_")
        if isinstance(picture, bytes):
            self.picture(picture)
        elif isinstance(markup, str):
            print(repr(value))
            self.parts.append(f"<div>{markup}</div>")
        else:
            print(repr(value))
            self.parts.append(f"<pre>{html.escape(repr(value))}</pre>")

    def picture(self, png: bytes) -> None:
        """Show a picture."""
        print(f"<picture of {len(png):,} bytes>")
        self.parts.append(f'<img alt="picture" src="data:image/png;base64,{base64.b64encode(png).decode()}">')

    def figures(self) -> None:
        """Show the figures that are open, and close them, as a notebook does at the end of a cell."""
        plots: Any = sys.modules.get("matplotlib.pyplot")
        if plots is None:
            return
        for number in plots.get_fignums():
            drawn = io.BytesIO()
            plots.figure(number).savefig(drawn, format="png", bbox_inches="tight")
            self.picture(drawn.getvalue())
        plots.close("all")

    def text(self, title: str) -> str:
        """The whole page."""
        head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title></head><body>'
        return "\n".join([head, f"<h1>{html.escape(title)}</h1>", *self.parts, "</body></html>", ""])


def _call(value: Any, method: str) -> Any:
    found = getattr(type(value), method, None)
    try:
        return found(value) if callable(found) else None
    except Exception:  # noqa: BLE001 - it is shown as text then, as Jupyter does
        return None


def run_cell(text: str, at: int, names: dict[str, Any], loop: asyncio.AbstractEventLoop, display: Callable[..., None]) -> None:
    """Run one cell in `names`, and show the value of its last expression."""
    where = f"<cell {at}>"
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(text, where, "exec", ast.PyCF_ONLY_AST | flags)
    assert isinstance(tree, ast.Module)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    _run(compile(tree, where, "exec", flags), names, loop)
    if isinstance(last, ast.Expr):
        value = _run(compile(ast.Expression(last.value), where, "eval", flags), names, loop)
        if value is not None and not _ends_with_semicolon(text):
            names["_"] = value
            display(value)


def _run(code: types.CodeType, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Any:
    done = eval(code, names)  # noqa: S307 - to run what its user wrote is what it is for
    return loop.run_until_complete(done) if code.co_flags & inspect.CO_COROUTINE else done


def _ends_with_semicolon(text: str) -> bool:
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.INDENT, tokenize.DEDENT)
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type not in skipped]
    return bool(tokens) and tokens[-1].string == ";"


def main(cells_file: str, notebook: str, shown: str) -> None:
    """Entry of the process: the texts of the cells (a JSON list), what the notebook is called, and where the page goes."""
    cells = json.loads(Path(cells_file).read_text())
    page = Page()
    module = types.ModuleType("__main__")
    module.__dict__.update(display=page.display, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    sys.argv = [notebook]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    for at, text in enumerate(cells, 1):
        page.parts.append(f"<h2>Cell {at}</h2>")
        run_cell(text, at, vars(module), loop, page.display)
        page.figures()
    loop.close()
    Path(shown).write_text(page.text(notebook), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[2:])
