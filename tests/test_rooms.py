"""The house: every front page shows what it says, folders and files stay small enough to read, and what is listed is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pellucid

SOURCE = Path(pellucid.__file__).parent
ROOMS = sorted(
    ".".join(("pellucid", *path.parent.relative_to(SOURCE).parts))
    for path in SOURCE.rglob("__init__.py")
    if "msweb" not in path.parts
)
MOST_MODULES = 16  # in one folder, beside its sub-rooms
MOST_LINES = 300
# Longer on purpose, with the reason.
LONG_FILES = {
    "packages/standards/ro_crate.py": "one standard, one file: the graph of a crate is one list of entities",
    "store/canonical_digest.py": "one recipe, which must be read as a whole to be checked",
}


def _folder(room: str) -> Path:
    return SOURCE.joinpath(*room.split(".")[1:])


@pytest.mark.parametrize("room", ROOMS)
def test_a_front_page_shows_what_it_says(room: str) -> None:
    page = import_module(room)
    assert page.__doc__, "a room says what it is for"
    names = getattr(page, "__all__", [])
    assert len(names) == len(set(names))
    assert [name for name in names if getattr(page, name, None) is None] == []
    if hasattr(page, "__getattr__"):
        with pytest.raises(AttributeError, match="nonsense"):
            _ = page.nonsense
    # what a type checker sees is what there is
    tree = ast.parse((_folder(room) / "__init__.py").read_text())
    shown = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    if shown:
        assert shown == set(names), "the names for type checkers and __all__ differ"


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "pellucid.cli"])  # which has one file a command
def test_a_folder_can_be_read_in_one_look(room: str) -> None:
    modules = [path.name for path in _folder(room).glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES, f"{room} has {len(modules)} modules: {sorted(modules)}"


def test_files_are_short_but_for_those_listed() -> None:
    lengths = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    long = {name for name, lines in lengths.items() if lines > MOST_LINES}
    assert long == set(LONG_FILES), "list a longer file with its reason, and remove what is no longer long"


def test_front_pages_load_nothing_heavy() -> None:
    script = f"import sys\nfor room in {ROOMS!r}: __import__(room)\n"
    script += "print({'numpy', 'pyarrow', 'polars', 'duckdb', 'scipy', 'cryptography', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
