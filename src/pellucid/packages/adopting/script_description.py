"""What a script says of itself: a title and a description, from its docstring, the notebook's first heading or the README beside it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

LONGEST_TITLE, LONGEST = 150, 2000


def title_and_description(script: Path, root: Path) -> tuple[str, str]:
    """Both as plain text of one line; "" for what is not said anywhere."""
    for text in (_own(script), _readme(root)):
        title, _, rest = text.strip().partition("\n")
        title = _plain(title)[:LONGEST_TITLE].rstrip(" .:")
        paragraph = next((_plain(part) for part in re.split(r"\n\s*\n", rest) if _plain(part)), "")
        if title:
            return title, paragraph[:LONGEST]
    return "", ""


def _own(script: Path) -> str:
    try:
        if script.suffix != ".ipynb":
            return ast.get_docstring(ast.parse(script.read_bytes())) or ""
        cells = json.loads(script.read_bytes())["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    except (ValueError, SyntaxError, KeyError, TypeError, OSError, RecursionError):
        return ""
    return next((text[text.index("#") :] for text in texts if re.search(r"^#+ ", text, re.MULTILINE)), "")


def _readme(root: Path) -> str:
    for name in ("README.md", "README.rst", "README.txt", "README"):
        try:
            text = (root / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        heading = re.search(r"^(#+ .+|[^\n]+\n[=-]{3,})$", text, re.MULTILINE)
        return text[heading.start() :] if heading else text
    return ""


def _plain(text: str) -> str:
    text = re.sub(r"^[#=\-\s>*]+|[=\-]{3,}", "", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[`*_]{1,3}(?=\S)|(?<=\S)[`*_]{1,3}", "", text).split())
