"""The code cells of a notebook as Python: its plotting magics left out, all that cannot be run named at once."""

from __future__ import annotations

import ast
import json
import re
import warnings

from pellucid.errors import PellucidError

PLOTTING = re.compile(r"\s*%(matplotlib|config\s+InlineBackend|pylab)\b.*")
LINE_MAGIC = re.compile(r"^\s*[%!?]|^\s*\w[\w.]*\?+\s*$")


def code_cells(notebook: bytes, where: str) -> list[str]:
    """The texts of the code cells of a notebook (nbformat 4) in Python, its plotting magics left out.

    Raises PellucidError for what is no such notebook, one in another language, and, all at once, for cells that are not plain Python.
    """
    try:
        found = json.loads(notebook)
        sources = [cell["source"] for cell in found["cells"] if cell["cell_type"] == "code"]
        language = str(found.get("metadata", {}).get("kernelspec", {}).get("language") or "python")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PellucidError("it is not a notebook of nbformat 4", where=where, why=type(error).__name__) from None
    if language.lower() != "python":
        raise PellucidError(f"it is a notebook in {language:.30}, not in Python", where=where, fix="Only Python can be adopted")
    texts = ["".join(source) if isinstance(source, list) else str(source) for source in sources]
    texts = [text if not _not_python(text, 0) else _without_plotting(text) for text in texts]
    wrong = [problem for at, text in enumerate(texts, 1) if (problem := _not_python(text, at))]
    if wrong:
        fix = "Do it in Python, or remove it, and run the notebook again; %matplotlib may stay"
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise PellucidError("not all of its cells are plain Python", where=where, why="; ".join(wrong[:5]) + more, fix=fix)
    return texts


def _without_plotting(text: str) -> str:
    return "\n".join("" if PLOTTING.fullmatch(line) else line for line in text.splitlines())


def _not_python(text: str, at: int) -> str:
    """Why a cell cannot be run, "" where it can. The parser decides: a line within a text may begin with % too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        lines = text.splitlines()
        magics = [line.strip() for line in lines if LINE_MAGIC.search(line)]
        number = getattr(error, "lineno", None) or 1
        line = magics or [lines[number - 1].strip() if number <= len(lines) else ""]
        return f"cell {at}: {', '.join(f'{one:.60}' for one in line[:3])}"
    return ""
