"""Source files of a project: which modules belong to it, their text as loaded, and their text without comments and docstrings.

A module is the project's own when its file lies neither in the environment (the lock speaks for that), nor in the standard library,
nor in pellucid (its own digest speaks for it).
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pellucid.errors import UsageError

_FOREIGN = tuple(
    {
        str(Path(sysconfig.get_path(name)).resolve()) + "/"
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if sysconfig.get_path(name)
    }
    | {str(Path(__file__).resolve().parents[2]) + "/"}
)


@functools.lru_cache(maxsize=65536)
def is_project_file(path: str) -> bool:
    """Whether a source file belongs to the user's project."""
    if path.startswith("<"):
        return False
    if str(Path(path).absolute()).startswith(_FOREIGN):  # Debian links some of the standard library's files elsewhere
        return False
    resolved = str(Path(path).resolve())
    return not resolved.startswith(_FOREIGN) and "/site-packages/" not in resolved and "/dist-packages/" not in resolved


def is_project_module(name: str, file: str | None) -> bool:
    """Whether an imported module belongs to the user's project. One that a library made while it ran may name a file that is not there
    (torch.classes names "_classes.py"): it belongs to the library."""
    if not file or not is_project_file(file):
        return False
    whole = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None)
    return os.path.exists(file) or not whole or not os.path.exists(whole) or is_project_file(whole)


class _FreshLoader(SourceFileLoader):
    """Compiles from source every time: a cached .pyc is trusted by size and time stamp, and both can stand still over an edit."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def install_fresh_loading(folder: Path) -> None:
    """Make imports from below `folder` compile from source, never from cached bytecode."""
    hook = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (_FreshLoader, [".py"]))
    root = str(folder.resolve())

    def below(path: str) -> Any:
        resolved = str(Path(path).resolve())
        if (resolved + "/").startswith(root + "/") and is_project_file(resolved + "/x.py"):
            return hook(path)
        raise ImportError(path)

    sys.path_hooks.insert(0, below)
    for path in [path for path in sys.path_importer_cache if (str(Path(path).resolve()) + "/").startswith(root + "/")]:
        del sys.path_importer_cache[path]


# first seen: module name -> (what stands for its load, digest of its text then); a reload makes a new spec
_loaded: dict[str, tuple[object, str]] = {}


def _load_of(module: ModuleType) -> object:
    return module.__spec__ if module.__spec__ is not None else module


def note_loaded() -> None:
    """Remember the text of every project module that is loaded by now, to see later whether a file changed under it."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or not is_project_file(file) or (name in _loaded and _loaded[name][0] is _load_of(module)):
            continue
        try:
            _loaded[name] = (_load_of(module), hashlib.sha256(Path(file).read_bytes()).hexdigest())
        except OSError:
            continue


def _changed(name: str, where: str) -> UsageError:
    return UsageError(
        f"{name} was changed after it was imported",
        where=where,
        why="the code in memory is not the code in the file, so the result would be filed under the wrong key",
        fix="Restart Python (or importlib.reload it, and what imported from it)",
    )


def check_unchanged(name: str, data: bytes, where: str) -> None:
    """Refuse to run code that is no longer what its file says. Raises UsageError."""
    module = sys.modules.get(name)
    if module is None or name not in _loaded or _loaded[name][0] is not _load_of(module):
        return
    if _loaded[name][1] != hashlib.sha256(data).hexdigest():
        raise _changed(name, where)


def check_code(fn: FunctionType, data: bytes, where: str) -> None:
    """Refuse a function that its file does not hold as it is in memory: the file changed before anyone looked, its module was
    reloaded and the function is the old one, or Python took a stale .pyc. Raises UsageError."""
    if type(fn.__globals__.get("__loader__")) not in (SourceFileLoader, _FreshLoader):
        return  # compiled in a way of its own (pytest's rewritten assertions, a notebook)
    if fn.__code__ not in _codes_in(data, Path(fn.__code__.co_filename).name):
        raise _changed(str(fn.__globals__.get("__name__")), where)


@functools.lru_cache(maxsize=4096)
def _codes_in(data: bytes, name: str) -> frozenset[CodeType]:
    """Every code object of a source file; they compare by content."""
    try:
        found, seen = [compile(data, name, "exec", dont_inherit=True)], set[CodeType]()
    except (SyntaxError, ValueError):
        return frozenset()
    while found:
        code = found.pop()
        seen.add(code)
        found.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return frozenset(seen)


def read(path: Path, where: str) -> bytes:
    """A source file's bytes. Raises UsageError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"its source {path.name} cannot be read", where=where, why=str(error)) from error


@functools.lru_cache(maxsize=4096)
def parse(data: bytes, name: str) -> ast.Module:
    """The syntax tree of a source file without docstrings. Comments are not in a tree at all."""
    tree = ast.parse(data, name)
    if b"__doc__" in data:
        return tree
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                # a body must not be empty; `pass` does nothing and stands for a lone docstring
                node.body[:1] = (
                    [] if len(node.body) > 1 or isinstance(node, ast.Module) else [ast.copy_location(ast.Pass(), first)]
                )
    return tree


@functools.lru_cache(maxsize=65536)
def text_digest(nodes: tuple[ast.stmt, ...]) -> str:
    """A digest of statements that does not see comments, docstrings, layout or position."""
    h = hashlib.sha256()
    for node in nodes:
        h.update(ast.dump(node).encode() + b"\n")
    return h.hexdigest()


def parse_or_none(data: bytes, name: str) -> ast.Module | None:
    """As `parse`; None where the text is not valid Python."""
    try:
        return parse(data, name)
    except (SyntaxError, ValueError):
        return None


def spec_of(name: str, package: str | None) -> ModuleSpec | None:
    """Find a module without running it (its parent packages may run). None when there is no such module."""
    try:
        return find_spec(name, package)
    except ImportError:
        return None
    except (AttributeError, ValueError):  # a module that was put into sys.modules by hand, without a spec
        file = getattr(sys.modules.get(name), "__file__", None)
        return ModuleSpec(name, None, origin=file) if file else None
